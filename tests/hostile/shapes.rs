//! Attacks by what is said: frames, headers and messages that are not what they should be.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::case::Expected::*;
use super::case::{Case, case};
use super::wire::*;

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

/// A publish whose topic has a name of so many bytes.
fn named_long(bytes: usize) -> Vec<u8> {
    let body = message(&field(2, &vec![b't'; bytes]));
    let parts = body.chunks(16_000).flat_map(|part| frame(DATA, 0, 1, part));
    open(1, "Bus/Publish").into_iter().chain(parts).chain(frame(DATA, END_STREAM, 1, &[])).collect()
}

/// Headers that are these fields and nothing else.
fn only(fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(fields))
}

pub const CASES: &[Case] = &[
    case("data on stream 0", Ended(20), |attack| attack.shots(|_| frame(DATA, 0, 0, &[0; 100]))),
    case("headers on an even stream", Ended(20), |attack| attack.shots(|_| open(2, "Bus/Subscribe"))),
    case("streams that count down", Ended(20), |attack| {
        attack.shots(|_| (0..50).rev().flat_map(|n| open(stream(n), "Bus/Subscribe")).collect());
    }),
    case("data on a stream that nobody opened", Ended(20), |attack| {
        attack.shots(|_| frame(DATA, 0, 99, &[0; 100]))
    }),
    case("frames over the largest size", Ended(20), |attack| {
        attack.shots(|_| [open(1, "Bus/Publish"), frame(DATA, 0, 1, &[0; 300_000])].concat());
    }),
    case("frames that say they are 16 MiB", Ended(20), |attack| {
        attack.shots(|_| frame_of(0x00ff_ffff, HEADERS, END_HEADERS, 1, &[0; 1000]));
    }),
    case("padding longer than its frame", Ended(20), |attack| {
        attack.shots(|_| [open(1, "Bus/Publish"), frame(DATA, PADDED, 1, &[255, 1, 2])].concat());
    }),
    case("settings of a wrong length", Ended(20), |attack| attack.shots(|_| frame(SETTINGS, 0, 0, &[0; 7]))),
    case("settings that nobody may have", Ended(20), |attack| {
        attack.shots(|_| frame(SETTINGS, 0, 0, &[0, 4, 0xff, 0xff, 0xff, 0xff, 0, 5, 0, 0, 0, 1]));
    }),
    case("names of headers in capitals", Ended(20), |attack| {
        attack.shots(|_| frame(HEADERS, END_HEADERS, 1, &call("Bus/Subscribe", &[("X-Loud", "yes")])));
    }),
    case("names and values of headers that are none", Ended(20), |attack| {
        attack.shots(|_| frame(HEADERS, END_HEADERS, 1, &call("Bus/Subscribe", &[("a b\0", "\r\n\0")])));
    }),
    case("calls without a method or path", Answered(20), |attack| {
        attack.shots(|_| only(&[(":scheme", "http"), ("content-type", "application/grpc")]));
    }),
    case("calls with two paths", Answered(20), |attack| {
        attack.shots(|_| only(&[(":method", "POST"), (":path", "/a"), (":path", "/b"), (":scheme", "http")]));
    }),
    case("pseudo headers behind others", Answered(20), |attack| {
        attack.shots(|_| only(&[("a", "b"), (":method", "POST"), (":path", "/a"), (":scheme", "http")]));
    }),
    case("indices into a table that is empty", Ended(20), |attack| {
        attack.shots(|_| frame(HEADERS, END_HEADERS, 1, &[0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]));
    }),
    case("a bomb of headers: one long value, again and again", Ended(20), |attack| {
        attack.shots(|_| {
            let mut fields = vec![0x40];
            string(&mut fields, b"x");
            string(&mut fields, &[b'v'; 3900]);
            // The newest entry of the table.
            fields.extend([0xbe; 12_000]);
            frame(HEADERS, END_HEADERS, 1, &[call("Bus/Subscribe", &[]), fields].concat())
        });
    }),
    case("a mebibyte of metadata", Ended(20), |attack| {
        attack.shots(|_| {
            let mut bytes = frame(HEADERS, 0, 1, &call("Bus/Subscribe", &[]));
            for n in 0..64 {
                bytes.extend(frame(CONTINUATION, 0, 1, &block(&[("x", &"v".repeat(16_000 + n % 2))])));
            }
            bytes.extend(frame(CONTINUATION, END_HEADERS, 1, &[]));
            bytes
        });
    }),
    case("thousands of small headers", Ended(20), |attack| {
        attack.shots(|_| {
            let fields: Vec<u8> = (0..3000).flat_map(|n| block(&[(&format!("x{n}"), "")])).collect();
            let mut bytes = frame(HEADERS, 0, 1, &call("Bus/Subscribe", &[]));
            fields.chunks(16_000).for_each(|part| bytes.extend(frame(CONTINUATION, 0, 1, part)));
            bytes.extend(frame(CONTINUATION, END_HEADERS, 1, &[]));
            bytes
        });
    }),
    case("a credential of fifteen kilobytes", Answered(20), |attack| {
        let long = "k".repeat(15_000);
        attack.shots(move |_| sent("Bus/Publish", &[("authorization", &long)], &message(&[])));
    }),
    case("a length that is not that of the content", Answered(20), |attack| {
        attack.shots(|_| sent("Bus/Publish", &[("content-length", "7")], &[0; 100]));
    }),
    case("a message that says it has 4 GiB", Answered(20), |attack| {
        attack.shots(|_| sent("Bus/Publish", &[], &prefixed(0, u32::MAX, &[0; 100])));
    }),
    case("a message that is longer than what comes", Answered(20), |attack| {
        attack.shots(|_| sent("Bus/Publish", &[], &prefixed(0, 1000, &[0; 100])));
    }),
    case("a message that is shorter than what comes", Answered(20), |attack| {
        attack.shots(|_| sent("Bus/Publish", &[], &prefixed(0, 10, &[0; 100])));
    }),
    case("a message that says it is compressed", Answered(20), |attack| {
        attack.shots(|_| sent("Bus/Publish", &[], &prefixed(1, 100, &[0; 100])));
    }),
    case("a bomb of gzip", Answered(20), |attack| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&vec![0; 16 << 20]).unwrap();
        let bomb = gzip.finish().unwrap();
        attack.shots(move |_| {
            sent("Bus/Publish", &[("grpc-encoding", "gzip")], &prefixed(1, bomb.len() as u32, &bomb))
        });
    }),
    case("trailers instead of a message", Answered(20), |attack| {
        attack.shots(|_| {
            let mut bytes = open(1, "Bus/Publish");
            bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&[("grpc-status", "0")])));
            bytes
        });
    }),
    case("names of topics of 60 kilobytes", Answered(20), |attack| {
        attack.shots(|_| named_long(60_000));
    }),
    case("data beyond what the window lets through", Sent(20), |attack| {
        attack.shots(|_| named_long(1_000_000));
    }),
    case("names that are no text", Answered(20), |attack| attack.shots(|_| named(&[0xff, 0xfe, 0xc0, 0x80]))),
    case("names with control characters", Answered(20), |attack| attack.shots(|_| named(b"a\0b\x1b[2J\n"))),
    case("groups within groups within groups", Answered(20), |attack| {
        // Field 15 as a group that begins, and never ends.
        attack.shots(|_| sent("Bus/Publish", &[], &message(&[0x7b; 50_000])));
    }),
    case("numbers that do not end", Answered(20), |attack| {
        attack.shots(|_| sent("Bus/Publish", &[], &message(&[0xff; 1000])))
    }),
    case("ten thousand messages without anything", Answered(20), |attack| {
        let body = message(&[field(2, b"hostile"), field(3, &[]).repeat(10_001)].concat());
        attack.shots(move |_| sent("Bus/Publish", &[], &body));
    }),
    case("messages of another service", Answered(20), |attack| {
        attack.shots(|n| sent("Admin/UpdateTopic", &[], &message(&n.to_be_bytes())));
    }),
];
