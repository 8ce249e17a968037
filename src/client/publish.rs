//! Publishing one batch and waiting for it: the simple way. For many messages make a
//! [`super::Publisher`], which batches and keeps the line busy.

use tonic::Request;

use super::connection::Client;
use super::message::{Message, Receipt};
use super::trace::{self, SendSpan};
use crate::error::{Error, Result};
use crate::proto::v1 as wire;
use crate::topic::TopicName;

impl Client {
    /// Publishes one message and waits until the server has accepted it.
    ///
    /// After an error with reason [`super::UNREACHABLE`] it was not stored; after any other
    /// UNAVAILABLE it may have been. Where the client is traced this is a span `send {topic}`, whose
    /// context the message carries if it has none of its own.
    pub async fn publish(&self, topic: &str, message: impl Into<Message>) -> Result<Receipt> {
        let mut message = message.into().wire;
        let span = self.spans().map(|spans| spans.send(topic, &mut message));
        let response = self.publish_traced(topic, vec![message], span).await?;
        Ok(Receipt { epoch: response.epoch, sequence: response.first_sequence })
    }

    /// Publishes messages as one batch: in this order, at consecutive places, all or none. Receipts
    /// come back in the same order. Where the client is traced this is one span for all of them.
    pub async fn publish_batch(
        &self,
        topic: &str,
        messages: impl IntoIterator<Item = Message>,
    ) -> Result<Vec<Receipt>> {
        let mut messages: Vec<_> = messages.into_iter().map(|message| message.wire).collect();
        if messages.is_empty() {
            return Err(Error::field("messages", "has to hold at least one message"));
        }
        let span = self.spans().map(|spans| spans.send_batch(topic, &mut messages));
        let response = self.publish_traced(topic, messages, span).await?;
        let sequences = response.first_sequence..=response.last_sequence;
        Ok(sequences.map(|sequence| Receipt { epoch: response.epoch, sequence }).collect())
    }

    /// Publishes, and ends the span with what came of it.
    async fn publish_traced(
        &self,
        topic: &str,
        messages: Vec<wire::Message>,
        span: Option<SendSpan>,
    ) -> Result<wire::PublishResponse> {
        let outcome = self.publish_wire(topic, messages, span.as_ref()).await;
        match (&outcome, span) {
            (Ok(response), Some(span)) => {
                span.accepted(response.epoch, response.first_sequence, response.last_sequence);
            }
            (Err(error), Some(span)) => span.failed(error),
            (_, None) => {}
        }
        outcome
    }

    async fn publish_wire(
        &self,
        topic: &str,
        messages: Vec<wire::Message>,
        span: Option<&SendSpan>,
    ) -> Result<wire::PublishResponse> {
        let name = TopicName::parse(self.namespace(), topic)?;
        let mut request = Request::new(wire::PublishRequest {
            namespace: name.namespace().as_str().to_owned(),
            topic: name.topic().to_owned(),
            messages,
        });
        if let Some(span) = span {
            trace::carry(span.context(), request.metadata_mut());
        }
        let response = self.bus().publish(request).await.map_err(|status| self.error(status))?;
        Ok(response.into_inner())
    }
}
