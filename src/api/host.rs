//! What the services of all dialects stand on: the broker, who may do what, and how much; and the two
//! things that all of them do, publish and subscribe.
//!
//! A dialect decodes and encodes. Whether its caller may, what that costs the caller's quotas, how it is
//! traced and when a refusal is answered is decided here, so that it is the same whoever asks.

use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::Stream;

use super::admission::Admission;
use super::caller::Caller;
use super::frame::Frame;
use super::publishing::Publishing;
use super::rights::{Rights, Stay};
use super::subscribing::Subscribing;
use super::written::{Recipient, Written};
use super::{Logging, Options};
use crate::auth::{Action, Identity, Resource};
use crate::broker::{Broker, Delivery, Subscribe, Subscription};
use crate::error::{Code, Error, Result};
use crate::metrics::Durations;
use crate::quota::Account;
use crate::store::{Receipt, unix_nanos};
use crate::topic::{Batch, Message, Run, TopicName, TraceContext};
use crate::webhook::Webhooks;

/// What the services stand on. A clone is a reference.
#[derive(Clone)]
pub struct Host(Arc<Shared>);

/// What all calls share.
pub struct Shared {
    /// The open topics.
    pub broker: Arc<Broker>,
    /// Who may do what.
    pub rights: Rights,
    /// How many calls, and by whom.
    pub admission: Admission,
    /// Largest request, bytes.
    pub max_message_bytes: usize,
    /// The log of the process, where it is the server's to change.
    pub logging: Option<Arc<dyn Logging>>,
    /// The webhooks, where there are any.
    pub webhooks: Option<Arc<Webhooks>>,
}

/// A subscription with its caller's leave to go on and its trace. It ends with the reason.
pub struct Opened {
    subscription: Subscription,
    host: Host,
    /// Its caller's leave to go on, where that had to say who it is.
    stay: Option<Stay>,
    /// Its trace, where it has one.
    subscribing: Option<Box<Subscribing>>,
    ended: bool,
}

impl Host {
    /// On this broker.
    pub fn new(broker: Arc<Broker>, rights: Rights, admission: Admission, options: &Options) -> Host {
        let (max_message_bytes, logging) = (options.max_message_bytes, options.logging.clone());
        let webhooks = options.webhooks.clone();
        Host(Arc::new(Shared { broker, rights, admission, max_message_bytes, logging, webhooks }))
    }

    /// Whether this caller may do this. Errors: UNAUTHENTICATED where what proved it has expired,
    /// PERMISSION_DENIED otherwise.
    pub fn may(&self, caller: &Caller, action: Action, resource: Resource<'_>) -> Result<()> {
        self.rights.check(caller.identity(), caller.address(), action, resource)
    }

    /// What whoever calls uses counts for this.
    pub fn account(&self, caller: &Caller) -> Arc<Account> {
        self.admission.account(caller.peer(), caller.identity().map(Identity::payer))
    }

    /// Publishes messages that came at this time, unix nanoseconds, or says why they are none; and the
    /// context of the publish's span, where it is traced.
    pub async fn publish(
        &self,
        name: &TopicName,
        messages: Result<Vec<Message>>,
        caller: &Caller,
        accepted: u64,
    ) -> (Result<Receipt>, Option<TraceContext>) {
        if let Err(error) = self.may(caller, Action::Publish, Resource::Topic(name)) {
            return (Err(error), None);
        }
        let (account, broker) = (self.account(caller), &*self.broker);
        let sent = messages.as_deref().unwrap_or_default();
        let bytes = || sent.iter().map(|message| message.bytes() as u64).sum();
        if let Err(error) = self.admission.quotas().publish(name.namespace(), &account, sent.len(), bytes) {
            drop(messages);
            return (Err(self.admission.in_turn(error, name.namespace(), &account).await), None);
        }
        let publishing = Publishing::begin(broker, name, sent, caller, accepted);
        let batch = messages.and_then(|messages| {
            let inherited = Publishing::inherited(publishing.as_ref(), caller, messages.len());
            let carried = publishing.as_ref().map(|publishing| publishing.carried(broker, name));
            Ok(Batch::encode_in(&messages, inherited.as_ref())?.accepted_at(accepted).traced_by(carried))
        });
        let outcome = match &batch {
            Ok(batch) => broker.publish_by(Some(&account), name, batch).await,
            Err(error) => Err(error.clone()),
        };
        if outcome.is_ok() {
            Durations::record(&broker.metrics().durations().publish, accepted, unix_nanos());
        }
        let context = publishing.as_ref().map(Publishing::context);
        if let Some(publishing) = publishing {
            publishing.end(broker, name, batch.as_ref().ok(), &outcome, caller);
        }
        drop(batch);
        match outcome {
            Ok(receipt) => (Ok(receipt), context),
            // It would have been one topic too many.
            Err(error) => (Err(self.admission.in_turn(error, name.namespace(), &account).await), context),
        }
    }

