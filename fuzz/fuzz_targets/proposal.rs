#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| medledger_fuzz::check("proposal", data));
