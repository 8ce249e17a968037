//! Quotas: what a namespace or a principal may use, and what whoever is over it is told. Nobody else
//! notices.

use std::sync::Arc;
use std::time::Duration;

use bugle::broker::Broker;
use bugle::config::Config;
use bugle::proto::v1::{CreateTopicRequest, DeleteTopicRequest, PublishRequest, SubscribeRequest, Topic};
use bugle::quota::{BATCH_TOO_LARGE, EXCEEDED, Limit, Quotas, Rule, Scope};
use bugle::topic::Namespace;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::bus::{Bus, EARLIEST, LATEST, batch, numbers, reason, request, violation};
use crate::feed::Feed;
use crate::support::soon;

/// Every namespace may use so much.
pub fn namespaces(pattern: &str, limits: &[(Limit, u64)]) -> Rule {
    rule(Scope::Namespace, pattern, limits)
}

fn rule(scope: Scope, pattern: &str, limits: &[(Limit, u64)]) -> Rule {
    let rule = Rule::new(scope, pattern).unwrap();
    limits.iter().fold(rule, |rule, (limit, value)| rule.with(*limit, *value).unwrap())
}

async fn bus(rules: Vec<Rule>) -> Bus {
    Bus::with(|config| config.quotas = rules).await
}

fn two_namespaces(config: &mut Config) {
    config.namespaces = ["eu", "us"].map(|name| Namespace::parse(name).unwrap()).into();
}

fn quotas(broker: &Broker) -> &Arc<Quotas> {
    &broker.options().quotas
}

fn held(bus: &Bus, limit: Limit) -> u64 {
    quotas(&bus.broker).namespace(&Namespace::default()).unwrap().held(limit)
}

fn refusals(bus: &Bus, limit: Limit) -> u64 {
    let all = quotas(&bus.broker).refusals().each();
    all.filter(|(_, counted, _)| *counted == limit).map(|(_, _, count)| count).sum()
}

/// It is over this quota, is told so with all details, and when to come back, which this gives.
fn exceeded(status: &Status, subject: &str, limit: Limit, value: u64) -> Duration {
    assert_eq!((status.code(), reason(status).as_str()), (Code::ResourceExhausted, EXCEEDED), "{status:?}");
    let details = status.get_error_details();
    let failure = &details.quota_failure().unwrap().violations[0];
    assert_eq!(failure.subject, subject);
    assert_eq!(failure.description, format!("{} is {value}", limit.as_str()));
    let facts = &details.error_info().unwrap().metadata;
    let (scope, name) = subject.split_once(':').unwrap();
    assert_eq!((facts["scope"].as_str(), facts["subject"].as_str()), (scope, name));
    assert_eq!((facts["limit"].as_str(), facts["value"].as_str()), (limit.as_str(), &*value.to_string()));
    assert!(status.message().contains(name) && status.message().contains(&value.to_string()), "{status:?}");
    details.retry_info().and_then(|info| info.retry_delay).unwrap()
}

/// Everything in a topic, as numbers.
async fn stored(bus: &Bus, topic: &str) -> Vec<u64> {
    let mut feed = bus.subscribe(topic, EARLIEST).await;
    feed.take_all().await.iter().map(crate::bus::number).collect()
}

async fn subscribed(bus: &Bus, topic: &str) -> Result<Feed, Status> {
    Feed::open(&bus.channel, request(topic, LATEST)).await
}

