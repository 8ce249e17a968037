//! HTTP/2 as no well-behaved client speaks it: frames written by hand.

use std::net::SocketAddr;
use std::time::Duration;

use bugle::config::Size;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Running, config, request, soon};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A frame as it is on the wire.
struct Frame {
    kind: u8,
    flags: u8,
    payload: Bytes,
}

/// A connection on which nothing happens by itself: no acknowledgement, no pong.
struct Raw(TcpStream);

impl Raw {
    /// Connects and sends the preface and empty settings.
    async fn connect(address: SocketAddr) -> Self {
        let mut raw = Raw(TcpStream::connect(address).await.unwrap());
        raw.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        raw.send(SETTINGS, 0, 0, b"").await;
        raw
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut bytes = BytesMut::new();
        bytes.put_uint(payload.len() as u64, 3);
        bytes.put_slice(&[kind, flags]);
        bytes.put_u32(stream);
        bytes.put_slice(payload);
        self.0.write_all(&bytes).await.unwrap();
    }

    /// Calls a method with an empty message.
    async fn call(&mut self, stream: u32, path: &str) {
        let headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ];
        let mut block = Vec::new();
        for (name, value) in headers {
            block.extend_from_slice(&[0, name.len() as u8]);
            block.extend_from_slice(name.as_bytes());
            block.push(value.len() as u8);
            block.extend_from_slice(value.as_bytes());
        }
        self.send(HEADERS, END_HEADERS, stream, &block).await;
        self.send(DATA, END_STREAM, stream, &[0; 5]).await;
    }

    /// The next frame; `None` when the server has closed the connection.
    async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        soon(self.0.read_exact(&mut head)).await.ok()?;
        let length = (&head[..3]).get_uint(3) as usize;
        let mut payload = vec![0; length];
        soon(self.0.read_exact(&mut payload)).await.ok()?;
        Some(Frame { kind: head[3], flags: head[4], payload: payload.into() })
    }
}

#[tokio::test]
async fn the_limits_are_announced() {
    let mut config = config();
    config.limits.max_streams_per_connection = 7;
    config.limits.stream_window = Size(1 << 20);
    let server = Running::start(config).await;
    let mut raw = Raw::connect(server.address).await;
    let mut settings = loop {
        let frame = raw.next().await.unwrap();
        if frame.kind == SETTINGS && frame.flags & ACK == 0 {
            break frame.payload;
        }
    };
    let mut announced = std::collections::BTreeMap::new();
    while settings.has_remaining() {
        announced.insert(settings.get_u16(), settings.get_u32());
    }
    assert_eq!(announced.get(&3), Some(&7), "streams: {announced:?}");
    assert_eq!(announced.get(&4), Some(&(1 << 20)), "stream window: {announced:?}");
    assert_eq!(announced.get(&5), Some(&bugle::limits::FRAME_BYTES_MAX), "frame: {announced:?}");
    assert_eq!(announced.get(&6), Some(&bugle::limits::HEADER_LIST_BYTES_MAX), "headers: {announced:?}");
}

#[tokio::test]
async fn a_peer_that_vanished_is_closed_when_it_does_not_answer_a_ping() {
    let mut config = config();
    config.keepalive.interval = Duration::from_millis(100);
    config.keepalive.timeout = Duration::from_millis(100);
    let server = Running::start(config).await;
    let mut raw = Raw::connect(server.address).await;
    raw.call(1, "/grpc.health.v1.Health/Watch").await;
    let (mut answered, mut pinged) = (false, false);
    while let Some(frame) = raw.next().await {
        answered |= frame.kind == DATA;
        pinged |= frame.kind == PING && frame.flags & ACK == 0;
    }
    assert!(answered && pinged);
}

#[tokio::test]
async fn a_peer_that_answers_pings_stays() {
    let mut config = config();
    config.keepalive.interval = Duration::from_millis(100);
    let server = Running::start(config).await;
    let mut raw = Raw::connect(server.address).await;
    raw.call(1, "/grpc.health.v1.Health/Watch").await;
    let mut pings = 0;
    while pings < 3 {
        let frame = raw.next().await.expect("closed although every ping was answered");
        if frame.kind == PING && frame.flags & ACK == 0 {
            pings += 1;
            raw.send(PING, ACK, 0, &frame.payload).await;
        }
    }
}

#[tokio::test]
async fn headers_over_the_limit_are_refused_and_the_server_lives_on() {
    let server = Running::start(config()).await;
    let long = format!("application/grpc; x={}", "x".repeat(20_000));
    let (head, _) = request(server.address, "POST", "/a.b/C", Some(&long)).await;
    assert_eq!(head.status, 431);
    let (head, _) = request(server.address, "GET", "/nothing", None).await;
    assert_eq!(head.status, 404);
}
