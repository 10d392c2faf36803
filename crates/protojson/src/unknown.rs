//! What a document says that its message does not know: ignored, as in ZITADEL, or refused.

use std::cell::Cell;

use serde::de::Error;

/// What becomes of fields and names of enum values that a message does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// They count as absent.
    #[default]
    Ignored,
    /// They are errors.
    Refused,
}

thread_local! {
    /// For the document that the thread reads. serde has no way to tell it to generated code.
    static UNKNOWN: Cell<Unknown> = const { Cell::new(Unknown::Ignored) };
}

/// Reads a document so.
pub(crate) fn with<T>(unknown: Unknown, read: impl FnOnce() -> T) -> T {
    struct Restore(Unknown);

    impl Drop for Restore {
        fn drop(&mut self) {
            UNKNOWN.set(self.0);
        }
    }

    let _restore = Restore(UNKNOWN.replace(unknown));
    read()
}

/// A field that the message does not have.
pub fn field<E: Error>(name: &str) -> Result<(), E> {
    refuse("field", name)
}

/// A name that no value of the enum has.
pub(crate) fn enum_value<E: Error>(name: &str) -> Result<(), E> {
    refuse("enum value", name)
}

fn refuse<E: Error>(what: &str, name: &str) -> Result<(), E> {
    match UNKNOWN.get() {
        Unknown::Ignored => Ok(()),
        Unknown::Refused => Err(E::custom(format!("unknown {what} {name:?}"))),
    }
}
