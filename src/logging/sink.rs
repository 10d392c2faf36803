//! Where lines go: together, by a thread of its own. A call of the system for each line would cost more than all else
//! that a call of an RPC does for itself; and so would a lock that all threads wait for.

use std::{
    fmt, io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

use domain::Timestamp;

/// How long lines wait for others.
const WAIT: Duration = Duration::from_millis(5);

/// So much may wait in one heap, in bytes; who has more to say waits until it is written. Nothing is left out.
const HEAP_BYTES_MAX: usize = 256 * 1024;

/// Threads beyond these share heaps.
const HEAPS: usize = 16;

/// Takes lines, and writes them in the order of their times, within some milliseconds. What was taken is lost if the process
/// is killed before.
#[derive(Clone)]
pub struct Sink(Arc<Shared>, Thread);

#[derive(Default)]
struct Shared {
    heaps: [Heap; HEAPS],
    /// Whether the writer waits for the first line.
    is_asleep: AtomicBool,
    /// Whether somebody waits for all of it.
    is_urgent: AtomicBool,
    /// Whether lines are on their way. Never waited for by who holds a heap.
    is_writing: Mutex<bool>,
    /// They are no longer.
    written: Condvar,
}

/// Lines of one thread, or a few. On cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Heap(Mutex<Lines>);

/// Lines behind each other.
#[derive(Default)]
struct Lines {
    text: Vec<u8>,
    /// When each was said, and where it ends.
    each: Vec<(Timestamp, usize)>,
}

thread_local! {
    /// The number of this thread's heap.
    static HEAP: usize = {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        THREADS.fetch_add(1, Ordering::Relaxed) % HEAPS
    };
}

impl Sink {
    /// A sink that writes to `out`. What cannot be written is forgotten: there is nobody to tell.
    ///
    /// # Errors
    /// If there can be no thread.
    pub fn new(out: impl io::Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let of_writer = shared.clone();
        let writer = thread::Builder::new().name("log".into()).spawn(move || of_writer.write_to(out))?;
        Ok(Self(shared, writer.thread().clone()))
    }

    /// Takes a line that was said at a moment. Those of a thread follow each other.
    pub fn take(&self, at: Timestamp, line: &[u8]) {
        let heap = &self.0.heaps[HEAP.with(|heap| *heap)];
        let mut lines = heap.lines();
        if lines.text.len() > HEAP_BYTES_MAX {
            drop(lines);
            let writing = self.0.is_writing();
            let is_full = |_: &mut bool| heap.lines().text.len() > HEAP_BYTES_MAX;
            drop(self.0.written.wait_while(writing, is_full));
            lines = heap.lines();
        }
        lines.push(at, line);
        drop(lines);
        // The writer says that it sleeps before it looks for the last time.
        if self.0.is_asleep.load(Ordering::SeqCst) && self.0.is_asleep.swap(false, Ordering::SeqCst) {
            self.1.unpark();
        }
    }

    /// Waits until all that was taken is written.
    pub fn flush(&self) {
        let mut writing = self.0.is_writing();
        while *writing || !self.0.is_empty() {
            self.0.is_urgent.store(true, Ordering::SeqCst);
            self.1.unpark();
            writing = self.0.written.wait(writing).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sink")
    }
}

impl Heap {
    /// Nothing that could panic runs under the lock.
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn push(&mut self, at: Timestamp, line: &[u8]) {
        self.text.extend_from_slice(line);
        self.each.push((at, self.text.len()));
    }

    fn clear(&mut self) {
        self.text.clear();
        self.each.clear();
    }

    fn iter(&self) -> impl Iterator<Item = (Timestamp, &[u8])> {
        self.each
            .iter()
            .scan(0, |begin, &(at, end)| Some((at, &self.text[std::mem::replace(begin, end)..end])))
    }
}

impl Shared {
    fn is_writing(&self) -> MutexGuard<'_, bool> {
        self.is_writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_empty(&self) -> bool {
        self.heaps.iter().all(|heap| heap.lines().each.is_empty())
    }

    fn write_to(&self, mut out: impl io::Write) {
        let mut taken: [Lines; HEAPS] = Default::default();
        let mut together = Vec::new();
        loop {
            self.sleep();
            let until = Instant::now() + WAIT;
            while !self.is_urgent.swap(false, Ordering::SeqCst) {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                thread::park_timeout(left);
            }
            self.writing(true);
            self.swap(&mut taken);
            in_order(&taken, &mut together);
            let _ = out.write_all(&together);
            let _ = out.flush();
            together.clear();
            taken.iter_mut().for_each(Lines::clear);
            self.writing(false);
        }
    }

    /// Returns when there are lines.
    fn sleep(&self) {
        loop {
            self.is_asleep.store(true, Ordering::SeqCst);
            if !self.is_empty() {
                return self.is_asleep.store(false, Ordering::SeqCst);
            }
            thread::park();
        }
    }

    /// Takes all lines of one moment: none without those that were said before it.
    fn swap(&self, taken: &mut [Lines; HEAPS]) {
        let mut heaps = self.heaps.each_ref().map(Heap::lines);
        for (heap, taken) in heaps.iter_mut().zip(taken) {
            std::mem::swap(&mut **heap, taken);
        }
    }

    fn writing(&self, is_writing: bool) {
        *self.is_writing() = is_writing;
        if !is_writing {
            self.written.notify_all();
        }
    }
}

/// Writes the lines to `out` as they were said.
fn in_order(heaps: &[Lines; HEAPS], out: &mut Vec<u8>) {
    let mut lines: Vec<_> = heaps.iter().flat_map(Lines::iter).collect();
    // In runs that are in order already.
    lines.sort_by_key(|(at, _)| *at);
    for (_, line) in lines {
        out.extend_from_slice(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps what is written, and what was written at once.
    #[derive(Clone, Default)]
    struct Pieces(Arc<Mutex<Vec<Vec<u8>>>>);

    impl io::Write for Pieces {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nothing_is_lost_and_each_thread_keeps_its_order() {
        const LINES: usize = 20_000;
        let pieces = Pieces::default();
        let sink = Sink::new(pieces.clone()).unwrap();
        thread::scope(|scope| {
            for writer in 0..4 {
                let sink = &sink;
                scope.spawn(move || {
                    for line in 0..LINES {
                        sink.take(Timestamp::now(), format!("{writer} {line} {:100}\n", "").as_bytes());
                    }
                });
            }
        });
        sink.flush();
        let pieces = pieces.0.lock().unwrap();
        let all = String::from_utf8(pieces.concat()).unwrap();
        let mut next = [0; 4];
        for line in all.lines() {
            let mut words = line.split(' ').map(|word| word.parse::<usize>().unwrap_or_default());
            let (writer, line) = (words.next().unwrap(), words.next().unwrap());
            assert_eq!(line, next[writer]);
            next[writer] += 1;
        }
        assert_eq!(next, [LINES; 4]);
        assert!(pieces.len() < LINES / 10, "{} pieces", pieces.len());
        assert!(pieces.iter().all(|piece| piece.len() < HEAPS * (HEAP_BYTES_MAX + 500)));
    }

    #[test]
    fn what_was_said_before_stands_before() {
        const LINES: usize = 20_000;
        let pieces = Pieces::default();
        let sink = Sink::new(pieces.clone()).unwrap();
        let said = Mutex::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..LINES {
                        let mut said = said.lock().unwrap();
                        sink.take(Timestamp::from_micros(*said), format!("{said}\n").as_bytes());
                        *said += 1;
                    }
                });
            }
        });
        sink.flush();
        let all = String::from_utf8(pieces.0.lock().unwrap().concat()).unwrap();
        assert!(all.lines().map(|line| line.parse::<i64>().unwrap()).eq(0..4 * LINES as i64));
    }

    #[test]
    fn a_line_is_written_by_itself() {
        let pieces = Pieces::default();
        let sink = Sink::new(pieces.clone()).unwrap();
        for line in ["first\n", "second\n"] {
            sink.take(Timestamp::now(), line.as_bytes());
            while pieces.0.lock().unwrap().last().is_none_or(|piece| piece != line.as_bytes()) {
                thread::yield_now();
            }
        }
        sink.flush();
    }
}
