//! The body of a request, watched: what a client has sent of a message and not finished stands in
//! the memory budget, and in a cap of its own, so that ten thousand half-sent requests fill neither
//! the memory nor the place of everybody's messages. A body that
//! is no sequence of gRPC messages is refused here, in words that help its sender: what tonic would
//! say is INTERNAL or OUT_OF_RANGE, which blame the server or say nothing.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use prost::Message;
use tonic::Status;

use super::frame::PREFIX_BYTES;
use super::host::Host;
use super::status::{not_a_message, status};
use crate::error::{Code, Error, Result};
use crate::topic::{Budget, Charge};

/// A request body that charges the message it is in the middle of.
pub struct Intake {
    body: Incoming,
    held: Held,
    place: Place,
    /// The method takes one message, and needs it.
    single: bool,
    /// What is to be said behind the messages that came before it.
    refusal: Option<Status>,
}

/// What has come of a request that is not whole, as it is charged.
pub struct Held {
    host: Host,
    /// In the memory budget, and among all requests that have come in part.
    charges: [Option<Charge>; 2],
}

/// Where in the stream of gRPC messages the body is.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Place {
    prefix: [u8; PREFIX_BYTES],
    prefix_bytes: usize,
    /// Bytes of the current message that are still to come.
    missing: usize,
    /// Bytes of the current message that have come.
    come: usize,
    /// Largest message that is taken, bytes.
    bytes_max: usize,
    /// Some message has begun.
    begun: bool,
}

impl Intake {
    /// Watches the body of a call with one message.
    pub fn single(body: Incoming, host: &Host) -> Intake {
        Intake { single: true, ..Intake::stream(body, host) }
    }

    /// Watches the body of a call with any number of messages.
    pub fn stream(body: Incoming, host: &Host) -> Intake {
        let place = Place { bytes_max: host.max_message_bytes, ..Place::default() };
        Intake { body, held: Held::new(host), place, single: false, refusal: None }
    }

    /// The one message of the call. A stream of tonic's does the same with a buffer of 8 KiB, however
    /// small the message is.
    pub async fn message<M: Message + Default>(mut self) -> Result<M, Status> {
        let mut read = BytesMut::new();
        while let Some(frame) = self.frame().await {
            if let Ok(data) = frame?.into_data() {
                read.extend_from_slice(&data);
            }
            if let Some([_, a, b, c, d]) = read.first_chunk::<PREFIX_BYTES>()
                && let Some(message) =
                    read.get(PREFIX_BYTES..PREFIX_BYTES + u32::from_be_bytes([*a, *b, *c, *d]) as usize)
            {
                return M::decode(message).map_err(|error| status(not_a_message(error)));
            }
        }
        Err(status(Error::field("request", "has to be sent: the stream ended before a message")))
    }

    /// What of the data is messages that are taken, or the refusal.
    fn take(&mut self, mut data: Bytes) -> Result<Bytes, Status> {
        if let Err((taken, error)) = self.place.pass(&data) {
            if taken == 0 {
                return Err(status(error));
            }
            self.refusal = Some(status(error));
            data.truncate(taken);
            return Ok(data);
        }
        self.held.grow(self.place.come).map_err(status)?;
        Ok(data)
    }

    /// Whether the body may end here.
    fn end(&self) -> Result<()> {
        let Place { prefix_bytes, missing, begun, .. } = self.place;
        if prefix_bytes > 0 || missing > 0 {
            let description = "ends in the middle of a message; send the whole of it before the stream ends";
            return Err(Error::field("request", description).reason("TRUNCATED_MESSAGE"));
        }
        if self.single && !begun {
            return Err(Error::field("request", "has to be sent: the stream ended before a message"));
        }
        Ok(())
    }
}

impl Held {
    /// Nothing yet.
    pub fn new(host: &Host) -> Held {
        Held { host: host.clone(), charges: [None, None] }
    }

    /// So many bytes are held now. Errors: there is no room for them.
    pub fn grow(&mut self, held: usize) -> Result<()> {
        let charged = self.charges[0].as_ref().map_or(0, Charge::bytes);
        if held <= charged {
            self.charges.iter_mut().flatten().for_each(|charge| charge.shrink(held));
            return Ok(());
        }
        let (more, host) = (held - charged, &self.host);
        // This one first: nobody's messages go for a request that is refused.
        let in_flight = host.admission.in_flight();
        let part = Budget::charge(in_flight, more).ok_or_else(|| crowded(in_flight.limit()))?;
        let memory = host.broker.charge(more).ok_or_else(no_room)?;
        for (charge, more) in self.charges.iter_mut().zip([memory, part]) {
            match charge {
                Some(charge) => charge.absorb(more),
                none => *none = Some(more),
            }
        }
        Ok(())
    }
}

