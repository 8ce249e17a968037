//! The protocol of Momento's clients, message by message: what comes first, what is told of what is
//! missing, how a stream ends. That their libraries agree is shown by tests/momento/.

mod http;
mod tokens;

use std::net::SocketAddr;
use std::time::Duration;

use bugle::broker::TopicChange;
use bugle::config::Config;
use bugle::proto::momento::cache_client::ping_client::PingClient;
use bugle::proto::momento::cache_client::pubsub::pubsub_client::PubsubClient;
use bugle::proto::momento::cache_client::pubsub::subscription_item::Kind;
use bugle::proto::momento::cache_client::pubsub::topic_value::Kind as Value;
use bugle::proto::momento::cache_client::pubsub::{
    Discontinuity, Heartbeat, PublishRequest, SubscriptionItem, SubscriptionRequest, TopicItem, TopicValue,
};
use bugle::proto::momento::control_client::scs_control_client::ScsControlClient;
use bugle::proto::momento::control_client::{
    CreateCacheRequest, DeleteCacheRequest, FlushCacheRequest, ListCachesRequest,
};
use bugle::quota::Limit;
use bugle::topic::TopicName;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};

use crate::bus::{Bus, LATEST, message};
use crate::quotas::namespaces;
use crate::support::soon;

const CACHE: &str = "default";

fn text(text: &str) -> Option<TopicValue> {
    Some(TopicValue { kind: Some(Value::Text(text.into())) })
}

async fn publish(bus: &Bus, topic: &str, value: Option<TopicValue>) -> Result<(), Status> {
    let request = PublishRequest { cache_name: CACHE.into(), topic: topic.into(), value };
    soon(PubsubClient::new(bus.channel.clone()).publish(request)).await.map(|_| ())
}

/// What a subscription hears, one after the other.
struct Heard(Streaming<SubscriptionItem>);

impl Heard {
    async fn open(bus: &Bus, cache: &str, topic: &str, sequence: u64, page: u64) -> Result<Heard, Status> {
        let request = Request::new(SubscriptionRequest {
            cache_name: cache.into(),
            topic: topic.into(),
            resume_at_topic_sequence_number: sequence,
            sequence_page: page,
        });
        let answer = soon(PubsubClient::new(bus.channel.clone()).subscribe(request)).await?;
        Ok(Heard(answer.into_inner()))
    }

    async fn next(&mut self) -> Result<Kind, Status> {
        let item = soon(self.0.message()).await?;
        Ok(item.expect("it ended with OK").kind.expect("an item without a kind"))
    }

    /// The next that is no heartbeat.
    async fn news(&mut self) -> Result<Kind, Status> {
        loop {
            match self.next().await? {
                Kind::Heartbeat(Heartbeat {}) => {}
                news => return Ok(news),
            }
        }
    }

    async fn item(&mut self) -> TopicItem {
        match self.news().await.unwrap() {
            Kind::Item(item) => item,
            other => panic!("no item: {other:?}"),
        }
    }

    async fn is_greeted(&mut self) {
        assert_eq!(self.next().await.unwrap(), Kind::Heartbeat(Heartbeat {}));
    }

    async fn status(&mut self) -> Status {
        loop {
            if let Err(status) = self.news().await {
                return status;
            }
        }
    }
}

fn page(bus: &Bus, topic: &str) -> u64 {
    bus.broker.describe_topic(&TopicName::parse(CACHE, topic).unwrap()).unwrap().epoch
}

fn value(item: &TopicItem) -> Value {
    item.value.clone().unwrap().kind.unwrap()
}

#[tokio::test]
async fn a_heartbeat_comes_first_and_a_fresh_subscription_begins_with_the_newest_message() {
    let bus = Bus::start().await;
    for sent in ["one", "two"] {
        publish(&bus, "t", text(sent)).await.unwrap();
    }
    let mut heard = Heard::open(&bus, CACHE, "t", 0, 0).await.unwrap();
    heard.is_greeted().await;
    let Kind::Item(newest) = heard.next().await.unwrap() else { panic!("no item behind the heartbeat") };
    assert_eq!((newest.topic_sequence_number, newest.sequence_page), (2, page(&bus, "t")));
    assert_eq!((value(&newest), newest.publisher_id.as_str()), (Value::Text("two".into()), ""));
    let binary = Some(TopicValue { kind: Some(Value::Binary(vec![0xff, 0].into())) });
    publish(&bus, "t", binary).await.unwrap();
    let next = heard.item().await;
    assert_eq!((next.topic_sequence_number, value(&next)), (3, Value::Binary(vec![0xff, 0].into())));
}

