//! Work that takes its time, kept from holding up other calls.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Reading as much as this takes a millisecond or so; less is not worth the change of threads.
const LONG_BYTES: usize = 256 * 1024;

/// Does `work` on `bytes` bytes. If that is long, the thread's other tasks go on elsewhere.
pub fn in_place<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let elsewhere =
        || Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
    if bytes >= LONG_BYTES && elsewhere() { tokio::task::block_in_place(work) } else { work() }
}
