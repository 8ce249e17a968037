//! What goes to standard output: messages as text, JSON or bytes, and tables.
//!
//! A reader that goes away (`| head`) is no error: [`Output`] says so by `false`, and the command
//! ends quietly.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufWriter, ErrorKind, Stdout, Write};
use std::time::SystemTime;

use serde::Serialize;
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use crate::client::Delivery;
use crate::error::{Code, Error, Result};

/// Standard output, buffered.
pub(super) struct Output(BufWriter<Stdout>);

impl Output {
    pub(super) fn new() -> Self {
        Output(BufWriter::new(std::io::stdout()))
    }

    /// Writes a line. False when nobody reads any more.
    pub(super) fn line(&mut self, line: &[u8]) -> Result<bool> {
        written(self.0.write_all(line).and_then(|()| self.0.write_all(b"\n")))
    }

    /// Hands on what was written. False when nobody reads any more.
    pub(super) fn flush(&mut self) -> Result<bool> {
        written(self.0.flush())
    }
}

fn written(outcome: std::io::Result<()>) -> Result<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => {
            let message = format!("standard output cannot be written: {error}");
            Err(Error::new(Code::Internal, message).because(error))
        }
    }
}

/// Prints a text that ends a command.
pub(super) fn print(text: &str) -> Result<()> {
    let mut output = Output::new();
    output.line(text.trim_end_matches('\n').as_bytes())?;
    output.flush().map(|_| ())
}

/// Prints a JSON value for people and programs alike.
pub(super) fn print_json(value: &Value) -> Result<()> {
    print(&format!("{value:#}"))
}

/// A table: each column as wide as its widest cell.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| columns(cell));
        cells.chain([columns(head[column])]).max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    let head = head.iter().map(ToString::to_string).collect();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let blank = width.saturating_sub(columns(cell)) + 2;
            let _ = write!(line, "{cell}{:blank$}", "");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// The text without control characters, which must not reach a terminal.
pub(super) fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// How many columns of a terminal the text takes.
pub(super) fn columns(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// A message for people: time, position, payload, and what else it carries.
pub(super) fn pretty(delivery: &Delivery) -> String {
    let payload = match std::str::from_utf8(delivery.payload()) {
        Ok(text) => visible(text),
        Err(_) => format!("({} bytes, not text) {}", delivery.payload().len(), base64(delivery.payload())),
    };
    let mut line = format!("{}  {}  {payload}", rfc3339(delivery.publish_time()), delivery.position);
    if !delivery.key().is_empty() {
        let _ = write!(line, "  key={:?}", delivery.key());
    }
    for (name, value) in delivery.attributes() {
        let _ = write!(line, "  {name}={value:?}");
    }
    line
}

/// A message as `--output json` prints it, in this order.
#[derive(Serialize)]
struct Object<'a> {
    topic: &'a str,
    position: String,
    epoch: u64,
    sequence: u64,
    publish_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    key: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    content_type: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    traceparent: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    tracestate: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    publisher: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
}

/// A message as a JSON object on one line. A payload that is no UTF-8 is `payload_base64`.
pub(super) fn object(topic: &str, delivery: &Delivery) -> Result<String> {
    let payload = std::str::from_utf8(delivery.payload()).ok();
    let object = Object {
        topic,
        position: delivery.position.to_string(),
        epoch: delivery.position.epoch,
        sequence: delivery.position.sequence,
        publish_time: rfc3339(delivery.publish_time()),
        id: delivery.id().map(|id| id.to_string()),
        key: delivery.key(),
        attributes: delivery.attributes(),
        content_type: delivery.content_type(),
        traceparent: delivery.traceparent(),
        tracestate: delivery.tracestate(),
        publisher: delivery.publisher(),
        payload,
        payload_base64: payload.is_none().then(|| base64(delivery.payload())),
    };
    serde_json::to_string(&object)
        .map_err(|error| Error::new(Code::Internal, "a message cannot be written as JSON").because(error))
}

/// A time as RFC 3339 in UTC.
pub(super) fn rfc3339(time: SystemTime) -> String {
    match jiff::Timestamp::try_from(time) {
        Ok(time) => format!("{time:.6}"),
        Err(_) => "(no time)".to_owned(),
    }
}

/// Base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |place: usize| u32::from(chunk.get(place).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let letter = ALPHABET[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place > chunk.len() { '=' } else { char::from(letter) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Message;
    use crate::topic::Position;

    fn delivery(payload: &'static [u8]) -> Delivery {
        let message = Message::new(payload).with_key("k").with_attribute("colour", "red");
        Delivery::new(message, Position::new(7, 42))
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        let pairs = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (bytes, text) in pairs {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
    }

    #[test]
    fn a_message_as_json_can_be_read_back() {
        let object: Value = serde_json::from_str(&object("orders", &delivery(b"hello")).unwrap()).unwrap();
        assert_eq!(object["position"], "7:42");
        assert_eq!(object["payload"], "hello");
        assert_eq!(object["attributes"]["colour"], "red");
        assert_eq!(object["publish_time"], "1970-01-01T00:00:00.000000Z");
        let object: Value =
            serde_json::from_str(&super::object("orders", &delivery(b"\xff")).unwrap()).unwrap();
        assert_eq!(object["payload_base64"], "/w==");
    }

    #[test]
    fn a_payload_cannot_command_the_terminal() {
        let line = pretty(&delivery(b"a\x1b[2Jb"));
        assert!(line.ends_with("7:42  a\u{fffd}[2Jb  key=\"k\"  colour=\"red\""), "{line}");
    }

    #[test]
    fn columns_of_a_table_line_up() {
        let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["longer".to_owned(), "22".to_owned()]];
        assert_eq!(table(&["TOPIC", "N"], &rows), "TOPIC   N\na       1\nlonger  22\n");
        let rows = [vec!["注文".to_owned(), "1".to_owned()]];
        assert_eq!(table(&["TOPIC", "N"], &rows), "TOPIC  N\n注文   1\n");
    }
}
