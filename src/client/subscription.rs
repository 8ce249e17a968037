//! A subscription that lives on: it reconnects with backoff and resumes behind the last message it
//! gave out, and tells about gaps, silence and reconnects as events.
//!
//! It is driven by whoever reads it: no task, no queue. Not reading it is back-pressure, down to
//! the server's log. A server that says nothing for three heartbeat intervals is presumed dead,
//! and the next attempt is made on a new connection.

mod builder;
mod resume;

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::Stream;
use futures::future::BoxFuture;
use tokio::time::{Instant, Sleep};
use tonic::{Request, Streaming};

pub use builder::{Start, SubscribeBuilder};
use resume::{Next, Resume};

use super::connection::Client;
use super::event::{Delivery, Event};
use super::message::Message;
use super::trace::{self, Processing};
use crate::error::{Code, Error, Result};
use crate::proto::v1 as wire;
use crate::topic::Position;

/// A stream of [`Event`]s; see the module. After an error it is over.
pub struct Subscription {
    client: Client,
    /// Everything of the request but its start.
    request: wire::SubscribeRequest,
    /// Longer than this without a word, and the server is presumed dead.
    silence_max: Duration,
    resume: Resume,
    /// Makes the spans of the messages, where they are traced.
    processing: Option<Box<Processing>>,
    notices: VecDeque<Event>,
    messages: std::vec::IntoIter<wire::Message>,
    link: Link,
    /// The connection the link is on.
    generation: u64,
    /// The credential that the link was opened with: how often there had been another.
    credential: u64,
}

enum Link {
    Waiting(Pin<Box<Sleep>>),
    Opening(BoxFuture<'static, Result<Streaming<wire::SubscribeResponse>>>),
    Live(Box<Live>),
    Ended,
}

struct Live {
    responses: Streaming<wire::SubscribeResponse>,
    heard: Instant,
    watchdog: Pin<Box<Sleep>>,
}

impl Subscription {
    /// The last message given out, or where the subscription began: resume with
    /// [`Start::After`] this position, in this process or another.
    pub fn position(&self) -> Option<Position> {
        self.resume.position()
    }

