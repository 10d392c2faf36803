//! What clients saw of a few keys, and whether one register for each key could have answered so.
//!
//! The search is that of Wing and Gong with the memory of Lowe ("Testing for linearizability", 2017): it puts one operation
//! after the other that began before any other one left over had ended, and never twice the same set with the same state.

use std::collections::HashSet;

/// What an operation does to a register, or has seen of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// It held this; nothing, if it was absent.
    Read(Option<u64>),
    /// It holds this from then on.
    Write(Option<u64>),
    /// It held something, and holds nothing from then on.
    Take,
}

/// An operation on one register, between two moments.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    pub act: Act,
    pub start: u64,
    /// `None` if no answer came: it may have happened at any time from `start` on, or never.
    pub end: Option<u64>,
    /// Of what changes the register, as far as it is known: the order of all that have one.
    pub number: Option<u64>,
}

/// A search that looks at more than this is given up.
const STATES_MAX: usize = 1_000_000;

/// In place of any value that nobody has seen.
const UNSEEN: u64 = u64::MAX;

/// Whether the operations, each at one moment between its start and its end, explain each other, from an absent register on.
///
/// # Errors
/// An operation that nothing explains, or that the search takes too long.
pub fn linearize(operations: &[Operation]) -> Result<(), String> {
    let mut search = Search::new(operations);
    let mut best = (usize::MAX, String::new());
    let mut from = 0;
    while search.left > 0 {
        if search.left < best.0 {
            best = (search.left, search.describe());
        }
        if search.seen.len() > STATES_MAX {
            return Err(format!("undecided after {STATES_MAX} states: {}", best.1));
        }
        if let Some(index) = search.read().or_else(|| search.candidate(from)) {
            search.put(index);
            from = 0;
            continue;
        }
        // What reads and fits can only be right: nothing else in its place would help.
        from = loop {
            let index = search.take_back().ok_or_else(|| best.1.clone())?;
            if !matches!(search.operations[index].act, Act::Read(_)) {
                break index + 1;
            }
        };
    }
    Ok(())
}

struct Search {
    /// By their start; those without an answer stand behind the others: they are tried last.
    operations: Vec<Operation>,
    /// How many have an answer.
    answered: usize,
    /// Those with a number, by it, and how many of them are put.
    numbered: Vec<usize>,
    numbered_put: usize,
    is_put: Vec<bool>,
    /// All before it are put.
    first: usize,
    /// How many must still be put.
    left: usize,
    state: Option<u64>,
    /// What was put, and the state and `first` before it.
    path: Vec<(usize, Option<u64>, usize)>,
    /// The set of those that are put, as the sum of a random number for each.
    set: u128,
    seen: HashSet<(u128, Option<u64>)>,
}

impl Search {
    fn new(operations: &[Operation]) -> Self {
        let mut operations = operations.to_vec();
        operations.sort_by_key(|operation| (operation.end.is_none(), operation.start));
        let read: HashSet<_> = operations.iter().map(|operation| operation.act).collect();
        for operation in operations.iter_mut().filter(|operation| operation.end.is_none()) {
            if let Act::Write(value @ Some(_)) = operation.act
                && !read.contains(&Act::Read(value))
            {
                operation.act = Act::Write(Some(UNSEEN));
            }
        }
        let mut numbered: Vec<_> =
            (0..operations.len()).filter(|&index| operations[index].number.is_some()).collect();
        numbered.sort_by_key(|&index| operations[index].number);
        let answered = operations.iter().filter(|operation| operation.end.is_some()).count();
        Self {
            is_put: vec![false; operations.len()],
            numbered,
            numbered_put: 0,
            first: 0,
            answered,
            left: answered,
            state: None,
            path: Vec::new(),
            set: 0,
            seen: HashSet::new(),
            operations,
        }
    }

    /// Those that may come now as far as time tells, in order.
    fn minimal(&self) -> impl Iterator<Item = (usize, Operation)> {
        let (mut index, mut end_min) = (self.first, u64::MAX);
        std::iter::from_fn(move || {
            loop {
                let operation = *self.operations.get(index)?;
                if operation.start > end_min {
                    // So did all behind it, up to those without an answer.
                    if index >= self.answered {
                        return None;
                    }
                    index = self.answered;
                    continue;
                }
                index += 1;
                if !self.is_put[index - 1] {
                    end_min = end_min.min(operation.end.unwrap_or(u64::MAX));
                    return Some((index - 1, operation));
                }
            }
        })
    }

