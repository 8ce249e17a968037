//! What the fuzzers of `tests/fuzz` feed of what is private here. Built by them alone.

use http::{HeaderName, HeaderValue, Request};
use prost::Message;

use super::caller::Caller;
use super::native::fuzz as native;
use super::{authenticate, refusal};
use crate::topic::TraceContext;

/// The bytes of a request, of each kind there is: what is accepted is whole, and comes out of a log as
/// it went in.
pub fn requests(data: &[u8]) {
    native::requests(data);
}

/// The bytes of a body, in pieces of whatever size: where it is cut changes nothing.
pub fn intake(data: &[u8]) {
    native::intake(data);
}

/// The metadata of a call: lines of a name, a colon and a value.
pub fn metadata(data: &[u8]) {
    let mut request =
        Request::builder().method("POST").uri("/bugle.v1.Bus/Publish").body(()).unwrap_or_default();
    for line in data.split(|byte| *byte == b'\n') {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else { continue };
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            request.headers_mut().append(name, value);
        }
    }
    let caller = Caller::of(&request);
    if let Some(context) = caller.context() {
        assert_eq!(TraceContext::parse(&context.to_string()), Some(context));
    }
    assert!(caller.tracestate().len() <= crate::limits::TRACESTATE_BYTES_MAX);
    if let Ok(Some(credential)) = authenticate::credential(request.headers()) {
        assert!(!credential.is_empty());
    }
    let _ = refusal::check(&request, true).map_err(|response| response.status());
    let _ = prost_types::Any::decode(data);
}
