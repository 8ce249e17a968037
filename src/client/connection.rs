//! The connection behind everything the client does, and how it is replaced when it went silent.

use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tonic::transport::Channel;

use super::access::Access;
use super::admin::Admin;
use super::credential::{Authorized, Credential};
use super::dialer::Dialer;
use super::monitor::Monitor;
use super::options::ClientBuilder;
use super::publisher::PublisherBuilder;
use super::status;
use super::subscription::SubscribeBuilder;
use super::trace::{Spans, Trace};
use super::webhooks::Webhooks;
use crate::error::{Code, Error, Result};
use crate::proto::v1::access_client::AccessClient;
use crate::proto::v1::admin_client::AdminClient;
use crate::proto::v1::bus_client::BusClient;
use crate::proto::v1::monitor_client::MonitorClient;
use crate::topic::Namespace;

/// A connection to a server; clones share it. It reconnects by itself when it is next used. Whether
/// and by whom it is traced is settled when it is made: [`ClientBuilder::tracer_provider`].
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    namespace: Arc<str>,
}

struct Shared {
    dialer: Dialer,
    uri: String,
    connect_timeout: Duration,
    response_bytes_max: usize,
    trace: Option<Arc<Trace>>,
    credential: Credential,
    line: Mutex<Line>,
}

/// The connection in use and how many there were before it.
struct Line {
    channel: Channel,
    generation: u64,
}

impl Client {
    /// Connects to a server such as `http://127.0.0.1:7600`, with the default options.
    pub async fn connect(uri: impl Into<String>) -> Result<Self> {
        Client::builder(uri).connect().await
    }

    /// A client with options.
    pub fn builder(uri: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(uri)
    }

    pub(super) fn new(
        dialer: Dialer,
        channel: Channel,
        uri: String,
        connect_timeout: Duration,
        response_bytes_max: usize,
        trace: Option<Arc<Trace>>,
        credential: Credential,
    ) -> Self {
        let line = Mutex::new(Line { channel, generation: 0 });
        let shared = Shared { dialer, uri, connect_timeout, response_bytes_max, trace, credential, line };
        Client { shared: Arc::new(shared), namespace: Arc::from(Namespace::DEFAULT) }
    }

    /// The server's URI, as it was given.
    pub fn uri(&self) -> &str {
        &self.shared.uri
    }

    /// The same connection, for the topics of another namespace.
    pub fn in_namespace(&self, namespace: &str) -> Result<Self> {
        let namespace = Arc::from(Namespace::parse(namespace)?.as_str());
        Ok(Client { shared: Arc::clone(&self.shared), namespace })
    }

    /// The namespace of the topics that are named without one.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// A publisher that batches and pipelines; see [`PublisherBuilder`].
    pub fn publisher(&self) -> PublisherBuilder {
        PublisherBuilder::new(self.clone())
    }

    /// A subscription to a topic; see [`SubscribeBuilder`].
    pub fn subscribe(&self, topic: impl Into<String>) -> SubscribeBuilder {
        SubscribeBuilder::new(self.clone(), topic.into())
    }

    /// Namespaces and topics: list, create, change, delete.
    pub fn admin(&self) -> Admin {
        Admin::new(self.clone())
    }

    /// What the server is doing: its figures, subscriptions, probes and logs.
    pub fn monitor(&self) -> Monitor {
        Monitor::new(self.clone())
    }

    /// Keys, tokens, and why something is allowed or refused.
    pub fn access(&self) -> Access {
        Access::new(self.clone())
    }

    /// Webhooks of the client's namespace.
    pub fn webhooks(&self) -> Webhooks {
        Webhooks::new(self.clone())
    }

    pub(super) fn bus(&self) -> BusClient<Authorized> {
        BusClient::new(self.channel()).max_decoding_message_size(self.shared.response_bytes_max)
    }

    pub(super) fn administration(&self) -> AdminClient<Authorized> {
        AdminClient::new(self.channel()).max_decoding_message_size(self.shared.response_bytes_max)
    }

    pub(super) fn monitoring(&self) -> MonitorClient<Authorized> {
        MonitorClient::new(self.channel()).max_decoding_message_size(self.shared.response_bytes_max)
    }

    /// From now on calls are made with this credential: an API key, a JWT or a token of the bus.
    /// Publishers go on with it behind what they have sent. Subscriptions that are open go on with the one
    /// they were opened with, until it expires or is deleted; then they resume with this one. Errors: text that no metadata can carry.
    pub fn use_credential(&self, credential: &str) -> Result<()> {
        self.shared.credential.set(credential)
    }

    /// How often the credential has changed.
    pub(super) fn credential_changes(&self) -> u64 {
        self.shared.credential.changes()
    }

    pub(super) fn accessing(&self) -> AccessClient<Authorized> {
        AccessClient::new(self.channel()).max_decoding_message_size(self.shared.response_bytes_max)
    }

    pub(super) fn channel(&self) -> Authorized {
        Authorized { channel: self.line().channel.clone(), credential: self.shared.credential.clone() }
    }

    /// The answer to a call. It is waited for as long as a connection may take, and `longer` where
    /// the call itself takes time; a connection on which none comes is replaced.
    pub(super) async fn answer<T>(
        &self,
        longer: Duration,
        call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T> {
        let (generation, patience) = (self.generation(), self.shared.connect_timeout + longer);
        match tokio::time::timeout(patience, call).await {
            Ok(answer) => answer.map(tonic::Response::into_inner).map_err(|status| self.error(status)),
            Err(_) => {
                self.renew(generation);
                Err(self.silent(patience))
            }
        }
    }

    /// Which connection this is, for [`Client::renew`].
    pub(super) fn generation(&self) -> u64 {
        self.line().generation
    }

    /// Puts a new connection in the place of connection `generation`, which no longer answers. Of
    /// many subscriptions that notice it, the first does it and the others use its work.
    pub(super) fn renew(&self, generation: u64) {
        let mut line = self.line();
        if line.generation == generation {
            line.channel = self.shared.dialer.connect_lazy();
            line.generation += 1;
        }
    }

    /// What makes the spans for its own namespace; `None` where nothing is traced.
    pub(super) fn spans(&self) -> Option<Spans> {
        self.shared.trace.clone().map(|trace| Spans::new(trace, Arc::clone(&self.namespace)))
    }

    /// The same for another namespace.
    pub(super) fn spans_in(&self, namespace: &str) -> Option<Spans> {
        self.shared.trace.clone().map(|trace| Spans::new(trace, Arc::from(namespace)))
    }

    pub(super) fn error(&self, status: tonic::Status) -> Error {
        status::to_error(status, self.shared.dialer.last_word(), self.uri())
    }

    /// How long a call may take to be opened.
    pub(super) fn connect_timeout(&self) -> Duration {
        self.shared.connect_timeout
    }

    /// The error for a call that was not opened in that time.
    pub(super) fn no_answer(&self) -> Error {
        self.silent(self.shared.connect_timeout)
    }

    fn silent(&self, waited: Duration) -> Error {
        Error::new(Code::Unavailable, format!("{} did not answer within {waited:?}", self.uri()))
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.shared.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("uri", &self.shared.uri).finish_non_exhaustive()
    }
}
