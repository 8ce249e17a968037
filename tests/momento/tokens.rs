//! Tokens and keys in the words of Momento: what they may do, and what they may not.

use bugle::proto::momento::auth::GenerateApiTokenRequest;
use bugle::proto::momento::auth::auth_client::AuthClient;
use bugle::proto::momento::auth::generate_api_token_request::{self, Expiry};
use bugle::proto::momento::cache_client::pubsub::pubsub_client::PubsubClient;
use bugle::proto::momento::cache_client::pubsub::{PublishRequest, SubscriptionRequest};
use bugle::proto::momento::permission_messages::permissions::Kind as Kinds;
use bugle::proto::momento::permission_messages::permissions_type::{
    self, CacheSelector, TopicPermissions, TopicSelector, cache_selector, topic_permissions, topic_selector,
};
use bugle::proto::momento::permission_messages::{
    ExplicitPermissions, Permissions, PermissionsType, TopicRole,
};
use bugle::proto::momento::token::GenerateDisposableTokenRequest;
use bugle::proto::momento::token::generate_disposable_token_request::Expires;
use bugle::proto::momento::token::token_client::TokenClient;
use tonic::{Code, Request};

use super::{CACHE, Heard, text};
use crate::access::Guarded;

/// A permission of a topic role on these names.
fn topics(role: TopicRole, topic: topic_selector::Kind) -> Option<Permissions> {
    let cache = CacheSelector { kind: Some(cache_selector::Kind::CacheName(CACHE.into())) };
    let of_topics = TopicPermissions {
        role: role as i32,
        cache: Some(topic_permissions::Cache::CacheSelector(cache)),
        topic: Some(topic_permissions::Topic::TopicSelector(TopicSelector { kind: Some(topic) })),
    };
    let permission = PermissionsType { kind: Some(permissions_type::Kind::TopicPermissions(of_topics)) };
    Some(Permissions { kind: Some(Kinds::Explicit(ExplicitPermissions { permissions: vec![permission] })) })
}

/// A request with this credential, as their libraries send it: without a scheme.
fn by<T>(credential: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", credential.parse().unwrap());
    request
}

#[tokio::test]
async fn a_token_for_the_beginning_of_names_reaches_no_others_and_signs_what_it_publishes() {
    let guarded = Guarded::start();
    let channel = crate::support::channel(guarded.address).await;
    let (mut tokens, mut pubsub) = (TokenClient::new(channel.clone()), PubsubClient::new(channel));
    let asked = |permissions, seconds, token_id: &str| GenerateDisposableTokenRequest {
        expires: Some(Expires { valid_for_seconds: seconds }),
        // Some libraries say who calls here alone.
        auth_token: guarded.root.clone(),
        permissions,
        token_id: token_id.into(),
    };
    let prefix = || topic_selector::Kind::TopicNamePrefix("orders.".into());
    let made = asked(topics(TopicRole::TopicReadWrite, prefix()), 60, "sensor-7");
    let made = tokens.generate_disposable_token(made).await.unwrap().into_inner();
    assert_eq!(made.endpoint, guarded.address.to_string());
    let value =
        |topic: &str| PublishRequest { cache_name: CACHE.into(), topic: topic.into(), value: text("x") };
    pubsub.publish(by(&made.api_key, value("orders.eu"))).await.unwrap();
    let refused = pubsub.publish(by(&made.api_key, value("orders"))).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let subscribe = |topic: &str| SubscriptionRequest {
        cache_name: CACHE.into(),
        topic: topic.into(),
        ..SubscriptionRequest::default()
    };
    let heard = pubsub.subscribe(by(&made.api_key, subscribe("orders.eu"))).await.unwrap();
    assert_eq!(Heard(heard.into_inner()).item().await.publisher_id, "sensor-7");
    assert_eq!(
        pubsub.subscribe(by(&made.api_key, subscribe("x"))).await.err().unwrap().code(),
        Code::PermissionDenied
    );
    assert_eq!(pubsub.subscribe(subscribe("orders.eu")).await.err().unwrap().code(), Code::Unauthenticated);
    for wrong in [
        asked(None, 60, ""),
        asked(topics(TopicRole::TopicPermitNone, prefix()), 60, ""),
        asked(topics(TopicRole::TopicReadOnly, prefix()), 0, ""),
        asked(topics(TopicRole::TopicReadOnly, prefix()), 60, &"x".repeat(65)),
    ] {
        let refused = tokens.generate_disposable_token(wrong).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
    // A token makes no tokens.
    let again = GenerateDisposableTokenRequest {
        auth_token: made.api_key,
        ..asked(topics(TopicRole::TopicReadOnly, prefix()), 60, "")
    };
    assert_eq!(tokens.generate_disposable_token(again).await.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_key_that_ends_has_its_permissions_and_one_that_does_not_those_of_its_policies() {
    let guarded = Guarded::start();
    let channel = crate::support::channel(guarded.address).await;
    let (mut keys, mut pubsub) = (AuthClient::new(channel.clone()), PubsubClient::new(channel));
    let asked = |permissions, expiry, name: &str| GenerateApiTokenRequest {
        auth_token: guarded.root.clone(),
        permissions,
        token_id: name.into(),
        description: String::new(),
        expiry: Some(expiry),
    };
    let never = || Expiry::Never(generate_api_token_request::Never {});
    let expires = Expiry::Expires(generate_api_token_request::Expires { valid_for_seconds: 60 });
    let writes = topics(TopicRole::TopicWriteOnly, topic_selector::Kind::TopicName("t".into()));
    let key = keys.generate_api_token(asked(writes.clone(), expires, "")).await.unwrap().into_inner();
    let value =
        |topic: &str| PublishRequest { cache_name: CACHE.into(), topic: topic.into(), value: text("x") };
    pubsub.publish(by(&key.api_key, value("t"))).await.unwrap();
    let refused = pubsub.publish(by(&key.api_key, value("u"))).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);

    let everything = || Some(Permissions { kind: Some(Kinds::SuperUser(0)) });
    let key = keys.generate_api_token(asked(everything(), never(), "root")).await.unwrap().into_inner();
    assert_eq!(key.valid_until, 0);
    pubsub.publish(by(&key.api_key, value("u"))).await.unwrap();
    for (permissions, name) in [(everything(), "nobody"), (writes, "root")] {
        let refused = keys.generate_api_token(asked(permissions, never(), name)).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    }
}