#[tokio::test]
async fn a_subscription_can_begin_without_what_was() {
    let bus = Bus::with(|config: &mut Config| config.momento.replay_on_fresh_subscribe = "none").await;
    publish(&bus, "t", text("old")).await.unwrap();
    let mut heard = Heard::open(&bus, CACHE, "t", 0, 0).await.unwrap();
    heard.is_greeted().await;
    publish(&bus, "t", text("new")).await.unwrap();
    assert_eq!(value(&heard.item().await), Value::Text("new".into()));
}

#[tokio::test]
async fn a_stream_that_waits_hears_heartbeats_whatever_timeout_its_client_says() {
    let interval = Duration::from_millis(100);
    let bus = Bus::with(|config: &mut Config| config.momento.heartbeat_interval = interval).await;
    let mut request = Request::new(SubscriptionRequest {
        cache_name: CACHE.into(),
        topic: "t".into(),
        ..SubscriptionRequest::default()
    });
    // Their crate sends its timeout for calls here too.
    request.metadata_mut().insert("grpc-timeout", "150m".parse().unwrap());
    let mut heard =
        Heard(PubsubClient::new(bus.channel.clone()).subscribe(request).await.unwrap().into_inner());
    for _ in 0..5 {
        heard.is_greeted().await;
    }
}

#[tokio::test]
async fn a_resume_is_inclusive_and_shows_no_discontinuity_where_nothing_is_missing() {
    let bus = Bus::start().await;
    for sent in ["one", "two", "three"] {
        publish(&bus, "t", text(sent)).await.unwrap();
    }
    let page = page(&bus, "t");
    for (from, first) in [(2, 2), (1, 1), (0, 1)] {
        let mut heard = Heard::open(&bus, CACHE, "t", from, page).await.unwrap();
        heard.is_greeted().await;
        for sequence in first..=3 {
            let Kind::Item(item) = heard.next().await.unwrap() else { panic!("no item") };
            assert_eq!(item.topic_sequence_number, sequence);
        }
    }
    // The one behind the newest: what clients that had everything ask for.
    let mut heard = Heard::open(&bus, CACHE, "t", 4, page).await.unwrap();
    heard.is_greeted().await;
    publish(&bus, "t", text("four")).await.unwrap();
    assert_eq!(heard.item().await.topic_sequence_number, 4);
}

#[tokio::test]
async fn another_page_is_told_before_what_is_retained_of_this_one() {
    let bus = Bus::start().await;
    for sent in ["one", "two"] {
        publish(&bus, "t", text(sent)).await.unwrap();
    }
    let mut heard = Heard::open(&bus, CACHE, "t", 7, 5).await.unwrap();
    heard.is_greeted().await;
    let new_sequence_page = page(&bus, "t");
    let gap = Discontinuity { last_topic_sequence: 6, new_topic_sequence: 0, new_sequence_page };
    assert_eq!(heard.next().await.unwrap(), Kind::Discontinuity(gap));
    assert_eq!(heard.item().await.topic_sequence_number, 1);
    assert_eq!(heard.item().await.topic_sequence_number, 2);
}

#[tokio::test]
async fn what_a_flush_dropped_is_a_discontinuity_on_the_same_page() {
    let bus = Bus::start().await;
    for sent in ["one", "two"] {
        publish(&bus, "t", text(sent)).await.unwrap();
    }
    let page = page(&bus, "t");
    let flush = FlushCacheRequest { cache_name: CACHE.into() };
    soon(ScsControlClient::new(bus.channel.clone()).flush_cache(flush)).await.unwrap();
    let mut heard = Heard::open(&bus, CACHE, "t", 1, page).await.unwrap();
    heard.is_greeted().await;
    let gap = Discontinuity { last_topic_sequence: 0, new_topic_sequence: 2, new_sequence_page: page };
    assert_eq!(heard.next().await.unwrap(), Kind::Discontinuity(gap));
    publish(&bus, "t", text("three")).await.unwrap();
    let item = heard.item().await;
    assert_eq!((item.topic_sequence_number, item.sequence_page), (3, page));
}

