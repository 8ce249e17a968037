//! The body of a publish, counted: what a client has sent of a message and not finished stands in
//! the memory budget, so that ten thousand half-sent requests cannot fill the memory.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tonic::Status;

use super::Native;
use crate::api::frame::PREFIX_BYTES;
use crate::api::status::status;
use crate::error::{Code, Error};
use crate::topic::{Budget, Charge};

/// A request body that charges the message it is in the middle of.
pub struct Intake {
    body: Incoming,
    budget: Arc<Budget>,
    charge: Option<Charge>,
    place: Place,
    /// Largest message, bytes.
    bytes_max: usize,
}

/// Where in the stream of gRPC messages the body is.
#[derive(Debug, Default, PartialEq, Eq)]
struct Place {
    prefix: [u8; PREFIX_BYTES],
    prefix_bytes: usize,
    /// Bytes of the current message that are still to come.
    missing: usize,
    /// Bytes of the current message that have come.
    come: usize,
}

impl Intake {
    /// Counts this body.
    pub fn new(body: Incoming, native: &Native) -> Intake {
        let (budget, bytes_max) = (native.broker.budget().clone(), native.max_message_bytes);
        Intake { body, budget, charge: None, place: Place::default(), bytes_max }
    }

    /// Takes note of what has come: refuses a message that is too large before it has come, and
    /// charges what there is of it.
    fn take(&mut self, data: &[u8]) -> Result<(), Status> {
        self.place.pass(data);
        let announced = self.place.come + self.place.missing;
        if announced > self.bytes_max {
            return Err(status(too_large(announced, self.bytes_max)));
        }
        self.charge()
    }

    fn charge(&mut self) -> Result<(), Status> {
        let held = self.place.come;
        let charged = match &mut self.charge {
            None if held == 0 => true,
            None => {
                self.charge = Budget::charge(&self.budget, held);
                self.charge.is_some()
            }
            Some(charge) => charge.resize(held),
        };
        if charged { Ok(()) } else { Err(status(no_room())) }
    }
}

impl Place {
    /// Follows the stream over these bytes.
    fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.missing == 0 {
                self.come = 0;
                let take = bytes.len().min(PREFIX_BYTES - self.prefix_bytes);
                self.prefix[self.prefix_bytes..self.prefix_bytes + take].copy_from_slice(&bytes[..take]);
                self.prefix_bytes += take;
                bytes = &bytes[take..];
                if self.prefix_bytes == PREFIX_BYTES {
                    let [_, a, b, c, d] = self.prefix;
                    self.missing = u32::from_be_bytes([a, b, c, d]) as usize;
                    self.prefix_bytes = 0;
                }
                continue;
            }
            let take = bytes.len().min(self.missing);
            self.missing -= take;
            self.come = if self.missing == 0 { 0 } else { self.come + take };
            bytes = &bytes[take..];
        }
    }
}

impl Body for Intake {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let frame = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(Status::from_error(error.into())))),
            None => return Poll::Ready(None),
        };
        if let Some(Err(status)) = frame.data_ref().map(|data| this.take(data)) {
            return Poll::Ready(Some(Err(status)));
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn too_large(bytes: usize, bytes_max: usize) -> Error {
    let message =
        format!("the request has {bytes} bytes; at most {bytes_max} are allowed: publish less at once");
    Error::new(Code::ResourceExhausted, message).reason("REQUEST_TOO_LARGE").with("max_bytes", bytes_max)
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
            let mut place = Place::default();
            stream[..cut].chunks(step).for_each(|bytes| place.pass(bytes));
            prop_assert_eq!(place.come, held[cut]);
        }
    }
}
