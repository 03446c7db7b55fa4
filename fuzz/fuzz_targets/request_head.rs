#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wsgate::http::fuzzing::request_head(bytes));
