//! `bugle namespaces`: list, create and delete.

use clap::{Args, Subcommand};
use serde_json::json;

use super::output;
use super::target::Server;
use crate::error::Result;

/// The arguments of `bugle namespaces`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct NamespacesArgs {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
A namespace isolates topics. `default` always exists.

Examples:
  bugle namespaces create staging
  bugle publish -n staging orders hello
  bugle namespaces list --json";

#[derive(Debug, Subcommand)]
enum Command {
    /// List all namespaces
    #[command(after_help = "Example:\n  bugle namespaces list")]
    List {
        #[command(flatten)]
        server: Server,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Create a namespace
    #[command(after_help = "Example:\n  bugle namespaces create staging")]
    Create {
        #[command(flatten)]
        server: Server,
        /// Its name
        namespace: String,
    },
    /// Delete a namespace and all its topics; their subscriptions end
    #[command(after_help = "Example:\n  bugle namespaces delete staging")]
    Delete {
        #[command(flatten)]
        server: Server,
        /// Its name
        namespace: String,
    },
}

pub(super) async fn run(args: NamespacesArgs) -> Result<()> {
    match args.command {
        Command::List { server, json } => {
            let namespaces = server.connect().await?.admin().list_namespaces().await?;
            if json {
                let object =
                    |it: &crate::client::NamespaceInfo| json!({"namespace": it.name, "topics": it.topics});
                return output::print_json(&namespaces.iter().map(object).collect());
            }
            let rows: Vec<_> =
                namespaces.into_iter().map(|it| vec![it.name, it.topics.to_string()]).collect();
            output::print(&output::table(&["NAMESPACE", "TOPICS"], &rows))
        }
        Command::Create { server, namespace } => {
            server.connect().await?.admin().create_namespace(&namespace).await.map(|_| ())
        }
        Command::Delete { server, namespace } => {
            server.connect().await?.admin().delete_namespace(&namespace).await
        }
    }
}
