//! `bugle top`: what a running server does, as a live view, or once as a table or JSON.
//!
//! Everything comes over the API, so the server may be anywhere. Two samples make a figure: rates
//! are differences, and a server or a topic that began anew has none for a moment.

mod figures;
mod grid;
mod header;
mod history;
mod live;
mod model;
mod order;
mod plain;
mod sample;
mod screen;
mod state;
mod subscriptions;
mod terminal;
mod topics;

use std::time::{Duration, Instant};

use clap::Args;

use self::model::Model;
use self::order::Sort;
use self::plain::Figures;
use self::sample::Source;
use self::state::State;
use super::paint::Ink;
use super::target::Target;
use super::{output, units};
use crate::error::Result;

/// The arguments of `bugle top`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct TopArgs {
    #[command(flatten)]
    target: Target,
    /// Only topics whose name begins with this
    #[arg(value_name = "TOPIC-PREFIX", default_value = "", hide_default_value = true)]
    prefix: String,
    /// The topics of all namespaces, whatever --namespace says
    #[arg(long, short = 'A')]
    all_namespaces: bool,
    /// What the topics are sorted by
    #[arg(long, short, default_value = "rate")]
    sort: Sort,
    /// The smallest first; names from z to a
    #[arg(long, short)]
    reverse: bool,
    /// Ask the server this often (100ms to 1h)
    #[arg(long, short, value_name = "DURATION", default_value = "1s", value_parser = interval)]
    interval: Duration,
    /// Print a table of two samples, an interval apart, and end (the default without a terminal)
    #[arg(long)]
    once: bool,
    /// Print that as JSON
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Columns:
  IN/s, IN B/s    messages and bytes published in a second
  OUT/s, OUT B/s  messages and bytes given to subscribers in a second, each one counted
  RETAINED        bytes kept
  SUBSCR          subscriptions
  LAG, BEHIND     of the slowest subscription: messages it has not been given, age of the first
  UNREAD          how much of what the topic may keep that is: when the bar is full it loses
                  messages; ! from 80 % on
A server counts bytes, and messages given out, for its first topics (its option metrics.topics);
for the others there is `-`.

Keys:
  q Ctrl-C Esc    leave                     ↑ ↓ PgUp PgDn Home End   choose a topic
  Enter           its subscriptions         /                        type the beginning of names
  R               reverse                   r o b s l m n            sort by rate, out, bytes, …

Examples:
  bugle top
  bugle top orders. --sort lag
  bugle top -n staging --interval 5s
  bugle top --all-namespaces --once | head -20
  bugle top --json | jq '.topics[] | select(.lag_seconds > 10) | .topic'";

fn interval(text: &str) -> Result<Duration, String> {
    let interval = units::parse_duration(text)?;
    let range = Duration::from_millis(100)..=Duration::from_secs(3600);
    if range.contains(&interval) { Ok(interval) } else { Err("has to be from 100ms to 1h".to_owned()) }
}

pub(super) async fn run(args: TopArgs) -> Result<()> {
    let source = Source::new(args.target.connect().await?, args.all_namespaces);
    // Asked before the terminal is taken: a server that is not there, or is too old, is an error.
    let (server, topics) = (source.server().await?, source.topics(&args.prefix).await?);
    let ink = Ink::of_stdout();
    if args.once || args.json || ink == Ink::Text {
        tokio::time::sleep(args.interval).await;
        let (now, listed) = (source.server().await?, source.topics(&args.prefix).await?);
        let mut rows = figures::rows(Some(&topics), &listed);
        args.sort.sort(&mut rows, args.reverse);
        let figures = Figures {
            uri: source.uri().to_owned(),
            summary: figures::summary(Some(&server), &now),
            rows,
            more: listed.more,
            several: source.namespace().is_none(),
        };
        return match args.json {
            true => output::print_json(&plain::object(&figures)),
            false => output::print(&plain::text(&figures)),
        };
    }
    let state = State::new(args.prefix, args.sort, args.reverse);
    let first = (Instant::now(), server, topics);
    let model = Model::new((source.uri(), source.namespace()), state, args.interval, first);
    live::run(&source, model, args.interval, ink).await
}