#[tokio::test]
async fn streams_end_with_a_code_that_says_whether_to_come_back() {
    let mut bus = Bus::start().await;
    let mut control = ScsControlClient::new(bus.channel.clone());
    control.create_cache(CreateCacheRequest { cache_name: "mine".into() }).await.unwrap();
    let mut of_cache = Heard::open(&bus, "mine", "t", 0, 0).await.unwrap();
    let mut of_topic = Heard::open(&bus, CACHE, "gone", 0, 0).await.unwrap();
    let mut of_server = Heard::open(&bus, CACHE, "t", 0, 0).await.unwrap();
    control.delete_cache(DeleteCacheRequest { cache_name: "mine".into() }).await.unwrap();
    assert_eq!(of_cache.status().await.code(), Code::NotFound);
    // The cache is there, and so is the topic when it is subscribed to again: on a new page.
    let before = page(&bus, "gone");
    bus.broker.delete_topic(&TopicName::parse(CACHE, "gone").unwrap()).unwrap();
    assert_eq!(of_topic.status().await.code(), Code::Unavailable);
    let mut again = Heard::open(&bus, CACHE, "gone", 1, before).await.unwrap();
    again.is_greeted().await;
    let Kind::Discontinuity(gap) = again.next().await.unwrap() else { panic!("no discontinuity") };
    assert!(gap.new_sequence_page > before && gap.new_sequence_page < 1 << 53);
    bus.server.stop();
    assert_eq!(of_server.status().await.code(), Code::Unavailable);
}

