//! What waits shares a statement: one is under way, and the next takes along all that came meanwhile.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use storage::StoreError;
use tokio::{
    sync::{Notify, oneshot},
    time::timeout,
};

/// How many statements of a kind are under way at most.
const LANES_MAX: usize = 4;

/// How long something waits for the statement under way. Then another one begins: the first may be stuck behind a lock, or
/// the database may be far away.
const PATIENCE: Duration = Duration::from_millis(5);

/// A statement waits for the company that the one before had, up to so long: those who were just answered come again, and a
/// statement costs more than the wait. Who comes alone waits for nobody.
const COMPANY_WAIT: Duration = Duration::from_millis(1);

/// What is done in one statement for all who ask for it.
pub(crate) trait Work: Send + Sync + 'static {
    type Question: Send;
    type Answer: Send;

    /// Takes what the next statement does from what waits, in the order in which it came. What it leaves because another
    /// statement must end first is taken after that.
    fn take(&self, waiting: &mut VecDeque<Asked<Self>>) -> Vec<Asked<Self>> {
        waiting.drain(..).collect()
    }

    /// Does it, and answers.
    fn perform(&self, batch: Vec<Asked<Self>>) -> impl Future<Output = ()> + Send;
}

/// What somebody asks for, until it is answered.
pub(crate) struct Asked<W: Work + ?Sized> {
    pub question: W::Question,
    since: Instant,
    reply: oneshot::Sender<Result<W::Answer, StoreError>>,
}

impl<W: Work + ?Sized> Asked<W> {
    /// Whether anybody waits for the answer.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    pub(crate) fn answer(self, answer: Result<W::Answer, StoreError>) {
        // Who has left does not want to know; what was written stands.
        let _ = self.reply.send(answer);
    }
}

/// Takes questions, and sees that they are answered.
pub(crate) struct Lanes<W: Work>(Arc<Shared<W>>);

struct Shared<W: Work> {
    work: W,
    state: Mutex<State<W>>,
    /// Told when as many wait as are expected.
    gathered: Notify,
}

struct State<W: Work> {
    waiting: VecDeque<Asked<W>>,
    /// How many lanes there are, and how many of them have taken something.
    lanes: usize,
    at_work: usize,
    /// For how many a lane waits.
    expected: usize,
}

impl<W: Work> Lanes<W> {
    pub(crate) fn new(work: W) -> Self {
        let state = Mutex::new(State { waiting: VecDeque::new(), lanes: 0, at_work: 0, expected: 0 });
        Self(Arc::new(Shared { work, state, gathered: Notify::new() }))
    }

    /// Has something done, in a statement that begins after this call. Dropped before that, it is not done.
    pub(crate) async fn ask(&self, question: W::Question) -> Result<W::Answer, StoreError> {
        let (reply, answer) = oneshot::channel();
        {
            let mut state = self.0.lock();
            state.waiting.push_back(Asked { question, since: Instant::now(), reply });
            if state.waiting.len() == state.expected {
                self.0.gathered.notify_one();
            }
            let is_needed = state.at_work == 0 || state.at_work == state.lanes;
            if is_needed && state.lanes < LANES_MAX {
                state.lanes += 1;
                tokio::spawn(Lane { shared: self.0.clone(), is_at_work: false, counts: true }.run());
            }
        }
        answer.await.map_err(|_| StoreError::unavailable("the answer of the database was lost"))?
    }
}

impl<W: Work> Shared<W> {
    fn lock(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until so many wait, but not for long.
    async fn gather(&self, company: usize) {
        {
            let mut state = self.lock();
            if state.waiting.len() >= company {
                return;
            }
            state.expected = company;
        }
        // Who was not enough, or came too late, is taken along all the same.
        let _ = timeout(COMPANY_WAIT, self.gathered.notified()).await;
        self.lock().expected = 0;
    }
}

/// One statement after the other, until nothing waits.
struct Lane<W: Work> {
    shared: Arc<Shared<W>>,
    is_at_work: bool,
    /// Whether it counts among the lanes.
    counts: bool,
}

/// What a lane does next.
enum Next<W: Work> {
    Statement(Vec<Asked<W>>),
    Wait(Duration),
    End,
}

impl<W: Work> Lane<W> {
    async fn run(mut self) {
        loop {
            match self.next() {
                Next::Statement(batch) => {
                    let company = batch.len() - 1;
                    self.shared.work.perform(batch).await;
                    self.shared.gather(company).await;
                }
                Next::Wait(pause) => tokio::time::sleep(pause).await,
                Next::End => return,
            }
        }
    }

    fn next(&mut self) -> Next<W> {
        let shared = self.shared.clone();
        let mut state = shared.lock();
        self.rest(&mut state);
        state.waiting.retain(Asked::is_wanted);
        let waits = state.waiting.front().map(|first| first.since.elapsed());
        if let Some(waits) = waits.filter(|waits| state.at_work > 0 && *waits < PATIENCE) {
            return Next::Wait(PATIENCE - waits);
        }
        let batch = shared.work.take(&mut state.waiting);
        if batch.is_empty() {
            // At once: who asks next must see that nobody would take him along.
            (state.lanes, self.counts) = (state.lanes - 1, false);
            return Next::End;
        }
        (state.at_work, self.is_at_work) = (state.at_work + 1, true);
        Next::Statement(batch)
    }

    fn rest(&mut self, state: &mut State<W>) {
        state.at_work -= usize::from(self.is_at_work);
        self.is_at_work = false;
    }
}

impl<W: Work> Drop for Lane<W> {
    fn drop(&mut self) {
        if !self.counts {
            return;
        }
        let shared = self.shared.clone();
        let mut state = shared.lock();
        self.rest(&mut state);
        state.lanes -= 1;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use tokio::time::Instant;

    use super::*;

    /// Answers with the size of the batch.
    struct Sizes;

    impl Work for Sizes {
        type Question = ();
        type Answer = usize;

        async fn perform(&self, batch: Vec<Asked<Self>>) {
            let size = batch.len();
            batch.into_iter().for_each(|asked| asked.answer(Ok(size)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_statement_waits_for_the_company_of_the_one_before_and_no_longer() {
        let (lanes, start) = (Lanes::new(Sizes), Instant::now());
        for _ in 0..10 {
            let sizes = join_all((0..3).map(|_| lanes.ask(()))).await;
            assert!(sizes.iter().all(|size| matches!(size, Ok(3))), "{sizes:?}");
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        // Two do not come again.
        for _ in 0..2 {
            assert!(matches!(lanes.ask(()).await, Ok(1)));
            assert_eq!(start.elapsed(), COMPANY_WAIT);
        }
    }
}
