//! Publish.

use super::unary::Call;
use super::{Momento, convert};
use crate::error::Result;
use crate::proto::momento::cache_client::pubsub::{Empty, PublishRequest};
use crate::topic::Message;

/// Publishes one value.
pub async fn publish(momento: Momento, call: Call, request: PublishRequest) -> Result<Empty> {
    let (name, message) = convert::publish(request)?;
    let messages = Ok(vec![Message { publisher: call.caller.publisher().cloned(), ..message }]);
    let (receipt, _) = momento.host.publish(&name, messages, &call.caller, call.begun).await;
    receipt.map(|_| Empty {})
}
