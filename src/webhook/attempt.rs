//! One request: signed, sent, and its answer judged. No more of an answer is read than its head and a little
//! of its body, and redirects are followed nowhere.

use std::error::Error as _;
use std::io::ErrorKind;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use jiff::fmt::rfc2822;

use super::connect::Http;
use super::definition::Definition;
use super::event::Event;
use super::target::Target;
use crate::limits::WEBHOOK_RESPONSE_BYTES_MAX;
use crate::metrics::WebhookOutcome;
use crate::store::unix_nanos;
use crate::topic::TraceContext;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// What it means.
    pub outcome: WebhookOutcome,
    /// The status, where there was an answer.
    pub status: Option<u16>,
    /// What went wrong; empty where nothing did.
    pub why: String,
    /// How long the endpoint asks to be left alone.
    pub retry_after: Option<Duration>,
}

impl Answered {
    fn failed(outcome: WebhookOutcome, why: impl Into<String>) -> Answered {
        Answered { outcome, status: None, why: why.into(), retry_after: None }
    }
}

/// Sends an event to the endpoint of a webhook. `told` are notices of what is missing, `context` that of the
/// attempt's span.
pub async fn send(
    http: &Http,
    (definition, target): (&Definition, &Target),
    event: &Event,
    told: impl Iterator<Item = HeaderValue>,
    context: Option<TraceContext>,
) -> Answered {
    let timestamp = unix_nanos() / 1_000_000_000;
    let mut request = Request::post(target.uri.clone());
    if let Some(headers) = request.headers_mut() {
        headers.extend(definition.sent_headers());
        headers.extend(event.headers.clone());
        told.for_each(|notice| {
            headers.append("bugle-discontinuity", notice);
        });
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("Bugle/", env!("CARGO_PKG_VERSION"))));
        let signature = definition.secret.sign(&event.id, timestamp, &event.body);
        let (parent, state) = &event.trace;
        let parent = context.map_or_else(|| parent.clone(), |context| context.to_string());
        let all = [
            ("webhook-id", event.id.clone()),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", signature),
            ("traceparent", parent),
            ("tracestate", state.clone()),
        ];
        for (name, text) in all.into_iter().filter(|(_, text)| !text.is_empty()) {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(name, value);
            }
        }
    }
    let request = match request.body(Full::new(event.body.clone())) {
        Ok(request) => request,
        Err(error) => return Answered::failed(WebhookOutcome::Unreachable, error.to_string()),
    };
    match tokio::time::timeout(definition.timeout, exchange(http, request)).await {
        Ok(answered) => answered,
        Err(_) => {
            let why = format!("it did not answer within {:?}", definition.timeout);
            Answered::failed(WebhookOutcome::Timeout, why)
        }
    }
}

async fn exchange(http: &Http, request: Request<Full<Bytes>>) -> Answered {
    let response = match http.request(request).await {
        Ok(response) => response,
        Err(error) => return unreachable(&error),
    };
    let answered = judge(response.status(), response.headers());
    if answered.outcome == WebhookOutcome::Delivered {
        // The head is the acknowledgement. What follows is read so that the connection can be used again.
        let body = Limited::new(response.into_body(), WEBHOOK_RESPONSE_BYTES_MAX).collect();
        let _ = tokio::time::timeout(Duration::from_secs(1), body).await;
    }
    answered
}

fn judge(status: StatusCode, headers: &HeaderMap) -> Answered {
    let outcome = match status.as_u16() {
        200..=299 => WebhookOutcome::Delivered,
        300..=399 => WebhookOutcome::Redirected,
        410 => WebhookOutcome::Gone,
        400..=499 => WebhookOutcome::Rejected,
        _ => WebhookOutcome::Failed,
    };
    let why = match outcome {
        WebhookOutcome::Delivered => String::new(),
        WebhookOutcome::Redirected => {
            format!("it answers {status}, and redirects are not followed: change the URL")
        }
        _ => format!("it answers {status}"),
    };
    let retry_after = headers.get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?));
    Answered { outcome, status: Some(status.as_u16()), why, retry_after }
}

/// Seconds, or a date.
fn retry_after(text: &str) -> Option<Duration> {
    match text.trim().parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => SystemTime::from(rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()?)
            .duration_since(SystemTime::now())
            .ok(),
    }
}

/// An error and what is behind it: the last one mostly says what to do.
fn unreachable(error: &hyper_util::client::legacy::Error) -> Answered {
    let (mut why, mut outcome) = (error.to_string(), WebhookOutcome::Unreachable);
    let mut next = error.source();
    while let Some(cause) = next {
        why.push_str(": ");
        why.push_str(&cause.to_string());
        let refused = cause.downcast_ref::<std::io::Error>();
        if refused.is_some_and(|it| it.kind() == ErrorKind::PermissionDenied && it.raw_os_error().is_none()) {
            outcome = WebhookOutcome::Blocked;
        }
        next = cause.source();
    }
    Answered::failed(outcome, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_2xx_acknowledges() {
        for (status, outcome) in [
            (200, WebhookOutcome::Delivered),
            (204, WebhookOutcome::Delivered),
            (302, WebhookOutcome::Redirected),
            (400, WebhookOutcome::Rejected),
            (410, WebhookOutcome::Gone),
            (429, WebhookOutcome::Rejected),
            (500, WebhookOutcome::Failed),
            (101, WebhookOutcome::Failed),
        ] {
            assert_eq!(
                judge(StatusCode::from_u16(status).unwrap(), &HeaderMap::new()).outcome,
                outcome,
                "{status}"
            );
        }
    }

    #[test]
    fn an_endpoint_asks_for_time_in_seconds_or_by_a_date() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("-1"), None);
        assert_eq!(retry_after("soon"), None);
        let later = jiff::Timestamp::now() + Duration::from_secs(3600);
        let date = later.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        assert!(retry_after(&date).unwrap() > Duration::from_secs(3500));
        assert_eq!(retry_after("Thu, 01 Jan 1970 00:00:00 GMT"), None);
    }
}
