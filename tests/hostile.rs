//! Those who mean harm, beside those who do not: each attack goes on for a while against a real server, while
//! other clients publish and subscribe. They shall hardly notice, the server's memory shall stay where it was,
//! and afterwards it shall be as before.
//!
//! By hand: `cargo test --release --test hostile -- --nocapture`, and `BUGLE_HOSTILE=ping` for those whose name
//! contains that. It takes minutes and the whole machine, and some cases fail still, so tests/run is without it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod hostile {
    pub mod floods;
    pub mod healthy;
    pub mod server;
    pub mod shapes;
    pub mod slow;
    pub mod wire;
}

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hostile::healthy::Healthy;
use hostile::server::Server;
use hostile::{floods, shapes, slow};

/// How long an attack goes on, and how long it is looked at how others fare without it.
const ATTACK: Duration = Duration::from_millis(1200);
const BEFORE: Duration = Duration::from_millis(800);
/// What others may notice of an attack: twice the delay. Below this it says nothing: attacker, server and clients
/// share two processors here, and whoever waits for one of them waits for slices of milliseconds.
const DELAY_FLOOR: Duration = Duration::from_millis(25);
/// What an attack may cost in memory.
const MEMORY: u64 = 64 * 1024 * 1024;

/// Runs an attack beside healthy clients; what was wrong.
async fn attacked(
    server: &Server,
    healthy: &Healthy,
    name: &str,
    attack: impl FnOnce(SocketAddr, Instant) + Send + 'static,
) -> Vec<String> {
    let begun = healthy.now();
    tokio::time::sleep(BEFORE).await;
    let (before, memory) = (healthy.now(), server.memory());
    let (address, until) = (server.address, Instant::now() + ATTACK);
    let attacker = std::thread::spawn(move || attack(address, until));
    let mut most = memory;
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(50)).await;
        most = most.max(server.memory());
    }
    let end = healthy.now();
    tokio::task::spawn_blocking(move || attacker.join().unwrap()).await.unwrap();
    let ((calm, _), (stressed, count)) = (healthy.p99(begun, before), healthy.p99(before, end));
    let grown = most.saturating_sub(memory);
    let limit = (2 * calm).max(DELAY_FLOOR);
    let mut wrong = Vec::new();
    if stressed > limit || count < 100 {
        wrong.push(format!("{name}: p99 of {count} messages was {stressed:?}, {calm:?} before"));
    }
    if grown > MEMORY {
        wrong.push(format!("{name}: memory grew by {} MiB", grown >> 20));
    }
    wrong.extend(healthy.problem().map(|problem| format!("{name}: {problem}")));
    wrong.extend(server.is_well(3).await.err().map(|problem| format!("{name}: {problem}")));
    println!(
        "{} {name}: p99 {:.1} → {:.1} ms, memory + {:.1} MiB",
        if wrong.is_empty() { "ok   " } else { "WRONG" },
        calm.as_secs_f64() * 1e3,
        stressed.as_secs_f64() * 1e3,
        grown as f64 / f64::from(1 << 20)
    );
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_some_do_others_hardly_notice_and_the_server_is_well_afterwards() {
    let chosen = std::env::var("BUGLE_HOSTILE").unwrap_or_default();
    let options = [
        "--set",
        "memory_budget=64MiB",
        "--set",
        "limits.max_streams=10000",
        "--set",
        "limits.handshake_deadline=2s",
    ];
    let server = Server::start(&options, None);
    let healthy = Healthy::start(server.address).await;
    let mut wrong = Vec::new();
    for (name, attack) in floods::CASES.iter().chain(shapes::CASES).chain(slow::CASES) {
        if name.contains(&chosen) {
            wrong.extend(attacked(&server, &healthy, name, attack).await);
        }
    }
    drop(healthy);
    server.stop();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn running_out_of_files_keeps_out_newcomers_and_nobody_else() {
    let server = Server::start(&["--set", "limits.handshake_deadline=2s"], Some(64));
    let healthy = Healthy::start(server.address).await;
    let wrong = attacked(&server, &healthy, "more connections than files", |to, until| {
        hostile::wire::hold(until, 200, || hostile::wire::begin(to, &[]), |_, _| ());
    })
    .await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