/// Tries again until it succeeds, as when somebody else has to end first.
async fn eventually<T, F: Future<Output = Result<T, Status>>>(mut attempt: impl FnMut() -> F) -> T {
    soon(async {
        loop {
            match attempt().await {
                Ok(done) => return done,
                Err(status) => assert_eq!(reason(&status), EXCEEDED),
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn more_messages_than_a_second_may_have_are_refused_whole_until_it_is_over() {
    let bus = bus(vec![namespaces("*", &[(Limit::PublishMessages, 20)])]).await;
    bus.publish("t", numbers(0..15)).await;
    let status = bus.client().publish(batch("t", numbers(15..30))).await.unwrap_err();
    let wait = exceeded(&status, "namespace:default", Limit::PublishMessages, 20);
    assert!(wait <= Duration::from_secs(1) && wait > Duration::ZERO, "{wait:?}");
    assert_eq!(stored(&bus, "t").await, (0..15).collect::<Vec<_>>(), "nothing of it was stored");
    // What was said is enough: the very next attempt succeeds.
    tokio::time::sleep(wait).await;
    bus.publish("t", numbers(15..30)).await;
    assert_eq!(stored(&bus, "t").await, (0..30).collect::<Vec<_>>());
    assert_eq!(refusals(&bus, Limit::PublishMessages), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_bytes_than_a_second_may_have_are_refused_until_it_is_over() {
    let bus = bus(vec![rule(Scope::Principal, "anonymous", &[(Limit::PublishBytes, 10_000)])]).await;
    bus.publish("t", [vec![1; 9_000]]).await;
    let status = bus.client().publish(batch("t", [vec![2; 9_000]])).await.unwrap_err();
    let wait = exceeded(&status, "principal:anonymous", Limit::PublishBytes, 10_000);
    tokio::time::sleep(wait).await;
    bus.publish("t", [vec![2; 9_000]]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_will_never_fit_is_told_what_would() {
    let bus = bus(vec![namespaces("*", &[(Limit::PublishMessages, 10)])]).await;
    let status = bus.client().publish(batch("t", numbers(0..11))).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, BATCH_TOO_LARGE));
    let (field, description) = violation(&status);
    assert_eq!(field, "messages");
    assert!(description.contains("smaller batches") && description.contains("10"), "{description}");
    assert!(status.get_error_details().retry_info().is_none(), "waiting does not help");
    bus.publish("t", numbers(0..10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_publishes_lives_on_and_only_the_batch_is_refused() {
    let bus = bus(vec![namespaces("*", &[(Limit::PublishMessages, 10)])]).await;
    let batches = [batch("t", numbers(0..8)), batch("t", numbers(8..16)), batch("t", numbers(16..18))];
    let mut answers = bus.client().publish_stream(tokio_stream::iter(batches)).await.unwrap().into_inner();
    let mut next = async || soon(answers.message()).await.unwrap().unwrap();
    assert_eq!((next().await.last_sequence), 8);
    let refused = next().await.status.unwrap();
    let status = Status::with_details(refused.code.into(), &refused.message, status_bytes(&refused).into());
    exceeded(&status, "namespace:default", Limit::PublishMessages, 10);
    assert_eq!(next().await.first_sequence, 9, "what fits passes");
    assert_eq!(stored(&bus, "t").await, (0..8).chain(16..18).collect::<Vec<_>>());
}

fn status_bytes(status: &tonic_types::Status) -> Vec<u8> {
    prost::Message::encode_to_vec(status)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_counts_like_any_other_message() {
    use bugle::proto::v1::TraceTopicRequest;
    use bugle::proto::v1::monitor_client::MonitorClient;
    let bus = bus(vec![namespaces("*", &[(Limit::PublishMessages, 1)])]).await;
    let probe = || TraceTopicRequest {
        topic: "t".into(),
        wait: Some(prost_types::Duration::default()),
        ..Default::default()
    };
    let mut monitor = MonitorClient::new(bus.channel.clone());
    soon(monitor.trace_topic(probe())).await.unwrap();
    let status = soon(monitor.trace_topic(probe())).await.unwrap_err();
    exceeded(&status, "namespace:default", Limit::PublishMessages, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_over_the_quota_are_refused_until_one_ends() {
    for (scope, pattern, subject) in
        [(Scope::Namespace, "def*", "namespace:default"), (Scope::Principal, "*", "principal:anonymous")]
    {
        let bus = bus(vec![rule(scope, pattern, &[(Limit::Subscriptions, 2)])]).await;
        let (one, _other) = (subscribed(&bus, "a").await.unwrap(), subscribed(&bus, "b").await.unwrap());
        let status = subscribed(&bus, "a").await.err().unwrap();
        let wait = exceeded(&status, subject, Limit::Subscriptions, 2);
        assert!(wait > Duration::ZERO);
        drop(one);
        eventually(|| subscribed(&bus, "a")).await;
        assert!(refusals(&bus, Limit::Subscriptions) >= 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_subscriptions_that_come_and_go_leave_nothing_behind() {
    let bus = bus(vec![namespaces("*", &[(Limit::Subscriptions, 64)])]).await;
    let mut tasks = Vec::new();
    for _ in 0..16 {
        let channel = bus.channel.clone();
        tasks.push(tokio::spawn(async move {
            for _ in 0..625 {
                let opened = eventually(|| Feed::open(&channel, request("t", LATEST))).await;
                drop(opened);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    soon(async {
        while held(&bus, Limit::Subscriptions) > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(bus.broker.subscriptions(), 0);
    let _all: Vec<_> = futures::future::join_all((0..64).map(|_| subscribed(&bus, "t"))).await;
    assert!(_all.iter().all(Result::is_ok), "all places are there again");
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_over_the_quota_are_refused_whoever_opens_them_and_the_open_ones_go_on() {
    for (scope, subject) in
        [(Scope::Namespace, "namespace:default"), (Scope::Principal, "principal:anonymous")]
    {
        let bus = bus(vec![rule(scope, "*", &[(Limit::Topics, 2)])]).await;
        bus.publish("a", ["x"]).await;
        let _feed = bus.subscribe("b", LATEST).await;
        let publish = bus.client().publish(batch("c", ["x"])).await.unwrap_err();
        let subscribe = subscribed(&bus, "c").await.err().unwrap();
        let create = CreateTopicRequest { topic: Some(Topic { topic: "c".into(), ..Default::default() }) };
        let create = bus.admin().create_topic(create).await.unwrap_err();
        for status in [publish, subscribe, create] {
            exceeded(&status, subject, Limit::Topics, 2);
        }
        assert_eq!(bus.broker.topics(), 2);
        bus.publish("a", ["y"]).await;
        let delete = DeleteTopicRequest { topic: "a".into(), ..Default::default() };
        bus.admin().delete_topic(delete).await.unwrap();
        eventually(|| async { bus.client().publish(batch("c", ["x"])).await }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_keeps_more_than_it_may_takes_no_more_until_some_of_it_is_gone() {
    let bus = bus(vec![namespaces("*", &[(Limit::RetainedBytes, 100_000)])]).await;
    for topic in ["a", "b"] {
        bus.publish(topic, [vec![1; 60_000]]).await;
    }
    for topic in ["a", "c"] {
        let status = bus.client().publish(batch(topic, ["x"])).await.unwrap_err();
        exceeded(&status, "namespace:default", Limit::RetainedBytes, 100_000);
    }
    let delete = DeleteTopicRequest { topic: "a".into(), ..Default::default() };
    bus.admin().delete_topic(delete).await.unwrap();
    eventually(|| async { bus.client().publish(batch("c", ["x"])).await }).await;
    let retained = quotas(&bus.broker).namespace(&Namespace::default()).unwrap().retained();
    assert!((60_000..61_000).contains(&retained), "{retained}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_principal_with_all_its_connections_is_refused_on_the_next_until_one_closes() {
    let bus = bus(vec![rule(Scope::Principal, "anonymous", &[(Limit::Connections, 2)])]).await;
    bus.publish("t", ["x"]).await;
    let second = bus.server.channel().await;
    let publish = |channel: &tonic::transport::Channel| {
        let mut client = bugle::proto::v1::bus_client::BusClient::new(channel.clone());
        async move { client.publish(batch("t", ["x"])).await }
    };
    publish(&second).await.unwrap();
    let third = bus.server.channel().await;
    let status = publish(&third).await.unwrap_err();
    exceeded(&status, "principal:anonymous", Limit::Connections, 2);
    publish(&second).await.unwrap();
    drop(second);
    eventually(|| publish(&third)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_changes_while_the_server_runs_counts_what_is_there() {
    let bus = bus(Vec::new()).await;
    let feeds = [subscribed(&bus, "t").await.unwrap(), subscribed(&bus, "t").await.unwrap()];
    let most = |count| quotas(&bus.broker).replace(vec![namespaces("*", &[(Limit::Subscriptions, count)])]);
    most(2).unwrap();
    exceeded(&subscribed(&bus, "t").await.err().unwrap(), "namespace:default", Limit::Subscriptions, 2);
    most(3).unwrap();
    let third = subscribed(&bus, "t").await.unwrap();
    most(1).unwrap();
    drop(third);
    exceeded(&subscribed(&bus, "t").await.err().unwrap(), "namespace:default", Limit::Subscriptions, 1);
    // Those that are open stay.
    let [mut one, _other] = feeds;
    bus.publish("t", numbers(7..8)).await;
    assert_eq!(crate::bus::number(&one.take(1).await[0]), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tenant_over_its_limit_does_not_take_the_room_of_another() {
    let limits = [(Limit::PublishMessages, 10), (Limit::Subscriptions, 1), (Limit::Topics, 2)];
    let bus = Bus::with(|config| {
        two_namespaces(config);
        config.quotas = vec![namespaces("*", &limits)];
    })
    .await;
    let publish = |namespace: &str, topic: &str| {
        let request = PublishRequest { namespace: namespace.into(), ..batch(topic, ["x"]) };
        let mut client = bus.client();
        async move { client.publish(request).await }
    };
    let subscribe = |namespace: &str| {
        let request = SubscribeRequest { namespace: namespace.into(), ..request("t", LATEST) };
        let channel = bus.channel.clone();
        async move { Feed::open(&channel, request).await }
    };
    let _eu = subscribe("eu").await.unwrap();
    assert!(subscribe("eu").await.is_err());
    let refused = futures::future::join_all((0..200).map(|_| publish("eu", "t"))).await;
    let refused = refused.into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert!(refused.len() >= 150, "{}", refused.len());
    exceeded(&refused[0], "namespace:eu", Limit::PublishMessages, 10);
    let _us = subscribe("us").await.unwrap();
    for _ in 0..9 {
        publish("us", "t").await.unwrap();
    }
    publish("us", "another").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_tells_its_caller_when_to_come_back() {
    let bus = bus(vec![namespaces("*", &[(Limit::PublishMessages, 2)])]).await;
    let client = bugle::client::Client::builder(format!("http://{}", bus.server.address));
    let client = client.connect().await.unwrap();
    let two = || [bugle::client::Message::new("x"), bugle::client::Message::new("y")];
    client.publish_batch("t", two()).await.unwrap();
    let error = client.publish_batch("t", two()).await.unwrap_err();
    assert_eq!(error.reason_code(), Some(EXCEEDED));
    assert_eq!(error.exceeded().unwrap().field, "namespace:default");
    tokio::time::sleep(error.retry_delay().unwrap()).await;
    client.publish_batch("t", two()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_publishes_lines_in_order_at_the_pace_that_it_may() {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let bus = bus(vec![namespaces("*", &[(Limit::PublishMessages, 150)])]).await;
    let server = format!("http://{}", bus.server.address);
    let mut command = Command::new(crate::support::Process::PATH);
    command.args(["publish", "t", "--server", &server]).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines: String = (0..500).map(|n| format!("{n}\n")).collect();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = soon(tokio::task::spawn_blocking(move || child.wait_with_output().unwrap())).await.unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("going on in"), "{told}");
    assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), 500);
    let stored = bus.subscribe("t", EARLIEST).await.take_all().await;
    let stored: Vec<_> = stored.iter().map(|message| String::from_utf8_lossy(&message.payload)).collect();
    assert_eq!(stored, (0..500).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_reads_the_quotas_again_and_a_mistake_in_them_changes_nothing() {
    use crate::support::{Process, channel};
    use rustix::process::Signal;
    let file = tempfile::NamedTempFile::new().unwrap();
    let say = |text: &str| std::fs::write(file.path(), text).unwrap();
    say("[[quotas]]\nnamespace = \"*\"\ntopics = 1\n");
    let (mut server, address) = Process::serve(&["--config", file.path().to_str().unwrap()]);
    let channel = channel(address).await;
    let open = |topic: &str| {
        let mut client = bugle::proto::v1::bus_client::BusClient::new(channel.clone());
        let request = batch(topic, ["x"]);
        async move { client.publish(request).await }
    };
    open("a").await.unwrap();
    exceeded(&open("b").await.unwrap_err(), "namespace:default", Limit::Topics, 1);
    say("[[quotas]]\nnamespace = \"*\"\ntopics = 2\n");
    server.signal(Signal::HUP);
    let line = server.logs("read the configuration again");
    assert!(line.contains("quotas"), "{line}");
    open("b").await.unwrap();
    exceeded(&open("c").await.unwrap_err(), "namespace:default", Limit::Topics, 2);
    say("[[quotas]]\nnamespace = \"*\"\ntopcs = 9\n");
    server.signal(Signal::HUP);
    let line = server.logs("not applied");
    assert!(line.contains("did you mean topics?"), "{line}");
    exceeded(&open("c").await.unwrap_err(), "namespace:default", Limit::Topics, 2);
}
