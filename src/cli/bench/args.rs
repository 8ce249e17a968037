//! The options of `bugle bench` and `bugle bench compare`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::row::Row;
use super::template::STAMP_BYTES;
use crate::cli::serve::key_value;
use crate::error::{Error, Result};

/// Put a server under load and measure it, or compare Bugle with others.
///
/// The clients are this process, the server is another one. Latency is counted from the time a
/// message was meant to be sent, so a server that stalls cannot hide it.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub struct BenchArgs {
    /// What to do instead of one load.
    #[command(subcommand)]
    pub command: Option<BenchCommand>,
    /// The load.
    #[command(flatten)]
    pub load: LoadArgs,
}

const EXAMPLES: &str = "Examples:
  bugle bench --subscribers 100 --batch 100            as fast as it goes
  bugle bench --subscribers 100 --rate 1000            latency at 1,000 messages a second
  bugle bench --topics 1000 --subscribers 1000 --publishers 4 --json
  bugle bench compare                                  beside nats-server and redis-server
  bugle bench compare --only fan-out-batches --rounds 3
  bugle bench compare --only tracing-batches,tracing-latency
  bugle bench compare --only latency-one --server-setting threads=2";

/// What `bugle bench` can do beside a load.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Compare Bugle, nats-server, redis-server and the kernel's limit under the same load.
    Compare(CompareArgs),
    /// Take spans over OTLP and do nothing with them, until standard input ends.
    #[command(hide = true)]
    Sink,
    /// Write to sockets and do nothing else.
    #[command(hide = true)]
    Kernel {
        /// Sockets to wait for.
        #[arg(long)]
        connections: usize,
    },
}

/// One load.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// The server.
    #[arg(long, env = "BUGLE_SERVER", default_value = "http://127.0.0.1:7600", value_name = "URL")]
    pub server: String,
    /// Subscriptions, dealt out to the topics in turn.
    #[arg(long, default_value_t = 1)]
    pub subscribers: usize,
    /// Topics; each run makes its own.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=9_999_999))]
    pub topics: u32,
    /// Publishers, each on its own connection.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub publishers: u32,
    /// Bytes of a payload; the first 16 carry the send time and a number.
    #[arg(long, default_value_t = 128, value_name = "BYTES", value_parser = payload)]
    pub payload: usize,
    /// Messages of one publish.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub batch: u32,
    /// Messages a second of all publishers together; 0: as fast as it goes.
    #[arg(long, default_value_t = 0.0, value_name = "N", value_parser = rate)]
    pub rate: f64,
    /// Messages on their way to the slowest subscriber of a topic, when as fast as it goes.
    #[arg(long, value_name = "MESSAGES")]
    pub window: Option<u64>,
    /// The measured time, such as 10s or 500ms.
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub duration: Duration,
    /// The time before it.
    #[arg(long, default_value = "2s", value_parser = duration)]
    pub warmup: Duration,
    /// Subscriptions that share a connection.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub streams_per_connection: u32,
    /// Subscriptions beside the others that never read.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub stalled: usize,
    /// Threads of the clients; by default half of the cores.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,
    /// The server's process, where it cannot be found by its port.
    #[arg(long, value_name = "PID")]
    pub server_pid: Option<u32>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// A comparison.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Rounds; in each, all systems run one after the other.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// Only these rows.
    #[arg(long, value_name = "ROW", value_delimiter = ',')]
    pub only: Vec<Row>,
    /// The measured time of each load.
    #[arg(long, default_value = "3s", value_parser = duration)]
    pub duration: Duration,
    /// Messages on their way to the slowest subscriber, where a load is as fast as it goes.
    #[arg(long, value_name = "MESSAGES")]
    pub window: Option<u64>,
    /// The nats-server binary.
    #[arg(long, default_value = "nats-server", value_name = "PATH")]
    pub nats: PathBuf,
    /// The redis-server binary.
    #[arg(long, default_value = "redis-server", value_name = "PATH")]
    pub redis: PathBuf,
    /// The bugle binary; by default this one.
    #[arg(long, value_name = "PATH")]
    pub bugle: Option<PathBuf>,
    /// Set an option of all bugle servers, as with `bugle serve --set`; may be repeated.
    #[arg(long = "server-setting", value_name = "KEY=VALUE", value_parser = key_value)]
    pub server_settings: Vec<(String, String)>,
    /// A smoke test: one short round of everything, whose figures mean little.
    #[arg(long)]
    pub quick: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

fn payload(text: &str) -> Result<usize> {
    let bytes = text.parse().ok().filter(|bytes| *bytes >= STAMP_BYTES);
    bytes.ok_or_else(|| {
        Error::field("payload", format!("has to be a number of bytes, at least {STAMP_BYTES}"))
    })
}

fn rate(text: &str) -> Result<f64> {
    let rate = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate >= 0.0);
    rate.ok_or_else(|| Error::field("rate", "has to be a number of messages a second, or 0"))
}

/// A number with its unit: `10s`, `500ms`, `2m`.
fn duration(text: &str) -> Result<Duration> {
    let unit = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    let scale = match unit {
        "ms" => Some(1e-3),
        "s" => Some(1.0),
        "m" => Some(60.0),
        _ => None,
    };
    let seconds = scale.and_then(|scale| number.parse::<f64>().ok().map(|number| number * scale));
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration
        .ok_or_else(|| Error::field("duration", "has to be a number and a unit, such as 10s, 500ms or 2m"))
}
