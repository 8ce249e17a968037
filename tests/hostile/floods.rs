//! Attacks by frames that are cheap to send: many of them, each allowed or nearly so.

use super::case::Expected::*;
use super::case::{Case, case};
use super::wire::*;

pub const CASES: &[Case] = &[
    case("rapid reset", Ended(1000), |attack| {
        attack.flood(&[], |n| {
            let mut bytes = open(stream(n), "Bus/Subscribe");
            bytes.extend(frame(RST_STREAM, 0, stream(n), &8u32.to_be_bytes()));
            bytes
        });
    }),
    case("resets that the server is made to send: windows that overflow", Ended(1000), |attack| {
        attack.flood(&[], |n| {
            let mut bytes = open(stream(n), "Bus/Subscribe");
            bytes.extend(frame(WINDOW_UPDATE, 0, stream(n), &0x7fff_ffffu32.to_be_bytes()));
            bytes
        });
    }),
    case("resets that the server is made to send: windows that grow by nothing", Ended(1000), |attack| {
        attack.flood(&[], |n| {
            let mut bytes = open(stream(n), "Bus/Subscribe");
            bytes.extend(frame(WINDOW_UPDATE, 0, stream(n), &[0; 4]));
            bytes
        });
    }),
    case("resets of streams that were never opened", Ended(1000), |attack| {
        attack.flood(&[], |n| frame(RST_STREAM, 0, stream(n), &8u32.to_be_bytes()));
    }),
    case("pings", Sent(1000), |attack| attack.flood(&[], |n| frame(PING, 0, 0, &u64::from(n).to_be_bytes()))),
    case("answers to pings that nobody sent", Sent(1000), |attack| {
        attack.flood(&[], |_| frame(PING, 1, 0, &[7; 8]))
    }),
    case("settings", Sent(1000), |attack| attack.flood(&[], |_| frame(SETTINGS, 0, 0, &[]))),
    case("settings that change the windows of all streams", Sent(1000), |attack| {
        attack.flood(&[], |n| {
            let size = if n % 2 == 0 { 0u32 } else { 0x7fff_ffff };
            frame(SETTINGS, 0, 0, &[&[0, 4][..], &size.to_be_bytes()].concat())
        });
    }),
    case("settings that change the table of headers", Sent(1000), |attack| {
        attack.flood(&[], |n| {
            let size = if n % 2 == 0 { 0u32 } else { u32::MAX };
            frame(SETTINGS, 0, 0, &[&[0, 1][..], &size.to_be_bytes()].concat())
        });
    }),
    case("windows that grow by one", Sent(1000), |attack| {
        attack.flood(&[], |_| frame(WINDOW_UPDATE, 0, 0, &1u32.to_be_bytes()));
    }),
    case("priorities", Sent(1000), |attack| {
        attack.flood(&[], |n| frame(PRIORITY, 0, stream(n), &[0, 0, 0, 1, 16]));
    }),
    case("data without bytes", Ended(1000), |attack| {
        attack.flood(&open(1, "Bus/PublishStream"), |_| frame(DATA, 0, 1, &[]));
    }),
    case("data of one byte", Sent(1000), |attack| {
        let mut first = open(1, "Bus/PublishStream");
        first.extend(frame(DATA, 0, 1, &prefixed(0, 1 << 20, &[])));
        attack.flood(&first, |_| frame(DATA, 0, 1, &[1]));
    }),
    case("data that is padding", Ended(1000), |attack| {
        attack.flood(&open(1, "Bus/PublishStream"), |_| {
            frame(DATA, PADDED, 1, &[&[255][..], &[0; 255]].concat())
        });
    }),
    case("continuations without an end", Ended(1000), |attack| {
        let first = frame(HEADERS, 0, 1, &call("Bus/Subscribe", &[]));
        attack.flood(&first, |n| frame(CONTINUATION, 0, 1, &block(&[("x", &n.to_string())])));
    }),
    case("continuations without bytes", Ended(1000), |attack| {
        attack.flood(&frame(HEADERS, 0, 1, &[]), |_| frame(CONTINUATION, 0, 1, &[]));
    }),
    case("frames of unknown kinds", Sent(1000), |attack| {
        attack.flood(&[], |n| frame(64 + (n % 64) as u8, 0, 0, &[0; 64]))
    }),
    case("goodbyes", Ended(1000), |attack| attack.flood(&[], |_| frame(GOAWAY, 0, 0, &[0; 8]))),
    case("calls of nothing", Sent(1000), |attack| {
        attack.flood(&[], |n| frame(HEADERS, END_HEADERS | END_STREAM, stream(n), &call("No/Such", &[])));
    }),
    case("health, as fast as it goes", Sent(1000), |attack| {
        attack.flood(&[], |n| {
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
    case("subscriptions that are opened and abandoned", Ended(1000), |attack| {
        attack.flood(&[], |n| {
            let mut bytes = open(stream(n), "Bus/Subscribe");
            bytes.extend(frame(DATA, END_STREAM, stream(n), &message(&field(2, b"abandoned"))));
            bytes.extend(frame(RST_STREAM, 0, stream(n), &8u32.to_be_bytes()));
            bytes
        });
    }),
    case("publishes that are abandoned", Ended(1000), |attack| {
        attack.flood(&[], |n| {
            let request = [field(2, b"hostile"), field(3, &field(6, &[7; 100]))].concat();
            let mut bytes = open(stream(n), "Bus/Publish");
            bytes.extend(frame(DATA, END_STREAM, stream(n), &message(&request)));
            bytes.extend(frame(RST_STREAM, 0, stream(n), &8u32.to_be_bytes()));
            bytes
        });
    }),
    case("more streams than there may be", Sent(1000), |attack| {
        attack.flood(&[], |n| open(stream(n), "Bus/PublishStream"));
    }),
    case("topics, a new one with each message", Sent(1000), |attack| {
        attack.flood(&[], |n| {
            let request =
                [field(2, format!("hostile-{}", n % 10_000).as_bytes()), field(3, &field(6, b"x"))].concat();
            let mut bytes = open(stream(n), "Bus/Publish");
            bytes.extend(frame(DATA, END_STREAM, stream(n), &message(&request)));
            bytes
        });
    }),
];
