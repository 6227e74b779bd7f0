#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| medledger_fuzz::check("key_consent", data));
