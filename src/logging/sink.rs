//! Where lines go: together, by a thread of its own. A call of the system for each line would cost more than all else
//! that a call of an RPC does for itself.

use std::{
    fmt, io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// How long lines wait for others.
const WAIT: Duration = Duration::from_millis(5);

/// So much may wait, in bytes; who has more to say waits until it is written. Nothing is left out.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// Takes lines, and writes them in their order, within some milliseconds. What was taken is lost if the process is killed before.
#[derive(Clone)]
pub struct Sink(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// There are lines, or somebody waits for them to be written.
    some: Condvar,
    /// Lines were written.
    written: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    /// Whether the writer has to be woken.
    is_asleep: bool,
    /// Whether lines are on their way.
    is_writing: bool,
    /// Whether somebody waits for all of it.
    is_urgent: bool,
}

impl Sink {
    /// A sink that writes to `out`. What cannot be written is forgotten: there is nobody to tell.
    ///
    /// # Errors
    /// If there can be no thread.
    pub fn new(out: impl io::Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let of_writer = shared.clone();
        thread::Builder::new().name("log".into()).spawn(move || of_writer.write_to(out))?;
        Ok(Self(shared))
    }

    /// Takes whole lines.
    pub fn take(&self, lines: &[u8]) {
        let mut state = self.0.state();
        while state.lines.len() > WAITING_BYTES_MAX {
            state = wait(&self.0.written, state);
        }
        state.lines.extend_from_slice(lines);
        if std::mem::take(&mut state.is_asleep) {
            self.0.some.notify_one();
        }
    }

    /// Waits until all that was taken is written.
    pub fn flush(&self) {
        let mut state = self.0.state();
        while state.is_writing || !state.lines.is_empty() {
            state.is_urgent = true;
            self.0.some.notify_one();
            state = wait(&self.0.written, state);
        }
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sink")
    }
}

impl Shared {
    /// Nothing that could panic runs under the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, mut out: impl io::Write) {
        let mut lines = Vec::new();
        let mut state = self.state();
        loop {
            while state.lines.is_empty() {
                state.is_asleep = true;
                state = wait(&self.some, state);
            }
            state.is_asleep = false;
            let waited = self.some.wait_timeout_while(state, WAIT, |state| !state.is_urgent);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            (state.is_writing, state.is_urgent) = (true, false);
            std::mem::swap(&mut state.lines, &mut lines);
            drop(state);
            let _ = out.write_all(&lines);
            let _ = out.flush();
            lines.clear();
            state = self.state();
            state.is_writing = false;
            self.written.notify_all();
        }
    }
}

fn wait<'a>(condition: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    condition.wait(state).unwrap_or_else(PoisonError::into_inner)
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
                        sink.take(format!("{writer} {line} {:100}\n", "").as_bytes());
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
        assert!(pieces.iter().all(|piece| piece.len() < WAITING_BYTES_MAX + 500));
    }

    #[test]
    fn a_line_is_written_by_itself() {
        let pieces = Pieces::default();
        let sink = Sink::new(pieces.clone()).unwrap();
        for line in ["first\n", "second\n"] {
            sink.take(line.as_bytes());
            while pieces.0.lock().unwrap().last().is_none_or(|piece| piece != line.as_bytes()) {
                thread::yield_now();
            }
        }
        sink.flush();
    }
}
