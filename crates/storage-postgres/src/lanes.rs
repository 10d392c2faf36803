//! What waits shares a statement: one is under way, and the next takes along all that came meanwhile.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use storage::StoreError;
use tokio::sync::oneshot;

/// How many statements of a kind are under way at most.
const LANES_MAX: usize = 4;

/// How long something waits for the statement under way. Then another one begins: the first may be stuck behind a lock, or
/// the database may be far away.
const PATIENCE: Duration = Duration::from_millis(5);

/// A statement waits for the company that the one before had: those who were just answered come again, and a statement costs
/// more than the wait. Who comes alone waits for nobody.
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
}

struct State<W: Work> {
    waiting: VecDeque<Asked<W>>,
    /// How many lanes there are, and how many of them have taken something.
    lanes: usize,
    at_work: usize,
}

impl<W: Work> Lanes<W> {
    pub(crate) fn new(work: W) -> Self {
        let state = Mutex::new(State { waiting: VecDeque::new(), lanes: 0, at_work: 0 });
        Self(Arc::new(Shared { work, state }))
    }

    /// Has something done, in a statement that begins after this call. Dropped before that, it is not done.
    pub(crate) async fn ask(&self, question: W::Question) -> Result<W::Answer, StoreError> {
        let (reply, answer) = oneshot::channel();
        {
            let mut state = self.0.lock();
            state.waiting.push_back(Asked { question, since: Instant::now(), reply });
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
                    let company = batch.len();
                    self.shared.work.perform(batch).await;
                    if self.shared.lock().waiting.len() < company - 1 {
                        tokio::time::sleep(COMPANY_WAIT).await;
                    }
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
