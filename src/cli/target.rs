//! Which server a subcommand talks to, and in which namespace.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::client::{Client, ClientBuilder};
use crate::error::{Error, Result};
use crate::topic::Namespace;

/// The heading of the options below in every help.
const HEADING: &str = "TLS and identity";

/// The server.
#[derive(Debug, Clone, Args)]
pub(super) struct Server {
    /// The server to talk to
    #[arg(long, env = "BUGLE_SERVER", default_value = "http://127.0.0.1:7600", value_name = "URL")]
    pub(super) server: String,

    /// A file with what proves who you are: an API key, a token or a JWT; or BUGLE_CREDENTIAL in the
    /// environment
    #[arg(long, help_heading = HEADING, value_name = "FILE")]
    pub(super) credential_file: Option<PathBuf>,

    /// A file with the certificate of the authority that the server's is of, where the system does not
    /// trust it (PEM)
    #[arg(long, help_heading = HEADING, env = "BUGLE_CLIENT_CA", value_name = "FILE", hide_env_values = true)]
    pub(super) tls_ca: Option<PathBuf>,

    /// A file with the certificate that proves who you are (PEM)
    #[arg(long, help_heading = HEADING,
        env = "BUGLE_CLIENT_CERT",
        value_name = "FILE",
        requires = "tls_key",
        hide_env_values = true
    )]
    pub(super) tls_cert: Option<PathBuf>,

    /// A file with the private key of that certificate (PEM)
    #[arg(long, help_heading = HEADING,
        env = "BUGLE_CLIENT_KEY",
        value_name = "FILE",
        requires = "tls_cert",
        hide_env_values = true
    )]
    pub(super) tls_key: Option<PathBuf>,

    /// The name that the server's certificate is for, where that is not the one of the URL
    #[arg(long, help_heading = HEADING, env = "BUGLE_CLIENT_DOMAIN", value_name = "NAME")]
    pub(super) tls_domain: Option<String>,
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
        let mut builder = Client::builder(self.server.as_str());
        if let Some(path) = &self.tls_ca {
            builder = builder.ca_certificate(read("--tls-ca", path)?);
        }
        if let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) {
            builder = builder.identity(read("--tls-cert", certificate)?, read("--tls-key", key)?);
        }
        if let Some(name) = &self.tls_domain {
            builder = builder.domain_name(name);
        }
        let credential = match &self.credential_file {
            Some(path) => Some(String::from_utf8_lossy(&read("--credential-file", path)?).into_owned()),
            // Not an option of clap's: that would print it in its help.
            None => std::env::var("BUGLE_CREDENTIAL").ok(),
        };
        let credential = credential.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        if let Some(credential) = credential {
            builder = builder.credential(credential);
        }
        builder.check().map_err(|error| self.in_our_words(error))?;
        Ok(builder)
    }

    /// The same error with the option and the file that the user gave for a field of the client.
    fn in_our_words(&self, error: Error) -> Error {
        let [violation] = error.violations() else { return error };
        let (flag, path) = match violation.field.as_str() {
            "ca_certificate" => ("--tls-ca", &self.tls_ca),
            "identity.cert" => ("--tls-cert", &self.tls_cert),
            "identity.key" => ("--tls-key", &self.tls_key),
            "domain_name" => ("--tls-domain", &None),
            _ => return error,
        };
        let file = path.as_deref().map(|path| format!("{} ", path.display())).unwrap_or_default();
        Error::field(flag, format!("{file}{}", violation.description))
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

fn read(option: &str, path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| Error::field(option, format!("{} cannot be read: {error}", path.display())))
}
