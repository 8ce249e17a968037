//! How the client connects: every option, its default and its reason.

use std::time::Duration;

use opentelemetry::global::ObjectSafeTracerProvider;
use tonic::transport::{Channel, Endpoint};

use super::connection::Client;
use super::credential::Credential;
use super::dialer::Dialer;
use super::status;
use super::tls::Tls;
use super::trace::{Trace, Tracing};
use crate::error::{Error, Result};
use crate::limits::{
    BATCH_BYTES_MAX, CONNECTION_WINDOW_BYTES, FRAME_BYTES_MAX, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT,
    MESSAGE_BYTES_MAX, STREAM_WINDOW_BYTES,
};

/// Builds a [`Client`]; see [`Client::builder`].
#[derive(Clone)]
pub struct ClientBuilder {
    uri: String,
    keepalive_interval: Duration,
    keepalive_timeout: Duration,
    connect_timeout: Duration,
    connection_window_bytes: u32,
    stream_window_bytes: u32,
    response_bytes_max: usize,
    tracing: Tracing,
    credential: Option<String>,
    tls: Tls,
}

impl ClientBuilder {
    pub(super) fn new(uri: impl Into<String>) -> Self {
        ClientBuilder {
            uri: uri.into(),
            keepalive_interval: KEEPALIVE_INTERVAL,
            keepalive_timeout: KEEPALIVE_TIMEOUT,
            connect_timeout: Duration::from_secs(10),
            connection_window_bytes: CONNECTION_WINDOW_BYTES,
            stream_window_bytes: STREAM_WINDOW_BYTES,
            // A response holds at least one message, so a large message makes a large response.
            response_bytes_max: 2 * BATCH_BYTES_MAX.max(MESSAGE_BYTES_MAX),
            tracing: Tracing::default(),
            credential: None,
            tls: Tls::default(),
        }
    }

    /// HTTP/2 ping after this long without a frame (default 20 s), answered within `timeout`
    /// (default 20 s) or the connection is given up.
    pub fn keepalive(mut self, interval: Duration, timeout: Duration) -> Self {
        (self.keepalive_interval, self.keepalive_timeout) = (interval, timeout);
        self
    }

    /// Longest wait for a connection, and for the first answer on it (default 10 s).
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Bytes the server may send ahead on the connection (default 16 MiB). Keep it much larger
    /// than a stream's window, so that one subscription that is not read holds up no other.
    pub fn connection_window(mut self, bytes: u32) -> Self {
        self.connection_window_bytes = bytes;
        self
    }

    /// Bytes the server may send ahead on one stream (default 512 KiB).
    pub fn stream_window(mut self, bytes: u32) -> Self {
        self.stream_window_bytes = bytes;
        self
    }

    /// Largest response that is accepted, bytes (default 2 MiB). Raise it when the server allows
    /// messages above 1 MiB.
    pub fn max_response_bytes(mut self, bytes: usize) -> Self {
        self.response_bytes_max = bytes;
        self
    }

    /// Who makes the spans of the client (default: the tracer provider that is installed globally
    /// when the client is made; one that is installed later is not noticed). Any provider of
    /// `opentelemetry` 0.33 will do. One of any other version is silently not seen where it is
    /// installed globally, since each version has a global of its own, and does not compile here.
    ///
    /// The client keeps a tracer of it, so the application ends a provider of the SDK with its
    /// `shutdown`, not by dropping it. A provider that makes no spans costs nothing.
    pub fn tracer_provider(mut self, provider: &impl ObjectSafeTracerProvider) -> Self {
        self.tracing = Tracing::by(provider);
        self
    }

    /// Makes no spans and gives messages no trace context, whatever is installed.
    pub fn without_tracing(mut self) -> Self {
        self.tracing = Tracing::Off;
        self
    }

    /// What proves who is calling: an API key, a JWT or a token of the bus. It goes with every call, so
    /// use it over `https://`, or on a network where nobody listens.
    pub fn credential(mut self, credential: impl Into<String>) -> Self {
        self.credential = Some(credential.into());
        self
    }

