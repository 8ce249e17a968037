//! `bugle webhooks`: list, create, describe, update, delete, pause, resume, seek and test.

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::target::Target;
use super::{output, units};
use crate::client::Start;
use crate::client::webhooks::{Format, Health, Webhook, Webhooks};
use crate::error::{Code, Error, Result};

/// The arguments of `bugle webhooks`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct WebhooksArgs {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
A webhook sends each message of a topic to an HTTP endpoint, in order, until that answers with a 2xx.
Requests are signed as Standard Webhooks has it; examples/webhook_receiver.py verifies them.
Webhooks that are made here end with the server; those of its configuration ([[endpoints]]) do not.

Examples:
  bugle webhooks create billing orders https://billing.example/hook
  bugle webhooks test billing
  bugle webhooks list
  bugle webhooks seek billing earliest     # deliver what is retained once more";

#[derive(Debug, Subcommand)]
enum Command {
    /// List webhooks and how they are
    #[command(after_help = "Example:\n  bugle webhooks list --json")]
    List {
        #[command(flatten)]
        target: Target,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Create a webhook; its secret is printed once
    #[command(
        after_help = "Examples:\n  bugle webhooks create billing orders https://billing.example/hook\n  \
                            bugle webhooks create audit orders https://audit.example/ --format raw --earliest"
    )]
    Create {
        #[command(flatten)]
        target: Target,
        /// Its name
        name: String,
        /// The topic whose messages it sends
        topic: String,
        /// Where to: http or https, a public address unless the server allows others
        url: String,
        #[command(flatten)]
        change: Change,
        /// Begin with what is retained, and not with what comes
        #[arg(long)]
        earliest: bool,
    },
    /// Show a webhook's settings and how it is
    #[command(after_help = "Example:\n  bugle webhooks describe billing")]
    Describe {
        #[command(flatten)]
        named: Named,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change a webhook's settings; what is not given stays as it is
    #[command(after_help = "Example:\n  bugle webhooks update billing --url https://new.example/hook")]
    Update {
        #[command(flatten)]
        named: Named,
        /// Where to
        #[arg(long)]
        url: Option<String>,
        #[command(flatten)]
        change: Change,
    },
    /// Delete a webhook
    #[command(after_help = "Example:\n  bugle webhooks delete billing")]
    Delete(Named),
    /// Stop delivering; the webhook keeps its position
    #[command(after_help = "Example:\n  bugle webhooks pause billing")]
    Pause(Named),
    /// Go on delivering, also to an endpoint that was gone
    #[command(after_help = "Example:\n  bugle webhooks resume billing")]
    Resume(Named),
    /// Put a webhook at the latest or the earliest message, or behind a position
    #[command(after_help = "Examples:\n  bugle webhooks seek billing latest\n  \
                            bugle webhooks seek billing 1767225600000:42")]
    Seek {
        #[command(flatten)]
        named: Named,
        /// latest, earliest or EPOCH:SEQUENCE
        to: String,
    },
    /// Send one signed event and print the answer; exits with 1 where it is no 2xx
    #[command(after_help = "Example:\n  bugle webhooks test billing")]
    Test(Named),
}

#[derive(Debug, Args)]
struct Named {
    #[command(flatten)]
    target: Target,
    /// Its name
    name: String,
}

impl Named {
    async fn webhooks(&self) -> Result<Webhooks> {
        Ok(self.target.connect().await?.webhooks())
    }
}

#[derive(Debug, Args)]
struct Change {
    /// What a request looks like
    #[arg(long)]
    format: Option<Wanted>,
    /// A header to send with each request, such as 'authorization: Bearer …'; may be repeated
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// A file with the secret that requests are signed with (whsec_…); without one the server makes one
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// How long the endpoint has to answer [default: 10s]
    #[arg(long, value_parser = units::parse_duration)]
    timeout: Option<Duration>,
    /// Pass a message over that is not acknowledged for so long [default: 24h]
    #[arg(long, value_name = "DURATION", value_parser = units::parse_duration)]
    give_up_after: Option<Duration>,
    /// Requests at once; more than one give up the order [default: 1]
    #[arg(long, value_name = "COUNT")]
    concurrency: Option<u32>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Wanted {
    Cloudevents,
    CloudeventsJson,
    Raw,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write it as 'NAME: VALUE'")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

impl Change {
    fn apply(&self, mut webhook: Webhook) -> Webhook {
        if let Some(format) = self.format {
            webhook.format = match format {
                Wanted::Cloudevents => Format::Cloudevents,
                Wanted::CloudeventsJson => Format::CloudeventsJson,
                Wanted::Raw => Format::Raw,
            }
            .into();
        }
        webhook.headers.extend(self.headers.iter().cloned());
        let wire = |span: Duration| prost_types::Duration::try_from(span).ok();
        webhook.timeout = self.timeout.and_then(wire).or(webhook.timeout);
        webhook.give_up_after = self.give_up_after.and_then(wire).or(webhook.give_up_after);
        webhook.concurrency = self.concurrency.unwrap_or(webhook.concurrency);
        webhook
    }

    fn secret(&self) -> Result<String> {
        let Some(path) = &self.secret_file else { return Ok(String::new()) };
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::field("--secret-file", format!("{} cannot be read: {error}", path.display()))
        })?;
        Ok(text.trim().to_owned())
    }
}

