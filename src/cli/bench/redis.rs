//! Redis Pub/Sub (RESP 2), as far as a load generator needs it.
//!
//! Every message to one channel starts with the same bytes, so a subscriber compares them, reads the
//! payload's length and steps over it. A publisher pipelines `PUBLISH`es and counts the answers.

use std::sync::Arc;

use super::arrivals::Arrivals;
use super::nats::decimal;
use super::outlet::Acks;
use super::system::{Inbound, Opening};
use super::template::{self, STAMP_BYTES, Template};
use super::walk::{Carry, Item, Walk};
use crate::error::{Code, Error, Result};

/// Lines of the reply that confirms a SUBSCRIBE.
const SUBSCRIBED_LINES: usize = 6;

/// A connection that subscribes to each topic.
pub fn subscriber(topics: Vec<(String, Arrivals)>) -> Opening {
    let mut greeting = String::new();
    let mut channels = Vec::new();
    for (topic, arrivals) in topics {
        greeting.push_str(&format!("*2\r\n$9\r\nSUBSCRIBE\r\n${}\r\n{topic}\r\n", topic.len()));
        let start = |kind: &str| {
            let (kind_length, length) = (kind.len(), topic.len());
            format!("*3\r\n${kind_length}\r\n{kind}\r\n${length}\r\n{topic}\r\n").into_bytes()
        };
        let (message, subscribed) = ([start("message"), b"$".to_vec()].concat(), start("subscribe"));
        channels.push(Channel { message, subscribed, arrivals });
    }
    let inbound = Subscriber { carry: Carry::default(), channels: Channels(channels) };
    Opening { greeting: greeting.into_bytes(), inbound: Box::new(inbound), credit: None }
}

/// One `PUBLISH` per message, to be written at once.
pub fn template(name: &str, batch: usize, length: usize) -> Template {
    let length = length.max(STAMP_BYTES);
    let mut template = Template::new();
    for _ in 0..batch {
        template.text(format!("*3\r\n$7\r\nPUBLISH\r\n${}\r\n", name.len())).topic(name);
        template.text(format!("\r\n${length}\r\n")).payload(length).text("\r\n");
    }
    template
}

struct Subscriber {
    carry: Carry,
    channels: Channels,
}

impl Inbound for Subscriber {
    fn take(&mut self, now: u64, read: &[u8], _: &mut Vec<u8>) -> Result<()> {
        self.carry.feed(read, &mut self.channels)?;
        for channel in &mut self.channels.0 {
            channel.arrivals.flush(now);
        }
        Ok(())
    }
}

struct Channels(Vec<Channel>);

struct Channel {
    /// What every message starts with, up to the payload's length.
    message: Vec<u8>,
    /// What the confirmation starts with.
    subscribed: Vec<u8>,
    arrivals: Arrivals,
}

impl Walk for Channels {
    fn item(&mut self, data: &[u8]) -> Result<Option<Item>> {
        if let Some(channel) = self.0.iter_mut().find(|channel| data.starts_with(&channel.message)) {
            return channel.message(data);
        }
        if data[0] == b'-' {
            return Err(refusal(data));
        }
        let ends = data.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let Some((end, _)) = ends.take(SUBSCRIBED_LINES).nth(SUBSCRIBED_LINES - 1) else { return Ok(None) };
        let channel = self.0.iter_mut().find(|channel| data.starts_with(&channel.subscribed));
        let Some(channel) = channel else {
            return Err(Error::new(Code::Internal, "redis-server sent a reply that is not understood"));
        };
        channel.arrivals.opened(0);
        Ok(Some(Item { used: end + 1, skip: 0 }))
    }
}

impl Channel {
    fn message(&mut self, data: &[u8]) -> Result<Option<Item>> {
        let rest = &data[self.message.len()..];
        let Some(end) = rest.iter().position(|byte| *byte == b'\r') else { return Ok(None) };
        let Some(size) = decimal(&rest[..end]) else { return Err(refusal(data)) };
        let head = self.message.len() + end + 2;
        if data.len() < head + size.min(STAMP_BYTES) {
            return Ok(None);
        }
        let payload = &data[head..data.len().min(head + size)];
        let time = if self.arrivals.wants_time() { template::time(payload) } else { None };
        self.arrivals.message(template::number(payload).unwrap_or(0), head + size + 2, time);
        Ok(Some(Item::of(head + size + 2, data.len())))
    }
}

fn refusal(data: &[u8]) -> Error {
    let line = data.split(|byte| *byte == b'\r').next().unwrap_or(data);
    Error::new(Code::Unavailable, format!("redis-server says {}", String::from_utf8_lossy(line)))
}

/// A connection that only publishes.
pub fn publisher(acks: Arc<Acks>) -> Opening {
    Opening {
        greeting: Vec::new(),
        inbound: Box::new(Publisher { acks, carry: Carry::default() }),
        credit: None,
    }
}

struct Publisher {
    acks: Arc<Acks>,
    carry: Carry,
}

impl Inbound for Publisher {
    fn take(&mut self, now: u64, read: &[u8], _: &mut Vec<u8>) -> Result<()> {
        self.acks.arrived_at(now);
        let mut replies = Replies(0);
        self.carry.feed(read, &mut replies)?;
        self.acks.answered.advance(replies.0);
        Ok(())
    }
}

/// Counts the integer replies of one read.
struct Replies(u64);

impl Walk for Replies {
    fn item(&mut self, data: &[u8]) -> Result<Option<Item>> {
        let Some(end) = data.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
        if data[0] != b':' {
            return Err(refusal(data));
        }
        self.0 += 1;
        Ok(Some(Item { used: end + 1, skip: 0 }))
    }
}
