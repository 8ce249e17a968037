//! What the metrics say after something happened, as a scraper reads them; and the endpoint itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bugle::config::{Config, Size};
use bugle::proto::v1::start_position::Start;
use bugle::proto::v1::{DeleteTopicRequest, Position};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_stream::StreamExt;

use crate::bus::{Bus, EARLIEST, LATEST, batch, narrow, request};
use crate::feed::{Feed, Heard};
use crate::support::soon;

/// A server whose metrics are served on a port of their own.
struct Scraped {
    bus: Bus,
    address: SocketAddr,
}

impl Scraped {
    async fn start() -> Scraped {
        Scraped::with(|_| ()).await
    }

    async fn with(change: impl FnOnce(&mut Config)) -> Scraped {
        let bus = Bus::with(|config| {
            config.metrics.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
            change(config);
        })
        .await;
        let address = bus.server.metrics.unwrap();
        Scraped { bus, address }
    }

    async fn scrape(&self) -> BTreeMap<String, f64> {
        let (status, text) = get(self.address, "GET", "/metrics").await;
        assert_eq!(status, 200);
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| {
                let (series, value) = line.rsplit_once(' ').unwrap();
                (series.to_owned(), value.parse().unwrap())
            })
            .collect()
    }

    /// Scrapes until a series has a value like this.
    async fn until(&self, series: &str, check: impl Fn(f64) -> bool) -> BTreeMap<String, f64> {
        let found = async {
            loop {
                let scraped = self.scrape().await;
                if scraped.get(series).is_some_and(|value| check(*value)) {
                    return scraped;
                }
            }
        };
        soon(found).await
    }
}

