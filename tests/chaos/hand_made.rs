//! Small histories, right and wrong, for who judges large ones.

use crate::{
    history::{
        Act::{self, Read, Take, Write},
        Numbers, Operation, are_in_order, linearize,
    },
    part::Outcome,
};

const OPEN: u64 = 0;

/// Operations with start and end, and whether one register explains them.
type Case<'a> = (&'a str, &'a [(Act, u64, u64)], bool);

const CASES: &[Case] = &[
    ("nothing", &[], true),
    ("an absent key", &[(Read(None), 1, 2)], true),
    ("a value from nowhere", &[(Read(Some(1)), 1, 2)], false),
    ("one after the other", &[(Write(Some(1)), 1, 2), (Read(Some(1)), 3, 4)], true),
    ("a lost write", &[(Write(Some(1)), 1, 2), (Read(None), 3, 4)], false),
    ("a stale read", &[(Write(Some(1)), 1, 2), (Write(Some(2)), 3, 4), (Read(Some(1)), 5, 6)], false),
    ("at the same time: before", &[(Write(Some(1)), 1, 4), (Read(None), 2, 3)], true),
    ("at the same time: after", &[(Write(Some(1)), 1, 4), (Read(Some(1)), 2, 3)], true),
    ("seen, then not", &[(Write(Some(1)), 1, 9), (Read(Some(1)), 2, 3), (Read(None), 4, 5)], false),
    ("not, then seen", &[(Write(Some(1)), 1, 9), (Read(None), 2, 3), (Read(Some(1)), 4, 5)], true),
    (
        "two readers, two orders",
        &[
            (Write(Some(1)), 1, 9),
            (Write(Some(2)), 1, 9),
            (Read(Some(1)), 2, 3),
            (Read(Some(2)), 4, 5),
            (Read(Some(1)), 6, 7),
        ],
        false,
    ),
    ("read before it was written", &[(Read(Some(1)), 1, 2), (Write(Some(1)), 3, 4)], false),
    ("removed", &[(Write(Some(1)), 1, 2), (Take, 3, 4), (Read(None), 5, 6)], true),
    ("removed, and still there", &[(Write(Some(1)), 1, 2), (Take, 3, 4), (Read(Some(1)), 5, 6)], false),
    ("removed twice", &[(Write(Some(1)), 1, 2), (Take, 3, 6), (Take, 4, 5)], false),
    (
        "removed twice, set between",
        &[(Write(Some(1)), 1, 2), (Take, 3, 8), (Write(Some(2)), 4, 7), (Take, 5, 6)],
        true,
    ),
    ("refused, and it was there", &[(Write(Some(1)), 1, 2), (Read(None), 3, 4), (Take, 5, 6)], false),
    ("open, and it happened", &[(Write(Some(1)), 1, OPEN), (Read(Some(1)), 3, 4)], true),
    ("open, and it did not", &[(Write(Some(1)), 1, OPEN), (Read(None), 3, 4)], true),
    (
        "open, and it happened late",
        &[(Write(Some(1)), 1, OPEN), (Read(None), 3, 4), (Read(Some(1)), 5, 6)],
        true,
    ),
    (
        "open, and it happened twice",
        &[
            (Write(Some(1)), 1, OPEN),
            (Read(Some(1)), 3, 4),
            (Write(Some(2)), 5, 6),
            (Read(Some(2)), 7, 8),
            (Read(Some(1)), 9, 10),
        ],
        false,
    ),
    ("open, and seen before it began", &[(Read(Some(1)), 1, 2), (Write(Some(1)), 3, OPEN)], false),
    (
        "an open removal",
        &[(Write(Some(1)), 1, 2), (Write(None), 3, OPEN), (Read(Some(1)), 4, 5), (Read(None), 6, 7)],
        true,
    ),
];

/// First and last number, start and end, of writes; and whether they are in order.
const ORDERS: &[(&str, &[[u64; 4]], bool)] = &[
    ("in order", &[[2, 2, 1, 2], [3, 5, 3, 4]], true),
    ("at the same time", &[[3, 5, 1, 4], [2, 2, 2, 3]], true),
    ("given twice", &[[2, 4, 1, 2], [4, 4, 3, 4]], false),
    ("backwards", &[[3, 3, 1, 2], [2, 2, 3, 4]], false),
    ("backwards, over others", &[[2, 2, 8, 9], [3, 3, 1, 12], [4, 4, 2, 3]], false),
];

/// Judges them all.
pub async fn judge() -> Outcome {
    for (name, operations, want) in CASES {
        let operations: Vec<_> = operations
            .iter()
            .map(|&(act, start, end)| Operation {
                act,
                start,
                end: (end != OPEN).then_some(end),
                number: None,
            })
            .collect();
        let got = linearize(&operations);
        assert_eq!(got.is_ok(), *want, "{name}: {got:?}");
    }
    for (name, writes, want) in ORDERS {
        let writes = writes.iter().map(|&[first, last, start, end]| Numbers { first, last, start, end });
        let got = are_in_order(&writes.collect::<Vec<_>>());
        assert_eq!(got.is_ok(), *want, "{name}: {got:?}");
    }
    let is_bad = |want: &&bool| !**want;
    let bad = CASES
        .iter()
        .map(|(.., want)| want)
        .chain(ORDERS.iter().map(|(.., want)| want))
        .filter(is_bad)
        .count();
    Outcome::Done(format!("{} histories judged, {bad} of them wrong", CASES.len() + ORDERS.len()))
}
