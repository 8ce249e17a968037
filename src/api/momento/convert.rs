//! The only place where the wire types of topics become the domain's.

use bytes::Bytes;

use super::Options;
use crate::broker::Subscribe;
use crate::error::{Error, Result};
use crate::limits::MOMENTO_BATCH_BYTES;
use crate::proto::momento::cache_client::pubsub::{
    PublishRequest, SubscriptionRequest, TopicValue, topic_value::Kind,
};
use crate::topic::{Message, Namespace, Position, Start, TopicName};

/// The media type of a text.
pub const TEXT: &str = "text/plain";
/// The media type of anything else that a client of Momento publishes.
const BINARY: &str = "application/octet-stream";

/// The cache of a request, which has to be named: there is no default one here.
pub fn cache(name: &str) -> Result<Namespace> {
    let under = |error: Error| {
        let description = error.violations().first().map(|violation| violation.description.clone());
        Error::field("cache_name", description.unwrap_or_else(|| error.message().to_owned()))
    };
    if name.is_empty() {
        return Err(Error::field("cache_name", "has to be given"));
    }
    Namespace::parse(name).map_err(under)
}

/// The topic and the message of a publish.
pub fn publish(request: PublishRequest) -> Result<(TopicName, Message)> {
    let PublishRequest { cache_name, topic, value } = request;
    let name = cache(&cache_name)?.topic(&topic)?;
    let Some(TopicValue { kind: Some(kind) }) = value else {
        return Err(Error::field("value", "has to be a text or binary"));
    };
    let (payload, content_type) = match kind {
        Kind::Text(text) => (Bytes::from(text), TEXT),
        Kind::Binary(bytes) => (bytes, BINARY),
    };
    Ok((name, Message { payload, content_type: content_type.to_owned(), ..Message::default() }))
}

/// The topic and the wishes of a subscription.
pub fn subscribe(request: SubscriptionRequest, options: &Options) -> Result<(TopicName, Subscribe)> {
    let SubscriptionRequest { cache_name, topic, resume_at_topic_sequence_number: sequence, sequence_page } =
        request;
    let name = cache(&cache_name)?.topic(&topic)?;
    let request = Subscribe {
        start: start(sequence, sequence_page, options.replays_latest),
        max_batch_bytes: Some(MOMENTO_BATCH_BYTES),
        heartbeat_interval: Some(options.heartbeat_interval),
        ..Subscribe::default()
    };
    Ok((name, request))
}

/// Where a subscription begins that wants this sequence of this page first.
pub fn start(sequence: u64, page: u64, replays_latest: bool) -> Start {
    match (sequence, page) {
        (0, 0) if replays_latest => Start::Last(1),
        (0, 0) => Start::Latest,
        (sequence, page) => Start::After(Position::new(page, sequence.saturating_sub(1))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resume_is_inclusive_and_nothing_is_a_fresh_start() {
        let after = |epoch, sequence| Start::After(Position::new(epoch, sequence));
        for (sequence, page, replays, expected) in [
            (0, 0, true, Start::Last(1)),
            (0, 0, false, Start::Latest),
            (5, 7, true, after(7, 4)),
            (1, 7, false, after(7, 0)),
            (0, 7, true, after(7, 0)),
            (5, 0, true, after(0, 4)),
        ] {
            assert_eq!(start(sequence, page, replays), expected);
        }
    }

    #[test]
    fn a_value_and_a_cache_have_to_be_given() {
        let request = |cache: &str, kind| PublishRequest {
            cache_name: cache.into(),
            topic: "t".into(),
            value: Some(TopicValue { kind }),
        };
        let field = |request| publish(request).unwrap_err().violations()[0].field.clone();
        assert_eq!(field(request("", Some(Kind::Text("x".into())))), "cache_name");
        assert_eq!(field(request("a\n", Some(Kind::Text("x".into())))), "cache_name");
        assert_eq!(field(request("a", None)), "value");
        let (name, message) = publish(request("a", Some(Kind::Text("x".into())))).unwrap();
        assert_eq!((name.to_string().as_str(), message.content_type.as_str()), ("a/t", TEXT));
    }
}
