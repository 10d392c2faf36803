//! Fuzzes [`metagate_fuzz::framing`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| metagate_fuzz::framing(input));
