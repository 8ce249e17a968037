//! Bugle's side of the load generator: gRPC bodies, walked and not decoded.
//!
//! A subscriber walks `SubscribeResponse`s record by record and reads each message's sequence;
//! notices are rare and decoded. A publisher sends prepared `PublishRequest`s on one PublishStream.

use std::sync::Arc;

use prost::Message;

use super::arrivals::Arrivals;
use super::http2::{self, Arrived};
use super::outlet::{Acks, Credit};
use super::system::{Inbound, Opening};
use super::template::{self, Template};
use super::walk::{Carry, Item, Walk, varint};
use crate::error::{Code, Error, Result};
use crate::proto::v1;

/// A connection's window is so many times a stream's, up to the most HTTP/2 allows.
const CONNECTION_WINDOWS: u32 = 4;
/// A message's head (places, ids, keys) that is searched for the payload's start, bytes.
const HEAD_BYTES_MAX: usize = 512;

/// A connection with one Subscribe stream per topic, each with a window of `window` bytes.
pub fn subscriber(authority: &str, window: u32, topics: Vec<(String, Arrivals)>) -> Opening {
    let calls = topics.into_iter().map(|(topic, arrivals)| {
        let request = v1::SubscribeRequest { topic, ..Default::default() };
        (grpc(&request.encode_to_vec()), Responses { left: 0, arrivals })
    });
    subscribing(authority, window, "/bugle.v1.Bus/Subscribe", calls)
}

/// What reads a subscription.
pub trait Reads: Walk + Send + 'static {
    /// Where it counts what has come.
    fn arrivals(&mut self) -> &mut Arrivals;
}

/// A connection with a stream for each of these calls of a method: its message, and what reads the answers.
pub fn subscribing<W: Reads>(
    authority: &str,
    window: u32,
    method: &str,
    calls: impl Iterator<Item = (Vec<u8>, W)>,
) -> Opening {
    let mut greeting = Vec::new();
    let connection_window = window.saturating_mul(CONNECTION_WINDOWS).min(i32::MAX as u32);
    http2::preface(&mut greeting, window, connection_window);
    let mut streams = Vec::new();
    for (message, walk) in calls {
        let id = 2 * streams.len() as u32 + 1;
        http2::call(&mut greeting, id, authority, method);
        http2::data(&mut greeting, id, http2::END_STREAM, &message);
        streams.push(Stream { carry: Carry::default(), walk, consumed: 0 });
    }
    let connection = http2::Connection::new(connection_window);
    Opening { greeting, inbound: Box::new(Subscriber { connection, streams, window }), credit: None }
}

/// A gRPC message: no compression, its length, its bytes.
pub fn grpc(message: &[u8]) -> Vec<u8> {
    [&[0], &(message.len() as u32).to_be_bytes()[..], message].concat()
}

struct Subscriber<W> {
    connection: http2::Connection,
    streams: Vec<Stream<W>>,
    window: u32,
}

struct Stream<W> {
    carry: Carry,
    walk: W,
    consumed: u32,
}

impl<W: Reads> Inbound for Subscriber<W> {
    fn take(&mut self, now: u64, read: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let Subscriber { connection, streams, window } = self;
        connection.receive(read, out, &mut |arrived, out| match arrived {
            Arrived::Data { stream: id, bytes } => {
                let Some(stream) = streams.get_mut(id as usize / 2) else { return Ok(()) };
                stream.carry.feed(bytes, &mut stream.walk)?;
                stream.walk.arrivals().flush(now);
                stream.consumed += bytes.len() as u32;
                if stream.consumed >= *window / 2 {
                    http2::window_update(out, id, std::mem::take(&mut stream.consumed));
                }
                Ok(())
            }
            Arrived::Ended { stream: 0 } => Err(Error::new(Code::Unavailable, "the server is going away")),
            Arrived::Ended { stream: id } => {
                if let Some(stream) = streams.get_mut(id as usize / 2) {
                    stream.walk.arrivals().ended();
                }
                Ok(())
            }
            Arrived::Credit { .. } | Arrived::Settings { .. } => Ok(()),
        })
    }
}

