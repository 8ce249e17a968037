//! `GET /v1/{namespace}/{topic}` as a WebSocket: what is published comes as messages, and what the client
//! sends is published.
//!
//! Each message of the topic is a text frame of JSON, or with `?format=binary` a binary frame that is the
//! payload. Notices and receipts are text frames with an `event`. Heartbeats are pings. The end has a code and
//! a reason. A client that does not read is cut when the stall timeout is over.

use std::time::Duration;

use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use http::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message as Frame};

use super::events::{QUERY, wanted};
use super::json::{Message, Notice};
use super::publish::publish;
use super::{Query, topic_name};
use crate::api::caller::Caller;
use crate::api::host::{Host, Opened};
use crate::api::{Body, Takeover, status};
use crate::broker::Delivery;
use crate::error::{Code, Error, Result};
use crate::limits::{
    CLOSE_REASON_BYTES_MAX, WEBSOCKET_BUFFER_BYTES, WEBSOCKET_CLOSE_MAX, WEBSOCKET_MESSAGE_BYTES_MAX,
};
use crate::store::unix_nanos;
use crate::topic::record::messages;
use crate::topic::{self, Run, TopicName};

type Stream = WebSocketStream<TokioIo<Upgraded>>;

/// What a text frame says beside messages.
#[derive(Debug, Serialize)]
struct Told<'a, T> {
    event: &'a str,
    #[serde(flatten)]
    what: T,
}

/// Whether a request asks for a WebSocket.
pub fn is_asked_for(headers: &HeaderMap) -> bool {
    names(headers, UPGRADE, "websocket")
}

/// Whether a header is a list in which this is.
fn names(headers: &HeaderMap, name: http::HeaderName, word: &str) -> bool {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|part| part.trim().eq_ignore_ascii_case(word))
}

/// Opens a subscription, and agrees to go on as a WebSocket.
pub async fn answer(host: Host, mut request: Request<Incoming>) -> Result<Response<Body>> {
    let (begun, caller) = (unix_nanos(), Caller::of(&request).without_context());
    let name = topic_name(request.uri().path())?;
    let query = Query::parse(request.uri(), &QUERY)?;
    let is_binary = match query.get("format") {
        None | Some("json") => false,
        Some("binary") => true,
        Some(_) => return Err(Error::field("format", "has to be json or binary")),
    };
    let accept = accept(request.headers())?;
    let wanted = wanted(&query, request.headers())?;
    let Some(takeover) = request.extensions().get::<Takeover>().cloned() else {
        let message =
            "WebSockets are opened over HTTP/1.1 here; over HTTP/2, subscribe to server-sent events";
        return Err(Error::new(Code::Unimplemented, message).reason("WEBSOCKET_VERSION"));
    };
    let opened = host.subscribe(&name, wanted, &caller, begun).await?;
    let upgrade = hyper::upgrade::on(&mut request);
    takeover.leave(run(Session { host, caller, name, is_binary }, upgrade, opened));
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

/// What proves that the request was understood. Errors: it is not what a WebSocket begins with.
fn accept(headers: &HeaderMap) -> Result<HeaderValue> {
    if !names(headers, CONNECTION, "upgrade") {
        return Err(Error::field("connection", "has to be Upgrade where a WebSocket is asked for"));
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Error::field("sec-websocket-version", "has to be 13"));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24);
    let key = key.ok_or_else(|| Error::field("sec-websocket-key", "has to be 16 bytes in base64"))?;
    HeaderValue::try_from(derive_accept_key(key.as_bytes()))
        .map_err(|error| Error::new(Code::Internal, "an accepted key is no header").because(error))
}

/// What a WebSocket is about.
struct Session {
    host: Host,
    caller: Caller,
    name: TopicName,
    is_binary: bool,
}

/// How a WebSocket ends.
enum End {
    /// The client has closed it, or is gone.
    Gone,
    /// With this code and reason.
    Close(CloseCode, String),
}

impl From<tungstenite::Error> for End {
    fn from(error: tungstenite::Error) -> End {
        match error {
            tungstenite::Error::Capacity(_) => {
                let most = WEBSOCKET_MESSAGE_BYTES_MAX;
                End::Close(
                    CloseCode::Size,
                    format!("a message has at most {most} bytes here; POST larger ones"),
                )
            }
            tungstenite::Error::Protocol(error) => End::Close(CloseCode::Protocol, error.to_string()),
            tungstenite::Error::Utf8(_) => End::Close(CloseCode::Invalid, "text has to be UTF-8".to_owned()),
            _ => End::Gone,
        }
    }
}

async fn run(session: Session, upgrade: OnUpgrade, opened: Opened) {
    let Ok(upgraded) = upgrade.await else { return };
    let config = WebSocketConfig::default()
        .read_buffer_size(WEBSOCKET_BUFFER_BYTES)
        .write_buffer_size(WEBSOCKET_BUFFER_BYTES)
        .max_message_size(Some(WEBSOCKET_MESSAGE_BYTES_MAX))
        .max_frame_size(Some(WEBSOCKET_MESSAGE_BYTES_MAX));
    let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let (sink, stream) = socket.split();
    let stall = session.host.broker.options().stall_timeout;
    let mut line = Line { session, sink, stall };
    if let Err(End::Close(code, reason)) = line.converse(stream, opened).await {
        let whole = (0..=CLOSE_REASON_BYTES_MAX).rev().find_map(|end| reason.get(..end));
        let reason =
            if reason.len() > CLOSE_REASON_BYTES_MAX { whole.unwrap_or_default().to_owned() } else { reason };
        let frame = Frame::Close(Some(CloseFrame { code, reason: reason.into() }));
        let _ = tokio::time::timeout(WEBSOCKET_CLOSE_MAX, async {
            line.sink.send(frame).await?;
            line.sink.close().await
        })
        .await;
    }
}

