//! `bugle trace`: sends a probe through a topic and shows when it was where.
//!
//! The server tells when it accepted and ordered the probe, woke who waited, and read and wrote it
//! for each subscription. Subscriptions of our own tell when it arrived, which is by another clock:
//! see `clock`.

mod clock;
mod listeners;
mod picture;
mod report;
mod timeline;

use std::time::{Duration, Instant, SystemTime};

use clap::Args;

use self::clock::Clock;
use self::listeners::Listeners;
use self::timeline::Timeline;
use super::paint::Ink;
use super::target::Target;
use super::{output, units};
use crate::client::Client;
use crate::client::monitor::{Probe, SubscriptionState};
use crate::error::Result;
use crate::limits::PAGE_SIZE_MAX;

/// The arguments of `bugle trace`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct TraceArgs {
    #[command(flatten)]
    target: Target,
    /// The topic
    topic: String,
    /// Open so many subscriptions of its own, to see the probe arrive (0: only those that are there)
    #[arg(long, short, value_name = "COUNT", default_value_t = 2)]
    #[arg(value_parser = clap::value_parser!(u16).range(0..=100))]
    subscribers: u16,
    /// Wait for the probe to reach every subscription at most this long (60s at most)
    #[arg(long, short, value_name = "DURATION", default_value = "2s", value_parser = units::parse_duration)]
    wait: Duration,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
The probe is an ordinary message, and every subscriber of the topic is given it: its attribute
`bugle.probe` is `true`. Offsets are from its acceptance, by the server's clock.

  accepted    the request had come
  ordered     the message had its place in the topic, as durable as the topic is
  fanned out  every subscription that waited had been woken
  read        a subscription took it from the topic's log
  written     it had been written to the connection
  received    a subscription of this command had it

Examples:
  bugle trace orders
  bugle trace orders --subscribers 0       # only those that are there already
  bugle trace -n staging orders --wait 10s
  bugle trace orders --json | jq .trace_id";

/// What is known when the probe has been through.
pub(super) struct Findings {
    topic: String,
    wait: Duration,
    clock: Clock,
    timeline: Timeline,
    probe: Probe,
}

pub(super) async fn run(args: TraceArgs) -> Result<()> {
    let client = args.target.connect_for(&args.topic).await?;
    let mut listeners = Listeners::open(&client, &args.topic, args.subscribers.into()).await?;
    let quick = clock(&client).await?;
    let (sent, sent_time) = (Instant::now(), SystemTime::now());
    let probe = listeners.during(client.monitor().trace_topic(&args.topic, args.wait)).await?;
    let clock = Clock::estimate(sent_time, sent.elapsed(), probe.accepted, probe.answered).or(quick);
    listeners.settle(&probe).await;
    let behind = behind(&client, &args.topic, &probe).await;
    let own =
        listeners.arrivals(&probe, |at| clock.between(probe.accepted, sent_time + at.duration_since(sent)));
    let findings = Findings {
        topic: format!("{}/{}", client.namespace(), args.topic),
        wait: args.wait,
        timeline: Timeline::new(&probe, &own, &behind),
        clock,
        probe,
    };
    if args.json {
        return output::print_json(&report::object(&findings));
    }
    let ink = Ink::of_stdout();
    let width = match ink {
        Ink::Text => WIDTH,
        Ink::Grey | Ink::Colour => crossterm::terminal::size().map_or(WIDTH, |(width, _)| width.into()),
    };
    let lines: Vec<_> = report::lines(&findings, width).iter().map(|line| line.painted(ink)).collect();
    output::print(&lines.join("\n"))
}

/// What the server's clock says, from some quick calls: the probe's own may be held up on its way.
async fn clock(client: &Client) -> Result<Clock> {
    let mut best = question(client).await?;
    for _ in 1..CLOCK_QUESTIONS {
        best = best.or(question(client).await?);
    }
    Ok(best)
}

async fn question(client: &Client) -> Result<Clock> {
    let (sent, sent_time) = (Instant::now(), SystemTime::now());
    let time = client.monitor().get_server().await?.time;
    Ok(Clock::estimate(sent_time, sent.elapsed(), time, time))
}

/// Questions for the server's clock.
const CLOCK_QUESTIONS: usize = 8;

/// Columns where there is no terminal to ask.
const WIDTH: usize = 100;

/// Where the probe did not get everywhere: who has not been given it. A server that cannot say
/// leaves it at their number.
async fn behind(client: &Client, topic: &str, probe: &Probe) -> Vec<SubscriptionState> {
    let Some(position) = probe.position else { return Vec::new() };
    let reached = probe.deliveries.iter().filter(|delivery| delivery.written.is_some()).count() as u64;
    if reached >= probe.subscriptions {
        return Vec::new();
    }
    let states = client.monitor().list_subscriptions(topic, PAGE_SIZE_MAX as u32).await;
    let mut states = states.unwrap_or_default().states;
    states.retain(|state| state.next_sequence <= position.sequence);
    states
}
