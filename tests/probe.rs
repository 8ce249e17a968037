//! The Monitor service as a client of the contract sees it: the server, who is behind, a probe's way.

use bugle::proto::v1::monitor_client::MonitorClient;
use bugle::proto::v1::{
    GetLoggingRequest, GetServerRequest, GetTopicRequest, ListSubscriptionsRequest, TraceTopicRequest,
    TraceTopicResponse,
};
use tonic::Code;
use tonic::transport::Channel;

use crate::bus::{Bus, LATEST, narrow, numbers, reason, request, violation};
use crate::feed::Feed;
use crate::support::soon;

fn monitor(bus: &Bus) -> MonitorClient<Channel> {
    MonitorClient::new(bus.channel.clone())
}

async fn trace(bus: &Bus, topic: &str, millis: i32) -> Result<TraceTopicResponse, tonic::Status> {
    let wait = Some(prost_types::Duration { seconds: 0, nanos: millis * 1_000_000 });
    let request = TraceTopicRequest { topic: topic.into(), wait, ..Default::default() };
    soon(monitor(bus).trace_topic(request)).await.map(tonic::Response::into_inner)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_tells_when_it_was_where() {
    let bus = Bus::start().await;
    let mut feeds = [bus.subscribe("t", LATEST).await, bus.subscribe("t", LATEST).await];
    let told = trace(&bus, "t", 900).await.unwrap();
    let mut heard = Vec::new();
    for feed in &mut feeds {
        heard.extend(feed.take(1).await);
    }
    assert_eq!(heard[0].attributes["bugle.probe"], "true");
    assert_eq!(heard[0].traceparent, told.traceparent);
    assert_eq!(heard[0].sequence, told.position.unwrap().sequence);
    assert_eq!((told.subscriptions, told.deliveries.len()), (2, 2));
    assert!(told.accepted_unix_nano <= told.ordered_unix_nano);
    assert!(told.ordered_unix_nano <= told.fanned_out_unix_nano);
    assert!(told.fanned_out_unix_nano <= told.answered_unix_nano);
    for delivery in &told.deliveries {
        assert!(told.ordered_unix_nano <= delivery.read_unix_nano);
        assert!(delivery.read_unix_nano <= delivery.written_unix_nano);
        assert!(delivery.peer.starts_with("127.0.0.1:"), "{delivery:?}");
    }
    let mut ids: Vec<_> = told.deliveries.iter().map(|delivery| delivery.subscription_id.clone()).collect();
    let mut expected: Vec<_> = feeds.iter().map(|feed| feed.opened.subscription_id.clone()).collect();
    ids.sort();
    expected.sort();
    assert_eq!(ids, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_is_answered_also_where_nobody_listens_or_reads() {
    let bus = Bus::start().await;
    let alone = trace(&bus, "nobody", 900).await.unwrap();
    assert_eq!((alone.subscriptions, alone.deliveries.len(), alone.woken), (0, 0, 0));
    assert!(alone.fanned_out_unix_nano > 0);

    let narrow = narrow(bus.server.address).await;
    let _stalled = Feed::open(&narrow, request("t", LATEST)).await.unwrap();
    for _ in 0..40 {
        bus.publish("t", (0..64).map(|_| vec![7; 1024])).await;
    }
    let late = trace(&bus, "t", 200).await.unwrap();
    assert_eq!((late.subscriptions, late.deliveries.len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_does_not_hold_up_the_end_of_the_server() {
    let mut bus = Bus::start().await;
    let narrow = narrow(bus.server.address).await;
    let stalled = Feed::open(&narrow, request("t", LATEST)).await.unwrap();
    for _ in 0..40 {
        bus.publish("t", (0..64).map(|_| vec![7; 1024])).await;
    }
    let wait = Some(prost_types::Duration { seconds: 60, nanos: 0 });
    let mut client = monitor(&bus);
    let probe = TraceTopicRequest { topic: "t".into(), wait, ..Default::default() };
    let probe = tokio::spawn(async move { client.trace_topic(probe).await });
    // It is on its way when its message is there.
    let published = async {
        let get = GetTopicRequest { topic: "t".into(), ..Default::default() };
        while bus.admin().get_topic(get.clone()).await.unwrap().into_inner().next_sequence < 40 * 64 + 2 {}
    };
    soon(published).await;
    drop((stalled, narrow));
    bus.server.stop();
    let told = soon(probe).await.unwrap().unwrap().into_inner();
    assert_eq!((told.subscriptions, told.deliveries.len()), (1, 0));
    assert_eq!(bus.server.ended().await.cut, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_cannot_be_is_refused_with_the_field() {
    let bus = Bus::start().await;
    assert_eq!(violation(&trace(&bus, "", 1).await.unwrap_err()).0, "topic");
    let wait = Some(prost_types::Duration { seconds: 61, nanos: 0 });
    let long = TraceTopicRequest { topic: "t".into(), wait, ..Default::default() };
    assert_eq!(violation(&soon(monitor(&bus).trace_topic(long)).await.unwrap_err()).0, "wait");
    let elsewhere = TraceTopicRequest { namespace: "x".into(), topic: "t".into(), ..Default::default() };
    let refused = soon(monitor(&bus).trace_topic(elsewhere)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NAMESPACE_NOT_FOUND"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_subscriptions_furthest_behind_come_first() {
    let bus = Bus::start().await;
    let narrow = narrow(bus.server.address).await;
    let stalled = Feed::open(&narrow, request("t", LATEST)).await.unwrap();
    let mut reading = bus.subscribe("t", LATEST).await;
    for _ in 0..40 {
        bus.publish("t", (0..64).map(|_| vec![7; 1024])).await;
    }
    assert_eq!(reading.take(40 * 64).await.len(), 40 * 64);
    let request = |page_size| ListSubscriptionsRequest { topic: "t".into(), page_size, ..Default::default() };
    let all = soon(monitor(&bus).list_subscriptions(request(0))).await.unwrap().into_inner();
    assert_eq!((all.total, all.subscriptions.len()), (2, 2));
    let [first, second] = [&all.subscriptions[0], &all.subscriptions[1]];
    assert_eq!(first.subscription_id, stalled.opened.subscription_id);
    assert!(first.lag_messages > 1000, "{first:?}");
    assert_eq!((second.lag_messages, second.next_sequence), (0, 40 * 64 + 1));
    assert!(second.open_time_unix_nano > 0 && second.peer.starts_with("127.0.0.1:"));
    let one = soon(monitor(&bus).list_subscriptions(request(1))).await.unwrap().into_inner();
    assert_eq!((one.total, one.subscriptions.len()), (2, 1));
    let get = GetTopicRequest { topic: "t".into(), ..Default::default() };
    let topic = soon(bus.admin().get_topic(get)).await.unwrap().into_inner();
    assert_eq!(topic.lag_messages, first.lag_messages);
    assert!(topic.lag.is_some());
    let missing = ListSubscriptionsRequest { topic: "none".into(), ..Default::default() };
    assert_eq!(soon(monitor(&bus).list_subscriptions(missing)).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_tells_what_it_is_and_what_has_gone_through_it() {
    let bus = Bus::with(|config| config.metrics.topics = 1).await;
    let mut feed = bus.subscribe("counted", LATEST).await;
    bus.publish("counted", numbers(0..5)).await;
    bus.publish("other", numbers(0..2)).await;
    feed.take(5).await;
    let server = soon(monitor(&bus).get_server(GetServerRequest {})).await.unwrap().into_inner();
    let traffic = server.traffic.unwrap();
    assert_eq!((traffic.published_messages, traffic.delivered_messages), (7, 5));
    assert_eq!((server.version.as_str(), server.draining), (env!("CARGO_PKG_VERSION"), false));
    assert_eq!((server.subscriptions, server.topics, server.namespaces), (1, 2, 1));
    assert!(server.memory_used_bytes > 0 && server.memory_budget_bytes == 64 << 20);
    assert!(server.start_time_unix_nano <= server.time_unix_nano && server.connections >= 1);
    let get = |topic: &str| GetTopicRequest { topic: topic.into(), ..Default::default() };
    let counted = soon(bus.admin().get_topic(get("counted"))).await.unwrap().into_inner();
    assert_eq!(counted.traffic.unwrap().delivered_messages, 5);
    assert!(soon(bus.admin().get_topic(get("other"))).await.unwrap().into_inner().traffic.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_program_that_embeds_the_bus_is_its_own() {
    let bus = Bus::start().await;
    let refused = soon(monitor(&bus).get_logging(GetLoggingRequest {})).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "LOGGING_NOT_OWNED"));
}
