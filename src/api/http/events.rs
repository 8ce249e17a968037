//! `GET /v1/{namespace}/{topic}`: a subscription as Server-Sent Events.
//!
//! The id of an event is the position a reader resumes behind, so a browser that reconnects with
//! `Last-Event-ID` misses nothing; also one that has heard only that it was opened. Messages are events
//! without a name, notices have theirs, heartbeats are comments. The body is the subscription: it is polled
//! when the client can take more.

use std::fmt::Write;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Request, Response};
use http_body::Frame as BodyFrame;
use hyper::body::Incoming;
use tonic::Status;

use super::json::{CloudEvent, Message, Notice};
use super::{Query, topic_name};
use crate::api::Body;
use crate::api::caller::Caller;
use crate::api::frame::Frame;
use crate::api::host::{Host, Opened};
use crate::api::status;
use crate::broker::{Delivery, Subscribe};
use crate::error::{Error, Result};
use crate::limits::HTTP_BATCH_BYTES;
use crate::store::unix_nanos;
use crate::topic::record::messages;
use crate::topic::{Position, Run, Start};

/// What a subscription's query may say.
pub const QUERY: [&str; 6] = ["start", "after", "last", "time", "heartbeat", "format"];
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// How long a browser waits before it comes again.
const RETRY: &str = "retry: 1000\n\n";

/// Opens a subscription.
pub async fn answer(host: Host, request: Request<Incoming>) -> Result<Response<Body>> {
    let (begun, caller) = (unix_nanos(), Caller::of(&request));
    let (head, _) = request.into_parts();
    let name = topic_name(head.uri.path())?;
    let query = Query::parse(&head.uri, &QUERY)?;
    let is_cloud = match query.get("format") {
        None | Some("json") => false,
        Some("cloudevents") => true,
        Some(_) => return Err(Error::field("format", "has to be json or cloudevents")),
    };
    let wanted = wanted(&query, &head.headers)?;
    let opened = host.subscribe(&name, wanted, &caller, begun).await?;
    let mut response = Response::new(Body::boxed(Events { opened, is_cloud, greeted: false, ended: false }));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // What some proxies have to be told, or they collect events before they pass them on.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// What a request asks for. Errors: starts that are none, or more than one.
pub fn wanted(query: &Query<'_>, headers: &HeaderMap) -> Result<Subscribe> {
    let resumed = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty());
    let start = match resumed {
        // A browser sends it beside the query of its first request.
        Some(value) => Some(Start::After(position("Last-Event-ID", value.to_str().unwrap_or_default())?)),
        None => start(query)?,
    };
    let heartbeat_interval = query.read::<u32>("heartbeat", "a whole number of seconds")?;
    Ok(Subscribe {
        start: start.unwrap_or_default(),
        max_batch_bytes: Some(HTTP_BATCH_BYTES),
        heartbeat_interval: heartbeat_interval.map(|seconds| Duration::from_secs(seconds.into())),
        ..Subscribe::default()
    })
}

fn start(query: &Query<'_>) -> Result<Option<Start>> {
    let named = match query.get("start") {
        None => None,
        Some("latest") => Some(Start::Latest),
        Some("earliest") => Some(Start::Earliest),
        Some(_) => return Err(Error::field("start", "has to be latest or earliest")),
    };
    let after = query.get("after").map(|text| position("after", text)).transpose()?.map(Start::After);
    let last = query.read("last", "a number of messages")?.map(Start::Last);
    let time = query.read::<jiff::Timestamp>("time", "a time such as 2026-01-31T12:00:00Z")?;
    let nanos = time.map(|time| u64::try_from(time.as_nanosecond()).unwrap_or(0));
    let mut starts = [named, after, last, nanos.map(Start::Time)].into_iter().flatten();
    match (starts.next(), starts.next()) {
        (start, None) => Ok(start),
        _ => Err(Error::field("query", "has more than one of start, after, last and time; choose one")),
    }
}

fn position(field: &str, text: &str) -> Result<Position> {
    let wrong = || Error::field(field, "has to be a position, EPOCH:SEQUENCE, as the id of an event is");
    text.parse::<Position>().ok().filter(|position| position.epoch > 0).ok_or_else(wrong)
}

/// A subscription as a body of events.
struct Events {
    opened: Opened,
    /// Messages are CloudEvents.
    is_cloud: bool,
    greeted: bool,
    ended: bool,
}

impl Events {
    /// The frame of a run, behind the notices that are there already. Errors: the memory budget has no room for
    /// it, and the client has to resume.
    fn messages(&self, mut out: String, mut run: Run) -> Result<Frame> {
        let epoch = self.opened.subscription().epoch();
        let written = self.opened.written(&mut run);
        for view in run.slices.iter().flat_map(|slice| messages(slice)) {
            let position = Position::new(epoch, view.sequence);
            match self.is_cloud {
                true => {
                    let topic = self.opened.subscription().topic();
                    event(&mut out, None, Some(position), &CloudEvent::of(&view, topic, epoch));
                }
                false => event(&mut out, None, Some(position), &Message::of(&view, epoch)),
            }
        }
        Ok(self.opened.hold(out.into_bytes())?.telling(written))
    }

