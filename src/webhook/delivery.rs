//! The task of one webhook: reads its topic by a subscription and sends what it is given, each message until
//! it is acknowledged. Ends with the webhook, when it is paused, or when its endpoint says that it is gone.
//!
//! Nothing here queues: a run of messages is copied from the log, and the next one is taken when this one
//! is done with. While an endpoint does not answer there is no subscription either, so nothing is pinned.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream;
use tokio::sync::Semaphore;

use super::attempt::{self, Answered};
use super::backoff::Backoff;
use super::connect::{Connecting, Http};
use super::definition::Definition;
use super::event::{Event, Notice};
use super::standing::Standing;
use super::target::Target;
use crate::broker::{self, Broker, Subscribe};
use crate::error::{Code, Error, Result};
use crate::limits::{WEBHOOK_DEAD_AFTER, WEBHOOK_HOLD_MAX, WEBHOOK_RUN_BYTES};
use crate::metrics::{Durations, WebhookOutcome};
use crate::store::unix_nanos;
use crate::topic::{Run, Start, record};
use crate::trace::{Operation, Span, Value};

/// What all webhooks of a server share.
pub struct Shared {
    /// The open topics.
    pub broker: Arc<Broker>,
    /// The client.
    pub connecting: Connecting,
    /// Requests at once.
    pub permits: Semaphore,
    /// How waits grow.
    pub backoff: Backoff,
}

/// A webhook that delivers.
pub struct Delivery {
    /// What it shares.
    pub shared: Arc<Shared>,
    /// As it was defined.
    pub definition: Arc<Definition>,
    /// Where its requests go.
    pub target: Target,
    /// How it stands.
    pub standing: Arc<Standing>,
    /// Its number: see [`Standing::next_task`].
    pub task: u64,
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Done,
    Gone,
}

impl Delivery {
    /// Delivers until there is a reason to end.
    pub async fn run(self) {
        let mut failures = 0_u32;
        let drained = self.shared.broker.drained();
        tokio::pin!(drained);
        loop {
            let followed = tokio::select! {
                followed = self.follow() => followed,
                () = &mut drained => return,
            };
            match followed {
                Ok(Verdict::Done) => failures = 0,
                Ok(Verdict::Gone) => return,
                Err(error) => {
                    failures = failures.saturating_add(1);
                    if failures == 1 {
                        let (webhook, topic) = (&self.definition.name, &self.definition.topic);
                        tracing::info!(webhook, %topic, %error, "a webhook cannot read its topic; it tries again");
                    }
                    self.standing.hindered(error.message());
                    let wait = self.shared.backoff.delay(failures, rand::random(), error.retry_delay());
                    tokio::time::sleep(wait.max(Duration::from_millis(50))).await;
                }
            }
        }
    }

    /// The client; made away from those whom its files would keep waiting.
    async fn http(&self) -> &Http {
        if !self.shared.connecting.is_made() {
            let shared = self.shared.clone();
            // Were it not made then, the next line would make it.
            let _ = tokio::task::spawn_blocking(move || shared.connecting.http().clone()).await;
        }
        self.shared.connecting.http()
    }

    /// Follows the topic from where it is; `Done` is to begin again.
    async fn follow(&self) -> Result<Verdict> {
        let start = match self.standing.position() {
            Some(position) => Start::After(position),
            None if self.definition.from_earliest => Start::Earliest,
            None => Start::Latest,
        };
        let request = Subscribe { start, max_batch_bytes: Some(WEBHOOK_RUN_BYTES), ..Subscribe::default() };
        let mut subscription = self.shared.broker.subscribe(&self.definition.topic, request).await?;
        let (mut epoch, mut gap) = (0, None);
        while let Some(delivery) = subscription.next().await {
            match delivery? {
                broker::Delivery::Opened { next, .. } => {
                    epoch = next.epoch;
                    let before = next.sequence.saturating_sub(1);
                    self.standing.begin(self.task, crate::topic::Position::new(epoch, before));
                }
                broker::Delivery::Discontinuity(found) => {
                    epoch = found.next.epoch;
                    self.standing.counted.missed.add(found.messages().unwrap_or(0));
                    let (webhook, topic, reason) =
                        (&self.definition.name, &self.definition.topic, found.reason.as_str());
                    tracing::warn!(webhook, %topic, reason, next = %found.next, "a webhook misses messages");
                    gap = Some(Notice::from(found));
                }
                broker::Delivery::Messages(run) => {
                    let sent = self.send_all(self.events(run, epoch), gap.take());
                    tokio::pin!(sent);
                    let verdict = tokio::select! {
                        verdict = &mut sent => verdict,
                        () = tokio::time::sleep(WEBHOOK_HOLD_MAX) => {
                            drop(subscription);
                            return Ok(sent.await);
                        }
                    };
                    if verdict == Verdict::Gone {
                        return Ok(verdict);
                    }
                }
                broker::Delivery::CaughtUp(_)
                | broker::Delivery::Heartbeat(..)
                | broker::Delivery::Draining(_) => {}
            }
        }
        Ok(Verdict::Done)
    }

    /// The messages of a run, copied.
    fn events(&self, run: Run, epoch: u64) -> Vec<Event> {
        let views = run.slices.iter().flat_map(|slice| record::messages(slice));
        views.map(|view| Event::of(&view, epoch, &self.definition)).collect()
    }

