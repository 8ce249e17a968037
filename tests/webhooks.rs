//! Webhooks, against a real endpoint: what is delivered, how often, in which order, and what happens when the
//! endpoint is not well. How they are administered is in `webhooks::managed`.

mod endpoint;
mod managed;

use std::sync::Arc;
use std::time::Duration;

use bugle::config::Config;
use bugle::topic::{Batch, Message, Namespace, Start, TopicName};
use bugle::webhook::{Definition, Format, Health, Info, Signing, Webhooks};
use endpoint::{Endpoint, Reply};

use crate::support::{Running, config, soon};

const OK: fn(u64) -> Reply = |_| Reply::Status(200);

/// A server whose webhooks may talk to this machine, and do not wait long.
async fn server(change: impl FnOnce(&mut Config)) -> Running {
    let mut config = config();
    config.webhooks.allow = "127.0.0.0/8".to_owned();
    (config.webhooks.retry_initial, config.webhooks.retry_max) =
        (Duration::from_millis(1), Duration::from_millis(4));
    change(&mut config);
    Running::start(config).await
}

fn webhooks(server: &Running) -> Arc<Webhooks> {
    server.live.webhooks.clone().unwrap()
}

fn topic(name: &str) -> TopicName {
    TopicName::parse("", name).unwrap()
}

fn raw(endpoint: &Endpoint) -> Definition {
    let hook = Definition::new("hook", topic("t"), &endpoint.url(), Signing::random().unwrap());
    Definition { format: Format::Raw, from_earliest: true, ..hook }
}

async fn publish(server: &Running, name: &str, range: std::ops::Range<u32>) {
    let message = |n: u32| Message { payload: n.to_string().into(), ..Message::default() };
    let messages: Vec<_> = range.map(message).collect();
    server.broker.publish(&topic(name), &Batch::encode(&messages).unwrap()).await.unwrap();
}

fn info(server: &Running) -> Info {
    webhooks(server).get(&Namespace::parse("").unwrap(), "hook").unwrap()
}