    /// The end with its reason, behind what is there already.
    fn end(&mut self, mut out: String, error: &Error) -> Frame {
        self.ended = true;
        event(&mut out, Some("error"), None, &status::json(error));
        Bytes::from(out).into()
    }
}

/// Appends a notice; a heartbeat is a comment.
fn put(out: &mut String, delivery: &Delivery) {
    if let Delivery::Heartbeat(newest, _) = delivery {
        let _ = write!(out, ": heartbeat {newest}\n\n");
    } else if let Some((notice, name, behind)) = Notice::of(delivery) {
        event(out, Some(&name), behind, &notice);
    }
}

/// Appends an event.
fn event(out: &mut String, name: Option<&str>, id: Option<Position>, data: &impl serde::Serialize) {
    // What is written to a string, of types without maps of other keys, cannot fail.
    let data = serde_json::to_string(data).unwrap_or_default();
    if let Some(name) = name {
        let _ = writeln!(out, "event: {name}");
    }
    if let Some(id) = id {
        let _ = writeln!(out, "id: {id}");
    }
    // A value that was published as JSON keeps its lines.
    for line in data.split(['\n', '\r']) {
        let _ = writeln!(out, "data: {line}");
    }
    out.push('\n');
}

impl http_body::Body for Events {
    type Data = Frame;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Frame>, Status>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        let mut out = String::new();
        if !this.greeted {
            this.greeted = true;
            out.push_str(RETRY);
        }
        loop {
            let frame = match Pin::new(&mut this.opened).poll_next(cx) {
                Poll::Pending if out.is_empty() => return Poll::Pending,
                Poll::Pending => Bytes::from(out).into(),
                Poll::Ready(Some(Ok(Delivery::Messages(run)))) => {
                    this.messages(out, run).unwrap_or_else(|error| this.end(String::new(), &error))
                }
                Poll::Ready(Some(Ok(delivery))) => {
                    put(&mut out, &delivery);
                    continue;
                }
                Poll::Ready(Some(Err(error))) => this.end(out, &error),
                Poll::Ready(None) => {
                    this.ended = true;
                    Bytes::from(out).into()
                }
            };
            return Poll::Ready(Some(Ok(BodyFrame::data(frame))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(uri: &str, last_event_id: Option<&'static str>) -> Result<Start> {
        let uri: http::Uri = uri.parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.extend(last_event_id.map(|id| (LAST_EVENT_ID, HeaderValue::from_static(id))));
        wanted(&Query::parse(&uri, &QUERY)?, &headers).map(|wanted| wanted.start)
    }

    #[test]
    fn a_start_is_asked_for_in_the_query_and_a_resume_outranks_it() {
        let after = Start::After(Position::new(7, 9));
        for (uri, id, start) in [
            ("/", None, Start::Latest),
            ("/?start=earliest", None, Start::Earliest),
            ("/?last=3", None, Start::Last(3)),
            ("/?after=7:9", None, after),
            ("/?time=1970-01-01T00:00:01Z", None, Start::Time(1_000_000_000)),
            ("/?start=earliest", Some("7:9"), after),
            ("/?last=3", Some(""), Start::Last(3)),
        ] {
            assert_eq!(asked(uri, id).unwrap(), start, "{uri}");
        }
        for (uri, id, field) in [
            ("/?start=first", None, "start"),
            ("/?last=-3", None, "last"),
            ("/?last=99999999999999999999", None, "last"),
            ("/?after=9", None, "after"),
            ("/?after=0:1", None, "after"),
            ("/?after=1:2&last=3", None, "query"),
            ("/?time=yesterday", None, "time"),
            ("/?heartbeat=often", None, "heartbeat"),
            ("/", Some("nine"), "Last-Event-ID"),
            ("/", Some("18446744073709551616:1"), "Last-Event-ID"),
        ] {
            assert_eq!(asked(uri, id).unwrap_err().violations()[0].field, field, "{uri}");
        }
    }

    #[test]
    fn an_event_with_several_lines_of_data_is_one_event() {
        let mut out = String::new();
        let value: Box<serde_json::value::RawValue> = serde_json::from_str("{\n \"a\": 1\r\n}").unwrap();
        event(&mut out, Some("x"), Some(Position::new(1, 2)), &value);
        assert_eq!(out, "event: x\nid: 1:2\ndata: {\ndata:  \"a\": 1\ndata: \ndata: }\n\n");
    }
}
