//! `bugle topics`: list, create, describe, update and delete.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::target::Target;
use super::{output, units};
use crate::client::{Durability, TopicInfo, TopicSettings};
use crate::error::Result;

/// The arguments of `bugle topics`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct TopicsArgs {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  bugle topics create orders --retain-bytes 64MiB --retain-age 1h
  bugle topics list --prefix ord
  bugle topics describe orders --json
  bugle topics update orders --retain-messages 1000";

#[derive(Debug, Subcommand)]
enum Command {
    /// List topics
    #[command(after_help = "Example:\n  bugle topics list --prefix orders. --json")]
    List {
        #[command(flatten)]
        target: Target,
        /// Only topics whose name begins with this
        #[arg(long, default_value = "", hide_default_value = true)]
        prefix: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Create a topic (publishing and subscribing create one too, with the server's defaults)
    #[command(after_help = "Example:\n  bugle topics create orders --retain-bytes 64MiB --retain-age 1h")]
    Create(Change),
    /// Show a topic's settings and state
    #[command(after_help = "Example:\n  bugle topics describe orders")]
    Describe {
        #[command(flatten)]
        target: Target,
        /// The topic
        topic: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change a topic's settings; what is not given stays as it is
    #[command(after_help = "Example:\n  bugle topics update orders --retain-age 7d")]
    Update(Change),
    /// Delete topics and what they keep; their subscriptions end
    #[command(after_help = "Example:\n  bugle topics delete orders orders.old")]
    Delete {
        #[command(flatten)]
        target: Target,
        /// The topics
        #[arg(required = true)]
        topics: Vec<String>,
    },
}

#[derive(Debug, Args)]
struct Change {
    #[command(flatten)]
    target: Target,
    /// The topic
    topic: String,
    /// Keep at most so many bytes, such as 64MiB (0: the server's default)
    #[arg(long, value_name = "BYTES", value_parser = units::parse_bytes)]
    retain_bytes: Option<u64>,
    /// Keep at most so many messages (0: the server's default)
    #[arg(long, value_name = "COUNT")]
    retain_messages: Option<u64>,
    /// Keep messages for at most this long, such as 1h (0s: the server's default)
    #[arg(long, value_name = "AGE", value_parser = units::parse_duration)]
    retain_age: Option<Duration>,
    /// What an acknowledged publish promises: default, memory, disk or replicated
    #[arg(long)]
    durability: Option<Durability>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Change {
    fn apply(&self, mut settings: TopicSettings) -> TopicSettings {
        let retention = &mut settings.retention;
        retention.max_bytes = self.retain_bytes.unwrap_or(retention.max_bytes);
        retention.max_messages = self.retain_messages.unwrap_or(retention.max_messages);
        retention.max_age = self.retain_age.or(retention.max_age).filter(|age| !age.is_zero());
        settings.durability = self.durability.unwrap_or(settings.durability);
        settings
    }
}

pub(super) async fn run(args: TopicsArgs) -> Result<()> {
    match args.command {
        Command::List { target, prefix, json } => {
            let topics = target.connect().await?.admin().list_topics(&prefix).await?;
            if json {
                return output::print_json(&topics.iter().map(object).collect());
            }
            let rows: Vec<_> = topics.iter().map(row).collect();
            output::print(&output::table(&HEAD, &rows))
        }
        Command::Create(change) => {
            let admin = change.target.connect().await?.admin();
            let topic = admin.create_topic(&change.topic, change.apply(TopicSettings::default())).await?;
            describe(&topic, change.json)
        }
        Command::Describe { target, topic, json } => {
            describe(&target.connect().await?.admin().get_topic(&topic).await?, json)
        }
        Command::Update(change) => {
            let admin = change.target.connect().await?.admin();
            let settings = admin.get_topic(&change.topic).await?.settings;
            let topic = admin.update_topic(&change.topic, change.apply(settings)).await?;
            describe(&topic, change.json)
        }
        Command::Delete { target, topics } => {
            let admin = target.connect().await?.admin();
            for topic in &topics {
                admin.delete_topic(topic).await?;
            }
            Ok(())
        }
    }
}

const HEAD: [&str; 5] = ["TOPIC", "MESSAGES", "BYTES", "SUBSCRIPTIONS", "NEXT"];

/// How many messages are kept, as far as the sequences tell.
fn retained(topic: &TopicInfo) -> u64 {
    topic.next_sequence.saturating_sub(topic.first_sequence)
}

fn row(topic: &TopicInfo) -> Vec<String> {
    vec![
        topic.name.clone(),
        retained(topic).to_string(),
        units::bytes(topic.retained_bytes),
        topic.subscriptions.to_string(),
        format!("{}:{}", topic.epoch, topic.next_sequence),
    ]
}

fn describe(topic: &TopicInfo, json: bool) -> Result<()> {
    if json {
        return output::print_json(&object(topic));
    }
    let retention = topic.settings.retention;
    let or_default =
        |limit: u64, text: String| if limit == 0 { "the server's default".to_owned() } else { text };
    let age = retention.max_age.map_or("the server's default".to_owned(), units::duration);
    let kept = match retained(topic) {
        0 => "nothing".to_owned(),
        count => {
            let (first, last) = (topic.first_sequence, topic.next_sequence - 1);
            format!("{count} messages, {} (sequences {first} to {last})", units::bytes(topic.retained_bytes))
        }
    };
    let lag = match (topic.subscriptions, topic.lag) {
        (0, _) => "nobody is subscribed".to_owned(),
        (_, None) => "nobody is behind".to_owned(),
        (_, Some(lag)) => {
            let behind = units::short_duration(lag);
            format!("the slowest is {} messages behind, {behind}", topic.lag_messages)
        }
    };
    output::print(&format!(
        "topic            {}/{}\n\
         durability       {}\n\
         retain bytes     {}\n\
         retain messages  {}\n\
         retain age       {age}\n\
         epoch            {}\n\
         kept             {kept}\n\
         subscriptions    {}\n\
         lag              {lag}",
        topic.namespace,
        topic.name,
        topic.settings.durability,
        or_default(retention.max_bytes, units::bytes(retention.max_bytes)),
        or_default(retention.max_messages, retention.max_messages.to_string()),
        topic.epoch,
        topic.subscriptions,
    ))
}

fn object(topic: &TopicInfo) -> Value {
    let retention = topic.settings.retention;
    json!({
        "namespace": topic.namespace,
        "topic": topic.name,
        "durability": topic.settings.durability.to_string(),
        "retention": {
            "max_bytes": retention.max_bytes,
            "max_messages": retention.max_messages,
            "max_age_seconds": retention.max_age.map(|age| age.as_secs_f64()),
        },
        "epoch": topic.epoch,
        "first_sequence": topic.first_sequence,
        "next_sequence": topic.next_sequence,
        "retained_bytes": topic.retained_bytes,
        "subscriptions": topic.subscriptions,
        "lag_messages": topic.lag_messages,
        "lag_seconds": topic.lag.unwrap_or_default().as_secs_f64(),
    })
}
