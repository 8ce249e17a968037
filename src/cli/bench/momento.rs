//! Momento's side of the load generator: items of its Subscribe, each a gRPC message of its own. What
//! publishes is Bugle's own client.

use prost::Message;

use super::arrivals::Arrivals;
use super::bugle::{Reads, grpc, grpc_length, not_understood, subscribing};
use super::system::Opening;
use super::template;
use super::walk::{Item, Walk, varint};
use crate::error::Result;
use crate::proto::momento::cache_client::pubsub::{
    SubscriptionItem, SubscriptionRequest, subscription_item::Kind,
};

/// An item's head that is searched for the payload's start, bytes.
const HEAD_BYTES_MAX: usize = 128;

/// A connection with one Subscribe stream per topic, each with a window of `window` bytes.
pub fn subscriber(authority: &str, window: u32, topics: Vec<(String, Arrivals)>) -> Opening {
    let calls = topics.into_iter().map(|(topic, arrivals)| {
        let request = SubscriptionRequest { cache_name: "default".into(), topic, ..Default::default() };
        (grpc(&request.encode_to_vec()), Items { arrivals, is_open: false })
    });
    subscribing(authority, window, "/cache_client.pubsub.Pubsub/Subscribe", calls)
}

/// Walks `_SubscriptionItem`s.
struct Items {
    arrivals: Arrivals,
    is_open: bool,
}

impl Reads for Items {
    fn arrivals(&mut self) -> &mut Arrivals {
        &mut self.arrivals
    }
}

impl Walk for Items {
    fn item(&mut self, data: &[u8]) -> Result<Option<Item>> {
        let Some(header) = data.get(..5) else { return Ok(None) };
        let length = grpc_length(header)?;
        let body = &data[5..data.len().min(5 + length)];
        if body.len() < length.min(HEAD_BYTES_MAX) {
            return Ok(None);
        }
        match body.first() {
            Some(0x0a) => self.message(body, length)?,
            _ if body.len() < length => return Ok(None),
            _ => self.notice(body)?,
        }
        Ok(Some(Item::of(5 + length, data.len())))
    }
}

impl Items {
    /// One message: its sequence, and the value behind it.
    #[inline]
    fn message(&mut self, body: &[u8], length: usize) -> Result<()> {
        let item = behind(body, 0x0a).ok_or_else(not_understood)?;
        let (sequence, width) = item.strip_prefix(&[0x08]).and_then(varint).ok_or_else(not_understood)?;
        let payload = || {
            let value = behind(&item[1 + width..], 0x12)?;
            behind(value, *value.first()?)
        };
        let sent = self.arrivals.wants_time().then(|| payload().and_then(template::time)).flatten();
        self.arrivals.message(sequence, length, sent);
        Ok(())
    }

    /// The first heartbeat says that the subscription stands, on a topic that nobody has published to.
    fn notice(&mut self, body: &[u8]) -> Result<()> {
        let notice = SubscriptionItem::decode(body).map_err(|e| not_understood().because(e))?;
        match notice.kind {
            Some(Kind::Heartbeat(_)) if !self.is_open => {
                self.is_open = true;
                self.arrivals.opened(1);
            }
            Some(Kind::Discontinuity(gap)) => self.arrivals.discontinuity(gap.new_topic_sequence + 1),
            _ => {}
        }
        Ok(())
    }
}

/// What stands behind this tag and a length.
#[inline]
fn behind(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(&[tag])?;
    rest.get(varint(rest)?.1..)
}