    /// The next event, or `None` when the subscription is over (after an error).
    pub async fn next(&mut self) -> Option<Result<Event>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// The next message, whatever else happens before it is not told.
    pub async fn next_message(&mut self) -> Option<Result<Delivery>> {
        loop {
            match self.next().await? {
                Ok(Event::Message(delivery)) => return Some(Ok(delivery)),
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// The next event and all that came with it in the same response, at least one.
    pub async fn next_batch(&mut self) -> Option<Result<Vec<Event>>> {
        let first = match self.next().await? {
            Ok(event) => event,
            Err(error) => return Some(Err(error)),
        };
        let mut events = Vec::with_capacity(1 + self.notices.len() + self.messages.len());
        events.push(first);
        while let Some(event) = self.buffered() {
            events.push(event);
        }
        Some(Ok(events))
    }

    /// Only the messages. Gaps and reconnects are passed over in silence: use the events where
    /// they matter.
    pub fn messages(self) -> impl Stream<Item = Result<Delivery>> + Send + Unpin {
        Messages(self)
    }

    async fn open(
        client: Client,
        request: wire::SubscribeRequest,
        silence_max: Duration,
        resume: Resume,
    ) -> Result<Self> {
        let (generation, credential) = (client.generation(), client.credential_changes());
        let spans = client.spans_in(&request.namespace);
        let processing = spans.map(|spans| Processing::new(spans, &request.topic));
        let mut subscription = Subscription {
            client,
            request,
            silence_max,
            resume,
            processing,
            notices: VecDeque::new(),
            messages: Vec::new().into_iter(),
            link: Link::Ended,
            generation,
            credential,
        };
        let mut responses = subscription.opening().await?;
        let first = tokio::time::timeout(subscription.client.connect_timeout(), responses.message());
        let first = first.await.map_err(|_| subscription.client.no_answer())?;
        match first.map_err(|status| subscription.client.error(status))? {
            Some(response) => subscription.take(response),
            None => return Err(ended()),
        }
        subscription.link = subscription.live(responses);
        Ok(subscription)
    }

    /// The call that opens the subscription where it has to go on.
    fn opening(&self) -> BoxFuture<'static, Result<Streaming<wire::SubscribeResponse>>> {
        let client = self.client.clone();
        let request = wire::SubscribeRequest { start: Some(self.resume.start()), ..self.request.clone() };
        let mut request = Request::new(request);
        if self.processing.is_some() {
            trace::carry_current(request.metadata_mut());
        }
        Box::pin(async move {
            let mut bus = client.bus();
            match tokio::time::timeout(client.connect_timeout(), bus.subscribe(request)).await {
                Ok(Ok(response)) => Ok(response.into_inner()),
                Ok(Err(status)) => Err(client.error(status)),
                Err(_) => Err(client.no_answer().reason(SILENT)),
            }
        })
    }

    fn live(&self, responses: Streaming<wire::SubscribeResponse>) -> Link {
        let watchdog = Box::pin(tokio::time::sleep(self.silence_max));
        Link::Live(Box::new(Live { responses, heard: Instant::now(), watchdog }))
    }

    /// Takes a response apart into events.
    fn take(&mut self, mut response: wire::SubscribeResponse) {
        let messages = std::mem::take(&mut response.messages);
        if let (Some(processing), Some(opened)) = (&mut self.processing, &response.opened) {
            processing.opened(&opened.subscription_id);
        }
        self.resume.heard(&response, !messages.is_empty(), &mut self.notices);
        self.messages = messages.into_iter();
    }

    /// An event that needs no waiting.
    fn buffered(&mut self) -> Option<Event> {
        if let Some(event) = self.notices.pop_front() {
            return Some(event);
        }
        let next = self.messages.as_slice().first()?;
        let position = self.resume.delivered(next.sequence);
        let span = self.processing.as_ref().and_then(|processing| processing.begin(next, position));
        let wire = self.messages.next()?;
        Some(Event::Message(Delivery::traced(Message { wire }, position, span)))
    }

    /// The link is gone: again later, or the end.
    fn lost(&mut self, cause: Error) -> Option<Error> {
        if cause.reason_code() == Some(SILENT) {
            self.client.renew(self.generation);
        }
        let is_stale = self.credential != self.client.credential_changes();
        match self.resume.lost(cause, is_stale) {
            Next::Retry { attempt, delay, cause } => {
                tracing::debug!(topic = self.request.topic, attempt, ?delay, %cause, "subscription lost");
                self.link = Link::Waiting(Box::pin(tokio::time::sleep(delay)));
                self.notices.push_back(Event::Reconnecting { attempt, delay, cause });
                None
            }
            Next::Fail(error) => {
                self.link = Link::Ended;
                Some(error)
            }
        }
    }
}

/// Reason of an error when a connection is up and nobody answers on it.
const SILENT: &str = "SERVER_SILENT";

impl Live {
    /// The next response, or why there is none.
    fn poll(
        &mut self,
        silence_max: Duration,
        context: &mut Context<'_>,
    ) -> Poll<Result<wire::SubscribeResponse, Lost>> {
        loop {
            match Pin::new(&mut self.responses).poll_next(context) {
                Poll::Ready(Some(Ok(response))) => {
                    self.heard = Instant::now();
                    return Poll::Ready(Ok(response));
                }
                Poll::Ready(Some(Err(status))) => return Poll::Ready(Err(Lost::Status(status))),
                Poll::Ready(None) => return Poll::Ready(Err(Lost::End)),
                Poll::Pending => ready!(self.watchdog.as_mut().poll(context)),
            }
            // The watchdog is set again here and not at each response, which is cheaper.
            let deadline = self.heard + silence_max;
            if Instant::now() >= deadline {
                return Poll::Ready(Err(Lost::Silence));
            }
            self.watchdog.as_mut().reset(deadline);
        }
    }
}

enum Lost {
    Status(tonic::Status),
    End,
    Silence,
}

impl Stream for Subscription {
    type Item = Result<Event>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(event) = this.buffered() {
                return Poll::Ready(Some(Ok(event)));
            }
            let lost = match &mut this.link {
                Link::Live(live) => match ready!(live.poll(this.silence_max, context)) {
                    Ok(response) => {
                        this.take(response);
                        continue;
                    }
                    Err(Lost::Status(status)) => this.client.error(status),
                    Err(Lost::End) => ended(),
                    Err(Lost::Silence) => silent(this.silence_max),
                },
                Link::Opening(opening) => match ready!(opening.as_mut().poll(context)) {
                    Ok(responses) => {
                        this.link = this.live(responses);
                        continue;
                    }
                    Err(error) => error,
                },
                Link::Waiting(sleep) => {
                    ready!(sleep.as_mut().poll(context));
                    this.generation = this.client.generation();
                    this.credential = this.client.credential_changes();
                    this.link = Link::Opening(this.opening());
                    continue;
                }
                Link::Ended => return Poll::Ready(None),
            };
            if let Some(error) = this.lost(lost) {
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}

fn ended() -> Error {
    Error::new(Code::Unavailable, "the server ended the subscription")
}

fn silent(waited: Duration) -> Error {
    let message = format!("the server was silent for {waited:?}, longer than three heartbeats");
    Error::new(Code::Unavailable, message).reason(SILENT)
}

struct Messages(Subscription);

impl Stream for Messages {
    type Item = Result<Delivery>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(Pin::new(&mut self.0).poll_next(context)) {
                Some(Ok(Event::Message(delivery))) => return Poll::Ready(Some(Ok(delivery))),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription")
            .field("topic", &self.request.topic)
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}
