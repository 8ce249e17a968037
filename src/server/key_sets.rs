//! Asks issuers for the keys that their JWTs are signed with, at the URLs of `[[issuers]]`.
//!
//! Each is asked when it is new, every few minutes, and when a JWT names a key that nobody has heard
//! of, though not more often than every few seconds, since anybody can send such a JWT. A set that
//! cannot be had or used leaves the one before in place; the log says so once, and once that it is
//! over. Redirects are not followed: the configuration says whom to believe. An issuer that hangs holds up
//! no other: each answer is used as it comes, and the others are asked meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::auth::{Access, KeySource};
use crate::limits::{
    KEY_SET_BYTES_MAX, KEY_SET_DEADLINE, KEY_SET_INTERVAL, KEY_SET_INTERVAL_MIN, KEY_SET_START_MAX,
};

type Http = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;
/// What a source answered.
type Answer = (Arc<KeySource>, Result<String, String>);

/// The key sets of a server's issuers.
pub struct KeySets {
    access: Arc<Access>,
    http: Option<Http>,
    asked: Vec<Asked>,
    /// One of each source at most, and each ends by [`KEY_SET_DEADLINE`].
    answers: FuturesUnordered<BoxFuture<'static, Answer>>,
}

/// A source that was asked.
struct Asked {
    source: Arc<KeySource>,
    at: Instant,
    /// Whether its answer is still to come.
    is_pending: bool,
    /// How often in a row without success.
    failures: u32,
    /// What was told of keys that are too weak.
    told: Option<String>,
}

impl KeySets {
    /// Those of the issuers that this trusts, whichever they are at each time.
    pub fn new(access: Arc<Access>) -> KeySets {
        KeySets { access, http: None, asked: Vec::new(), answers: FuturesUnordered::new() }
    }

    /// Asks for all of them, and waits for the answers for a while, so that the first calls find them.
    pub async fn begin(&mut self) {
        self.ask();
        let all = async { while self.take().await {} };
        let _ = tokio::time::timeout(KEY_SET_START_MAX, all).await;
    }

    /// Keeps them up to date, for ever.
    pub async fn follow(mut self) {
        let access = self.access.clone();
        loop {
            self.ask();
            let quiet = self.quiet();
            tokio::select! {
                true = self.take() => {}
                () = access.keys_wanted() => {}
                () = tokio::time::sleep(quiet) => {}
            }
        }
    }

    /// How long until the first of those that were asked lately may be asked again.
    fn quiet(&self) -> Duration {
        let left = self.asked.iter().map(|asked| KEY_SET_INTERVAL_MIN.saturating_sub(asked.at.elapsed()));
        left.filter(|left| !left.is_zero()).min().unwrap_or(KEY_SET_INTERVAL_MIN)
    }

    /// Asks those whose time has come.
    fn ask(&mut self) {
        let sources = self.access.key_sources();
        self.asked.retain(|asked| sources.iter().any(|source| Arc::ptr_eq(source, &asked.source)));
        let due: Vec<Arc<KeySource>> = sources.into_iter().filter(|source| self.is_due(source)).collect();
        if due.is_empty() {
            return;
        }
        let Some(http) = self.http() else { return };
        for source in due {
            match self.asked.iter_mut().find(|it| Arc::ptr_eq(&it.source, &source)) {
                Some(asked) => (asked.at, asked.is_pending) = (Instant::now(), true),
                None => {
                    let (source, at) = (source.clone(), Instant::now());
                    self.asked.push(Asked { source, at, is_pending: true, failures: 0, told: None });
                }
            }
            let http = http.clone();
            self.answers.push(Box::pin(async move {
                let outcome = get(&http, &source).await;
                (source, outcome)
            }));
        }
    }

    /// Uses the next answer; whether there was one to wait for.
    async fn take(&mut self) -> bool {
        let Some((source, outcome)) = self.answers.next().await else { return false };
        let put = |text: String| self.access.put_keys(&source, &text).map_err(|error| error.to_string());
        let outcome = outcome.and_then(put);
        if let Some(asked) = self.asked.iter_mut().find(|it| Arc::ptr_eq(&it.source, &source)) {
            asked.note(outcome);
        }
        true
    }

    fn is_due(&self, source: &Arc<KeySource>) -> bool {
        let Some(asked) = self.asked.iter().find(|it| Arc::ptr_eq(&it.source, source)) else { return true };
        let since = asked.at.elapsed();
        !asked.is_pending
            && (since >= asked.pause() || (since >= KEY_SET_INTERVAL_MIN && source.take_wanted()))
    }

    fn http(&mut self) -> Option<Http> {
        if self.http.is_none() {
            match HttpsConnectorBuilder::new().with_native_roots() {
                Ok(connector) => {
                    let connector = connector.https_or_http().enable_http1().build();
                    self.http = Some(Client::builder(TokioExecutor::new()).build(connector));
                }
                Err(error) => {
                    tracing::error!(%error, "no key sets: the system's certificates cannot be read")
                }
            }
        }
        self.http.clone()
    }
}

impl Asked {
    /// How long to leave it alone.
    fn pause(&self) -> Duration {
        match self.failures {
            0 => KEY_SET_INTERVAL,
            failures => (KEY_SET_INTERVAL_MIN * 2u32.pow(failures.min(10) - 1)).min(KEY_SET_INTERVAL),
        }
    }

    fn note(&mut self, outcome: Result<usize, String>) {
        let issuer = self.source.issuer();
        self.is_pending = false;
        match outcome {
            Ok(keys) => {
                if self.failures > 0 {
                    tracing::info!(issuer, keys, "the issuer's keys are there again");
                }
                self.failures = 0;
                let weak = self.source.keys().passed_over();
                if let Some(problem) = weak.as_ref().filter(|_| weak != self.told) {
                    tracing::warn!(issuer, problem, "a key of the issuer is passed over");
                }
                self.told = weak;
            }
            Err(problem) => {
                if self.failures == 0 {
                    let kept = self.source.keys().len();
                    tracing::warn!(
                        issuer,
                        problem,
                        kept,
                        "the issuer's keys cannot be had; it goes on with those it has"
                    );
                }
                self.failures = self.failures.saturating_add(1);
            }
        }
    }
}

/// What a source answers; an error says why it does not.
async fn get(http: &Http, source: &KeySource) -> Result<String, String> {
    let url: Uri = source.url().unwrap_or_default().parse().map_err(|_| "its URL is none".to_owned())?;
    let request = Request::get(url).header("accept", "application/json").body(Empty::new());
    let request = request.map_err(|error| error.to_string())?;
    let answer = async {
        let response = http.request(request).await.map_err(|error| causes(&error))?;
        if response.status() != StatusCode::OK {
            return Err(format!("it answers {}", response.status()));
        }
        let body = Limited::new(response.into_body(), KEY_SET_BYTES_MAX).collect().await;
        let body = body.map_err(|error| format!("its answer cannot be read: {error}"))?;
        String::from_utf8(body.to_bytes().into()).map_err(|_| "its answer is no text".to_owned())
    };
    match tokio::time::timeout(KEY_SET_DEADLINE, answer).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("it did not answer within {KEY_SET_DEADLINE:?}")),
    }
}

/// An error and what is behind it: the last one mostly says what to do.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