/// Walks `SubscribeResponse`s.
struct Responses {
    /// Bytes of the current gRPC message that are still to come.
    left: usize,
    arrivals: Arrivals,
}

impl Reads for Responses {
    fn arrivals(&mut self) -> &mut Arrivals {
        &mut self.arrivals
    }
}

impl Walk for Responses {
    fn item(&mut self, data: &[u8]) -> Result<Option<Item>> {
        if self.left == 0 {
            let Some(header) = data.get(..5) else { return Ok(None) };
            self.left = grpc_length(header)?;
            return Ok(Some(Item { used: 5, skip: 0 }));
        }
        let Some((length, width)) = varint(&data[1..]) else { return Ok(None) };
        let (start, length) = (1 + width, length as usize);
        let total = start.saturating_add(length);
        if total > self.left {
            return Err(not_understood());
        }
        let body = &data[start..total.min(data.len())];
        let taken = match data[0] {
            0x0a => self.record(body, length),
            _ if body.len() < length => None,
            _ => Some(self.notice(&data[..total])?),
        };
        if taken.is_some() {
            self.left -= total;
        }
        Ok(taken.map(|()| Item::of(total, data.len())))
    }
}

impl Responses {
    /// One message; `None` when its head is not there yet.
    #[inline]
    fn record(&mut self, body: &[u8], length: usize) -> Option<()> {
        let whole = body.len() == length || body.len() >= HEAD_BYTES_MAX;
        // Sequence 0 is not on the wire: it is the field's default.
        let (sequence, fields) = match body.split_first()? {
            (0x08, rest) => varint(rest).map(|(sequence, width)| (sequence, &rest[width..]))?,
            _ => (0, body),
        };
        let mut sent = None;
        if self.arrivals.wants_time() {
            sent = payload(fields).and_then(template::time);
            if sent.is_none() && !whole {
                return None;
            }
        }
        self.arrivals.message(sequence, length, sent);
        Some(())
    }

    fn notice(&mut self, field: &[u8]) -> Result<()> {
        let notice = v1::SubscribeResponse::decode(field).map_err(|e| not_understood().because(e))?;
        if let Some(opened) = notice.opened {
            self.arrivals.opened(opened.next_sequence);
        }
        if let Some(v1::Discontinuity { next: Some(next), .. }) = notice.discontinuity {
            self.arrivals.discontinuity(next.sequence);
        }
        Ok(())
    }
}

/// The payload in the fields of a message, as far as it is there.
fn payload(mut fields: &[u8]) -> Option<&[u8]> {
    loop {
        let tag = *fields.first()?;
        let skip = match tag & 7 {
            0 => 1 + varint(&fields[1..])?.1,
            1 => 9,
            2 => {
                let (length, width) = varint(&fields[1..])?;
                if tag == 0x32 {
                    return fields.get(1 + width..);
                }
                (1 + width).checked_add(length as usize)?
            }
            _ => return None,
        };
        fields = fields.get(skip..)?;
    }
}

/// A connection with one PublishStream, which is stream 1.
pub fn publisher(authority: &str, acks: Arc<Acks>) -> Opening {
    // Answers are a few bytes each: this much outlasts any run before it has to be renewed.
    let window = i32::MAX as u32;
    let mut greeting = Vec::new();
    http2::preface(&mut greeting, window, window);
    http2::call(&mut greeting, 1, authority, "/bugle.v1.Bus/PublishStream");
    let credit = Arc::new(Credit::new());
    credit.connection.advance(http2::WINDOW_BYTES_INITIAL.into());
    let inbound = Publisher {
        connection: http2::Connection::new(window),
        carry: Carry::default(),
        answers: Answers { left: None, acks },
        credit: Arc::clone(&credit),
        stream_window: None,
        consumed: 0,
    };
    Opening { greeting, inbound: Box::new(inbound), credit: Some(credit) }
}

struct Publisher {
    connection: http2::Connection,
    carry: Carry,
    answers: Answers,
    credit: Arc<Credit>,
    stream_window: Option<u32>,
    consumed: u32,
}