impl Place {
    /// The beginning of a stream, whose messages have at most so many bytes.
    #[cfg(any(test, fuzzing))]
    pub fn of(bytes_max: usize) -> Place {
        Place { bytes_max, ..Place::default() }
    }

    /// Follows the stream over these bytes, or over the first so many, where the message behind them
    /// is not taken.
    pub fn pass(&mut self, mut bytes: &[u8]) -> Result<(), (usize, Error)> {
        let length = bytes.len();
        while !bytes.is_empty() {
            if self.missing == 0 {
                self.come = 0;
                let take = bytes.len().min(PREFIX_BYTES - self.prefix_bytes);
                self.prefix[self.prefix_bytes..self.prefix_bytes + take].copy_from_slice(&bytes[..take]);
                self.prefix_bytes += take;
                bytes = &bytes[take..];
                if self.prefix_bytes == PREFIX_BYTES {
                    let [flag, a, b, c, d] = self.prefix;
                    self.missing = u32::from_be_bytes([a, b, c, d]) as usize;
                    self.prefix_bytes = 0;
                    self.begun = true;
                    let before = (length - bytes.len()).saturating_sub(PREFIX_BYTES);
                    self.check(flag).map_err(|error| (before, error))?;
                }
                continue;
            }
            let take = bytes.len().min(self.missing);
            self.missing -= take;
            self.come = if self.missing == 0 { 0 } else { self.come + take };
            bytes = &bytes[take..];
        }
        Ok(())
    }

    /// Whether a message with this flag, of the length that is missing, is taken.
    fn check(&self, flag: u8) -> Result<()> {
        let Place { missing, bytes_max, .. } = *self;
        match flag {
            0 if missing <= bytes_max => Ok(()),
            0 => {
                let description = format!(
                    "has {missing} bytes; at most {bytes_max} are allowed: send less at once, or give the \
                     server a larger limits.max_message_bytes"
                );
                Err(Error::field("request", description)
                    .reason("MESSAGE_TOO_LARGE")
                    .with("limit_bytes", bytes_max))
            }
            1 => {
                let message = "compressed messages are not taken; send them uncompressed";
                Err(Error::new(Code::Unimplemented, message).reason("COMPRESSED_MESSAGE"))
            }
            _ => {
                let description =
                    format!("is not gRPC: a message begins with the byte 0, this one with {flag}");
                Err(Error::field("request", description).reason("NOT_A_MESSAGE"))
            }
        }
    }
}

impl Body for Intake {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if let Some(refusal) = this.refusal.take() {
            return Poll::Ready(Some(Err(refusal)));
        }
        let frame = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(Status::from_error(error.into())))),
            None => return Poll::Ready(this.end().err().map(|error| Err(status(error)))),
        };
        Poll::Ready(Some(match frame.into_data() {
            Ok(data) => this.take(data).map(Frame::data),
            Err(frame) => Ok(frame),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.refusal.is_none() && self.body.is_end_stream() && self.end().is_ok()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn crowded(most: usize) -> Error {
    let message = format!(
        "requests of {most} bytes have come in part and are not finished, which is all that \
         limits.max_publish_bytes_in_flight allows; retry, or publish less at once"
    );
    let error = Error::new(Code::ResourceExhausted, message).reason("PUBLISH_BYTES_IN_FLIGHT");
    error.with("limit_bytes", most).retry_after(Duration::from_secs(1))
}

fn no_room() -> Error {
    let message = "the memory budget has no room for this request; retry, or publish less at once";
    Error::new(Code::ResourceExhausted, message).reason("MEMORY_BUDGET").retry_after(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn only_an_unfinished_message_is_held(
            messages in prop::collection::vec(0usize..50, 1..10),
            cut in 0usize..600,
            step in 1usize..20,
        ) {
            let mut stream = Vec::new();
            let mut held = vec![0];
            for length in &messages {
                stream.push(0);
                stream.extend((*length as u32).to_be_bytes());
                held.extend([0; PREFIX_BYTES]);
                stream.extend(vec![7; *length]);
                held.extend((1..=*length).map(|come| if come == *length { 0 } else { come }));
            }
            let cut = cut.min(stream.len());
            let mut place = Place::of(50);
            stream[..cut].chunks(step).for_each(|bytes| place.pass(bytes).unwrap());
            prop_assert_eq!(place.come, held[cut]);
        }
    }
}
