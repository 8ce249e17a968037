//! Those who mean harm, beside those who do not: each attack goes on for a while against a real server, while
//! other clients publish and subscribe. They shall hardly notice, the server's memory shall stay where it was,
//! and afterwards it shall be as before.
//!
//! In tests/run, and by hand: `cargo test --release --test hostile -- --nocapture`, where `BUGLE_HOSTILE=ping` chooses
//! those whose name contains that. A build without optimisation has no time for floods, so it is no part of
//! `cargo test`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod hostile {
    pub mod case;
    pub mod floods;
    pub mod healthy;
    pub mod server;
    pub mod shapes;
    pub mod slow;
    pub mod wire;
}

use std::sync::Arc;
use std::time::{Duration, Instant};

use hostile::case::Case;
use hostile::healthy::Healthy;
use hostile::server::Server;
use hostile::wire::Attack;
use hostile::{floods, shapes, slow};

/// How long an attack goes on, and how long others are looked at before it.
const ATTACK: Duration = Duration::from_millis(1200);
const BEFORE: Duration = Duration::from_millis(600);
/// Until the clients go on as they will.
const WARM: Duration = Duration::from_millis(200);
/// What others may notice of an attack: twice the delay. Below this it says nothing: attacker, server and clients
/// share two processors here, and whoever waits for one of them waits for slices of milliseconds.
const DELAY_FLOOR: Duration = Duration::from_millis(25);
/// A machine that is busy with something else delays whoever is looked at: what is wrong is so each time.
const TRIES: u32 = 5;
/// What an attack may cost in memory.
const MEMORY: u64 = 64 * 1024 * 1024;

/// What the server is told: little room, so that what grows meets its limit.
const OPTIONS: [&str; 6] = [
    "--set",
    "memory_budget=64MiB",
    "--set",
    "limits.max_streams=10000",
    "--set",
    "limits.handshake_deadline=2s",
];

/// Runs an attack beside healthy clients, on a server of its own; what was wrong.
async fn attacked(case: &Case) -> Vec<String> {
    let server = Server::start(&OPTIONS, case.files, case.tls);
    let healthy = Healthy::start(&server).await;
    tokio::time::sleep(WARM).await;
    let begun = healthy.now();
    tokio::time::sleep(BEFORE).await;
    let (before, memory, open, files) = (healthy.now(), server.memory(), server.open(), server.files());
    let attack = Attack { to: server.address, until: Instant::now() + ATTACK, tally: Arc::default() };
    let (tally, until, work) = (attack.tally.clone(), attack.until, case.attack);
    let attacker = std::thread::spawn(move || work(&attack));
    let (mut memory_most, mut files_most) = (memory, files);
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(50)).await;
        memory_most = memory_most.max(server.memory());
        files_most = files_most.max(server.files());
    }
    let end = healthy.now();
    tokio::task::spawn_blocking(move || attacker.join().unwrap()).await.unwrap();
    let ((calm, _), (stressed, count)) = (healthy.p99(begun, before), healthy.p99(before, end));
    let grown = memory_most.saturating_sub(memory);
    let limit = (2 * calm).max(DELAY_FLOOR);
    let mut wrong = Vec::new();
    if stressed > limit || count < 100 {
        wrong.push(format!("p99 of {count} messages was {stressed:?}, {calm:?} before"));
    }
    if grown > MEMORY {
        wrong.push(format!("memory grew by {} MiB", grown >> 20));
    }
    wrong.extend(case.expected.missing(&tally));
    if let Some(files) = case.files
        && files_most < files
    {
        wrong.push(format!("files did not run out: {files_most} of {files}"));
    }
    wrong.extend(healthy.problem());
    wrong.extend(server.is_well(open, files).await.err());
    wrong.extend(healthy.problem());
    drop(healthy);
    server.stop();
    println!(
        "{} {}: p99 {:.1} → {:.1} ms, memory + {:.1} MiB; {tally}",
        if wrong.is_empty() { "ok   " } else { "WRONG" },
        case.name,
        calm.as_secs_f64() * 1e3,
        stressed.as_secs_f64() * 1e3,
        grown as f64 / f64::from(1 << 20)
    );
    wrong.iter().for_each(|what| println!("      {what}"));
    wrong.iter().map(|what| format!("{}: {what}", case.name)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_some_do_others_hardly_notice_and_the_server_is_well_afterwards() {
    let chosen = std::env::var("BUGLE_HOSTILE").unwrap_or_default();
    let cases: Vec<&Case> = floods::CASES
        .iter()
        .chain(shapes::CASES)
        .chain(slow::CASES)
        .filter(|case| case.name.contains(&chosen))
        .collect();
    let mut wrong = Vec::new();
    for case in &cases {
        let mut complaints = attacked(case).await;
        for _ in 1..TRIES {
            if !complaints.is_empty() {
                complaints = attacked(case).await;
            }
        }
        wrong.extend(complaints);
    }
    println!("{} attacks, {} complaints", cases.len(), wrong.len());
    assert!(!cases.is_empty(), "there is no attack whose name contains {chosen:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
