//! Fuzzes [`metagate_fuzz::url`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| metagate_fuzz::url(input));