/// One request on a connection of its own; the status and the body.
pub async fn get(address: SocketAddr, method: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: bugle\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    soon(stream.read_to_string(&mut response)).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn topic(name: &str, topic: &str) -> String {
    format!("{name}{{namespace=\"default\",topic=\"{topic}\"}}")
}

const OTHER: &str = "{namespace=\"\",topic=\"other\"}";

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_counted_in_and_out_for_each_subscriber() {
    let scraped = Scraped::start().await;
    let mut feeds = [scraped.bus.subscribe("t", LATEST).await, scraped.bus.subscribe("t", LATEST).await];
    // Only what comes after they have caught up is live.
    for feed in &mut feeds {
        assert!(matches!(feed.hear().await.unwrap(), Heard::CaughtUp(_)));
    }
    scraped.bus.publish("t", ["one", "two", "three"]).await;
    for feed in &mut feeds {
        assert_eq!(feed.take(3).await.len(), 3);
    }
    // A look at all topics each second tells what stands in one, so maybe only the next one does.
    let seen = scraped.until(&topic("bugle_retained_bytes", "t"), |bytes| bytes > 0.0).await;
    assert_eq!(seen[&topic("bugle_subscriptions", "t")], 2.0);
    assert_eq!(seen[&topic("bugle_published_messages_total", "t")], 3.0);
    assert_eq!(seen[&topic("bugle_delivered_messages_total", "t")], 6.0);
    let bytes = seen[&topic("bugle_published_bytes_total", "t")];
    assert_eq!(seen[&topic("bugle_delivered_bytes_total", "t")], 2.0 * bytes);
    assert_eq!(seen[&topic("bugle_retained_bytes", "t")], bytes);
    assert_eq!(seen["bugle_publish_duration_seconds_count"], 1.0);
    assert_eq!(seen["bugle_fanout_duration_seconds_count"], 2.0);
    assert_eq!(seen["bugle_delivery_duration_seconds_count"], 2.0);
    assert_eq!(seen["bugle_subscriptions_opened_total"], 2.0);
    assert!(seen["bugle_connections"] >= 1.0 && seen["bugle_streams"] >= 2.0);
    assert!(
        seen["bugle_memory_used_bytes"] > 0.0 && seen["bugle_memory_budget_bytes"] == f64::from(64 << 20)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_beyond_the_cap_are_counted_together_and_a_closed_ones_series_end() {
    let scraped = Scraped::with(|config| config.metrics.topics = 2).await;
    for name in ["a", "b", "c", "d"] {
        scraped.bus.publish(name, ["x"]).await;
    }
    let seen = scraped.scrape().await;
    assert_eq!(seen[&topic("bugle_published_messages_total", "a")], 1.0);
    assert_eq!(seen[&format!("bugle_published_messages_total{OTHER}")], 2.0);
    assert!(!seen.contains_key(&topic("bugle_published_messages_total", "c")));
    let delete = DeleteTopicRequest { topic: "a".into(), ..Default::default() };
    soon(scraped.bus.admin().delete_topic(delete)).await.unwrap();
    let seen = scraped.scrape().await;
    assert!(!seen.contains_key(&topic("bugle_published_messages_total", "a")));
    // What it has counted is no traffic of this moment.
    assert_eq!(seen[&format!("bugle_published_messages_total{OTHER}")], 2.0);
    scraped.bus.publish("e", ["x"]).await;
    assert_eq!(scraped.scrape().await[&topic("bugle_published_messages_total", "e")], 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_topics_as_can_be_asked_for_have_series_of_their_own() {
    const TOPICS: u64 = bugle::limits::METRIC_TOPICS_MAX;
    let scraped = Scraped::with(|config| config.metrics.topics = TOPICS).await;
    let requests = tokio_stream::iter(0..TOPICS + 10).map(|n| batch(&format!("t{n}"), ["x"]));
    let mut answers = soon(scraped.bus.client().publish_stream(requests)).await.unwrap().into_inner();
    while soon(answers.message()).await.unwrap().is_some() {}
    let seen = scraped.scrape().await;
    let own = seen.iter().filter(|(series, _)| series.starts_with("bugle_published_messages_total"));
    assert_eq!(own.clone().count() as u64, TOPICS + 1);
    assert_eq!(own.map(|(_, count)| count).sum::<f64>(), (TOPICS + 10) as f64);
    assert!(!seen.keys().any(|series| series.contains("overflow")));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_read_shows_as_lag_pinned_memory_and_a_stall() {
    let scraped = Scraped::with(|config| {
        config.delivery.stall_timeout = Duration::from_secs(4);
        config.retention.bytes = Size(256 << 10);
    })
    .await;
    let narrow = narrow(scraped.bus.server.address).await;
    let stalled = Feed::open(&narrow, request("t", LATEST)).await.unwrap();
    for _ in 0..64 {
        scraped.bus.publish("t", (0..64).map(|_| vec![7; 1024])).await;
    }
    let seen = scraped.until(&topic("bugle_lag_messages", "t"), |lag| lag > 1000.0).await;
    assert!(seen[&topic("bugle_lag_seconds", "t")] > 0.0);
    scraped.until("bugle_memory_pinned_bytes", |pinned| pinned > 0.0).await;
    scraped.until("bugle_stalls_total", |stalls| stalls == 1.0).await;
    // One that was cut is not behind any more, though its client has not noticed.
    scraped.until(&topic("bugle_lag_messages", "t"), |lag| lag == 0.0).await;
    scraped.until(&topic("bugle_subscriptions", "t"), |count| count == 0.0).await;
    drop((stalled, narrow));
    let seen = scraped.until("bugle_memory_pinned_bytes", |pinned| pinned == 0.0).await;
    assert!(seen[&topic("bugle_retained_bytes", "t")] > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_counted_by_its_reason() {
    let scraped = Scraped::with(|config| config.retention.messages = 10).await;
    let receipt = scraped.bus.publish("t", (0..100).map(|_| vec![7; 1024])).await;
    let after = |epoch, sequence| Some(Start::After(Position { epoch, sequence }));
    for start in [after(receipt.epoch, 5), after(receipt.epoch - 1, 5)] {
        let mut feed = scraped.bus.subscribe("t", start).await;
        while !matches!(feed.hear().await.unwrap(), Heard::Gap(_)) {}
    }
    let seen = scraped.scrape().await;
    assert_eq!(seen["bugle_discontinuities_total{reason=\"expired\"}"], 1.0);
    // Messages 6 to 90: what is kept begins with 91.
    assert_eq!(seen["bugle_skipped_messages_total{reason=\"expired\"}"], 85.0);
    assert_eq!(seen["bugle_discontinuities_total{reason=\"reset\"}"], 1.0);
    assert_eq!(seen["bugle_skipped_messages_total{reason=\"reset\"}"], 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_counted_by_code_whether_they_end_a_call_or_not() {
    let scraped = Scraped::start().await;
    soon(scraped.bus.client().publish(batch("", ["x"]))).await.unwrap_err();
    let mut elsewhere = batch("t", ["x"]);
    elsewhere.namespace = "nowhere".into();
    soon(scraped.bus.client().publish(elsewhere.clone())).await.unwrap_err();
    soon(scraped.bus.client().subscribe(request("", EARLIEST))).await.unwrap_err();
    let requests = tokio_stream::iter([elsewhere, batch("t", ["x"])]);
    let mut answers = soon(scraped.bus.client().publish_stream(requests)).await.unwrap().into_inner();
    while soon(answers.message()).await.unwrap().is_some() {}
    // What ends a stream counts like what refuses a call.
    let large = tokio_stream::iter([batch("t", [vec![0; 2 << 20]])]);
    let mut answers = soon(scraped.bus.client().publish_stream(large)).await.unwrap().into_inner();
    soon(answers.message()).await.unwrap_err();
    crate::support::request(scraped.bus.server.address, "POST", "/no.Such/Method", Some("application/grpc"))
        .await;
    let seen = scraped.scrape().await;
    assert_eq!(seen["bugle_refusals_total{code=\"invalid_argument\"}"], 3.0);
    assert_eq!(seen["bugle_refusals_total{code=\"not_found\"}"], 2.0);
    assert_eq!(seen["bugle_refusals_total{code=\"unimplemented\"}"], 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_go_for_want_of_memory_are_counted() {
    let scraped = Scraped::with(|config| config.memory_budget = Size(4 << 20)).await;
    for _ in 0..100 {
        scraped.bus.publish("t", (0..64).map(|_| vec![7; 1024])).await;
    }
    scraped.until("bugle_evicted_bytes_total", |bytes| bytes > f64::from(1 << 20)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_refused_are_counted_by_the_limit() {
    let scraped = Scraped::with(|config| config.limits.max_connections = 1).await;
    let mut refused = TcpStream::connect(scraped.bus.server.address).await.unwrap();
    assert_eq!(soon(refused.read(&mut [0; 1])).await.unwrap_or(0), 0);
    let seen = scraped.scrape().await;
    assert_eq!(seen["bugle_connections_refused_total{limit=\"max_connections\"}"], 1.0);
    assert_eq!(seen["bugle_connections"], 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_are_told_whether_the_server_lives_and_whether_it_takes_work() {
    let mut scraped = Scraped::with(|config| config.drain_grace = Duration::from_secs(20)).await;
    let address = scraped.address;
    assert_eq!(get(address, "GET", "/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(get(address, "GET", "/readyz").await, (200, "ready\n".to_owned()));
    assert_eq!(get(address, "GET", "/elsewhere").await.0, 404);
    assert_eq!(get(address, "DELETE", "/metrics").await.0, 405);
    // A subscriber that does not read keeps the server from ending at once.
    let narrow = narrow(scraped.bus.server.address).await;
    let _stalled = Feed::open(&narrow, request("t", LATEST)).await.unwrap();
    for _ in 0..40 {
        scraped.bus.publish("t", (0..64).map(|_| vec![7; 1024])).await;
    }
    let mut feed = scraped.bus.subscribe("t", LATEST).await;
    scraped.bus.server.stop();
    while !matches!(feed.hear().await.unwrap(), Heard::Draining) {}
    assert_eq!(get(address, "GET", "/readyz").await, (503, "draining\n".to_owned()));
    assert_eq!(get(address, "GET", "/healthz").await.0, 200);
    assert_eq!(scraped.scrape().await["bugle_draining"], 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_connects_and_says_nothing_does_not_keep_others_from_asking() {
    let scraped = Scraped::start().await;
    let mut silent = Vec::new();
    for _ in 0..bugle::limits::METRICS_CONNECTIONS_MAX {
        silent.push(TcpStream::connect(scraped.address).await.unwrap());
    }
    assert_eq!(get(scraped.address, "GET", "/healthz").await.0, 200);
    assert_eq!(soon(silent[0].read(&mut [0; 1])).await.unwrap_or(0), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_told_with_the_way_out() {
    let scraped = Scraped::start().await;
    let mut config = crate::support::config();
    config.metrics.listen = Some(scraped.address);
    let error = bugle::server::Server::bind(config).await.err().unwrap();
    assert!(error.message().contains("--metrics"), "{error}");
}
