//! The rows of `bugle bench compare`: what each measures, of whom, and how.

use std::time::Duration;

use clap::ValueEnum;

use super::load::Load;
use super::outcome::Outcome;
use super::peer::Server;
use super::plan::Plan;
use super::system::System::{self, Bugle, Kernel, Nats, Redis};
use super::{noisy, traced};
use crate::error::{Code, Error, Result};

/// A row of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Row {
    /// Server CPU per delivery, 1 -> 100, batches of 100.
    FanOutBatches,
    /// Server CPU per delivery, 1 -> 1, batches of 100.
    OneToOneBatches,
    /// Server CPU per delivery, 1 -> 100, single publishes.
    FanOutSingle,
    /// Server CPU per delivery, 1 -> 1000, batches of 10.
    FanOutWide,
    /// Server CPU per delivery, 4 KiB payloads, 1 -> 20.
    LargePayloads,
    /// Server CPU per delivery to clients of Momento, 1 -> 100, batches of 100.
    Momento,
    /// Latency, 1 -> 1, 10,000 messages a second.
    LatencyOne,
    /// Latency, 1 -> 100, 1,000 messages a second.
    LatencyFanOut,
    /// Memory of an idle subscriber on its own connection.
    IdleConnections,
    /// Memory of an idle subscriber that is one of 100 on a connection.
    IdleStreams,
    /// Memory of a million topics with one retained message each.
    ManyTopics,
    /// Latency of readers beside others that never read.
    SlowSubscribers,
    /// Latency of one tenant beside another that is over its quota all the time.
    NoisyTenant,
    /// What tracing costs fan-out-batches: off, 1 % and 100 % of traces.
    TracingBatches,
    /// What tracing costs fan-out-single: off, 1 % and 100 % of traces.
    TracingSingle,
    /// What tracing costs latency-one: off, 1 % and 100 % of traces.
    TracingLatency,
}

/// How much of it: the whole, or a smoke test.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// The time before each measured window.
    pub warmup: Duration,
    /// Each measured window.
    pub duration: Duration,
    /// Subscriptions, connections and topics are divided by this.
    pub divisor: usize,
    /// Messages on their way to the slowest subscriber; `None`: the default.
    pub window: Option<u64>,
}

/// What one run of a row has shown: its figures in the order of [`Row::metrics`], and complaints. Of
/// a row that is traced, [`Row::run`] gives the first two figures of one of its variants; the other
/// tenant's row has its own, [`noisy::run`].
pub struct Run {
    /// The figures.
    pub figures: Vec<f64>,
    /// What makes them doubtful.
    pub complaints: Vec<String>,
}

