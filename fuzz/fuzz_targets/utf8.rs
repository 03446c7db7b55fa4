#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wsgate::frame::fuzzing::utf8(bytes));
