//! The allocator of the server's process, mimalloc, and when it gives memory back.

use std::{ffi::c_long, time::Duration};

use libmimalloc_sys::{mi_option_set_default, mi_option_t};
pub use mimalloc::MiMalloc;

/// Memory that was free for so long goes back to the system. mimalloc's own second keeps what bodies of one wave have taken through
/// the next; a tenth of it costs large calls no more than a hundredth of their time.
const GIVEN_BACK_AFTER: Duration = Duration::from_millis(100);

/// `mi_option_purge_delay` (mimalloc.h), in milliseconds.
const PURGE_DELAY: mi_option_t = 15;

/// Has memory given back soon, unless the environment says otherwise (`MIMALLOC_PURGE_DELAY`). For the beginning of a process.
pub fn give_back_soon() {
    let milliseconds = c_long::try_from(GIVEN_BACK_AFTER.as_millis()).unwrap_or(c_long::MAX);
    // SAFETY: the option is one of mimalloc's, as a test shows, and this one may be set at any time.
    unsafe { mi_option_set_default(PURGE_DELAY, milliseconds) }
}

#[cfg(test)]
mod tests {
    use libmimalloc_sys::mi_option_get;

    use super::*;

    #[test]
    fn memory_is_given_back_after_a_tenth_of_mimallocs_own_second() {
        // SAFETY: it only looks.
        let milliseconds = || unsafe { mi_option_get(PURGE_DELAY) };
        assert_eq!(milliseconds(), 1_000, "of all options, only this one has this default");
        give_back_soon();
        assert_eq!(milliseconds(), 100);
    }
}
