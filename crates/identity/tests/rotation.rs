//! Keys that sign, before their time and taken away.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use domain::Timestamp;
use metagate_identity::oauth::{KeyPhase, Rotation, SigningKeyRecord};

const NOW: Timestamp = Timestamp::from_micros(1_795_449_968_400_000);

#[test]
fn another_key_signs_before_its_time() {
    let at = |hours: i64| Timestamp::from_micros(NOW.as_micros() + hours * 3_600_000_000);
    let make =
        |starts: Vec<Timestamp>| starts.into_iter().map(|start| SigningKeyRecord::generate(start).unwrap());
    let mut keys: BTreeMap<String, SigningKeyRecord> =
        make(Rotation::due(&BTreeMap::new(), at(0)).missing).collect();
    let phases = |keys: &BTreeMap<String, SigningKeyRecord>, now| -> BTreeMap<String, KeyPhase> {
        let phases = KeyPhase::of_all(keys, now);
        phases.into_iter().map(|(id, phase)| (id.to_owned(), phase)).collect()
    };
    let of = |keys: &BTreeMap<String, KeyPhase>, wanted: KeyPhase| {
        keys.iter().find(|(_, phase)| **phase == wanted).map(|(id, _)| id.clone())
    };
    let before = phases(&keys, at(1));
    let (first, second) = (of(&before, KeyPhase::Signing).unwrap(), of(&before, KeyPhase::Next(at(90 * 24))));
    let second = second.unwrap_or_else(|| panic!("{before:?}"));

    let (due, next) = Rotation::early(&keys, at(1), false);
    assert_eq!((due.missing.len(), due.outlived.len()), (1, 0));
    assert_eq!(next.as_ref().map(|(id, _)| id), Some(&second));
    keys.extend(make(due.missing));
    keys.extend(next);
    assert!(Rotation::due(&keys, at(1)).is_empty());
    let after = phases(&keys, at(1));
    assert_eq!((after[&first], after[&second]), (KeyPhase::Kept(at(25)), KeyPhase::Signing));
    assert!(of(&after, KeyPhase::Next(at(1 + 90 * 24))).is_some(), "{after:?}");
    assert_eq!(Rotation::due(&keys, at(25)).outlived, [first]);

    let (due, next) = Rotation::early(&keys, at(2), true);
    assert_eq!((due.missing.len(), due.outlived.len(), next.is_none()), (2, 3, true));
    assert!(due.missing[0] < at(2), "a gateway whose clock is behind signs with it, too");
    // A store without a next key.
    let alone = make(vec![at(0)]).collect();
    let (due, next) = Rotation::early(&alone, at(1), false);
    assert!(due.missing.contains(&at(1)) && due.missing.len() == 2 && next.is_none(), "{due:?}");
    assert_eq!(Rotation::early(&BTreeMap::new(), at(1), false).0, Rotation::due(&BTreeMap::new(), at(1)));
}
