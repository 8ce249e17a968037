//! Attacks by what is said: frames, headers and messages that are not what they should be.

use std::net::SocketAddr;
use std::time::Instant;

use super::wire::*;

type Attack = (&'static str, fn(SocketAddr, Instant));

/// A call of this method with this body, whole.
fn sent(method: &str, more: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = frame(HEADERS, END_HEADERS, 1, &call(method, more));
    bytes.extend(frame(DATA, END_STREAM, 1, body));
    bytes
}

/// A publish whose topic is this.
fn named(topic: &[u8]) -> Vec<u8> {
    sent("Bus/Publish", &[], &message(&[field(2, topic), field(3, &field(6, b"x"))].concat()))
}

/// Headers that are these fields and nothing else.
fn only(fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(fields))
}

pub const CASES: &[Attack] = &[
    ("data on stream 0", |to, until| shots(to, until, |_| frame(DATA, 0, 0, &[0; 100]))),
    ("headers on an even stream", |to, until| shots(to, until, |_| open(2, "Bus/Subscribe"))),
    ("streams that count down", |to, until| {
        shots(to, until, |_| (0..50).rev().flat_map(|n| open(stream(n), "Bus/Subscribe")).collect());
    }),
    ("data on a stream that nobody opened", |to, until| shots(to, until, |_| frame(DATA, 0, 99, &[0; 100]))),
    ("frames over the largest size", |to, until| {
        shots(to, until, |_| frame(DATA, 0, 1, &[0; 100_000]));
    }),
    ("frames that say they are 16 MiB", |to, until| {
        shots(to, until, |_| frame_of(0x00ff_ffff, HEADERS, END_HEADERS, 1, &[0; 1000]));
    }),
    ("padding longer than its frame", |to, until| {
        shots(to, until, |_| [open(1, "Bus/Publish"), frame(DATA, PADDED, 1, &[255, 1, 2])].concat());
    }),
    ("settings of a wrong length", |to, until| shots(to, until, |_| frame(SETTINGS, 0, 0, &[0; 7]))),
    ("settings that nobody may have", |to, until| {
        shots(to, until, |_| frame(SETTINGS, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff, 0, 5, 0, 0, 0, 1]));
    }),
    ("names of headers in capitals", |to, until| {
        shots(to, until, |_| frame(HEADERS, END_HEADERS, 1, &call("Bus/Subscribe", &[("X-Loud", "yes")])));
    }),
    ("names and values of headers that are none", |to, until| {
        shots(to, until, |_| frame(HEADERS, END_HEADERS, 1, &call("Bus/Subscribe", &[("a b\0", "\r\n\0")])));
    }),
    ("calls without a method or path", |to, until| {
        shots(to, until, |_| only(&[(":scheme", "http"), ("content-type", "application/grpc")]));
    }),
    ("calls with two paths", |to, until| {
        shots(to, until, |_| {
            only(&[(":method", "POST"), (":path", "/a"), (":path", "/b"), (":scheme", "http")])
        });
    }),
    ("pseudo headers behind others", |to, until| {
        shots(to, until, |_| only(&[("a", "b"), (":method", "POST"), (":path", "/a"), (":scheme", "http")]));
    }),
    ("indices into a table that is empty", |to, until| {
        shots(to, until, |_| frame(HEADERS, END_HEADERS, 1, &[0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]));
    }),
    ("a bomb of headers: one long value, again and again", |to, until| {
        shots(to, until, |_| {
            let mut fields = vec![0x40];
            string(&mut fields, b"x");
            string(&mut fields, &[b'v'; 3900]);
            // The newest entry of the table.
            fields.extend([0xbe; 12_000]);
            frame(HEADERS, END_HEADERS, 1, &[call("Bus/Subscribe", &[]), fields].concat())
        });
    }),
    ("a mebibyte of metadata", |to, until| {
        shots(to, until, |_| {
            let mut bytes = frame(HEADERS, 0, 1, &call("Bus/Subscribe", &[]));
            for n in 0..64 {
                bytes.extend(frame(CONTINUATION, 0, 1, &block(&[("x", &"v".repeat(16_000 + n % 2))])));
            }
            bytes.extend(frame(CONTINUATION, END_HEADERS, 1, &[]));
            bytes
        });
    }),
    ("thousands of small headers", |to, until| {
        shots(to, until, |_| {
            let fields: Vec<u8> = (0..3000).flat_map(|n| block(&[(&format!("x{n}"), "")])).collect();
            let mut bytes = frame(HEADERS, 0, 1, &call("Bus/Subscribe", &[]));
            fields.chunks(16_000).for_each(|part| bytes.extend(frame(CONTINUATION, 0, 1, part)));
            bytes.extend(frame(CONTINUATION, END_HEADERS, 1, &[]));
            bytes
        });
    }),
    ("a credential of a mebibyte in pieces", |to, until| {
        let long = "k".repeat(15_000);
        shots(to, until, move |_| {
            frame(HEADERS, END_HEADERS, 1, &call("Bus/Subscribe", &[("authorization", &long)]))
        });
    }),
    ("a length that is not that of the content", |to, until| {
        shots(to, until, |_| sent("Bus/Publish", &[("content-length", "7")], &[0; 100]));
    }),
    ("a message that says it has 4 GiB", |to, until| {
        shots(to, until, |_| sent("Bus/Publish", &[], &prefixed(0, u32::MAX, &[0; 100])));
    }),
    ("a message that is longer than what comes", |to, until| {
        shots(to, until, |_| sent("Bus/Publish", &[], &prefixed(0, 1000, &[0; 100])));
    }),
    ("a message that is shorter than what comes", |to, until| {
        shots(to, until, |_| sent("Bus/Publish", &[], &prefixed(0, 10, &[0; 100])));
    }),
    ("a message that says it is compressed", |to, until| {
        shots(to, until, |_| sent("Bus/Publish", &[], &prefixed(1, 100, &[0; 100])));
    }),
    ("a bomb of gzip", |to, until| {
        // The beginning of a stream of zeros: a kilobyte that would be a megabyte.
        let mut bomb =
            vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xed, 0xc1, 1, 1, 0, 0, 0, 0x80, 0x90, 0xfe, 0xaf, 0xee];
        bomb.resize(1024, 0);
        shots(to, until, move |_| {
            sent("Bus/Publish", &[("grpc-encoding", "gzip")], &prefixed(1, bomb.len() as u32, &bomb))
        });
    }),
    ("trailers instead of a message", |to, until| {
        shots(to, until, |_| {
            let mut bytes = open(1, "Bus/Publish");
            bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&[("grpc-status", "0")])));
            bytes
        });
    }),
    ("names of topics of a mebibyte", |to, until| {
        shots(to, until, |_| {
            let body = message(&field(2, &vec![b't'; 1_000_000]));
            let mut bytes = open(1, "Bus/Publish");
            // As much as the window lets through before the server has said anything.
            body.chunks(16_000).take(4).for_each(|part| bytes.extend(frame(DATA, 0, 1, part)));
            bytes
        });
    }),
    ("names that are no text", |to, until| shots(to, until, |_| named(&[0xff, 0xfe, 0xc0, 0x80]))),
    ("names with control characters", |to, until| shots(to, until, |_| named(b"a\0b\x1b[2J\n"))),
    ("groups within groups within groups", |to, until| {
        // Field 15 as a group that begins, and never ends.
        shots(to, until, |_| sent("Bus/Publish", &[], &message(&[0x7b; 50_000])));
    }),
    ("numbers that do not end", |to, until| {
        shots(to, until, |_| sent("Bus/Publish", &[], &message(&[0xff; 1000])))
    }),
    ("a thousand messages without anything", |to, until| {
        let body = message(&[field(2, b"hostile"), field(3, &[]).repeat(10_001)].concat());
        shots(to, until, move |_| sent("Bus/Publish", &[], &body));
    }),
    ("messages of another service", |to, until| {
        shots(to, until, |n| sent("Admin/UpdateTopic", &[], &message(&n.to_be_bytes())));
    }),
];