    /// Authorities that are trusted instead of those of the system, as PEM: for a server whose URL
    /// begins with `https://`.
    pub fn ca_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.authorities = Some(pem.into());
        self
    }

    /// The certificate that proves who is calling, and its private key, as PEM: for a server that asks
    /// for one.
    pub fn identity(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.tls.identity = Some((certificate.into(), key.into()));
        self
    }

    /// The name that the certificate of the server has to be for (default: that of the URL).
    pub fn domain_name(mut self, name: impl Into<String>) -> Self {
        self.tls.domain = Some(name.into());
        self
    }

    /// Whether the options are good; nothing is connected. Errors: as [`ClientBuilder::connect`] has
    /// them for an option.
    pub fn check(&self) -> Result<()> {
        self.tls.check(&self.address()?)
    }

    /// Connects. Errors: INVALID_ARGUMENT for a URI that is none, UNAVAILABLE when no server
    /// answers.
    pub async fn connect(self) -> Result<Client> {
        let (uri, dialer) = self.dialer()?;
        let channel = dialer.connect().await.map_err(|error| status::transport(error, None, &self.uri))?;
        self.client(&uri, dialer, channel)
    }

    /// A client that connects when it is first used, so that the server may start later.
    pub fn connect_lazy(self) -> Result<Client> {
        let (uri, dialer) = self.dialer()?;
        let channel = dialer.connect_lazy();
        self.client(&uri, dialer, channel)
    }

    fn client(self, uri: &http::Uri, dialer: Dialer, channel: Channel) -> Result<Client> {
        let credential = Credential::default();
        self.credential.as_deref().map_or(Ok(()), |text| credential.set(text))?;
        let trace = Trace::new(&self.tracing, uri);
        let (patience, bytes_max) = (self.connect_timeout, self.response_bytes_max);
        Ok(Client::new(dialer, channel, self.uri, patience, bytes_max, trace, credential))
    }

    fn dialer(&self) -> Result<(http::Uri, Dialer)> {
        let uri = self.address()?;
        let dialer = self.tls.dialer(&uri, self.connect_timeout, |endpoint| self.tuned(endpoint))?;
        Ok((uri, dialer))
    }

    fn address(&self) -> Result<http::Uri> {
        let wrong = "has to be a URL such as http://127.0.0.1:7600 or https://bus.example:7600";
        let uri: http::Uri =
            self.uri.parse().map_err(|error| Error::field("server", wrong).because(error))?;
        let has_scheme = matches!(uri.scheme_str(), Some("http" | "https"));
        if !has_scheme || uri.host().is_none() {
            return Err(Error::field("server", wrong));
        }
        Ok(uri)
    }

    fn tuned(&self, endpoint: Endpoint) -> Endpoint {
        endpoint
            .tcp_nodelay(true)
            .http2_keep_alive_interval(self.keepalive_interval)
            .keep_alive_timeout(self.keepalive_timeout)
            .keep_alive_while_idle(true)
            .initial_connection_window_size(self.connection_window_bytes)
            .initial_stream_window_size(self.stream_window_bytes)
            .max_frame_size(FRAME_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_is_no_url_is_refused_with_an_example() {
        for uri in ["", "127.0.0.1:7600", "ftp://x", "http//x"] {
            let error = ClientBuilder::new(uri).connect().await.unwrap_err();
            assert_eq!(error.violations()[0].field, "server", "{uri:?}");
            assert!(error.message().contains("http://"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_told_with_what_to_do() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = Client::connect(format!("http://{free}")).await.unwrap_err();
        assert_eq!(error.reason_code(), Some(status::UNREACHABLE));
        let expected = format!(
            "nobody answers at http://{free}: it is not running (start one with `bugle serve`), or it is draining"
        );
        assert_eq!(error.message(), expected);
    }
}