    /// One that reads what the register holds now.
    fn read(&self) -> Option<usize> {
        let reads = |(_, operation): &(usize, Operation)| operation.act == Act::Read(self.state);
        self.minimal().find(reads).map(|(index, _)| index)
    }

    /// The next one that may come now and changes the register, at `from` or behind it.
    fn candidate(&mut self, from: usize) -> Option<usize> {
        let mut without_trace = HashSet::new();
        let may_come = self.minimal().filter(|&(index, Operation { act, end, number, .. })| {
            match number {
                // Whatever has a smaller one was before it.
                Some(_) => self.numbered.get(self.numbered_put) == Some(&index),
                // Of those that do the same, the one that began first will do.
                None => end.is_some() || without_trace.insert(act),
            }
        });
        let fits = may_come.filter_map(|(index, operation)| {
            let state = after(operation.act, self.state)?;
            let is_read = matches!(operation.act, Act::Read(_));
            (index >= from && !is_read).then_some((index, (self.set.wrapping_add(number_of(index)), state)))
        });
        let fitting: Vec<_> = fits.collect();
        fitting.into_iter().find(|(_, reached)| self.seen.insert(*reached)).map(|(index, _)| index)
    }

    fn put(&mut self, index: usize) {
        self.path.push((index, self.state, self.first));
        let Operation { act, end, number, .. } = self.operations[index];
        self.is_put[index] = true;
        self.set = self.set.wrapping_add(number_of(index));
        self.left -= usize::from(end.is_some());
        self.numbered_put += usize::from(number.is_some());
        self.state = after(act, self.state).unwrap_or_default();
        while self.is_put.get(self.first).is_some_and(|is_put| *is_put) {
            self.first += 1;
        }
    }

    fn take_back(&mut self) -> Option<usize> {
        let (index, state, first) = self.path.pop()?;
        let Operation { end, number, .. } = self.operations[index];
        self.is_put[index] = false;
        self.set = self.set.wrapping_sub(number_of(index));
        self.left += usize::from(end.is_some());
        self.numbered_put -= usize::from(number.is_some());
        (self.state, self.first) = (state, first);
        Some(index)
    }

    /// The operation that ended first of those that are left.
    fn describe(&self) -> String {
        let next = self.minimal().filter(|(_, operation)| operation.end.is_some());
        let next = next.min_by_key(|(_, operation)| operation.end).map(|(_, operation)| operation);
        let holds = self.state;
        format!(
            "nothing explains {next:?}, after {} others, where the register holds {holds:?}",
            self.path.len()
        )
    }
}

/// What the register holds after an operation; `None` if that cannot be.
fn after(act: Act, state: Option<u64>) -> Option<Option<u64>> {
    match act {
        Act::Read(seen) => (seen == state).then_some(state),
        Act::Write(value) => Some(value),
        Act::Take => state.is_some().then_some(None),
    }
}

/// A number for an index that looks random (splitmix64, twice).
fn number_of(index: usize) -> u128 {
    let half = |seed: u64| {
        let mut z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    };
    let index = index as u64 + 1;
    (u128::from(half(2 * index)) << 64) | u128::from(half(2 * index + 1))
}

/// The numbers that an acknowledged write took.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    pub first: u64,
    pub last: u64,
    pub start: u64,
    pub end: u64,
}

/// Whether no number was given twice, and none to a write that ended before one with a smaller number began.
///
/// # Errors
/// Two writes of which that does not hold.
pub fn are_in_order(writes: &[Numbers]) -> Result<(), String> {
    let mut writes = writes.to_vec();
    writes.sort_by_key(|write| write.first);
    if let Some(pair) = writes.windows(2).find(|pair| pair[0].last >= pair[1].first) {
        return Err(format!("a number was given twice: {pair:?}"));
    }
    let mut latest_start: Option<Numbers> = None;
    for write in writes {
        match latest_start {
            Some(before) if before.start > write.end => {
                return Err(format!("{write:?} ended before {before:?} began"));
            }
            Some(before) if before.start >= write.start => {}
            _ => latest_start = Some(write),
        }
    }
    Ok(())
}
