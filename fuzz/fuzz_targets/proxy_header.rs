#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wsgate::net::fuzzing::proxy_header(bytes));
