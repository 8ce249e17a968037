//! Looking into a running server: `bugle top`, `trace`, `log` and `health`, the real program.

mod screen;
mod unwell;

use bugle::client::Client;
use rustix::process::Signal;
use serde_json::Value;
use tonic_health::ServingStatus;

use crate::cli::{bugle, nobody, run};
use crate::support::{Process, Running, config};
use screen::Screen;

async fn json(address: std::net::SocketAddr, arguments: &[&str]) -> Value {
    let (text, error, code) = run(address, arguments).await;
    assert_eq!((code, error.as_str()), (0, ""), "{arguments:?}");
    serde_json::from_str(&text).unwrap()
}

async fn client(address: std::net::SocketAddr) -> Client {
    Client::connect(format!("http://{address}")).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_is_followed_to_each_of_our_own_subscriptions() {
    let server = Running::start(config()).await;
    let found = json(server.address, &["trace", "orders", "--subscribers", "3", "--json"]).await;
    assert_eq!((&found["topic"], &found["subscriptions"]), (&"default/orders".into(), &3.into()));
    assert_eq!((&found["reached"], &found["missing"]), (&3.into(), &Value::Array(Vec::new())));
    let _: bugle::topic::Position = found["position"].as_str().unwrap().parse().unwrap();
    assert_eq!(found["trace_id"].as_str().unwrap().len(), 32);
    let deliveries = found["deliveries"].as_array().unwrap();
    assert_eq!(deliveries.len(), 3);
    for delivery in deliveries {
        assert_eq!(delivery["own"], true);
        let at = |what: &str| delivery[what].as_f64().unwrap_or_else(|| panic!("{what}: {delivery}"));
        assert!(found["ordered_us"].as_f64().unwrap() <= at("read_us") && at("read_us") <= at("written_us"));
        let (uncertainty, received) = (found["clock_uncertainty_us"].as_f64().unwrap(), at("received_us"));
        assert!(received >= -uncertainty, "it came before it was sent: {delivery}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_is_a_picture_with_a_row_for_each_step() {
    let server = Running::start(config()).await;
    let _theirs = client(server.address).await.subscribe("orders").open().await.unwrap();
    let (text, error, code) = run(server.address, &["trace", "orders", "--subscribers", "1"]).await;
    assert_eq!((code, error.as_str()), (0, ""));
    let row = |what: &str, who: &str| {
        let is_it = |line: &&str| line.contains(&format!(" µs  {what}")) && line.contains(who);
        text.lines().find(is_it).unwrap_or_else(|| panic!("{what} {who}: {text}")).to_owned()
    };
    for what in ["accepted", "ordered", "fanned out"] {
        row(what, "");
    }
    for what in ["read", "written", "received"] {
        assert!(row(what, "own 1").contains(['█', '▏']), "{text}");
    }
    row("written", "127.0.0.1:");
    assert!(text.contains("reached   2 of 2 subscriptions"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_for_nobody_is_told_in_words() {
    let server = Running::start(config()).await;
    let (text, _, code) = run(server.address, &["trace", "orders", "--subscribers", "0"]).await;
    assert!(code == 0 && text.contains("nobody is subscribed to default/orders"), "{text}");
    let (_, error, code) = run(server.address, &["trace", "-n", "nowhere", "orders"]).await;
    assert!(code == 1 && error.contains("nowhere"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_are_those_of_what_is_published() {
    let server = Running::start(config()).await;
    let client = client(server.address).await;
    client.publish("orders.quiet", "x").await.unwrap();
    client.publish("orders.busy", "x").await.unwrap();
    let looking = tokio::spawn(async move {
        json(server.address, &["top", "orders.", "--json", "--interval", "500ms"]).await
    });
    while !looking.is_finished() {
        client.publish("orders.busy", "x").await.unwrap();
    }
    let found = looking.await.unwrap();
    let rate = |place: usize| found["topics"][place]["published_messages_per_second"].as_f64().unwrap();
    assert_eq!(
        (&found["topics"][0]["topic"], &found["topics"][1]["topic"]),
        (&"orders.busy".into(), &"orders.quiet".into())
    );
    assert!(rate(0) > 0.0 && rate(1) == 0.0, "{found:#}");
    assert!(found["server"]["published_messages_per_second"].as_f64().unwrap() > 0.0, "{found:#}");
    assert_eq!(found["more_topics"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_terminal_top_is_a_table() {
    let server = Running::start(config()).await;
    let (client, address) = (client(server.address).await, server.address);
    client.admin().create_namespace("staging").await.unwrap();
    client.publish("orders", "x").await.unwrap();
    client.in_namespace("staging").unwrap().publish("orders", "x").await.unwrap();
    let interval = ["--interval", "100ms"];
    let (text, _, code) = run(address, &[&["top"], &interval[..]].concat()).await;
    assert!(code == 0 && text.starts_with("bugle "), "{text}");
    assert!(text.contains("\nTOPIC ") && text.contains("\norders "), "{text}");
    assert!(!text.contains('\x1b'), "nothing for terminals: {text:?}");
    let all = ["top", "--all-namespaces", "--sort", "name", "--reverse"];
    let (text, ..) = run(address, &[&all[..], &interval[..]].concat()).await;
    let names: Vec<_> = text.lines().filter_map(|line| line.split_once("/orders ")).collect();
    assert_eq!(names.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["staging", "default"], "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_live_view_shows_what_keys_ask_for_and_gives_the_terminal_back() {
    let server = Running::start(config()).await;
    let client = client(server.address).await;
    let _theirs = client.subscribe("orders").open().await.unwrap();
    client.publish("orders", "x").await.unwrap();
    client.publish("invoices", "x").await.unwrap();
    let address = server.address;
    let looked = tokio::task::spawn_blocking(move || {
        let mut screen = Screen::start(&mut bugle(address, &["top", "--interval", "100ms"]));
        screen.shows("2 topics of default by rate");
        screen.press("n");
        screen.shows("2 topics of default by name");
        screen.press("/ord");
        screen.shows("1 topic of default by name");
        screen.press("\r\r");
        screen.shows(": 1 subscription");
        screen.shows("127.0.0.1:");
        screen.press("\x1b");
        screen.shows("1 topic of default by name");
        screen.press("q");
        screen.ended()
    });
    assert_eq!(looked.await.unwrap(), (Some(0), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_gives_the_terminal_back_too() {
    let server = Running::start(config()).await;
    let address = server.address;
    let looked = tokio::task::spawn_blocking(move || {
        let mut screen = Screen::start(&mut bugle(address, &["top"]));
        screen.shows("0 topics");
        let process = rustix::process::Pid::from_child(&screen.child);
        rustix::process::kill_process(process, Signal::TERM).unwrap();
        screen.ended()
    });
    assert_eq!(looked.await.unwrap(), (Some(0), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_live_view_outlives_the_server() {
    let looked = tokio::task::spawn_blocking(move || {
        let (mut server, address) = Process::serve(&[]);
        let mut screen = Screen::start(&mut bugle(address, &["top", "--interval", "100ms"]));
        screen.shows("serving");
        server.signal(Signal::STOP);
        screen.shows("NO ANSWER for");
        server.signal(Signal::CONT);
        screen.shows("serving");
        server.child.kill().unwrap();
        screen.shows("NO ANSWER for");
        screen.shows("nobody answers");
        screen.press("q");
        screen.ended()
    });
    assert_eq!(looked.await.unwrap(), (Some(0), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_logs_are_told_and_changed() {
    let (_server, address) = Process::serve(&["--log-level", "info"]);
    assert_eq!(run(address, &["log"]).await.0, "info\n");
    assert_eq!(run(address, &["log", "info,bugle::broker=debug"]).await.0, "info,bugle::broker=debug\n");
    assert_eq!(run(address, &["log"]).await.0, "info,bugle::broker=debug\n");
    let (_, error, code) = run(address, &["log", "loud"]).await;
    assert!(code == 1 && error.contains("has to be a level"), "{error}");
    let embedded = Running::start(config()).await;
    let (_, error, code) = run(embedded.address, &["log"]).await;
    assert!(code == 1 && error.contains("the program that embeds it"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_by_a_word_and_by_the_exit_code() {
    let server = Running::start(config()).await;
    let address = server.address;
    for arguments in [&["health"][..], &["health", "bugle.v1.Bus"]] {
        let (text, error, code) = run(address, arguments).await;
        assert_eq!((text.as_str(), error.as_str(), code), ("SERVING\n", "", 0), "{arguments:?}");
    }
    let (text, error, code) = run(address, &["health", "bugle.v1.Nothing"]).await;
    assert_eq!((text.as_str(), code), ("SERVICE_UNKNOWN\n", 1));
    assert!(error.contains("has no service \"bugle.v1.Nothing\""), "{error}");
    let (drains, _server) = unwell::health(ServingStatus::NotServing).await;
    let (text, error, code) = run(drains, &["health"]).await;
    assert_eq!((text.as_str(), code), ("NOT_SERVING\n", 1));
    assert!(error.contains("takes no work"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_server_and_one_that_says_nothing_are_told_apart_from_one_that_refuses() {
    for command in [&["health"][..], &["top"], &["trace", "orders"], &["log"]] {
        let (_, error, code) = run(nobody(), command).await;
        let told = error.contains("nobody answers at") && error.contains("or it is draining");
        assert!(code == 3 && told, "{command:?}: {code} {error}");
    }
    let mut config = config();
    config.metrics.listen = Some(std::net::SocketAddr::from(([127, 0, 0, 1], 0)));
    let server = Running::start(config).await;
    for command in [&["health"][..], &["publish", "orders", "x"], &["top"], &["trace", "orders"], &["log"]] {
        let (_, error, code) = run(server.metrics.unwrap(), command).await;
        assert_eq!(code, if command[0] == "health" { 3 } else { 1 }, "{command:?}: {error}");
        assert!(error.contains("speaks HTTP/1 and not HTTP/2: it may be the metrics port (7601"), "{error}");
    }
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let (_, error, code) = run(address, &["health", "--timeout", "200ms"]).await;
    assert!(code == 3 && error.contains("did not answer within 200ms"), "{code} {error}");
}