impl Inbound for Publisher {
    fn take(&mut self, now: u64, read: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let Publisher { connection, carry, answers, credit, stream_window, consumed } = self;
        answers.acks.arrived_at(now);
        connection.receive(read, out, &mut |arrived, out| {
            match arrived {
                Arrived::Data { bytes, .. } => {
                    carry.feed(bytes, answers)?;
                    *consumed += bytes.len() as u32;
                    if *consumed >= i32::MAX as u32 / 2 {
                        http2::window_update(out, 1, std::mem::take(consumed));
                    }
                }
                Arrived::Ended { .. } => {
                    let advice = "the server ended the publish stream; its log says why";
                    return Err(Error::new(Code::Unavailable, advice));
                }
                Arrived::Credit { stream: 0, bytes } => credit.connection.advance(bytes.into()),
                Arrived::Credit { bytes, .. } => credit.stream.advance(bytes.into()),
                Arrived::Settings { stream_window: said } => {
                    // Credit is withheld until the server has spoken, so that a window smaller
                    // than HTTP/2's own is never overrun.
                    let window = said.unwrap_or(stream_window.unwrap_or(http2::WINDOW_BYTES_INITIAL));
                    credit.stream.advance(window.saturating_sub(stream_window.unwrap_or(0)).into());
                    *stream_window = Some(window);
                }
            }
            Ok(())
        })
    }
}

/// Walks `PublishResponse`s.
struct Answers {
    left: Option<usize>,
    acks: Arc<Acks>,
}

impl Walk for Answers {
    fn item(&mut self, data: &[u8]) -> Result<Option<Item>> {
        let Some(length) = self.left else {
            let Some(header) = data.get(..5) else { return Ok(None) };
            self.left = Some(grpc_length(header)?);
            return Ok(Some(Item { used: 5, skip: 0 }));
        };
        let Some(body) = data.get(..length) else { return Ok(None) };
        let answer = v1::PublishResponse::decode(body).map_err(|e| not_understood().because(e))?;
        match answer.status {
            Some(status) => self.acks.refused(status.message),
            None => self.acks.accepted(1),
        }
        self.left = None;
        Ok(Some(Item { used: length, skip: 0 }))
    }
}

/// The length in the prefix of a gRPC message.
pub fn grpc_length(header: &[u8]) -> Result<usize> {
    match *header {
        [0, a, b, c, d] => Ok(u32::from_be_bytes([a, b, c, d]) as usize),
        _ => Err(Error::new(Code::Internal, "the server compresses, which was not asked for")),
    }
}

/// What the server sends is not what is expected.
pub fn not_understood() -> Error {
    Error::new(Code::Internal, "the server's response does not follow bugle.proto; compare the versions")
}

/// A `PublishRequest` in its gRPC frame.
pub fn template(name: &str, batch: usize, length: usize) -> Template {
    template_within("", name, batch, length)
}

/// The same to a topic of this namespace; the empty one is the default.
pub fn template_within(namespace: &str, name: &str, batch: usize, length: usize) -> Template {
    let length = length.max(template::STAMP_BYTES);
    let payload_head = field(6, length);
    let message_head = field(3, payload_head.len() + length);
    let topic_head = field(2, name.len());
    let within = if namespace.is_empty() { Vec::new() } else { field(1, namespace.len()) };
    let message = message_head.len() + payload_head.len() + length;
    let request = within.len() + namespace.len() + topic_head.len() + name.len() + batch * message;
    let mut template = Template::new();
    template.text([0]).text((request as u32).to_be_bytes()).text(within).text(namespace);
    template.text(topic_head).topic(name);
    for _ in 0..batch {
        template.text(&message_head).text(&payload_head).payload(length);
    }
    template
}

/// The tag and length of a field of bytes.
fn field(number: u32, length: usize) -> Vec<u8> {
    let mut head = Vec::new();
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut head);
    prost::encoding::encode_varint(length as u64, &mut head);
    head
}
