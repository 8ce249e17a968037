//! `bugle subscribe`: follow a topic. Messages go to standard output; what happens besides
//! (gaps, reconnects) goes to standard error, so that a pipe gets messages only.

use std::io::IsTerminal;
use std::os::fd::AsFd;

use clap::{Args, ValueEnum};
use tokio::io::Interest;
use tokio::net::unix::pipe::Sender;

use super::output::{self, Output};
use super::start::From;
use super::target::Target;
use crate::client::{Delivery, Event, Start, Subscription};
use crate::error::Result;

/// The arguments of `bugle subscribe`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct SubscribeArgs {
    #[command(flatten)]
    target: Target,
    /// The topic
    topic: String,
    /// Where to begin: latest, earliest, last:N, EPOCH:SEQ (what follows it), a time, or -10m
    #[arg(long, value_name = "START", default_value = "latest", allow_hyphen_values = true)]
    from: From,
    /// End after so many messages
    #[arg(long, short, value_name = "COUNT")]
    count: Option<u64>,
    /// How to print messages [default: pretty on a terminal, json otherwise]
    #[arg(long, short, value_name = "FORMAT")]
    output: Option<Format>,
}

const AFTER_HELP: &str = "\
A lost connection is made again and goes on behind the last message.

Examples:
  bugle subscribe orders
  bugle subscribe orders --from earliest --count 10
  bugle subscribe orders --from -10m --output json | jq .payload
  bugle subscribe orders --from 1767225600000:42    # what follows that message
  bugle subscribe orders --from 2026-01-31T12:00:00Z --output raw";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Time, position, payload and attributes
    Pretty,
    /// A JSON object a line
    Json,
    /// The payload and a line feed
    Raw,
}

pub(super) async fn run(args: SubscribeArgs) -> Result<()> {
    if args.count == Some(0) {
        return Ok(());
    }
    let client = args.target.connect_for(&args.topic).await?;
    let subscription = client.subscribe(&args.topic).from(args.from.start()).open();
    tokio::select! {
        outcome = async { follow(subscription.await?, &args).await } => outcome,
        // Both end a pipe in the usual way: quietly.
        _ = tokio::signal::ctrl_c() => Ok(()),
        () = reader_gone() => Ok(()),
    }
}

async fn follow(mut subscription: Subscription, args: &SubscribeArgs) -> Result<()> {
    let pretty_default = || if std::io::stdout().is_terminal() { Format::Pretty } else { Format::Json };
    let format = args.output.unwrap_or_else(pretty_default);
    if std::io::stderr().is_terminal() && args.from.start() == Start::Latest {
        eprintln!("# subscribed to {}; Ctrl-C ends it", args.topic);
    }
    let mut output = Output::new();
    let mut left = args.count.unwrap_or(u64::MAX);
    while let Some(events) = subscription.next_batch().await {
        for event in events? {
            match event {
                Event::Message(delivery) => {
                    if !output.line(&line(&args.topic, &delivery, format)?)? {
                        return Ok(());
                    }
                    left -= 1;
                    if left == 0 {
                        return output.flush().map(|_| ());
                    }
                }
                event => notice(&event),
            }
        }
        if !output.flush()? {
            return Ok(());
        }
    }
    Ok(())
}

fn line(topic: &str, delivery: &Delivery, format: Format) -> Result<Vec<u8>> {
    Ok(match format {
        Format::Pretty => output::pretty(delivery).into_bytes(),
        Format::Json => output::object(topic, delivery)?.into_bytes(),
        Format::Raw => delivery.payload().to_vec(),
    })
}

fn notice(event: &Event) {
    match event {
        Event::Discontinuity { reason, last_delivered: Some(last), next } => {
            eprintln!("# messages are missing between {last} and {next}: {reason}");
        }
        Event::Discontinuity { reason, last_delivered: None, next } => {
            eprintln!("# messages are missing before {next}: {reason}");
        }
        Event::Draining { .. } => eprintln!("# the server is going away"),
        Event::Reconnecting { attempt, delay, cause } => {
            eprintln!("# connection lost ({cause}); attempt {attempt} in {} ms", delay.as_millis());
        }
        Event::Opened { .. } | Event::CaughtUp { .. } | Event::Heartbeat { .. } | Event::Message(_) => {}
    }
}

/// Ends when the reader of standard output is gone: on a quiet topic no write would tell.
async fn reader_gone() {
    // Unchecked, because the checked way makes standard output non-blocking for everybody who
    // shares it. A file cannot be watched, and has no reader to lose.
    let stdout = std::io::stdout().as_fd().try_clone_to_owned();
    if let Ok(stdout) = stdout.and_then(Sender::from_owned_fd_unchecked)
        && stdout.ready(Interest::ERROR).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}
