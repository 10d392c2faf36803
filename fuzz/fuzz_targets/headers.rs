//! Fuzzes [`metagate_fuzz::headers`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| metagate_fuzz::headers(input));
