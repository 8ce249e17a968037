//! Attacks by frames that are cheap to send: many of them, each allowed or nearly so.

use std::net::SocketAddr;
use std::time::Instant;

use super::wire::*;

type Attack = (&'static str, fn(SocketAddr, Instant));

pub const CASES: &[Attack] = &[
    ("rapid reset", |to, until| {
        flood(to, until, &[], |n| {
            let mut bytes = open(stream(n), "Bus/Subscribe");
            bytes.extend(frame(RST_STREAM, 0, stream(n), &8u32.to_be_bytes()));
            bytes
        });
    }),
    ("resets that the server is made to send: windows that overflow", |to, until| {
        flood(to, until, &[], |n| {
            let mut bytes = open(stream(n), "Bus/Subscribe");
            bytes.extend(frame(WINDOW_UPDATE, 0, stream(n), &0x7fff_ffffu32.to_be_bytes()));
            bytes
        });
    }),
    ("resets that the server is made to send: windows that grow by nothing", |to, until| {
        flood(to, until, &[], |n| {
            let mut bytes = open(stream(n), "Bus/Subscribe");
            bytes.extend(frame(WINDOW_UPDATE, 0, stream(n), &[0; 4]));
            bytes
        });
    }),
    ("resets of streams that were never opened", |to, until| {
        flood(to, until, &[], |n| frame(RST_STREAM, 0, stream(n), &8u32.to_be_bytes()));
    }),
    ("pings", |to, until| flood(to, until, &[], |n| frame(PING, 0, 0, &u64::from(n).to_be_bytes()))),
    ("answers to pings that nobody sent", |to, until| flood(to, until, &[], |_| frame(PING, 1, 0, &[7; 8]))),
    ("settings", |to, until| flood(to, until, &[], |_| frame(SETTINGS, 0, 0, &[]))),
    ("settings that change the windows of all streams", |to, until| {
        flood(to, until, &[], |n| {
            let size = if n % 2 == 0 { 0u32 } else { 0x7fff_ffff };
            frame(SETTINGS, 0, 0, &[&[0, 4][..], &size.to_be_bytes()].concat())
        });
    }),
    ("settings that change the table of headers", |to, until| {
        flood(to, until, &[], |n| {
            let size = if n % 2 == 0 { 0u32 } else { u32::MAX };
            frame(SETTINGS, 0, 0, &[&[0, 1][..], &size.to_be_bytes()].concat())
        });
    }),
    ("windows that grow by one", |to, until| {
        flood(to, until, &[], |_| frame(WINDOW_UPDATE, 0, 0, &1u32.to_be_bytes()));
    }),
    ("priorities", |to, until| {
        flood(to, until, &[], |n| frame(PRIORITY, 0, stream(n), &[0, 0, 0, 1, 16]));
    }),
    ("data without bytes", |to, until| {
        flood(to, until, &open(1, "Bus/PublishStream"), |_| frame(DATA, 0, 1, &[]));
    }),
    ("data of one byte", |to, until| {
        let mut first = open(1, "Bus/PublishStream");
        first.extend(frame(DATA, 0, 1, &prefixed(0, 1 << 20, &[])));
        flood(to, until, &first, |_| frame(DATA, 0, 1, &[1]));
    }),
    ("data that is padding", |to, until| {
        flood(to, until, &open(1, "Bus/PublishStream"), |_| {
            frame(DATA, PADDED, 1, &[&[255][..], &[0; 255]].concat())
        });
    }),
    ("continuations without an end", |to, until| {
        let first = frame(HEADERS, 0, 1, &call("Bus/Subscribe", &[]));
        flood(to, until, &first, |n| frame(CONTINUATION, 0, 1, &block(&[("x", &n.to_string())])));
    }),
    ("continuations without bytes", |to, until| {
        flood(to, until, &frame(HEADERS, 0, 1, &[]), |_| frame(CONTINUATION, 0, 1, &[]));
    }),
    ("frames of unknown kinds", |to, until| {
        flood(to, until, &[], |n| frame(64 + (n % 64) as u8, 0, 0, &[0; 64]))
    }),
    ("goodbyes", |to, until| flood(to, until, &[], |_| frame(GOAWAY, 0, 0, &[0; 8]))),
    ("calls of nothing", |to, until| {
        flood(to, until, &[], |n| frame(HEADERS, END_HEADERS | END_STREAM, stream(n), &call("No/Such", &[])));
    }),
    ("health, as fast as it goes", |to, until| {
        flood(to, until, &[], |n| {
            let fields = [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", "/grpc.health.v1.Health/Check"),
                (":authority", "x"),
                ("content-type", "application/grpc"),
            ];
            let mut bytes = frame(HEADERS, END_HEADERS, stream(n), &block(&fields));
            bytes.extend(frame(DATA, END_STREAM, stream(n), &message(&[])));
            bytes
        });
    }),
    ("subscriptions that are opened and abandoned", |to, until| {
        flood(to, until, &[], |n| {
            let mut bytes = open(stream(n), "Bus/Subscribe");
            bytes.extend(frame(DATA, END_STREAM, stream(n), &message(&field(2, b"abandoned"))));
            bytes.extend(frame(RST_STREAM, 0, stream(n), &8u32.to_be_bytes()));
            bytes
        });
    }),
    ("publishes that are abandoned", |to, until| {
        flood(to, until, &[], |n| {
            let request = [field(2, b"hostile"), field(3, &field(6, &[7; 100]))].concat();
            let mut bytes = open(stream(n), "Bus/Publish");
            bytes.extend(frame(DATA, END_STREAM, stream(n), &message(&request)));
            bytes.extend(frame(RST_STREAM, 0, stream(n), &8u32.to_be_bytes()));
            bytes
        });
    }),
    ("more streams than there may be", |to, until| {
        flood(to, until, &[], |n| open(stream(n), "Bus/PublishStream"));
    }),
    ("topics, a new one with each message", |to, until| {
        flood(to, until, &[], |n| {
            let request =
                [field(2, format!("hostile-{}", n % 10_000).as_bytes()), field(3, &field(6, b"x"))].concat();
            let mut bytes = open(stream(n), "Bus/Publish");
            bytes.extend(frame(DATA, END_STREAM, stream(n), &message(&request)));
            bytes
        });
    }),
];
