//! `bugle bench`: a load generator, and a comparison with other systems.
//!
//! The clients are this process and the server is another one, so what is measured is the server.
//! They do as little as can be done: bytes are walked where they were read, commands are prepared
//! before, counters are added up once per read. Latency is counted from the intended send time.
//!
//! `load` runs a `plan` and gives an `outcome`; `compare` runs the `row`s on the
//! `system`s that `peer` starts; `bugle`, `nats`, `redis` and `kernel` are what differs between them.
//! `traced` runs the rows that show what traces cost, with a `sink` that they are exported to.

pub mod args;
mod arrivals;
mod bars;
mod bugle;
mod clock;
mod compare;
mod display;
mod http2;
mod kernel;
mod latency;
mod load;
mod momento;
mod nats;
mod noisy;
mod outcome;
mod outlet;
mod peer;
mod plan;
mod process;
mod progress;
mod publisher;
mod redis;
mod row;
mod sink;
mod stalled;
mod subscriber;
mod system;
mod table;
mod tally;
mod template;
mod traced;
mod walk;

use std::io::{self, Write};
use std::net::SocketAddr;

pub use args::BenchArgs;

use self::args::{BenchCommand, LoadArgs};
use self::display::Display;
use self::load::Load;
use self::plan::Plan;
use self::process::{Process, raise_open_files};
use self::system::System;
use crate::error::{Code, Error, Result};

/// Runs what the options ask for and prints the result. A signal ends it, and its children with it.
///
/// # Errors
/// Unavailable, when the server does not answer, or when messages were lost, repeated or refused.
pub async fn run(args: BenchArgs) -> Result<()> {
    let work = async {
        match args.command {
            Some(BenchCommand::Compare(args)) => compare::run(args).await,
            Some(BenchCommand::Kernel { connections }) => kernel::serve(connections).await,
            Some(BenchCommand::Sink) => sink::serve().await,
            None => one_load(args.load).await,
        }
    };
    tokio::select! {
        result = work => result,
        result = interrupted() => result,
    }
}

async fn interrupted() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |e| Error::new(Code::Internal, "signals cannot be heard").because(e);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Err(Error::new(Code::Cancelled, "interrupted"))
}

async fn one_load(args: LoadArgs) -> Result<()> {
    let plan = plan(&args).await?;
    let connections = plan.subscribers.div_ceil(plan.streams_per_connection) + plan.publishers + plan.stalled;
    let files = raise_open_files();
    if connections as u64 + 64 > files {
        let advice = format!("{connections} connections need more than the {files} open files allowed here");
        let advice = format!("{advice}; raise `ulimit -n` or --streams-per-connection");
        return Err(Error::new(Code::ResourceExhausted, advice));
    }
    let display = Display::load();
    let whole = plan.warmup + plan.duration;
    let load = Load::open(plan.clone()).await?;
    let outcome = load.measure(|passed, published, delivered| {
        let what = format!("{:.0} s: {published} published, {delivered} delivered", passed.as_secs_f64());
        display.passed(passed.as_secs_f64() / whole.as_secs_f64(), &what);
    });
    let outcome = outcome.await;
    display.finish();
    let outcome = outcome?;
    write_out(&match args.json {
        true => table::load_json(&plan, &outcome),
        false => table::load(&plan, &outcome),
    })?;
    let complaints = outcome.complaints();
    match complaints.is_empty() {
        true => Ok(()),
        false => {
            Err(Error::new(Code::Unavailable, format!("the load did not go well: {}", complaints.join("; "))))
        }
    }
}

async fn plan(args: &LoadArgs) -> Result<Plan> {
    let (authority, address) = resolve(&args.server).await?;
    let process = match args.server_pid {
        Some(pid) => Some(Process::new(pid)?),
        None => Process::listening_on(address),
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(Plan {
        authority,
        process,
        // Another run's messages, still retained, are none of this one's.
        prefix: format!("bench-{}-", uuid::Uuid::now_v7().simple()),
        subscribers: args.subscribers,
        streams_per_connection: args.streams_per_connection as usize,
        stalled: args.stalled,
        topics: args.topics as usize,
        publishers: args.publishers as usize,
        payload: args.payload,
        batch: args.batch as usize,
        rate: (args.rate > 0.0).then_some(args.rate),
        window: args.window,
        threads: args.threads.map_or((cores / 2).max(1), |threads| threads as usize),
        warmup: args.warmup,
        duration: args.duration,
        ..Plan::new(System::Bugle, address)
    })
}

/// The host and port of a server's URL, and their address.
async fn resolve(url: &str) -> Result<(String, SocketAddr)> {
    let advice = "has to be http:// with a host and a port, such as http://127.0.0.1:7600";
    if url.starts_with("https://") {
        let told = "the load generator speaks no TLS: measure a server that speaks plaintext";
        return Err(Error::field("server", told));
    }
    let Some(authority) = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/')) else {
        return Err(Error::field("server", advice));
    };
    let unknown = |e| Error::field("server", advice).because(e);
    let address = tokio::net::lookup_host(authority).await.map_err(unknown)?.next();
    let authority = authority.to_owned();
    if authority.len() > 126 {
        return Err(Error::field("server", "has to be shorter; use its address"));
    }
    address.map(|address| (authority, address)).ok_or_else(|| Error::field("server", "has no address"))
}

/// Writes to standard output; that nobody reads any further is no error.
fn write_out(text: &str) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::new(Code::Unavailable, "the result cannot be written").because(e))
        }
        _ => Ok(()),
    }
}
