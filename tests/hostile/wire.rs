//! HTTP/2 by hand: frames as bytes, right or wrong, on plain sockets.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;

/// A frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    frame_of(payload.len() as u32, kind, flags, stream, payload)
}

/// A frame that says that it is so long.
pub fn frame_of(length: u32, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Header fields as literals that are not indexed.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        string(&mut bytes, name.as_bytes());
        string(&mut bytes, value.as_bytes());
    }
    bytes
}

/// A string of HPACK, without Huffman's code.
pub fn string(out: &mut Vec<u8>, text: &[u8]) {
    if text.len() < 127 {
        out.push(text.len() as u8);
    } else {
        out.push(127);
        let mut rest = text.len() - 127;
        while rest >= 128 {
            out.push((rest % 128) as u8 | 128);
            rest /= 128;
        }
        out.push(rest as u8);
    }
    out.extend(text);
}

/// The fields of a call of this method, and these.
pub fn call(method: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let path = format!("/bugle.v1.{method}");
    let mut fields = vec![
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path.as_str()),
        (":authority", "bugle"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    fields.extend(more);
    block(&fields)
}

/// The frame that begins a call on this stream.
pub fn open(stream: u32, method: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &call(method, &[]))
}

/// A message with its prefix of gRPC.
pub fn message(bytes: &[u8]) -> Vec<u8> {
    prefixed(0, bytes.len() as u32, bytes)
}

/// Bytes behind a prefix that says this.
pub fn prefixed(flag: u8, length: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![flag];
    out.extend(length.to_be_bytes());
    out.extend(bytes);
    out
}

/// A field of protobuf that is bytes.
pub fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 128 {
        out.push((length % 128) as u8 | 128);
        length /= 128;
    }
    out.push(length as u8);
    out.extend(bytes);
    out
}

/// The `n`th stream that a client may open.
pub fn stream(n: u32) -> u32 {
    (2 * n + 1) & 0x7fff_ffff
}

/// What whoever attacks has to know, and writes down.
pub struct Attack {
    pub to: SocketAddr,
    pub until: Instant,
    pub tally: Arc<Tally>,
}

/// What an attack came to.
#[derive(Default)]
pub struct Tally {
    /// Connections that were made, and those that the server ended.
    pub connections: AtomicU64,
    pub ended: AtomicU64,
    /// What was sent: pieces of the attack, such as a frame.
    pub sent: AtomicU64,
    /// What the server said: beginnings of responses, resets of streams, goodbyes.
    pub answers: AtomicU64,
    pub resets: AtomicU64,
    pub goodbyes: AtomicU64,
}

impl Tally {
    pub fn add(count: &AtomicU64, more: u64) {
        count.fetch_add(more, Ordering::Relaxed);
    }

    pub fn get(count: &AtomicU64) -> u64 {
        count.load(Ordering::Relaxed)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [connections, ended, sent, answers, resets, goodbyes] =
            [&self.connections, &self.ended, &self.sent, &self.answers, &self.resets, &self.goodbyes]
                .map(Tally::get);
        write!(
            f,
            "{connections} connections, {ended} ended; {sent} sent; {answers} answers, {resets} resets, {goodbyes} goodbyes"
        )
    }
}

/// A connection of an attack, and what is heard on it.
pub struct Line<'a> {
    pub socket: TcpStream,
    tally: &'a Tally,
    heard: Vec<u8>,
    has_ended: bool,
}

