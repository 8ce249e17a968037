//! Credentials: what this server did not make proves nothing, whatever it says. And patterns of policies, beside a
//! model of what they mean.
#![no_main]

use std::sync::LazyLock;

use bugle::auth::{Access, Policies, Presented, Secret, Settings, Vault, Who};
use bugle::topic::Pattern;

static ACCESS: LazyLock<Access> = LazyLock::new(|| {
    let (vault, token_secret) = (Vault::open(None).unwrap(), Secret::random(32).unwrap());
    Access::new(Settings { policies: Policies::default(), vault, token_secret })
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let presented = Presented { credential: Some(text), certificate: None };
    assert!(ACCESS.authenticate(presented, 1).is_err());
    let (pattern, name) = text.split_once('\n').unwrap_or((text, ""));
    if let Ok(read) = Pattern::parse("topic", pattern) {
        assert_eq!(read.to_string(), pattern);
        let expected = match pattern.strip_suffix('*') {
            Some(stem) => name.starts_with(stem),
            None => name == pattern,
        };
        assert_eq!(read.matches(name), expected, "{pattern:?} {name:?}");
    }
    if let Ok(who) = Who::parse("principal", pattern) {
        assert_eq!(who.to_string(), pattern);
    }
});
