//! The NATS core protocol, as far as a load generator needs it.
//!
//! A subscriber reads `MSG subject sid size` heads and steps over payloads; a publisher sends `PUB`s.
//! Publishes are not acknowledged: neither side asks for it (`verbose` off), as real clients do.

use super::arrivals::Arrivals;
use super::system::{Inbound, Opening};
use super::template::{self, STAMP_BYTES, Template};
use super::walk::{Carry, Item, Walk};
use crate::error::{Code, Error, Result};

const CONNECT: &str = "CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":true,\"protocol\":1}\r\n";
/// Longest head or INFO line taken, bytes.
const LINE_BYTES_MAX: usize = 32 * 1024;

/// A connection with one `SUB` per topic; the PONG behind them confirms all.
pub fn subscriber(topics: Vec<(String, Arrivals)>) -> Opening {
    let mut greeting = CONNECT.to_owned();
    let mut arrivals = Vec::new();
    for (at, (topic, of_topic)) in topics.into_iter().enumerate() {
        greeting.push_str(&format!("SUB {topic} {at}\r\n"));
        arrivals.push(of_topic);
    }
    greeting.push_str("PING\r\n");
    opening(greeting, arrivals)
}

/// A connection that only publishes.
pub fn publisher() -> Opening {
    opening(CONNECT.to_owned(), Vec::new())
}

fn opening(greeting: String, arrivals: Vec<Arrivals>) -> Opening {
    let inbound = Connection { carry: Carry::default(), lines: Lines { arrivals, owed: Vec::new() } };
    Opening { greeting: greeting.into_bytes(), inbound: Box::new(inbound), credit: None }
}

/// `batch` PUBs, to be written at once.
pub fn template(name: &str, batch: usize, length: usize) -> Template {
    let length = length.max(STAMP_BYTES);
    let mut template = Template::new();
    for _ in 0..batch {
        template.text("PUB ").topic(name).text(format!(" {length}\r\n")).payload(length).text("\r\n");
    }
    template
}

struct Connection {
    carry: Carry,
    lines: Lines,
}

impl Inbound for Connection {
    fn take(&mut self, now: u64, read: &[u8], out: &mut Vec<u8>) -> Result<()> {
        self.carry.feed(read, &mut self.lines)?;
        for arrivals in &mut self.lines.arrivals {
            arrivals.flush(now);
        }
        out.append(&mut self.lines.owed);
        Ok(())
    }
}

struct Lines {
    arrivals: Vec<Arrivals>,
    owed: Vec<u8>,
}

impl Walk for Lines {
    fn item(&mut self, data: &[u8]) -> Result<Option<Item>> {
        let Some(end) = data.iter().take(LINE_BYTES_MAX).position(|byte| *byte == b'\n') else {
            return Ok(None);
        };
        let (line, rest) = (data[..end].trim_ascii_end(), &data[end + 1..]);
        match line.first() {
            Some(b'M') => return self.message(line, rest, data.len()),
            Some(b'P') if line == b"PING" => self.owed.extend_from_slice(b"PONG\r\n"),
            Some(b'P') => self.arrivals.iter_mut().for_each(|arrivals| arrivals.opened(0)),
            Some(b'-') => {
                let why = String::from_utf8_lossy(line);
                return Err(Error::new(Code::Unavailable, format!("nats-server says {why}")));
            }
            _ => {}
        }
        Ok(Some(Item { used: end + 1, skip: 0 }))
    }
}

impl Lines {
    fn message(&mut self, line: &[u8], rest: &[u8], shown: usize) -> Result<Option<Item>> {
        let head = shown - rest.len();
        let mut words = line.rsplit(|byte| *byte == b' ');
        let size = words.next().and_then(decimal);
        let id = words.next().and_then(decimal);
        let (Some(size), Some(arrivals)) = (size, id.and_then(|id| self.arrivals.get_mut(id))) else {
            return Err(Error::new(Code::Internal, "nats-server sent a MSG head that is not understood"));
        };
        if rest.len() < size.min(STAMP_BYTES) {
            return Ok(None);
        }
        let payload = &rest[..size.min(rest.len())];
        let time = if arrivals.wants_time() { template::time(payload) } else { None };
        arrivals.message(template::number(payload).unwrap_or(0), head + size + 2, time);
        Ok(Some(Item::of(head + size + 2, shown)))
    }
}

/// A decimal number; `None` for anything else.
pub fn decimal(digits: &[u8]) -> Option<usize> {
    let digit = |value: usize, byte: &u8| {
        let digit = byte.is_ascii_digit().then(|| usize::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    };
    digits.iter().try_fold(0, digit)
}
