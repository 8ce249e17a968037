//! Publishing one batch and waiting for it: the simple way. For many messages make a
//! [`super::Publisher`], which batches and keeps the line busy.

use super::connection::Client;
use super::message::{Message, Receipt};
use crate::error::{Error, Result};
use crate::proto::v1 as wire;
use crate::topic::TopicName;

impl Client {
    /// Publishes one message and waits until the server has accepted it.
    ///
    /// After an error with reason [`super::UNREACHABLE`] it was not stored; after any other
    /// UNAVAILABLE it may have been.
    pub async fn publish(&self, topic: &str, message: impl Into<Message>) -> Result<Receipt> {
        let response = self.publish_wire(topic, vec![message.into().wire]).await?;
        Ok(Receipt { epoch: response.epoch, sequence: response.first_sequence })
    }

    /// Publishes messages as one batch: in this order, at consecutive places, all or none. Receipts
    /// come back in the same order.
    pub async fn publish_batch(
        &self,
        topic: &str,
        messages: impl IntoIterator<Item = Message>,
    ) -> Result<Vec<Receipt>> {
        let messages: Vec<_> = messages.into_iter().map(|message| message.wire).collect();
        if messages.is_empty() {
            return Err(Error::field("messages", "has to hold at least one message"));
        }
        let response = self.publish_wire(topic, messages).await?;
        let sequences = response.first_sequence..=response.last_sequence;
        Ok(sequences.map(|sequence| Receipt { epoch: response.epoch, sequence }).collect())
    }

    async fn publish_wire(&self, topic: &str, messages: Vec<wire::Message>) -> Result<wire::PublishResponse> {
        let name = TopicName::parse(self.namespace(), topic)?;
        let request = wire::PublishRequest {
            namespace: name.namespace().as_str().to_owned(),
            topic: name.topic().to_owned(),
            messages,
        };
        let response = self.bus().publish(request).await.map_err(|status| self.error(status))?;
        Ok(response.into_inner())
    }
}
