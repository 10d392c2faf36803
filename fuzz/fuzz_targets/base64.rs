//! Fuzzes [`metagate_fuzz::base64`].
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| metagate_fuzz::base64(input));
