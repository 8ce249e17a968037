//! `bugle keys`: the API keys of a server: create, list, delete.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use super::target::Server;
use super::{output, units};
use crate::client::access::KeyInfo;
use crate::error::Result;
use crate::server::create_key_in;

/// The arguments of `bugle keys`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct KeysArgs {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
A key is for a client that stays: it names the principal key:NAME, to which policies give rights. The
server keeps only its hash, so its credential is shown once. What a client sends as its credential is
read from the file that --credential-file names, or from BUGLE_CREDENTIAL.

Examples:
  bugle keys create admin --file keys.json > admin.credential   # the first one, without a server
  bugle serve --set auth.enabled=true --set auth.keys_file=keys.json --config bugle.toml
  bugle keys create billing --credential-file admin.credential > billing.credential
  BUGLE_CREDENTIAL=$(cat billing.credential) bugle publish invoices 'no. 1'
  bugle keys list
  bugle keys delete 3f9c…";

#[derive(Debug, Subcommand)]
enum Command {
    /// Create a key, and print its credential: the only time that it is shown
    #[command(after_help = "Example:\n  bugle keys create billing --ttl 90d > billing.credential")]
    Create {
        #[command(flatten)]
        server: Server,
        /// Write it into this file instead, which a server has as auth.keys_file: for the first key,
        /// with which others are made. A running server reads it at SIGHUP.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Whom it names: key:NAME
        name: String,
        /// It expires after so long, such as 90d [default: never]
        #[arg(long, value_name = "DURATION", value_parser = units::parse_duration)]
        ttl: Option<Duration>,
    },
    /// List all keys
    #[command(after_help = "Example:\n  bugle keys list")]
    List {
        #[command(flatten)]
        server: Server,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Delete a key: from now on it proves nothing, and streams that live on it end
    #[command(after_help = "Example:\n  bugle keys delete 3f9c…     # the id, as `bugle keys list` has it")]
    Delete {
        #[command(flatten)]
        server: Server,
        /// Its id
        id: String,
    },
}

pub(super) async fn run(args: KeysArgs) -> Result<()> {
    match args.command {
        Command::Create { server, file, name, ttl } => {
            let (id, credential) = match file {
                Some(file) => create_key_in(file, &name, ttl)?,
                None => {
                    let (key, credential) = server.connect().await?.access().create_key(&name, ttl).await?;
                    (key.id, credential)
                }
            };
            // Beside what is printed, which mostly goes into a file.
            eprintln!("created key {id} for key:{name}; this is the only time that it is shown:");
            output::print(&credential)
        }
        Command::List { server, json } => {
            let keys = server.connect().await?.access().keys().await?;
            if json {
                return output::print_json(&keys.iter().map(object).collect());
            }
            let rows: Vec<_> = keys.iter().map(row).collect();
            output::print(&output::table(&["ID", "PRINCIPAL", "CREATED", "EXPIRES"], &rows))
        }
        Command::Delete { server, id } => server.connect().await?.access().delete_key(&id).await,
    }
}

fn row(key: &KeyInfo) -> Vec<String> {
    let expires = key.expires.map_or_else(|| "never".to_owned(), output::rfc3339);
    vec![key.id.clone(), format!("key:{}", output::visible(&key.name)), output::rfc3339(key.created), expires]
}

fn object(key: &KeyInfo) -> serde_json::Value {
    json!({
        "id": key.id,
        "principal": format!("key:{}", key.name),
        "created": output::rfc3339(key.created),
        "expires": key.expires.map(output::rfc3339),
    })
}
