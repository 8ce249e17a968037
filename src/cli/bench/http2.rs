//! The client half of HTTP/2 that a load generator needs, and no more.
//!
//! A reader is shown the DATA of each stream in place, in the buffer the socket was read into;
//! nothing is decoded, queued or copied, so that the clients' share of a small machine stays small
//! and all systems are read by the same loop. Header blocks are written as literals and passed over
//! unread: a subscription that is refused shows as a stream that ended.

use crate::error::{Code, Error, Result};

/// What our connections let the server send in one frame, bytes.
const FRAME_BYTES: u32 = 1024 * 1024;
/// Longest control frame taken, bytes.
const CONTROL_BYTES_MAX: usize = 64 * 1024;
/// What a window is before anything is said (RFC 9113, 6.9.2), bytes.
pub const WINDOW_BYTES_INITIAL: u32 = 65_535;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

/// END_STREAM on DATA and HEADERS; ACK on SETTINGS and PING.
pub const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

/// Appends a frame's head: payload length, type, flags, stream.
fn head(out: &mut Vec<u8>, length: usize, kind: u8, flags: u8, stream: u32) {
    out.extend_from_slice(&(length as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
}

/// Appends what opens a connection: the preface and our windows, in bytes.
pub fn preface(out: &mut Vec<u8>, stream_window: u32, connection_window: u32) {
    out.extend_from_slice(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let settings = [(2u16, 0u32), (4, stream_window), (5, FRAME_BYTES)];
    head(out, settings.len() * 6, SETTINGS, 0, 0);
    for (name, value) in settings {
        out.extend_from_slice(&name.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
    window_update(out, 0, connection_window.saturating_sub(WINDOW_BYTES_INITIAL));
}

/// Appends the headers of a gRPC call. `authority` and `path` are shorter than 127 bytes.
pub fn call(out: &mut Vec<u8>, stream: u32, authority: &str, path: &str) {
    // HPACK: POST and http by index, all else literal and not remembered.
    let mut block = vec![0x83, 0x86];
    let mut literal = |name: &[u8], value: &str| {
        block.extend_from_slice(name);
        block.push(value.len() as u8);
        block.extend_from_slice(value.as_bytes());
    };
    literal(&[0x01], authority);
    literal(&[0x04], path);
    literal(&[0x0f, 0x10], "application/grpc");
    literal(&[0x00, 2, b't', b'e'], "trailers");
    head(out, block.len(), HEADERS, END_HEADERS, stream);
    out.extend_from_slice(&block);
}

/// Appends one DATA frame.
pub fn data(out: &mut Vec<u8>, stream: u32, flags: u8, payload: &[u8]) {
    head(out, payload.len(), DATA, flags, stream);
    out.extend_from_slice(payload);
}

/// Appends the credit for `bytes` more; nothing for none.
pub fn window_update(out: &mut Vec<u8>, stream: u32, bytes: u32) {
    if bytes > 0 {
        head(out, 4, WINDOW_UPDATE, 0, stream);
        out.extend_from_slice(&bytes.to_be_bytes());
    }
}

/// What a read brought.
pub enum Arrived<'a> {
    /// A part of a stream's body; it lies in the buffer that was read into.
    Data { stream: u32, bytes: &'a [u8] },
    /// A stream (0: the connection) is over.
    Ended { stream: u32 },
    /// The server takes so many bytes more on a stream (0: the connection).
    Credit { stream: u32, bytes: u32 },
    /// The server's settings: what a new stream may send, where it says.
    Settings { stream_window: Option<u32> },
}

/// One connection's receiving half.
pub struct Connection {
    head: Vec<u8>,
    control: Vec<u8>,
    frame: Frame,
    left: usize,
    connection_window: u32,
    consumed: u32,
}

#[derive(Clone, Copy, Default)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
}

impl Connection {
    /// A connection whose preface offered `connection_window` bytes.
    pub fn new(connection_window: u32) -> Self {
        let frame = Frame::default();
        Connection { head: Vec::new(), control: Vec::new(), frame, left: 0, connection_window, consumed: 0 }
    }

    /// Takes apart what one read brought; what has to be answered is appended to `out`.
    pub fn receive(
        &mut self,
        mut read: &[u8],
        out: &mut Vec<u8>,
        on: &mut dyn FnMut(Arrived<'_>, &mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        while !read.is_empty() {
            if self.left == 0 && !self.begin(&mut read)? {
                return Ok(());
            }
            let (part, rest) = read.split_at(self.left.min(read.len()));
            (self.left, read) = (self.left - part.len(), rest);
            if self.frame.kind == DATA {
                self.consumed += part.len() as u32;
                if !part.is_empty() {
                    on(Arrived::Data { stream: self.frame.stream, bytes: part }, out)?;
                }
            } else {
                self.control.extend_from_slice(part);
            }
            if self.left == 0 {
                self.complete(out, on)?;
            }
        }
        Ok(())
    }

    /// Reads a frame's head; false when it is not whole yet. A frame without payload is whole
    /// with its head, and `receive` completes it in the same pass.
    fn begin(&mut self, read: &mut &[u8]) -> Result<bool> {
        let (part, rest) = read.split_at((9 - self.head.len()).min(read.len()));
        self.head.extend_from_slice(part);
        *read = rest;
        let Ok([a, b, c, kind, flags, s @ ..]) = <[u8; 9]>::try_from(self.head.as_slice()) else {
            return Ok(false);
        };
        self.head.clear();
        self.left = u32::from_be_bytes([0, a, b, c]) as usize;
        self.frame = Frame { kind, flags, stream: u32::from_be_bytes(s) & 0x7fff_ffff };
        let longest = if kind == DATA { FRAME_BYTES as usize } else { CONTROL_BYTES_MAX };
        if self.left > longest || (kind == DATA && flags & PADDED != 0) {
            return Err(Error::new(Code::Internal, "the server sent a frame that was not asked for"));
        }
        Ok(true)
    }

    fn complete(
        &mut self,
        out: &mut Vec<u8>,
        on: &mut dyn FnMut(Arrived<'_>, &mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        let Frame { kind, flags, stream } = self.frame;
        let control = std::mem::take(&mut self.control);
        match kind {
            DATA | HEADERS if flags & END_STREAM != 0 => on(Arrived::Ended { stream }, out)?,
            DATA if self.consumed >= self.connection_window / 2 => {
                window_update(out, 0, std::mem::take(&mut self.consumed));
            }
            RST_STREAM => on(Arrived::Ended { stream }, out)?,
            GOAWAY => on(Arrived::Ended { stream: 0 }, out)?,
            SETTINGS if flags & ACK == 0 => {
                head(out, 0, SETTINGS, ACK, 0);
                on(Arrived::Settings { stream_window: setting(&control, 4) }, out)?;
            }
            PING if flags & ACK == 0 => {
                head(out, control.len(), PING, ACK, 0);
                out.extend_from_slice(&control);
            }
            WINDOW_UPDATE => {
                let bytes = <[u8; 4]>::try_from(control.as_slice()).map_or(0, u32::from_be_bytes);
                on(Arrived::Credit { stream, bytes }, out)?;
            }
            _ => {}
        }
        Ok(())
    }
}

fn setting(payload: &[u8], wanted: u16) -> Option<u32> {
    let mut entries = payload.chunks_exact(6);
    let found = entries.rfind(|entry| entry[..2] == wanted.to_be_bytes())?;
    found[2..].try_into().ok().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_the_same_however_the_stream_is_cut() {
        let mut wire = Vec::new();
        head(&mut wire, 0, SETTINGS, 0, 0);
        data(&mut wire, 1, 0, b"hello");
        data(&mut wire, 3, END_STREAM, b"");
        window_update(&mut wire, 1, 7);
        for size in 1..=wire.len() {
            let (mut connection, mut seen, mut out) = (Connection::new(1 << 20), String::new(), Vec::new());
            for part in wire.chunks(size) {
                let mut on = |arrived: Arrived<'_>, _: &mut Vec<u8>| {
                    match arrived {
                        Arrived::Data { bytes, .. } => seen.push_str(std::str::from_utf8(bytes).unwrap()),
                        Arrived::Ended { stream } => seen.push_str(&format!("|end {stream}")),
                        Arrived::Credit { stream, bytes } => seen.push_str(&format!("|{bytes} on {stream}")),
                        Arrived::Settings { .. } => seen.push('S'),
                    }
                    Ok(())
                };
                connection.receive(part, &mut out, &mut on).unwrap();
            }
            assert_eq!(seen, "Shello|end 3|7 on 1", "in parts of {size}");
            assert_eq!(out, [0, 0, 0, SETTINGS, ACK, 0, 0, 0, 0]);
        }
    }
}
