//! The stream under a publisher: the queue as a stream of requests, and the task that opens it,
//! hands out the answers and opens it again after it broke. When the client has another credential the
//! stream takes no more, all that is in it is answered, and the next one is opened with the new credential.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use futures::Stream;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};

use super::queue::{Ended, First, Queue, Take};
use crate::client::backoff::Backoff;
use crate::client::connection::Client;
use crate::client::handshake::CERTIFICATE_REFUSED;
use crate::client::status::{self, NOT_SENT, OUTCOME_UNKNOWN};
use crate::error::{Code, Error, Result};
use crate::proto::v1 as wire;

/// What the publisher's handles, its task and its stream of requests share.
pub(super) struct Shared {
    state: Mutex<State>,
    /// There is something to do for the task while no stream is open.
    work: Notify,
    namespace: String,
}

pub(super) struct State {
    pub(super) queue: Queue,
    /// No more messages come: the stream ends when all is sent.
    pub(super) closed: bool,
    /// The stream that may take batches; an older one, still held by its connection, may not.
    stream: u64,
    streaming: bool,
    waker: Option<Waker>,
}

impl Shared {
    pub(super) fn new(queue: Queue, namespace: String) -> Self {
        let state = State { queue, closed: false, stream: 0, streaming: false, waker: None };
        Shared { state: Mutex::new(state), work: Notify::new(), namespace }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everybody what became of the batches that were answered or failed. Spans end before
    /// the receipts are known, and without the lock: they end in code of the application's choice.
    pub(super) fn tell<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let ended = state.queue.ended();
        if !ended.is_empty() {
            drop(state);
            ended.into_iter().for_each(Ended::end);
            state = self.state();
            state.queue.tell();
        }
        state
    }

    /// The queue has changed: whoever sends looks at it again.
    pub(super) fn wake(&self, mut state: MutexGuard<'_, State>) {
        let (streaming, waker) = (state.streaming, state.waker.take());
        drop(state);
        match waker {
            Some(waker) => waker.wake(),
            None if !streaming => self.work.notify_one(),
            None => {}
        }
    }
}

/// The batches as requests: taken from the queue only when the connection has room for them, so
/// that those behind them grow in the meantime.
struct Requests {
    shared: Arc<Shared>,
    stream: u64,
    credential: Held,
    linger: Option<Pin<Box<Sleep>>>,
}

impl Stream for Requests {
    type Item = wire::PublishRequest;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            let mut state = this.shared.state();
            let is_over = state.stream != this.stream || (state.closed && !state.queue.has_unsent());
            if is_over || this.credential.is_stale() {
                return Poll::Ready(None);
            }
            let wait = match state.queue.take(Instant::now()) {
                Take::Batch { topic, messages } => {
                    let (namespace, topic) = (this.shared.namespace.clone(), topic.as_ref().to_owned());
                    return Poll::Ready(Some(wire::PublishRequest { namespace, topic, messages }));
                }
                Take::Wait(due) => due,
            };
            state.waker = Some(context.waker().clone());
            drop(state);
            let Some(due) = wait else { return Poll::Pending };
            let sleep = this.linger.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
            if sleep.deadline() != due {
                sleep.as_mut().reset(due);
            }
            ready!(sleep.as_mut().poll(context));
        }
    }
}

/// The credential that a stream was opened with.
#[derive(Clone)]
struct Held {
    client: Client,
    changes: u64,
}

impl Held {
    fn by(client: &Client) -> Held {
        Held { client: client.clone(), changes: client.credential_changes() }
    }

    /// Whether there is another one to use by now.
    fn is_stale(&self) -> bool {
        self.changes != self.client.credential_changes()
    }
}

/// Keeps a stream open while there is something to send, until the publisher is closed.
pub(super) async fn run(shared: Arc<Shared>, client: Client, backoff: Backoff, send_timeout: Duration) {
    let mut attempt = 0;
    loop {
        loop {
            let work = shared.work.notified();
            {
                let state = shared.state();
                if state.queue.has_unsent() {
                    break;
                }
                if state.closed {
                    return;
                }
            }
            work.await;
        }
        let credential = Held::by(&client);
        let Err(cause) = stream(&shared, &credential, &mut attempt).await else { continue };
        attempt += 1;
        let delay = backoff.delay(attempt).unwrap_or(backoff.max);
        let delay = delay.max(cause.retry_delay().unwrap_or_default());
        tracing::debug!(attempt, ?delay, %cause, "publish stream lost");
        lose(&shared, &cause, send_timeout, credential.is_stale());
        tokio::time::sleep(delay).await;
    }
}

/// One stream, from opening to its end. An error says why it broke.
async fn stream(shared: &Arc<Shared>, credential: &Held, attempt: &mut u32) -> Result<()> {
    let client = &credential.client;
    let stream = {
        let mut state = shared.state();
        state.streaming = true;
        state.stream += 1;
        state.stream
    };
    let generation = client.generation();
    let requests =
        Requests { shared: Arc::clone(shared), stream, credential: credential.clone(), linger: None };
    let mut bus = client.bus();
    let opening = tokio::time::timeout(client.connect_timeout(), bus.publish_stream(requests)).await;
    let opened = opening.map_err(|_| {
        client.renew(generation);
        client.no_answer()
    })?;
    let mut answers = opened.map_err(|status| client.error(status))?.into_inner();
    while let Some(response) = answers.message().await.map_err(|status| client.error(status))? {
        *attempt = 0;
        let answer = match response.status {
            Some(status) => Err(status::from_wire(status, client.uri())),
            None => Ok(First { epoch: response.epoch, sequence: response.first_sequence }),
        };
        let mut state = shared.state();
        if !state.queue.answer(answer) {
            return Err(Error::new(Code::Internal, "the server answered a batch that was not sent"));
        }
        let state = shared.tell(state);
        shared.wake(state);
    }
    let mut state = shared.state();
    if (state.closed && state.queue.is_empty()) || (credential.is_stale() && !state.queue.has_in_flight()) {
        (state.streaming, state.waker) = (false, None);
        return Ok(());
    }
    Err(Error::new(Code::Unavailable, "the server ended the publish stream"))
}

/// The stream broke: what was in it may have been stored or not, and what was not waits for the
/// next one, but not for ever.
fn lose(shared: &Shared, cause: &Error, send_timeout: Duration, is_stale: bool) {
    let mut state = shared.state();
    state.streaming = false;
    state.stream += 1;
    state.waker = None;
    let unknown = format!(
        "{cause}; the message was sent and may have been stored: publish it again only if a duplicate does no harm"
    );
    let unknown = match cause.reason_code() {
        // Who was not let in has sent nothing that was read.
        Some(CERTIFICATE_REFUSED) => cause.clone(),
        _ => Error::new(cause.code(), unknown).reason(OUTCOME_UNKNOWN).because(cause.clone()),
    };
    state.queue.fail_in_flight(&unknown);
    let now = Instant::now();
    match cause.code() {
        Code::Unauthenticated if is_stale => {}
        // Waiting does not change these.
        Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented => {
            state.queue.fail_unsent(now, cause);
        }
        _ => {
            let reason = cause.reason_code().unwrap_or(NOT_SENT).to_owned();
            let unsent = format!("{cause}; the message was not sent in {send_timeout:?} and is given up");
            let unsent = Error::new(Code::Unavailable, unsent).reason(reason).because(cause.clone());
            if let Some(older_than) = now.checked_sub(send_timeout) {
                state.queue.fail_unsent(older_than, &unsent);
            }
        }
    }
    drop(shared.tell(state));
}
