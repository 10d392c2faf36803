//! Fuzzes [`metagate_fuzz::json`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| metagate_fuzz::json(input));
