//! `bugle tokens`: disposable tokens with narrowed rights.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::target::Target;
use super::{output, units};
use crate::client::access::{Action, Grant};
use crate::error::{Code, Error, Result};

/// The arguments of `bugle tokens`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct TokensArgs {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
A token is for somebody who may do little for a short time, such as a browser or a job. It may do what
its grants say, as long as whoever made it may do that too; it cannot be deleted, but it ends when the
key that made it does.

Examples:
  bugle tokens create --subscribe 'prices.*' --ttl 15m
  bugle tokens create --publish uploads.42 --subscribe uploads.42 --id browser-42";

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a token, and print it
    #[command(after_help = "Example:\n  bugle tokens create --subscribe 'prices.*' --ttl 15m")]
    Create {
        #[command(flatten)]
        target: Target,
        /// It may publish to this topic, or to those that begin so ('orders.*'); may be repeated
        #[arg(long, value_name = "TOPIC")]
        publish: Vec<String>,
        /// It may subscribe to this topic, or to those that begin so; may be repeated
        #[arg(long, value_name = "TOPIC")]
        subscribe: Vec<String>,
        /// It may administer this topic, or those that begin so; may be repeated
        #[arg(long, value_name = "TOPIC")]
        admin: Vec<String>,
        /// It expires after so long [default: 1h; at most 24h]
        #[arg(long, value_name = "DURATION", value_parser = units::parse_duration)]
        ttl: Option<Duration>,
        /// Whom it names: token:ID [default: an id of the server's]
        #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
        id: String,
    },
}

pub(super) async fn run(args: TokensArgs) -> Result<()> {
    let Command::Create { target, publish, subscribe, admin, ttl, id } = args.command;
    let grants: Vec<Grant> =
        [(Action::Publish, publish), (Action::Subscribe, subscribe), (Action::Admin, admin)]
            .into_iter()
            .flat_map(|(action, topics)| topics.into_iter().map(move |topic| (action, topic)))
            .map(|(action, topic)| Grant {
                namespace: target.namespace.clone(),
                topic,
                actions: vec![action.into()],
            })
            .collect();
    if grants.is_empty() {
        let message = "a token without rights is for nothing: give --publish, --subscribe or --admin";
        return Err(Error::new(Code::InvalidArgument, message).reason(super::exit::USAGE_REASON));
    }
    // Not in the namespace: that of a grant may be a pattern.
    let token = target.server.connect().await?.access().create_token(grants, ttl, &id).await?;
    eprintln!("created {}, until {}:", token.principal, output::rfc3339(token.expires));
    output::print(&token.token)
}