pub(super) async fn run(args: WebhooksArgs) -> Result<()> {
    match args.command {
        Command::List { target, json } => {
            let all = target.connect().await?.webhooks().list().await?;
            if json {
                return output::print_json(&all.iter().map(object).collect());
            }
            output::print(&output::table(&HEAD, &all.iter().map(row).collect::<Vec<_>>()))
        }
        Command::Create { target, name, topic, url, change, earliest } => {
            let webhook = Webhook { name, topic, url, from_earliest: earliest, ..Webhook::default() };
            let (given, webhook) = (change.secret()?, change.apply(webhook));
            let (made, secret) = target.connect().await?.webhooks().create(webhook, &given).await?;
            if !given.is_empty() {
                return describe(&made);
            }
            // Beside what is printed, which mostly goes into a file.
            eprintln!("created webhook {}; this is the only time that its secret is shown:", made.name);
            output::print(&secret)
        }
        Command::Describe { named, json } => {
            let webhook = named.webhooks().await?.get(&named.name).await?;
            if json { output::print_json(&object(&webhook)) } else { describe(&webhook) }
        }
        Command::Update { named, url, change } => {
            let (webhooks, secret) = (named.webhooks().await?, change.secret()?);
            let mut webhook = webhooks.get(&named.name).await?;
            webhook.url = url.unwrap_or(webhook.url);
            describe(&webhooks.update(change.apply(webhook), &secret).await?)
        }
        Command::Delete(named) => named.webhooks().await?.delete(&named.name).await,
        Command::Pause(named) => named.webhooks().await?.pause(&named.name).await.map(|_| ()),
        Command::Resume(named) => named.webhooks().await?.resume(&named.name).await.map(|_| ()),
        Command::Seek { named, to } => {
            let start = match to.as_str() {
                "latest" => Start::Latest,
                "earliest" => Start::Earliest,
                position => Start::After(position.parse()?),
            };
            named.webhooks().await?.seek(&named.name, start).await.map(|_| ())
        }
        Command::Test(named) => {
            let answer = named.webhooks().await?.test(&named.name).await?;
            if answer.acknowledged {
                return output::print(&format!("acknowledged with {}", answer.status));
            }
            Err(Error::new(Code::FailedPrecondition, format!("not acknowledged: {}", answer.error)))
        }
    }
}

const HEAD: [&str; 6] = ["WEBHOOK", "TOPIC", "HEALTH", "LAG", "DROPPED", "URL"];

fn health(webhook: &Webhook) -> &'static str {
    match webhook.health() {
        Health::Unspecified => "unknown",
        Health::Active => "active",
        Health::Retrying => "retrying",
        Health::Dead => "dead",
        Health::Paused => "paused",
        Health::Disabled => "disabled",
    }
}

fn format(webhook: &Webhook) -> &'static str {
    match webhook.format() {
        Format::Unspecified | Format::Cloudevents => "cloudevents",
        Format::CloudeventsJson => "cloudevents-json",
        Format::Raw => "raw",
    }
}

fn position(webhook: &Webhook) -> Option<String> {
    webhook.position.as_ref().map(|at| format!("{}:{}", at.epoch, at.sequence))
}

fn row(webhook: &Webhook) -> Vec<String> {
    vec![
        webhook.name.clone(),
        output::visible(&webhook.topic),
        health(webhook).to_owned(),
        webhook.lag_messages.to_string(),
        webhook.dropped_messages.to_string(),
        output::visible(&webhook.url),
    ]
}

fn span(wire: Option<prost_types::Duration>) -> Duration {
    wire.and_then(|span| Duration::try_from(span).ok()).unwrap_or_default()
}

fn describe(webhook: &Webhook) -> Result<()> {
    let success = match webhook.last_success_unix_nano {
        0 => "never".to_owned(),
        at => output::rfc3339(UNIX_EPOCH + Duration::from_nanos(at)),
    };
    let headers: Vec<&str> = webhook.headers.keys().map(String::as_str).collect();
    let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { output::visible(text) };
    output::print(&format!(
        "webhook          {}/{}\ntopic            {}\nurl              {}\nformat           {}\n\
         headers          {}\ntimeout          {}\ngive up after    {}\nconcurrency      {}\n\
         defined          {}\nhealth           {}\nposition         {}\nlag              {} messages\n\
         delivered        {}\npassed over      {}\nmissed           {}\nlast success     {success}\n\
         last error       {}",
        webhook.namespace,
        webhook.name,
        output::visible(&webhook.topic),
        output::visible(&webhook.url),
        format(webhook),
        or(&headers.join(", "), "none"),
        units::duration(span(webhook.timeout)),
        units::duration(span(webhook.give_up_after)),
        webhook.concurrency,
        or(&webhook.configured_at, "through the API"),
        health(webhook),
        position(webhook).unwrap_or_else(|| "not begun".to_owned()),
        webhook.lag_messages,
        webhook.delivered_messages,
        webhook.dropped_messages,
        webhook.missed_messages,
        or(&webhook.last_error, "none"),
    ))
}

fn object(webhook: &Webhook) -> Value {
    json!({
        "namespace": webhook.namespace,
        "name": webhook.name,
        "topic": webhook.topic,
        "url": webhook.url,
        "format": format(webhook),
        "headers": webhook.headers.keys().collect::<Vec<_>>(),
        "timeout_seconds": span(webhook.timeout).as_secs_f64(),
        "give_up_after_seconds": span(webhook.give_up_after).as_secs_f64(),
        "concurrency": webhook.concurrency,
        "configured_at": webhook.configured_at,
        "health": health(webhook),
        "position": position(webhook),
        "lag_messages": webhook.lag_messages,
        "failures": webhook.failures,
        "last_error": webhook.last_error,
        "delivered_messages": webhook.delivered_messages,
        "dropped_messages": webhook.dropped_messages,
        "missed_messages": webhook.missed_messages,
    })
}
