//! The bytes of requests.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| bugle::api::fuzz::requests(data));
