//! Which server a subcommand talks to, and in which namespace.

use std::path::PathBuf;

use clap::Args;

use crate::client::{Client, ClientBuilder};
use crate::error::{Error, Result};
use crate::topic::Namespace;

/// The server.
#[derive(Debug, Clone, Args)]
pub(super) struct Server {
    /// The server to talk to
    #[arg(long, env = "BUGLE_SERVER", default_value = "http://127.0.0.1:7600", value_name = "URL")]
    pub(super) server: String,

    /// A file with what proves who you are: an API key, a token or a JWT; or BUGLE_CREDENTIAL in the
    /// environment
    #[arg(long, value_name = "FILE")]
    pub(super) credential_file: Option<PathBuf>,
}

/// The server and the namespace of the topics.
#[derive(Debug, Clone, Args)]
pub(super) struct Target {
    #[command(flatten)]
    pub(super) server: Server,

    /// The namespace of the topics
    #[arg(long, short, env = "BUGLE_NAMESPACE", default_value = Namespace::DEFAULT, value_name = "NAME")]
    pub(super) namespace: String,
}

impl Server {
    pub(super) async fn connect(&self) -> Result<Client> {
        self.builder()?.connect().await
    }

    /// A client of this server that proves who it is, if that was said.
    pub(super) fn builder(&self) -> Result<ClientBuilder> {
        let builder = Client::builder(self.server.as_str());
        let credential = match &self.credential_file {
            Some(path) => {
                let read = std::fs::read_to_string(path);
                Some(read.map_err(|error| {
                    let description = format!("{} cannot be read: {error}", path.display());
                    Error::field("--credential-file", description)
                })?)
            }
            // Not an option of clap's: that would print it in its help.
            None => std::env::var("BUGLE_CREDENTIAL").ok(),
        };
        let credential = credential.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        Ok(match credential {
            Some(credential) => builder.credential(credential),
            None => builder,
        })
    }
}

impl Target {
    /// Connects to publish to this topic, or to follow it.
    pub(super) async fn connect_for(&self, topic: &str) -> Result<Client> {
        Namespace::parse(&self.namespace)?.topic(topic)?;
        self.connect().await
    }

    pub(super) async fn connect(&self) -> Result<Client> {
        // A wrong name is told before a missing server: it is the user's to change.
        Namespace::parse(&self.namespace)?;
        self.server.connect().await?.in_namespace(&self.namespace)
    }
}
