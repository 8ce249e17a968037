//! Makes the connections of a client: in plaintext as the transport does it, over TLS by itself.
//!
//! By itself because the transport drops what a server says when it refuses a certificate, see
//! [`session`](super::session). A [`Dialer`] belongs to one client, which keeps it to connect anew.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig};
use tokio_rustls::TlsConnector;
use tonic::codegen::Service;
use tonic::transport::{Channel, Endpoint, Error as TransportError};

use super::session::{LastWord, Session};

/// The only protocol of the bus.
const H2: &[u8] = b"h2";

/// Connects to one server.
#[derive(Clone)]
pub(super) struct Dialer {
    endpoint: Endpoint,
    tls: Option<Connector>,
}

impl Dialer {
    /// In plaintext.
    pub fn plain(endpoint: Endpoint, patience: Duration) -> Self {
        Dialer { endpoint: endpoint.connect_timeout(patience), tls: None }
    }

    /// Over TLS; each half of a connection is waited for as long as `patience`. The endpoint's own URL
    /// is http:// and names a port, since to the transport this is no matter of its own.
    pub fn tls(
        endpoint: Endpoint,
        mut config: ClientConfig,
        name: ServerName<'static>,
        patience: Duration,
    ) -> Self {
        config.alpn_protocols = vec![H2.to_vec()];
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(patience));
        let tls = TlsConnector::from(Arc::new(config));
        let connector = Connector { tcp, tls, name, patience, last_word: LastWord::default() };
        Dialer { endpoint, tls: Some(connector) }
    }

    /// A connection.
    pub async fn connect(&self) -> Result<Channel, TransportError> {
        match &self.tls {
            Some(connector) => self.endpoint.connect_with_connector(connector.clone()).await,
            None => self.endpoint.connect().await,
        }
    }

    /// A connection that is made when it is first used.
    pub fn connect_lazy(&self) -> Channel {
        match &self.tls {
            Some(connector) => self.endpoint.connect_with_connector_lazy(connector.clone()),
            None => self.endpoint.connect_lazy(),
        }
    }

    /// What the server of the latest connection said when it ended it.
    pub fn last_word(&self) -> Option<AlertDescription> {
        self.tls.as_ref()?.last_word.get()
    }
}

/// How a handshake failed.
#[derive(Debug)]
pub(super) enum Handshake {
    /// One side did not like it, or hung up.
    Failed(io::Error),
    /// There was no answer in time.
    Late,
    /// The server does not speak HTTP/2.
    NotH2,
}

impl fmt::Display for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Handshake::Failed(error) => write!(f, "the TLS handshake failed: {error}"),
            Handshake::Late => f.write_str("the TLS handshake took too long"),
            Handshake::NotH2 => f.write_str("the server does not speak HTTP/2 over TLS"),
        }
    }
}

impl std::error::Error for Handshake {}

/// Makes TLS connections to one server.
#[derive(Clone)]
struct Connector {
    tcp: HttpConnector,
    tls: TlsConnector,
    name: ServerName<'static>,
    patience: Duration,
    last_word: LastWord,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Service<Uri> for Connector {
    type Response = TokioIo<Session>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        self.last_word.clear();
        let (tcp, tls, name) = (self.tcp.call(uri), self.tls.clone(), self.name.clone());
        let (patience, last_word) = (self.patience, self.last_word.clone());
        Box::pin(async move {
            let tcp = tcp.await?.into_inner();
            let stream = tokio::time::timeout(patience, tls.connect(name, tcp)).await;
            let stream = stream.map_err(|_| Handshake::Late)?.map_err(Handshake::Failed)?;
            if stream.get_ref().1.alpn_protocol() != Some(H2) {
                return Err(Handshake::NotH2.into());
            }
            Ok(TokioIo::new(Session { stream, last_word }))
        })
    }
}
