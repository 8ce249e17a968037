//! HTTP/2 by hand: frames as bytes, right or wrong, on plain sockets.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
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

/// A socket to the server that neither waits for ever to write nor to read.
pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    socket.set_write_timeout(Some(Duration::from_millis(200)))?;
    socket.set_read_timeout(Some(Duration::from_millis(1)))?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// A connection that has said how it begins, with these settings.
pub fn begin(address: SocketAddr, settings: &[u8]) -> io::Result<TcpStream> {
    let mut socket = connect(address)?;
    socket.write_all(PREFACE)?;
    socket.write_all(&frame(SETTINGS, 0, 0, settings))?;
    socket.write_all(&frame(SETTINGS, 1, 0, &[]))?;
    Ok(socket)
}

/// Sends what is made for each number, over and over on one connection after the other, until this time.
/// What the server says is read now and then, as a client would.
pub fn flood(address: SocketAddr, until: Instant, first: &[u8], mut make: impl FnMut(u32) -> Vec<u8>) {
    let mut drain = vec![0; 64 * 1024];
    while Instant::now() < until {
        let Ok(mut socket) = begin(address, &[]) else { continue };
        if socket.write_all(first).is_err() {
            continue;
        }
        let mut n = 0;
        while Instant::now() < until {
            let mut bytes = Vec::with_capacity(32 * 1024);
            while bytes.len() < 16 * 1024 {
                bytes.extend(make(n));
                n += 1;
            }
            if socket.write_all(&bytes).is_err() || matches!(socket.read(&mut drain), Ok(0)) {
                break;
            }
        }
    }
}

/// Sends these bytes on connections of their own until this time, each left to end by itself or soon.
pub fn shots(address: SocketAddr, until: Instant, make: impl Fn(u32) -> Vec<u8>) {
    let (mut drain, mut n) = (vec![0; 16 * 1024], 0);
    while Instant::now() < until {
        if let Ok(mut socket) = begin(address, &[]) {
            let _ = socket.write_all(&make(n));
            let _ = socket.set_read_timeout(Some(Duration::from_millis(20)));
            let _ = socket.read(&mut drain);
        }
        n += 1;
    }
}

/// Holds so many sockets, each begun in this way, and does something with all of them now and then.
pub fn hold(
    until: Instant,
    count: usize,
    open: impl Fn() -> io::Result<TcpStream>,
    mut poke: impl FnMut(&mut TcpStream, u32),
) {
    let mut sockets: Vec<TcpStream> = (0..count).map_while(|_| open().ok()).collect();
    let mut round = 0;
    while Instant::now() < until {
        sockets.iter_mut().for_each(|socket| poke(socket, round));
        round += 1;
        std::thread::sleep(Duration::from_millis(50));
    }
}
