//! Which server a subcommand talks to, and in which namespace.

use clap::Args;

use crate::client::Client;
use crate::error::Result;
use crate::topic::Namespace;

/// The server.
#[derive(Debug, Clone, Args)]
pub(super) struct Server {
    /// The server to talk to
    #[arg(long, env = "BUGLE_SERVER", default_value = "http://127.0.0.1:7600", value_name = "URL")]
    pub(super) server: String,
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
        Client::connect(self.server.as_str()).await
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