#[tokio::test]
async fn caches_are_made_listed_and_deleted_and_never_made_by_using_them() {
    let bus = Bus::start().await;
    let mut control = ScsControlClient::new(bus.channel.clone());
    let create = |name: &str| CreateCacheRequest { cache_name: name.into() };
    control.create_cache(create("mine")).await.unwrap();
    let code = |status: Status| status.code();
    assert_eq!(control.create_cache(create("mine")).await.map_err(code).unwrap_err(), Code::AlreadyExists);
    assert_eq!(control.create_cache(create("")).await.map_err(code).unwrap_err(), Code::InvalidArgument);
    let listed = control.list_caches(ListCachesRequest::default()).await.unwrap().into_inner();
    let names: Vec<&str> = listed.cache.iter().map(|cache| cache.cache_name.as_str()).collect();
    assert_eq!((names, listed.next_token.as_str()), (vec!["default", "mine"], ""));
    assert_eq!(Heard::open(&bus, "other", "t", 0, 0).await.err().unwrap().code(), Code::NotFound);
    let request = PublishRequest { cache_name: "other".into(), topic: "t".into(), value: text("x") };
    let refused = PubsubClient::new(bus.channel.clone()).publish(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    let delete = DeleteCacheRequest { cache_name: "other".into() };
    assert_eq!(control.delete_cache(delete).await.map_err(code).unwrap_err(), Code::NotFound);
}

#[tokio::test]
async fn what_one_api_publishes_is_heard_through_the_other() {
    let bus = Bus::start().await;
    let mut native = bus.subscribe("t", LATEST).await;
    let mut heard = Heard::open(&bus, CACHE, "t", 0, 0).await.unwrap();
    heard.is_greeted().await;
    publish(&bus, "t", text("from there")).await.unwrap();
    let message_of_theirs = native.take(1).await.remove(0);
    assert_eq!(
        (&message_of_theirs.payload[..], message_of_theirs.content_type.as_str()),
        (&b"from there"[..], "text/plain")
    );
    let mut typed = message("from here");
    typed.content_type = "text/plain; charset=utf-8".into();
    let untyped = message(vec![b'a'; 300_000]);
    let request = bugle::proto::v1::PublishRequest {
        topic: "t".into(),
        messages: vec![typed, untyped],
        ..bugle::proto::v1::PublishRequest::default()
    };
    bus.client().publish(request).await.unwrap();
    assert_eq!(value(&heard.item().await), Value::Text("from there".into()));
    assert_eq!(value(&heard.item().await), Value::Text("from here".into()));
    assert_eq!(value(&heard.item().await), Value::Binary(vec![b'a'; 300_000].into()));
}

#[tokio::test]
async fn what_is_over_a_limit_says_which_one() {
    let bus =
        Bus::with(|config: &mut Config| config.limits.max_message_bytes = bugle::config::Size(2048)).await;
    let refused = publish(&bus, "t", text(&"x".repeat(3000))).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(refused.metadata().get("err").unwrap(), "request_size_limit_exceeded");
    assert_eq!(publish(&bus, "t", None).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn what_is_over_a_quota_says_which_one() {
    let limits = [(Limit::Subscriptions, 1), (Limit::PublishMessages, 2)];
    let bus = Bus::with(|config: &mut Config| config.quotas = vec![namespaces(CACHE, &limits)]).await;
    let _heard = Heard::open(&bus, CACHE, "t", 0, 0).await.unwrap();
    let refused = Heard::open(&bus, CACHE, "t", 0, 0).await.err().unwrap();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(refused.metadata().get("err").unwrap(), "topic_subscriptions_limit_exceeded");
    let refused = loop {
        if let Err(refused) = publish(&bus, "t", text("x")).await {
            break refused;
        }
    };
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(refused.metadata().get("err").unwrap(), "operations_rate_limit_exceeded");
}

#[tokio::test]
async fn a_thousand_subscriptions_share_a_connection_and_each_hears_everything() {
    let bus = Bus::start().await;
    let mut all = Vec::new();
    for _ in 0..1000 {
        all.push(Heard::open(&bus, CACHE, "t", 0, 0).await.unwrap());
    }
    for sent in ["one", "two"] {
        publish(&bus, "t", text(sent)).await.unwrap();
    }
    for heard in &mut all {
        heard.is_greeted().await;
        assert_eq!(heard.item().await.topic_sequence_number, 1);
        assert_eq!(heard.item().await.topic_sequence_number, 2);
    }
}

#[tokio::test]
async fn a_reader_that_fell_behind_is_told_the_gap_and_stays() {
    let bus = Bus::start().await;
    let name = TopicName::parse(CACHE, "t").unwrap();
    let change = TopicChange { messages: Some(10), bytes: Some(4096), ..TopicChange::default() };
    bus.broker.create_topic(&name, change, None).await.unwrap();
    let channel = crate::bus::narrow(bus.server.address).await;
    let request = SubscriptionRequest { cache_name: CACHE.into(), topic: "t".into(), ..Default::default() };
    let mut heard = Heard(PubsubClient::new(channel).subscribe(request).await.unwrap().into_inner());
    heard.is_greeted().await;
    for _ in 0..200 {
        publish(&bus, "t", text(&"x".repeat(8 * 1024))).await.unwrap();
    }
    let (mut last, mut gaps, mut page) = (0, 0, 0);
    while last < 200 {
        match heard.news().await.unwrap() {
            Kind::Item(item) => {
                assert_eq!(item.topic_sequence_number, last + 1);
                (last, page) = (item.topic_sequence_number, item.sequence_page);
            }
            Kind::Discontinuity(gap) => {
                assert_eq!((gap.last_topic_sequence, gap.new_sequence_page), (last, page));
                (last, gaps) = (gap.new_topic_sequence, gaps + 1);
            }
            Kind::Heartbeat(_) => {}
        }
    }
    assert!(gaps > 0, "nothing was missing");
}

#[tokio::test]
async fn the_second_listener_serves_the_same_bus_and_is_refused_where_it_would_be_exposed() {
    let mut config = crate::support::config();
    config.momento.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    let server = bugle::server::Server::bind(config.clone()).await.unwrap();
    let (main, second) = (server.local_addr(), server.momento_addr().unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    let [main, second]: [Channel; 2] =
        [crate::support::channel(main).await, crate::support::channel(second).await];
    let request = SubscriptionRequest { cache_name: CACHE.into(), topic: "t".into(), ..Default::default() };
    let mut heard = Heard(PubsubClient::new(main.clone()).subscribe(request).await.unwrap().into_inner());
    soon(PingClient::new(second.clone()).ping(bugle::proto::momento::cache_client::PingRequest {}))
        .await
        .unwrap();
    let request = PublishRequest { cache_name: CACHE.into(), topic: "t".into(), value: text("x") };
    soon(PubsubClient::new(second.clone()).publish(request)).await.unwrap();
    assert_eq!(value(&heard.item().await), Value::Text("x".into()));
    stop.send(()).unwrap();
    assert_eq!(heard.status().await.code(), Code::Unavailable);
    drop((main, second));
    soon(running).await.unwrap().unwrap();

    config.momento.listen = Some(SocketAddr::from(([0, 0, 0, 0], 0)));
    let refused = bugle::server::Server::bind(config).await.err().unwrap();
    assert_eq!(refused.code(), bugle::error::Code::FailedPrecondition);
    assert!(refused.message().contains("without TLS"), "{refused}");
}
