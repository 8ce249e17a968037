//! `bugle publish`: an argument, a file, or a message for each line of standard input. Prints the
//! position of each message once the server has accepted it.

mod lines;

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use tokio::io::AsyncReadExt;
use uuid::Uuid;

use self::lines::publish_lines;
use super::exit::USAGE_REASON;
use super::output::Output;
use super::target::Target;
use crate::client::{Message, Receipt};
use crate::error::{Code, Error, Result};

/// The arguments of `bugle publish`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct PublishArgs {
    #[command(flatten)]
    target: Target,
    /// The topic
    topic: String,
    /// The payload
    #[arg(conflicts_with_all = ["file", "lines"])]
    message: Option<String>,
    /// Take the payload from a file (-: all of standard input)
    #[arg(long, short, value_name = "FILE", conflicts_with = "lines")]
    file: Option<PathBuf>,
    /// A message for each line of standard input (the default when nothing else is given)
    #[arg(long)]
    lines: bool,
    /// Add an attribute to each message
    #[arg(long = "attribute", short, value_name = "NAME=VALUE", value_parser = attribute)]
    attributes: Vec<(String, String)>,
    /// The ordering key
    #[arg(long, short)]
    key: Option<String>,
    /// The media type of the payload
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// The id of the message (default: the server makes one)
    #[arg(long, value_name = "UUID", conflicts_with = "lines")]
    id: Option<Uuid>,
    /// Print no positions
    #[arg(long, short)]
    quiet: bool,
    /// Print positions as JSON, an object a line
    #[arg(long, conflicts_with = "quiet")]
    json: bool,
}

const AFTER_HELP: &str = "\
Prints EPOCH:SEQ for each message: `bugle subscribe --from EPOCH:SEQ` goes on behind it.
Lines that a quota refuses are published again when it has room, in their order.

Examples:
  bugle publish orders 'hello, camp'
  bugle publish orders --file order.json --content-type application/json
  bugle publish orders hello --key customer-7 --attribute region=eu --attribute kind=test
  tail -f app.log | bugle publish logs --quiet";

fn attribute(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("has to be NAME=VALUE".to_owned()),
    }
}

pub(super) async fn run(args: PublishArgs) -> Result<()> {
    let payload = match (&args.message, &args.file) {
        (Some(message), _) => Some(message.clone().into_bytes()),
        (None, Some(file)) => Some(read(file).await?),
        (None, None) => None,
    };
    if payload.is_none() {
        check_lines(&args)?;
    }
    let client = args.target.connect_for(&args.topic).await?;
    match payload {
        Some(payload) => {
            let receipt = client.publish(&args.topic, args.message(payload)).await?;
            let mut output = Output::new();
            args.print(&mut output, receipt)?;
            output.flush().map(|_| ())
        }
        None => publish_lines(&client, &args).await,
    }
}

fn check_lines(args: &PublishArgs) -> Result<()> {
    let usage = |message: &str| Err(Error::new(Code::InvalidArgument, message).reason(USAGE_REASON));
    if args.id.is_some() {
        return usage("--id names one message: give it as an argument or with --file");
    }
    if !args.lines && std::io::stdin().is_terminal() {
        return usage("there is nothing to publish: give a message, --file, or --lines to type some");
    }
    Ok(())
}

async fn read(file: &std::path::Path) -> Result<Vec<u8>> {
    let outcome = if file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        tokio::io::stdin().read_to_end(&mut bytes).await.map(|_| bytes)
    } else {
        tokio::fs::read(file).await
    };
    outcome.map_err(|error| unreadable(&file.display().to_string(), error))
}

fn unreadable(what: &str, error: std::io::Error) -> Error {
    Error::new(Code::InvalidArgument, format!("{what} cannot be read: {error}")).because(error)
}

impl PublishArgs {
    fn message(&self, payload: Vec<u8>) -> Message {
        let mut message = Message::new(payload);
        for (name, value) in &self.attributes {
            message = message.with_attribute(name, value);
        }
        if let Some(key) = &self.key {
            message = message.with_key(key);
        }
        if let Some(content_type) = &self.content_type {
            message = message.with_content_type(content_type);
        }
        match self.id {
            Some(id) => message.with_id(id),
            None => message,
        }
    }

    /// Prints a position. A reader that is gone does not end the publishing.
    fn print(&self, output: &mut Output, receipt: Receipt) -> Result<()> {
        if self.quiet {
            return Ok(());
        }
        let line = if self.json {
            let Receipt { epoch, sequence } = receipt;
            json!({"position": receipt.to_string(), "epoch": epoch, "sequence": sequence}).to_string()
        } else {
            receipt.to_string()
        };
        output.line(line.as_bytes()).map(|_| ())
    }
}
