//! The metadata of calls.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| bugle::api::fuzz::metadata(data));
