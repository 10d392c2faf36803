//! Work that takes its time, kept from holding up other calls.

use std::{num::NonZeroUsize, sync::LazyLock, thread};

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::Semaphore,
};

/// To read as much as this takes some milliseconds at worst, when it is of small parts. Less is not worth the change of threads, and
/// each thread has memory of its own for what is large.
const LONG_BYTES: usize = 1024 * 1024;

/// Half of the processors are for all the rest.
static PROCESSORS: LazyLock<Semaphore> = LazyLock::new(|| {
    Semaphore::new((thread::available_parallelism().map_or(1, NonZeroUsize::get) / 2).max(1))
});

/// Does `work` on `bytes` bytes. If that is long, it takes turns with other such work, and the thread's other tasks go on
/// elsewhere.
pub async fn in_place<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let elsewhere = || Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
    if bytes < LONG_BYTES || !elsewhere() {
        return work();
    }
    // It is never closed.
    let _processor = PROCESSORS.acquire().await;
    tokio::task::block_in_place(work)
}