/// Waits until the webhook is like this.
async fn until(server: &Running, is: impl Fn(&Info) -> bool) -> Info {
    soon(async {
        loop {
            let info = info(server);
            if is(&info) {
                return info;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
}

fn texts(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_come_in_order_with_a_signature_that_is_right() {
    let (server, mut endpoint) = (server(|_| {}).await, Endpoint::start(OK).await);
    publish(&server, "t", 0..20).await;
    let hook = raw(&endpoint);
    let secret = hook.secret.clone();
    webhooks(&server).create(hook).unwrap();
    publish(&server, "t", 20..40).await;
    for n in 0..40_u32 {
        let got = endpoint.next().await;
        assert_eq!(got.text(), n.to_string());
        let timestamp = got.header("webhook-timestamp").parse().unwrap();
        assert_eq!(
            got.header("webhook-signature"),
            secret.sign(got.header("webhook-id"), timestamp, &got.body)
        );
        assert_eq!(got.header("bugle-topic"), "t");
        assert!(got.header("bugle-position").ends_with(&format!(":{}", n + 1)));
        assert_eq!(got.header("bugle-discontinuity"), "");
    }
    let info = until(&server, |info| info.lag_messages == 0).await;
    assert_eq!((info.health, info.delivered, info.dropped, info.missed), (Health::Active, 40, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_cloudevents_has_its_attributes_in_headers_or_in_one_object() {
    let (server, mut endpoint) = (server(|_| {}).await, Endpoint::start(OK).await);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let message = Message {
        payload: r#"{"n":1}"#.into(),
        content_type: "application/json".into(),
        key: "größe".into(),
        traceparent: trace.into(),
        attributes: [("ce-type".to_owned(), "order.created".to_owned())].into(),
        ..Message::default()
    };
    server.broker.publish(&topic("t"), &Batch::encode(&[message]).unwrap()).await.unwrap();
    webhooks(&server).create(Definition { format: Format::CloudEvents, ..raw(&endpoint) }).unwrap();
    let got = endpoint.next().await;
    assert_eq!((got.header("ce-specversion"), got.header("ce-type")), ("1.0", "order.created"));
    assert_eq!(
        (got.header("ce-id"), got.header("ce-partitionkey")),
        (got.header("webhook-id"), "gr%C3%B6%C3%9Fe")
    );
    assert_eq!((got.header("content-type"), got.text()), ("application/json", r#"{"n":1}"#));
    assert_eq!(got.header("traceparent"), trace);
    let other = Definition { name: "json".into(), format: Format::CloudEventsJson, ..raw(&endpoint) };
    webhooks(&server).create(other).unwrap();
    let got = endpoint.next().await;
    assert_eq!(got.header("content-type"), "application/cloudevents+json");
    let object: serde_json::Value = serde_json::from_slice(&got.body).unwrap();
    assert_eq!((&object["type"], &object["data"]["n"]), (&"order.created".into(), &1.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_refused_is_sent_again_before_the_next_one() {
    let server = server(|_| {}).await;
    let mut endpoint = Endpoint::start(|nth| Reply::Status(if nth % 3 == 0 { 200 } else { 500 })).await;
    webhooks(&server).create(raw(&endpoint)).unwrap();
    publish(&server, "t", 0..4).await;
    for n in 0..4_u32 {
        let tries = [endpoint.next().await, endpoint.next().await, endpoint.next().await];
        assert!(tries.iter().all(|it| it.text() == n.to_string()));
        assert!(tries.iter().all(|it| it.header("webhook-id") == tries[0].header("webhook-id")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_hangs_or_loops_is_tried_again() {
    let server = server(|_| {}).await;
    let mut endpoint = Endpoint::start(|nth| match nth {
        1 => Reply::Hang,
        2 => Reply::Loop,
        _ => Reply::Status(200),
    })
    .await;
    webhooks(&server).create(Definition { timeout: Duration::from_millis(100), ..raw(&endpoint) }).unwrap();
    publish(&server, "t", 0..1).await;
    let replies = [endpoint.next().await.reply, endpoint.next().await.reply, endpoint.next().await.reply];
    assert_eq!(replies, [Reply::Hang, Reply::Loop, Reply::Status(200)]);
    assert_eq!(until(&server, |info| info.delivered == 1).await.failures, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_fails_for_ever_is_dead_until_a_probe_finds_it_well() {
    let server = server(|_| {}).await;
    let mut endpoint = Endpoint::start(|_| Reply::Status(500)).await;
    webhooks(&server).create(Definition { concurrency: 4, ..raw(&endpoint) }).unwrap();
    publish(&server, "t", 0..10).await;
    let info = until(&server, |info| info.health == Health::Dead).await;
    assert!(info.last_error.unwrap().contains("500") && info.delivered == 0);
    endpoint.now(OK);
    let mut bodies = endpoint.bodies(10).await;
    bodies.sort();
    assert_eq!(bodies, texts(0..10));
    let info = until(&server, |info| info.delivered == 10).await;
    assert_eq!((info.health, info.failures, info.last_error), (Health::Active, 0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_may_ask_for_time() {
    let server = server(|_| {}).await;
    let mut endpoint =
        Endpoint::start(|nth| if nth == 1 { Reply::Later(503, 1) } else { Reply::Status(200) }).await;
    webhooks(&server).create(raw(&endpoint)).unwrap();
    publish(&server, "t", 0..1).await;
    endpoint.next().await;
    let asked = std::time::Instant::now();
    endpoint.next().await;
    assert!(asked.elapsed() >= Duration::from_millis(900), "{:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_gone_is_left_alone_until_somebody_resumes() {
    let server = server(|_| {}).await;
    let mut endpoint = Endpoint::start(|_| Reply::Status(410)).await;
    webhooks(&server).create(raw(&endpoint)).unwrap();
    publish(&server, "t", 0..3).await;
    until(&server, |info| info.health == Health::Disabled).await;
    endpoint.next().await;
    assert!(endpoint.received.try_recv().is_err(), "it was asked again");
    endpoint.now(OK);
    webhooks(&server).pause(&Namespace::parse("").unwrap(), "hook", false).unwrap();
    assert_eq!(endpoint.bodies(3).await, texts(0..3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_not_acknowledged_for_too_long_is_passed_over_and_told() {
    let server = server(|_| {}).await;
    let mut endpoint = Endpoint::start(|_| Reply::Status(400)).await;
    let hook = Definition { give_up_after: Duration::from_millis(100), ..raw(&endpoint) };
    webhooks(&server).create(hook).unwrap();
    publish(&server, "t", 0..1).await;
    until(&server, |info| info.dropped == 1).await;
    endpoint.now(OK);
    publish(&server, "t", 1..3).await;
    let told = loop {
        let got = endpoint.next().await;
        if got.text() == "1" {
            break got;
        }
    };
    let notice = told.header("bugle-discontinuity");
    assert!(notice.starts_with("reason=gave-up; missing=1; after="), "{notice}");
    assert_eq!(endpoint.next().await.header("bugle-discontinuity"), "", "it is told once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retention_took_away_is_told() {
    let server = server(|config| config.retention.messages = 5).await;
    let mut endpoint = Endpoint::start(OK).await;
    let hooks = webhooks(&server);
    hooks.create(raw(&endpoint)).unwrap();
    publish(&server, "t", 0..2).await;
    assert_eq!(endpoint.bodies(2).await, texts(0..2));
    until(&server, |info| info.delivered == 2).await;
    let namespace = Namespace::parse("").unwrap();
    hooks.pause(&namespace, "hook", true).unwrap();
    for n in 2..20 {
        publish(&server, "t", n..n + 1).await;
    }
    hooks.pause(&namespace, "hook", false).unwrap();
    let first = endpoint.next().await;
    let notice = first.header("bugle-discontinuity");
    let missing: u32 = notice.split("missing=").nth(1).unwrap().split(';').next().unwrap().parse().unwrap();
    assert!(notice.starts_with("reason=expired") && missing > 0, "{notice}");
    assert_eq!(first.text(), (2 + missing).to_string());
    assert_eq!(info(&server).missed, u64::from(missing));
    assert_eq!(endpoint.bodies(17 - missing as usize).await.last().unwrap(), "19");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_restarts_gets_everything_at_least_once() {
    let server = server(|_| {}).await;
    let mut endpoint = Endpoint::start(OK).await;
    webhooks(&server).create(raw(&endpoint)).unwrap();
    publish(&server, "t", 0..5).await;
    assert_eq!(endpoint.bodies(5).await, texts(0..5));
    let address = endpoint.address;
    drop(endpoint);
    publish(&server, "t", 5..10).await;
    until(&server, |info| info.failures > 0).await;
    let mut endpoint = Endpoint::on(address, OK).await;
    let mut bodies = endpoint.bodies(5).await;
    bodies.dedup();
    assert_eq!(bodies.last().unwrap(), "9");
    assert!(texts(5..10).iter().all(|text| bodies.contains(text)), "{bodies:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_is_resumed_moved_and_kept() {
    let server = server(|_| {}).await;
    let (mut endpoint, hooks) = (Endpoint::start(OK).await, webhooks(&server));
    let namespace = Namespace::parse("").unwrap();
    hooks.create(raw(&endpoint)).unwrap();
    publish(&server, "t", 0..3).await;
    assert_eq!(endpoint.bodies(3).await, texts(0..3));
    until(&server, |info| info.delivered == 3).await;
    hooks.pause(&namespace, "hook", true).unwrap();
    publish(&server, "t", 3..6).await;
    assert_eq!(info(&server).lag_messages, 3);
    let kept = hooks.snapshot();
    let json = serde_json::to_string(&kept).unwrap();
    hooks.delete(&namespace, "hook").unwrap();
    let kept: Vec<bugle::webhook::Snapshot> = serde_json::from_str(&json).unwrap();
    assert_eq!(hooks.restore(&kept[0]).unwrap().health, Health::Paused);
    hooks.pause(&namespace, "hook", false).unwrap();
    assert_eq!(endpoint.bodies(3).await, texts(3..6));
    let future = bugle::topic::Position { sequence: 99, ..info(&server).position.unwrap() };
    assert!(hooks.seek(&namespace, "hook", Start::After(future)).is_err());
    hooks.seek(&namespace, "hook", Start::Earliest).unwrap();
    assert_eq!(endpoint.bodies(6).await, texts(0..6));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_slow_does_not_hold_up_others() {
    let server = server(|config| config.webhooks.max_concurrent = 2).await;
    let mut slow = Endpoint::start(|_| Reply::Hang).await;
    let mut quick = Endpoint::start(OK).await;
    let hooks = webhooks(&server);
    hooks.create(Definition { name: "slow".into(), ..raw(&slow) }).unwrap();
    hooks.create(raw(&quick)).unwrap();
    publish(&server, "t", 0..50).await;
    slow.next().await;
    assert_eq!(quick.bodies(50).await, texts(0..50));
    assert!(slow.received.try_recv().is_err(), "one request at a time");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_are_not_public_are_refused_by_whatever_name() {
    let server = server(|config| config.webhooks.allow = String::new()).await;
    let (mut endpoint, hooks) = (Endpoint::start(OK).await, webhooks(&server));
    let port = endpoint.address.port();
    for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1", "0.0.0.0"] {
        let hook = Definition { url: format!("http://{host}:{port}/"), ..raw(&endpoint) };
        assert_eq!(hooks.create(hook).unwrap_err().reason_code(), Some("WEBHOOK_TARGET"), "{host}");
    }
    publish(&server, "t", 0..1).await;
    // Names, and numbers that only a resolver takes for an address.
    for host in ["localhost", "2130706433", "0x7f.1", "127.1"] {
        hooks.create(Definition { url: format!("http://{host}:{port}/"), ..raw(&endpoint) }).unwrap();
        let info = until(&server, |info| info.failures > 0).await;
        let why = info.last_error.unwrap_or_default();
        assert!(host != "localhost" || why.contains("loopback"), "{host}: {why}");
        hooks.delete(&Namespace::parse("").unwrap(), "hook").unwrap();
    }
    assert!(endpoint.received.try_recv().is_err(), "something was sent");
}