    /// Opens a subscription that was asked for at this time, unix nanoseconds.
    pub async fn subscribe(
        &self,
        name: &TopicName,
        mut request: Subscribe,
        caller: &Caller,
        begun: u64,
    ) -> Result<Opened> {
        if let Some(peer) = caller.peer().cloned() {
            request.peer = Some(peer.address());
            request.eject = Some(Box::new(move || peer.close()));
        }
        self.may(caller, Action::Subscribe, Resource::Topic(name))?;
        let account = self.account(caller);
        request.by = Some(account.clone());
        let subscribing = Subscribing::begin(self.broker.recorder(), name, &request, caller, begun);
        let outcome = self.broker.subscribe(name, request).await;
        let subscribing = subscribing.and_then(|subscribing| subscribing.opened(&outcome));
        match outcome {
            Ok(subscription) => {
                let stay = self.rights.stay(caller.identity(), Action::Subscribe, name);
                Ok(Opened { subscription, host: self.clone(), stay, subscribing, ended: false })
            }
            Err(error) => Err(self.admission.in_turn(error, name.namespace(), &account).await),
        }
    }
}

fn no_room() -> Error {
    let message = "the memory budget has no room for what is to be delivered; subscribe again";
    Error::new(Code::Unavailable, message).reason("MEMORY_BUDGET")
}

impl Deref for Host {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Opened {
    /// The subscription itself.
    pub fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    /// What is to be told when this run is written; nothing where none of its messages is traced.
    pub fn written(&self, run: &mut Run) -> Option<Box<Written>> {
        Written::of(self.host.broker.recorder(), run, || Recipient {
            topic: self.subscription.topic().clone(),
            epoch: self.subscription.epoch(),
            subscription: self.subscription.id(),
            peer: self.subscription.peer(),
        })
    }

    /// The frame of what was encoded of messages for its client, which may take it slowly: it stands in the memory
    /// budget until it is written. Errors: there is no room for it, and the client has to come again.
    pub fn hold(&self, encoded: Vec<u8>) -> Result<Frame> {
        let charge = self.host.broker.charge(encoded.capacity()).ok_or_else(no_room)?;
        Ok(Frame::held(encoded, charge))
    }

    /// It is over, for this reason.
    fn end(&mut self, error: Error) -> Error {
        self.ended = true;
        if let Some(subscribing) = self.subscribing.take() {
            subscribing.ended(&error);
        }
        error
    }
}

impl Stream for Opened {
    type Item = Result<Delivery>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let log_span = this.subscribing.as_ref().map(|subscribing| subscribing.log_span().clone());
        let _entered = log_span.as_ref().map(tracing::Span::enter);
        if this.ended {
            return Poll::Ready(None);
        }
        if let Some(error) = this.stay.as_ref().and_then(|stay| stay.poll_over(cx)) {
            return Poll::Ready(Some(Err(this.end(error))));
        }
        Poll::Ready(match ready!(Pin::new(&mut this.subscription).poll_next(cx)) {
            Some(Err(error)) => Some(Err(this.end(error))),
            delivery => delivery,
        })
    }
}