/// The way to the client.
struct Line {
    session: Session,
    sink: SplitSink<Stream, Frame>,
    stall: Duration,
}

impl Line {
    /// Delivers what comes, and publishes what the client sends, until one of both ends.
    async fn converse(&mut self, mut stream: SplitStream<Stream>, mut opened: Opened) -> Result<(), End> {
        loop {
            tokio::select! {
                delivery = opened.next() => match delivery {
                    Some(Ok(delivery)) => self.deliver(&mut opened, delivery).await?,
                    Some(Err(error)) => return Err(self.end(error).await?),
                    None => return Err(End::Close(CloseCode::Normal, String::new())),
                },
                frame = stream.next() => match frame {
                    Some(Ok(Frame::Text(text))) => self.publish(text.into(), "text/plain").await?,
                    Some(Ok(Frame::Binary(bytes))) => self.publish(bytes, "").await?,
                    Some(Ok(Frame::Close(_))) => {
                        // The answer to it is in line, and goes out with this.
                        let _ = self.within(|sink| Box::pin(sink.close())).await;
                        return Err(End::Gone);
                    }
                    None => return Err(End::Gone),
                    // What answers a ping was put in line when it was read.
                    Some(Ok(_)) => self.flush().await?,
                    Some(Err(error)) => return Err(error.into()),
                },
            }
        }
    }

    async fn deliver(&mut self, opened: &mut Opened, delivery: Delivery) -> Result<(), End> {
        match delivery {
            Delivery::Messages(run) => self.messages(opened, run).await,
            Delivery::Heartbeat(newest, _) => self.send(Frame::Ping(newest.to_string().into())).await,
            notice => match Notice::of(&notice) {
                Some((what, name, _)) => self.tell(&name, what).await,
                None => Ok(()),
            },
        }
    }

    async fn messages(&mut self, opened: &mut Opened, mut run: Run) -> Result<(), End> {
        let (epoch, written) = (opened.subscription().epoch(), opened.written(&mut run));
        for slice in run.slices {
            for view in messages(&slice) {
                let frame = match self.session.is_binary {
                    true => Frame::Binary(slice.slice_ref(view.payload)),
                    false => Frame::Text(json(&Message::of(&view, epoch)).into()),
                };
                self.within(|sink| Box::pin(sink.feed(frame))).await?;
            }
        }
        self.flush().await?;
        if let Some(written) = written {
            written.done();
        }
        Ok(())
    }

    /// Publishes what the client has sent, and says where it is or why it is nowhere.
    async fn publish(&mut self, payload: bytes::Bytes, content_type: &str) -> Result<(), End> {
        let content_type = content_type.to_owned();
        let message = topic::Message { payload, content_type, ..topic::Message::default() };
        let Session { host, caller, name, .. } = &self.session;
        match publish(host, name, Ok(vec![message]), caller, unix_nanos()).await {
            Ok(published) => self.tell("published", published).await,
            Err(error) if matches!(error.code(), Code::PermissionDenied | Code::Unauthenticated) => {
                Err(self.end(error).await?)
            }
            Err(error) => self.tell("refused", status::json(&error)).await,
        }
    }

    /// Tells why it ends.
    async fn end(&mut self, error: Error) -> Result<End, End> {
        let code = match error.code() {
            Code::Unavailable => CloseCode::Away,
            Code::PermissionDenied | Code::Unauthenticated => CloseCode::Policy,
            Code::ResourceExhausted => CloseCode::Again,
            Code::NotFound | Code::FailedPrecondition => CloseCode::Normal,
            _ => CloseCode::Error,
        };
        self.tell("error", status::json(&error)).await?;
        Ok(End::Close(code, error.message().to_owned()))
    }

    async fn tell(&mut self, event: &str, what: impl Serialize) -> Result<(), End> {
        self.send(Frame::Text(json(&Told { event, what }).into())).await
    }

    async fn send(&mut self, frame: Frame) -> Result<(), End> {
        self.within(|sink| Box::pin(sink.send(frame))).await
    }

    async fn flush(&mut self) -> Result<(), End> {
        self.within(|sink| Box::pin(sink.flush())).await
    }

    /// Does this before the client counts as one that does not read.
    async fn within<'a, F>(
        &'a mut self,
        work: impl FnOnce(&'a mut SplitSink<Stream, Frame>) -> F,
    ) -> Result<(), End>
    where
        F: Future<Output = Result<(), tungstenite::Error>> + 'a,
    {
        match tokio::time::timeout(self.stall, work(&mut self.sink)).await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => Err(End::Gone),
        }
    }
}

fn json(value: &impl Serialize) -> String {
    // What is written to a string, of types without maps of other keys, cannot fail.
    serde_json::to_string(value).unwrap_or_default()
}
