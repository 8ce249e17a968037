//! The bytes of a body, cut anywhere.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| bugle::api::fuzz::intake(data));