    /// Sends events, as many at once as the webhook may; the position follows in their order.
    async fn send_all(&self, events: Vec<Event>, gap: Option<Notice>) -> Verdict {
        let mut gap = gap;
        let sent = events.into_iter().map(|event| {
            let gap = gap.take();
            async move { (event.position, self.deliver(&event, gap).await) }
        });
        let at_once = usize::try_from(self.definition.concurrency).unwrap_or(1).max(1);
        let mut sent = stream::iter(sent).buffered(at_once);
        while let Some((position, verdict)) = sent.next().await {
            if verdict == Verdict::Gone {
                return verdict;
            }
            self.standing.advance(self.task, position);
        }
        Verdict::Done
    }

    /// Sends an event until it is acknowledged, or it is time to give it up.
    async fn deliver(&self, event: &Event, gap: Option<Notice>) -> Verdict {
        let (begun, standing) = (Instant::now(), &self.standing);
        let mut turn = None;
        for nth in 1_u64.. {
            if standing.is_dead() && turn.is_none() {
                turn = Some(standing.probe.lock().await);
            }
            let untold = standing.untold();
            let answered = self.attempt(event, [gap.as_ref(), untold.as_ref()], nth).await;
            match answered.outcome {
                WebhookOutcome::Delivered => {
                    if standing.delivered(untold.as_ref()) {
                        tracing::info!(webhook = self.definition.name, topic = %self.definition.topic, "the endpoint of a webhook is back");
                    }
                    return Verdict::Done;
                }
                WebhookOutcome::Gone => {
                    standing.failed(&answered.why);
                    standing.disable();
                    tracing::warn!(webhook = self.definition.name, topic = %self.definition.topic, "the endpoint of a webhook is gone; it is disabled until somebody resumes it");
                    return Verdict::Gone;
                }
                _ => {}
            }
            let failures = standing.failed(&answered.why);
            self.tell(failures, &answered);
            if begun.elapsed() >= self.definition.give_up_after {
                standing.dropped(event.position);
                tracing::error!(webhook = self.definition.name, topic = %self.definition.topic, position = %event.position, attempts = nth, why = answered.why, "a message is passed over: its endpoint did not acknowledge it");
                return Verdict::Done;
            }
            let left = self.definition.give_up_after.saturating_sub(begun.elapsed());
            let wait = self.shared.backoff.delay(failures, rand::random(), answered.retry_after);
            tokio::time::sleep(wait.min(left)).await;
        }
        Verdict::Done
    }

    /// The first failure is told, and that it is dead; not each one.
    fn tell(&self, failures: u32, answered: &Answered) {
        let (webhook, topic, why) = (&self.definition.name, &self.definition.topic, &answered.why);
        match failures {
            1 => tracing::warn!(webhook, %topic, why, "a webhook could not deliver; it tries again"),
            WEBHOOK_DEAD_AFTER => {
                tracing::warn!(webhook, %topic, why, failures, "the endpoint of a webhook is dead; it is probed now and then");
            }
            _ => tracing::debug!(webhook, %topic, why, failures, "a webhook could not deliver"),
        }
    }

    /// One request, counted and traced.
    async fn attempt(&self, event: &Event, told: [Option<&Notice>; 2], nth: u64) -> Answered {
        let Ok(_permit) = self.shared.permits.acquire().await else {
            return Answered {
                outcome: WebhookOutcome::Unreachable,
                status: None,
                why: "the server ends".to_owned(),
                retry_after: None,
            };
        };
        let http = self.http().await;
        let (broker, begun) = (&self.shared.broker, unix_nanos());
        let (recorder, topic) = (broker.recorder(), &self.definition.topic);
        let is_sampled = event.created.is_some_and(|created| created.is_sampled());
        let context = recorder.begin(Some(topic), event.created, is_sampled, begun);
        let told = told.into_iter().flatten().map(Notice::header);
        let endpoint = (&*self.definition, &self.target);
        let answered = attempt::send(http, endpoint, event, told, context).await;
        let ended = unix_nanos();
        Durations::record(&broker.metrics().durations().webhook, begun, ended);
        self.standing.attempted(answered.outcome);
        if let Some(context) = context.filter(|context| recorder.admits(context.trace_id, ended)) {
            let mut span = Span::new(Operation::Push, Some(topic.clone()), context, begun, ended)
                .called_by(event.created)
                .linked_to(event.created.into_iter())
                .with_range(event.position, event.position.sequence)
                .with("messaging.message.id", Value::Text(event.id.clone()))
                .with("bugle.webhook", Value::Text(self.definition.name.clone()))
                .with("bugle.webhook.attempt", Value::Count(nth))
                .with("http.request.method", Value::Word("POST"))
                .with("server.address", Value::Text(self.target.uri.host().unwrap_or_default().to_owned()));
            if let Some(status) = answered.status {
                span = span.with("http.response.status_code", Value::Count(u64::from(status)));
            }
            recorder.record(match answered.outcome {
                WebhookOutcome::Delivered => span,
                WebhookOutcome::Timeout => span.failed(Code::DeadlineExceeded, &answered.why),
                _ => span.failed(Code::Unavailable, &answered.why),
            });
        }
        answered
    }

    /// One request with an event that is no message of the topic's, for whoever wants to see the answer.
    pub async fn test(&self) -> Result<Answered> {
        let Ok(_permit) = self.shared.permits.try_acquire() else {
            let message = "as many requests of webhooks as may be are under way; try again";
            return Err(Error::new(Code::ResourceExhausted, message).retry_after(Duration::from_secs(1)));
        };
        let Some(event) = Event::trial(&self.definition) else {
            return Err(Error::new(Code::Internal, "the event of the test cannot be made"));
        };
        let endpoint = (&*self.definition, &self.target);
        Ok(attempt::send(self.http().await, endpoint, &event, std::iter::empty(), None).await)
    }
}
