//! Names of namespaces, topics and principals; positions; trace contexts; filters of the log: what reads,
//! reads the same when it is written again.
#![no_main]

use bugle::auth::Principal;
use bugle::config::Filter;
use bugle::topic::{Position, TopicName, TraceContext};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (namespace, topic) = text.split_once('/').unwrap_or(("", text));
    if let Ok(name) = TopicName::parse(namespace, topic) {
        assert_eq!(TopicName::parse(name.namespace().as_str(), name.topic()).unwrap(), name);
    }
    if let Ok(position) = text.parse::<Position>() {
        assert_eq!(position.to_string().parse::<Position>().unwrap(), position);
    }
    if let Some(context) = TraceContext::parse(text) {
        assert_eq!(TraceContext::parse(&context.to_string()), Some(context));
    }
    if let Ok(principal) = Principal::parse(text) {
        assert_eq!(Principal::parse(&principal.to_string()).unwrap(), principal);
    }
    if let Some(filter) = Filter::parse(text) {
        assert!(Filter::parse(&filter.to_string()).is_some(), "{filter}");
    }
});