impl Line<'_> {
    /// Sends this. Errors: the server ended it, or does not read for a while.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes).inspect_err(|error| self.note(error))
    }

    fn note(&mut self, error: &io::Error) {
        if !is_late(error) && !std::mem::replace(&mut self.has_ended, true) {
            Tally::add(&self.tally.ended, 1);
        }
    }

    /// Reads what there is, or comes soon; false where the server has ended it.
    pub fn hear(&mut self) -> bool {
        let mut bytes = [0; 64 * 1024];
        match self.socket.read(&mut bytes) {
            Ok(0) => self.note(&io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => self.heard.extend(&bytes[..count]),
            Err(error) => self.note(&error),
        }
        let mut rest = &self.heard[..];
        while let [a, b, c, kind, head @ ..] = rest
            && let Some(next) = head.get(5 + u32::from_be_bytes([0, *a, *b, *c]) as usize..)
        {
            match *kind {
                HEADERS => Tally::add(&self.tally.answers, 1),
                RST_STREAM => Tally::add(&self.tally.resets, 1),
                GOAWAY => Tally::add(&self.tally.goodbyes, 1),
                _ => {}
            }
            rest = next;
        }
        self.heard = rest.to_vec();
        !self.has_ended
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

impl Attack {
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// A connection that neither waits for ever to write nor to read.
    pub fn connect(&self) -> io::Result<Line<'_>> {
        let socket = TcpStream::connect_timeout(&self.to, Duration::from_secs(1))?;
        socket.set_write_timeout(Some(Duration::from_millis(200)))?;
        socket.set_read_timeout(Some(Duration::from_millis(1)))?;
        socket.set_nodelay(true)?;
        Tally::add(&self.tally.connections, 1);
        Ok(Line { socket, tally: &self.tally, heard: Vec::new(), has_ended: false })
    }

    /// A connection that has said how it begins, with these settings.
    pub fn begin(&self, settings: &[u8]) -> io::Result<Line<'_>> {
        let mut line = self.connect()?;
        line.send(PREFACE)?;
        line.send(&frame(SETTINGS, 0, 0, settings))?;
        line.send(&frame(SETTINGS, 1, 0, &[]))?;
        Ok(line)
    }

    /// Sends what is made for each number, over and over on one connection after the other.
    /// What the server says is read now and then, as a client would.
    pub fn flood(&self, first: &[u8], mut make: impl FnMut(u32) -> Vec<u8>) {
        while !self.is_over() {
            let Ok(mut line) = self.begin(&[]) else { continue };
            if line.send(first).is_err() {
                continue;
            }
            let mut n = 0;
            while !self.is_over() {
                let (mut bytes, begun) = (Vec::with_capacity(32 * 1024), n);
                while bytes.len() < 16 * 1024 {
                    bytes.extend(make(n));
                    n += 1;
                }
                let sent = line.send(&bytes);
                Tally::add(&self.tally.sent, u64::from(n - begun));
                // Whoever is not read goes on elsewhere.
                if !line.hear() || sent.is_err() {
                    break;
                }
            }
        }
    }

    /// Sends these bytes on connections of their own, each left when it has ended, or soon.
    pub fn shots(&self, make: impl Fn(u32) -> Vec<u8>) {
        for n in 0.. {
            if self.is_over() {
                break;
            }
            if let Ok(mut line) = self.begin(&[]) {
                if line.send(&make(n)).is_ok() {
                    Tally::add(&self.tally.sent, 1);
                }
                let _ = line.socket.set_read_timeout(Some(Duration::from_millis(10)));
                for _ in 0..3 {
                    if !line.hear() {
                        break;
                    }
                }
            }
        }
    }

    /// Holds so many connections, each begun in this way, and does something with all of them now and then.
    pub fn hold<'a>(
        &'a self,
        count: usize,
        open: impl Fn() -> io::Result<Line<'a>>,
        mut poke: impl FnMut(&mut Line<'a>, u32),
    ) {
        let mut lines: Vec<Line<'a>> = (0..count).map_while(|_| open().ok()).collect();
        Tally::add(&self.tally.sent, lines.len() as u64);
        for round in 0.. {
            if self.is_over() {
                break;
            }
            lines.iter_mut().for_each(|line| poke(line, round));
            std::thread::sleep(Duration::from_millis(50));
        }
        // Those that were ended meanwhile are counted.
        lines.iter_mut().for_each(|line| {
            line.hear();
        });
    }
}
