//! Attacks by those who come in numbers and do little: sockets that are opened and held, bytes that trickle,
//! answers that nobody reads.

use std::sync::Arc;

use super::case::Expected::*;
use super::case::{Case, behind_tls, case};
use super::wire::*;

/// What a client of TLS says first.
fn hello() -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config =
        builder.unwrap().with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = "localhost".try_into().unwrap();
    let mut connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).unwrap();
    bytes
}

pub const CASES: &[Case] = &[
    case("connections that say nothing", Sent(200), |attack| {
        attack.hold(200, || attack.connect(), |_, _| ())
    }),
    case("prefaces that stop halfway", Sent(200), |attack| {
        attack.hold(
            200,
            || attack.connect().and_then(|mut it| it.send(&PREFACE[..12]).map(|()| it)),
            |_, _| (),
        );
    }),
    case("prefaces that trickle", Sent(200), |attack| {
        attack.hold(
            200,
            || attack.connect(),
            |socket, round| {
                let _ = socket.send(&PREFACE[round as usize % PREFACE.len()..][..1]);
            },
        );
    }),
    case("connections that come and go", Sent(1000), |attack| {
        while !attack.is_over() {
            Tally::add(&attack.tally.sent, u64::from(attack.connect().is_ok()));
        }
    }),
    behind_tls("halves of handshakes of TLS", Sent(200), |attack| {
        let hello = hello();
        let half = hello.get(..hello.len() / 2).unwrap();
        attack.hold(200, || attack.connect().and_then(|mut it| it.send(half).map(|()| it)), |_, _| ());
    }),
    behind_tls("handshakes of TLS that stop at what only the client can say", Sent(1000), |attack| {
        let hello = hello();
        while !attack.is_over() {
            if let Ok(mut line) = attack.connect() {
                let sent = line.send(&hello).is_ok() && line.hear();
                Tally::add(&attack.tally.sent, u64::from(sent));
            }
        }
    }),
    behind_tls("what is no handshake of TLS", Sent(1000), |attack| {
        let hello = hello();
        while !attack.is_over() {
            for bytes in [PREFACE, b"GET / HTTP/1.1\r\n\r\n", &hello[5..], &[22, 3, 1, 0x40, 1, 7], &[0; 100]]
            {
                if let Ok(mut line) = attack.connect() {
                    Tally::add(&attack.tally.sent, u64::from(line.send(bytes).is_ok()));
                }
            }
        }
    }),
    case("requests of HTTP/1", Sent(1000), |attack| {
        while !attack.is_over() {
            if let Ok(mut line) = attack.connect() {
                let sent = line.send(b"GET / HTTP/1.1\r\nHost: bugle\r\n\r\n");
                Tally::add(&attack.tally.sent, u64::from(sent.is_ok()));
            }
        }
    }),
    case("bytes of no protocol", Sent(100), |attack| {
        let mut state = 0x2545_f491_4f6c_dd1du64;
        while !attack.is_over() {
            let mut noise = vec![0; 4096];
            for byte in &mut noise {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                *byte = state as u8;
            }
            // At once, and behind a beginning that is right.
            for line in [attack.connect(), attack.begin(&[])] {
                if let Ok(mut line) = line {
                    let _ = line.send(&noise);
                    Tally::add(&attack.tally.sent, 1);
                    let _ = line.socket.set_read_timeout(Some(std::time::Duration::from_millis(20)));
                    line.hear();
                }
            }
        }
    }),
    case("headers that trickle", Sent(100), |attack| {
        let fields = call("Bus/Subscribe", &[]);
        let whole = frame(HEADERS, END_HEADERS, 1, &fields);
        attack.hold(
            100,
            || attack.begin(&[]),
            |socket, round| {
                if let Some(byte) = whole.get(round as usize) {
                    let _ = socket.send(&[*byte]);
                }
            },
        );
    }),
    case("bodies that trickle", Sent(300), |attack| {
        let first = [open(1, "Bus/Publish"), frame(DATA, 0, 1, &prefixed(0, 100_000, &[]))].concat();
        attack.hold(
            300,
            || attack.begin(&[]).and_then(|mut it| it.send(&first).map(|()| it)),
            |socket, _| {
                let _ = socket.send(&frame(DATA, 0, 1, &[1]));
            },
        );
    }),
    case("bodies that are never finished", Sent(300), |attack| {
        let part = frame(DATA, 0, 1, &vec![1; 16_000]);
        let first = [open(1, "Bus/Publish"), frame(DATA, 0, 1, &prefixed(0, 1_000_000, &[])), part.repeat(3)]
            .concat();
        attack.hold(300, || attack.begin(&[]).and_then(|mut it| it.send(&first).map(|()| it)), |_, _| ());
    }),
    case("a hundred thousand streams that are left half open", Sent(11), |attack| {
        let open_streams = |range: std::ops::Range<u32>| -> Vec<u8> {
            range.flat_map(|n| open(stream(n), "Bus/PublishStream")).collect()
        };
        let bytes = open_streams(0..9_000);
        attack.hold(
            11,
            || {
                let mut socket = attack.begin(&[])?;
                socket.socket.set_write_timeout(Some(std::time::Duration::from_secs(1)))?;
                socket.send(&bytes)?;
                Ok(socket)
            },
            |_, _| (),
        );
    }),
    case("subscribers that never read", Sent(10), |attack| {
        let subscribe = |n: u32| {
            let request = message(&[field(2, b"healthy"), field(3, &[0x10, 1])].concat());
            [open(stream(n), "Bus/Subscribe"), frame(DATA, END_STREAM, stream(n), &request)].concat()
        };
        let bytes: Vec<u8> = (0..50).flat_map(subscribe).collect();
        attack.hold(10, || attack.begin(&[]).and_then(|mut it| it.send(&bytes).map(|()| it)), |_, _| ());
    }),
    case("subscribers whose windows are closed", Sent(10), |attack| {
        let request = message(&[field(2, b"healthy"), field(3, &[0x10, 1])].concat());
        let subscribe = |n: u32| {
            [open(stream(n), "Bus/Subscribe"), frame(DATA, END_STREAM, stream(n), &request)].concat()
        };
        let bytes: Vec<u8> = (0..50).flat_map(subscribe).collect();
        let closed = [0, 4, 0, 0, 0, 0];
        attack.hold(10, || attack.begin(&closed).and_then(|mut it| it.send(&bytes).map(|()| it)), |_, _| ());
    }),
    case("publishers that never read what they are answered", Sent(20), |attack| {
        let request = message(&[field(2, b"hostile"), field(3, &field(6, b"x"))].concat());
        let first = open(1, "Bus/PublishStream");
        attack.hold(
            20,
            || attack.begin(&[0, 4, 0, 0, 0, 0]).and_then(|mut it| it.send(&first).map(|()| it)),
            |socket, _| {
                let _ = socket.send(&frame(DATA, 0, 1, &request.repeat(50)));
            },
        );
    }),
    Case {
        files: Some(64),
        ..case("more connections than files", Sent(64), |attack| {
            attack.hold(200, || attack.begin(&[]), |_, _| ());
        })
    },
];