impl Row {
    /// Its name on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// One line on what is measured.
    pub fn what(self) -> &'static str {
        match self {
            Row::FanOutBatches => "server CPU per delivery: 1 -> 100, 128 B, 100 messages a publish",
            Row::OneToOneBatches => "server CPU per delivery: 1 -> 1, 128 B, 100 messages a publish",
            Row::FanOutSingle => "server CPU per delivery: 1 -> 100, 128 B, one message a publish, pipelined",
            Row::FanOutWide => "server CPU per delivery: 1 -> 1000, 128 B, 10 messages a publish",
            Row::LargePayloads => "server CPU per delivery: 1 -> 20, 4 KiB, one message a publish, pipelined",
            Row::Momento => {
                "server CPU per delivery: 1 -> 100, 128 B, 100 messages a publish, heard as clients of Momento do"
            }
            Row::LatencyOne => "delay from the intended send to the delivery: 1 -> 1 at 10,000 msg/s, 128 B",
            Row::LatencyFanOut => {
                "delay from the intended send to the delivery: 1 -> 100 at 1,000 msg/s, 128 B"
            }
            Row::IdleConnections => "server memory per idle subscriber, each on its own connection",
            Row::IdleStreams => "server memory per idle subscriber, 100 on each connection",
            Row::ManyTopics => "server memory with a 128 B message in each of 1,000,000 topics",
            Row::SlowSubscribers => {
                "delay at 1,000 msg/s of 1 KiB to 100 readers, alone and beside 100 that never read"
            }
            Row::NoisyTenant => {
                "the load of latency-fan-out, alone and beside a tenant that is over its quota all the time"
            }
            Row::TracingBatches => {
                "the load of fan-out-batches, with none, 1 % and all of its traces exported"
            }
            Row::TracingSingle => "the load of fan-out-single, with none, 1 % and all of its traces exported",
            Row::TracingLatency => "the load of latency-one, with none, 1 % and all of its traces exported",
        }
    }

    /// Its figures: names and units.
    pub fn metrics(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Row::LatencyOne | Row::LatencyFanOut => &[("p50", "us"), ("p99", "us")],
            Row::IdleConnections | Row::IdleStreams => &[("memory", "kB")],
            Row::ManyTopics => &[("memory", "MiB")],
            Row::SlowSubscribers => &[("p99 alone", "us"), ("p99 beside", "us"), ("ratio", "x")],
            Row::NoisyTenant => &noisy::METRICS,
            Row::TracingBatches | Row::TracingSingle => &traced::THROUGHPUT,
            Row::TracingLatency => &traced::LATENCY,
            _ => &[("CPU", "ns"), ("delivered", "k/s")],
        }
    }

    /// Who is measured.
    pub fn systems(self) -> &'static [System] {
        match self {
            Row::FanOutBatches
            | Row::OneToOneBatches
            | Row::FanOutSingle
            | Row::FanOutWide
            | Row::LargePayloads => &[Bugle, Nats, Redis, Kernel],
            Row::LatencyOne | Row::LatencyFanOut | Row::IdleConnections => &[Bugle, Nats, Redis],
            Row::IdleStreams | Row::Momento => &[Bugle, Nats],
            _ => &[Bugle],
        }
    }

    /// Whether it compares Bugle with itself, tracing more and less; [`traced::run`] runs those.
    pub fn is_traced(self) -> bool {
        matches!(self, Row::TracingBatches | Row::TracingSingle | Row::TracingLatency)
    }

    /// Subscribers of the load; a bare socket loop has to know how many will come.
    pub fn subscribers(self, scale: Scale) -> usize {
        let subscribers = match self {
            Row::OneToOneBatches | Row::LatencyOne | Row::TracingLatency => return 1,
            Row::ManyTopics => return 0,
            Row::LargePayloads => 20,
            Row::FanOutWide => 1000,
            Row::IdleConnections => 2000,
            Row::IdleStreams => 10_000,
            _ => 100,
        };
        (subscribers / scale.divisor).max(2)
    }

    /// Runs its load once on a fresh server.
    ///
    /// # Errors
    /// Whatever ends the load.
    pub async fn run(self, server: &Server, scale: Scale) -> Result<Run> {
        let plan = self.plan(server, scale);
        match self {
            Row::IdleConnections | Row::IdleStreams => idle(plan, server).await,
            Row::ManyTopics => many_topics(plan, server).await,
            Row::SlowSubscribers => slow_subscribers(plan).await,
            Row::LatencyOne | Row::LatencyFanOut | Row::TracingLatency => {
                let outcome = Load::open(plan).await?.measure(|_, _, _| {}).await?;
                let latency = outcome.latency.ok_or_else(nothing_arrived)?;
                Ok(Run { figures: vec![latency.p50_us, latency.p99_us], complaints: outcome.complaints() })
            }
            _ => {
                let outcome = Load::open(plan).await?.measure(|_, _, _| {}).await?;
                let cpu = outcome.server_cpu_ns.ok_or_else(not_measured)?;
                let figures = vec![cpu, outcome.delivered_per_second / 1e3];
                Ok(Run { figures, complaints: outcome.complaints() })
            }
        }
    }

    /// What its load consists of.
    pub fn plan(self, server: &Server, scale: Scale) -> Plan {
        let mut plan = Plan::new(server.system, server.address);
        plan.process = Some(server.process());
        plan.subscribers = self.subscribers(scale);
        plan.window = scale.window;
        (plan.warmup, plan.duration) = (scale.warmup, scale.duration);
        match self {
            Row::FanOutBatches | Row::OneToOneBatches | Row::TracingBatches => plan.batch = 100,
            Row::Momento => (plan.batch, plan.momento) = (100, true),
            Row::FanOutWide => plan.batch = 10,
            Row::LargePayloads => plan.payload = 4096,
            Row::LatencyOne | Row::TracingLatency => plan.rate = Some(10_000.0),
            Row::LatencyFanOut | Row::NoisyTenant => plan.rate = Some(1_000.0),
            Row::SlowSubscribers => (plan.rate, plan.payload) = (Some(1_000.0), 1024),
            Row::IdleStreams => plan.streams_per_connection = 100,
            Row::ManyTopics => plan.topics = 1_000_000 / scale.divisor,
            Row::FanOutSingle | Row::TracingSingle | Row::IdleConnections => {}
        }
        plan
    }
}

/// A tenth of the subscribers come first, so that what a server allocates once is not counted.
async fn idle(plan: Plan, server: &Server) -> Result<Run> {
    let first = Plan { subscribers: plan.subscribers.div_ceil(10), ..plan.clone() };
    let subscribers = plan.subscribers;
    let _first = Load::open(first).await?;
    let before = server.process().rss().ok_or_else(not_measured)?;
    let _all = Load::open(plan).await?;
    let after = server.process().rss().ok_or_else(not_measured)?;
    let each = after.saturating_sub(before) as f64 / subscribers as f64 / 1e3;
    Ok(Run { figures: vec![each], complaints: Vec::new() })
}

async fn many_topics(plan: Plan, server: &Server) -> Result<Run> {
    let topics = plan.topics as u64;
    Load::open(plan).await?.publish_all(topics).await?;
    let rss = server.process().rss().ok_or_else(not_measured)?;
    Ok(Run { figures: vec![rss as f64 / f64::from(1 << 20)], complaints: Vec::new() })
}

async fn slow_subscribers(plan: Plan) -> Result<Run> {
    let beside = Plan { stalled: plan.subscribers, ..plan.clone() };
    let p99 = |outcome: &Outcome| outcome.latency.map(|latency| latency.p99_us).ok_or_else(nothing_arrived);
    let alone = Load::open(plan).await?.measure(|_, _, _| {}).await?;
    let beside = Load::open(beside).await?.measure(|_, _, _| {}).await?;
    let (without, with) = (p99(&alone)?, p99(&beside)?);
    let complaints = [alone.complaints(), beside.complaints()].concat();
    Ok(Run { figures: vec![without, with, with / without], complaints })
}

fn nothing_arrived() -> Error {
    Error::new(Code::Unavailable, "no message arrived in the measured window; try a longer --duration")
}

fn not_measured() -> Error {
    Error::new(Code::FailedPrecondition, "the server's process cannot be read in /proc; is it still running?")
}
