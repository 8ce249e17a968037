//! Attacks by those who come in numbers and do little: sockets that are opened and held, bytes that trickle,
//! answers that nobody reads.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Instant;

use super::wire::*;

type Attack = (&'static str, fn(SocketAddr, Instant));

pub const CASES: &[Attack] = &[
    ("connections that say nothing", |to, until| hold(until, 200, || connect(to), |_, _| ())),
    ("prefaces that stop halfway", |to, until| {
        hold(
            until,
            200,
            || connect(to).and_then(|mut it| it.write_all(&PREFACE[..12]).map(|()| it)),
            |_, _| (),
        );
    }),
    ("prefaces that trickle", |to, until| {
        hold(
            until,
            200,
            || connect(to),
            |socket, round| {
                let _ = socket.write_all(&PREFACE[round as usize % PREFACE.len()..][..1]);
            },
        );
    }),
    ("connections that come and go", |to, until| {
        while Instant::now() < until {
            let _ = connect(to);
        }
    }),
    ("halves of handshakes of TLS", |to, until| {
        let hello = [22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
        hold(until, 200, || connect(to).and_then(|mut it| it.write_all(&hello).map(|()| it)), |_, _| ());
    }),
    ("requests of HTTP/1", |to, until| {
        while Instant::now() < until {
            if let Ok(mut socket) = connect(to) {
                let _ = socket.write_all(b"GET / HTTP/1.1\r\nHost: bugle\r\n\r\n");
            }
        }
    }),
    ("bytes of no protocol", |to, until| {
        let mut state = 0x2545_f491_4f6c_dd1du64;
        while Instant::now() < until {
            let mut noise = vec![0; 4096];
            for byte in &mut noise {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                *byte = state as u8;
            }
            if let Ok(mut socket) = connect(to) {
                let _ = socket.write_all(&noise);
            }
            // And behind a beginning that is right.
            if let Ok(mut socket) = begin(to, &[]) {
                let _ = socket.write_all(&noise);
            }
        }
    }),
    ("headers that trickle", |to, until| {
        let fields = call("Bus/Subscribe", &[]);
        let whole = frame(HEADERS, END_HEADERS, 1, &fields);
        hold(
            until,
            100,
            || begin(to, &[]),
            |socket, round| {
                if let Some(byte) = whole.get(round as usize) {
                    let _ = socket.write_all(&[*byte]);
                }
            },
        );
    }),
    ("bodies that trickle", |to, until| {
        let first = [open(1, "Bus/Publish"), frame(DATA, 0, 1, &prefixed(0, 100_000, &[]))].concat();
        hold(
            until,
            300,
            || begin(to, &[]).and_then(|mut it| it.write_all(&first).map(|()| it)),
            |socket, _| {
                let _ = socket.write_all(&frame(DATA, 0, 1, &[1]));
            },
        );
    }),
    ("bodies that are never finished", |to, until| {
        let part = frame(DATA, 0, 1, &vec![1; 16_000]);
        let first = [open(1, "Bus/Publish"), frame(DATA, 0, 1, &prefixed(0, 1_000_000, &[])), part.repeat(3)]
            .concat();
        hold(until, 300, || begin(to, &[]).and_then(|mut it| it.write_all(&first).map(|()| it)), |_, _| ());
    }),
    ("a hundred thousand streams that are left half open", |to, until| {
        let open_streams = |range: std::ops::Range<u32>| -> Vec<u8> {
            range.flat_map(|n| open(stream(n), "Bus/PublishStream")).collect()
        };
        let bytes = open_streams(0..9_000);
        hold(
            until,
            11,
            || {
                let mut socket = begin(to, &[])?;
                socket.set_write_timeout(Some(std::time::Duration::from_secs(1)))?;
                socket.write_all(&bytes)?;
                Ok(socket)
            },
            |_, _| (),
        );
    }),
    ("subscribers that never read", |to, until| {
        let subscribe = |n: u32| {
            let request = message(&[field(2, b"healthy"), field(3, &[0x10, 1])].concat());
            [open(stream(n), "Bus/Subscribe"), frame(DATA, END_STREAM, stream(n), &request)].concat()
        };
        let bytes: Vec<u8> = (0..50).flat_map(subscribe).collect();
        hold(until, 10, || begin(to, &[]).and_then(|mut it| it.write_all(&bytes).map(|()| it)), |_, _| ());
    }),
    ("subscribers whose windows are closed", |to, until| {
        let request = message(&[field(2, b"healthy"), field(3, &[0x10, 1])].concat());
        let subscribe = |n: u32| {
            [open(stream(n), "Bus/Subscribe"), frame(DATA, END_STREAM, stream(n), &request)].concat()
        };
        let bytes: Vec<u8> = (0..50).flat_map(subscribe).collect();
        let closed = [0, 4, 0, 0, 0, 0];
        hold(
            until,
            10,
            || begin(to, &closed).and_then(|mut it| it.write_all(&bytes).map(|()| it)),
            |_, _| (),
        );
    }),
    ("publishers that never read what they are answered", |to, until| {
        let request = message(&[field(2, b"hostile"), field(3, &field(6, b"x"))].concat());
        let first = open(1, "Bus/PublishStream");
        hold(
            until,
            20,
            || begin(to, &[0, 4, 0, 0, 0, 0]).and_then(|mut it| it.write_all(&first).map(|()| it)),
            |socket, _| {
                let _ = socket.write_all(&frame(DATA, 0, 1, &request.repeat(50)));
            },
        );
    }),
];
