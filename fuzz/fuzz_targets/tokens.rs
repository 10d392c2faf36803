//! Fuzzes [`metagate_fuzz::tokens`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| metagate_fuzz::tokens(input));
