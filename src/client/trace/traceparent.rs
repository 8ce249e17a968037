//! The W3C trace context of a message: written from a span's context, and read back strictly.
//!
//! It is a few lines, so that no globally installed propagator decides whether messages keep their
//! trace. What cannot be read counts as not there and never fails a message.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

use crate::limits::TRACESTATE_BYTES_MAX;

/// A `traceparent` of version 00, bytes.
const BYTES: usize = 55;
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The `traceparent` of a valid context. Of the flags only "sampled" is defined in this version.
pub(in crate::client) fn traceparent(context: &SpanContext) -> String {
    let flags = context.trace_flags() & TraceFlags::SAMPLED;
    let mut text = [b'-'; BYTES];
    write(&mut text[..2], &[0]);
    write(&mut text[3..35], &context.trace_id().to_bytes());
    write(&mut text[36..52], &context.span_id().to_bytes());
    write(&mut text[53..], &[flags.to_u8()]);
    String::from_utf8(text.to_vec()).unwrap_or_default()
}

/// Writes bytes as digits: every message of a traced publisher has a context to write.
fn write(text: &mut [u8], bytes: &[u8]) {
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 0xf)];
    }
}

/// The `tracestate` of a context; "" where it has none, or one that the server would refuse.
pub(in crate::client) fn tracestate(context: &SpanContext) -> String {
    let header = context.trace_state().header();
    let fits = header.len() <= TRACESTATE_BYTES_MAX;
    if fits && header.bytes().all(|byte| matches!(byte, b' '..=b'~')) { header } else { String::new() }
}

/// Reads both back; `None` for a `traceparent` that is none. A `tracestate` that is none is left out.
pub(in crate::client) fn read(traceparent: &str, tracestate: &str) -> Option<SpanContext> {
    let bytes = traceparent.as_bytes();
    let is_whole = match bytes.get(..2)? {
        b"ff" => false,
        b"00" => bytes.len() == BYTES,
        // Later versions may append.
        _ => bytes.len() == BYTES || bytes.get(BYTES) == Some(&b'-'),
    };
    let dashes = [2, 35, 52].iter().all(|at| bytes.get(*at) == Some(&b'-'));
    if !is_whole || !dashes {
        return None;
    }
    hex(traceparent.get(..2)?)?;
    let trace_id = TraceId::from(hex(traceparent.get(3..35)?)?);
    let span_id = SpanId::from(hex(traceparent.get(36..52)?)? as u64);
    let flags = TraceFlags::new(hex(traceparent.get(53..BYTES)?)? as u8) & TraceFlags::SAMPLED;
    let state = tracestate.parse::<TraceState>().unwrap_or_default();
    let context = SpanContext::new(trace_id, span_id, flags, true, state);
    context.is_valid().then_some(context)
}

/// The number that lower-case hexadecimal digits say, and nothing else.
fn hex(digits: &str) -> Option<u128> {
    let is_hex = digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if is_hex { u128::from_str_radix(digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_read_is_written_the_same() {
        let context = read(GIVEN, "vendor=1,other=2").unwrap();
        assert!(context.is_remote() && context.is_sampled());
        assert_eq!(traceparent(&context), GIVEN);
        assert_eq!(tracestate(&context), "vendor=1,other=2");
        let dropped = GIVEN.replace("-01", "-00");
        assert_eq!(traceparent(&read(&dropped, "").unwrap()), dropped);
        let unknown_flags = read(&GIVEN.replace("-01", "-ff"), "").unwrap();
        assert_eq!(traceparent(&unknown_flags), GIVEN, "only what is defined is passed on");
    }

    #[test]
    fn a_later_version_may_append_and_this_one_may_not() {
        assert!(read(&GIVEN.replace("00-0af", "01-0af"), "").is_some());
        assert!(read(&format!("{}-more", GIVEN.replace("00-0af", "cc-0af")), "").is_some());
        assert!(read(&format!("{}more", GIVEN.replace("00-0af", "cc-0af")), "").is_none());
        assert!(read(&format!("{GIVEN}-more"), "").is_none());
        assert!(read(&GIVEN.replace("00-0af", "ff-0af"), "").is_none());
    }

    #[test]
    fn what_is_no_traceparent_counts_as_not_there() {
        let zero_trace = format!("00-{:032x}-b7ad6b7169203331-01", 0);
        let zero_span = format!("00-0af7651916cd43dd8448eb211c80319c-{:016x}-01", 0);
        let upper = GIVEN.to_uppercase();
        let signed = GIVEN.replace("-0af", "-+af");
        let wide = GIVEN.replace("-0af7", "-0aé");
        let short = &GIVEN[..54];
        for wrong in ["", "00", "00-", "é", "🎺", &zero_trace, &zero_span, &upper, &signed, &wide, short] {
            assert_eq!(read(wrong, "vendor=1"), None, "{wrong}");
        }
        for at in 0..BYTES {
            let mut bytes = GIVEN.as_bytes().to_vec();
            bytes[at] = b'_';
            assert_eq!(read(std::str::from_utf8(&bytes).unwrap(), ""), None, "at {at}");
        }
    }

    #[test]
    fn a_tracestate_that_no_server_takes_is_left_out() {
        let long = format!("vendor={},other={}", "x".repeat(256), "y".repeat(256));
        assert_eq!(tracestate(&read(GIVEN, &long).unwrap()), "");
        assert_eq!(tracestate(&read(GIVEN, "vendor=é").unwrap()), "");
        assert_eq!(tracestate(&read(GIVEN, "no list").unwrap()), "");
    }
}
