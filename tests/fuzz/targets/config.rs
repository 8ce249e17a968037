//! Configuration files: what is accepted is accepted again as `serve --check` prints it.
#![no_main]

use std::io::Write;

use bugle::config::Sources;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some(loaded) = load(data) else { return };
    let printed = loaded.to_toml();
    assert!(load(printed.as_bytes()).is_some(), "{printed}");
});

fn load(text: &[u8]) -> Option<bugle::config::Loaded> {
    let mut file = tempfile::NamedTempFile::new_in("/dev/shm").or_else(|_| tempfile::NamedTempFile::new()).unwrap();
    file.write_all(text).unwrap();
    Sources { file: Some(file.path().to_owned()), ..Sources::default() }.load().ok()
}
