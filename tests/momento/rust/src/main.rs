//! The published Rust crate of Momento against Bugle, unchanged. tests/run builds and starts it; by hand,
//! from the top of the repository:
//!
//! ```text
//! cargo run --manifest-path tests/momento/rust/Cargo.toml --target-dir target/momento
//! ```
//!
//! The server is one of tests/momento/server.py.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures::StreamExt;
use momento::auth::{
    DisposableTokenScope, ExpiresIn, GenerateDisposableTokenRequest, PermissionScopes, TopicSelector,
};
use momento::topics::{Subscription, SubscriptionValue, ValueKind};
use momento::{AuthClient, CacheClient, CredentialProvider, MomentoErrorCode, TopicClient};

/// Longest wait for something that has to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server of its own, ended when dropped.
struct Server {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    port: u16,
    key: String,
}

impl Server {
    fn start(arguments: &[&str]) -> Server {
        let mut command = Command::new("python3");
        command.arg("tests/momento/server.py").args(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3 starts");
        let lines = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut server = Server { child, lines, port: 0, key: String::new() };
        server.reads();
        server
    }

    /// Where it is: `{"port": 8080, "main": "…", "key": "…"}`.
    fn reads(&mut self) {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("it says where it is");
        let value = |name: &str| {
            let rest = line.split_once(&format!("\"{name}\": ")).expect("it says so").1;
            rest.split([',', '}']).next().expect("a value").trim_matches('"').to_owned()
        };
        (self.port, self.key) = (value("port").parse().expect("a port"), value("key"));
    }

    fn restart(&mut self) {
        writeln!(self.child.stdin.as_mut().expect("it is piped"), "restart").expect("it reads");
        self.reads();
    }

    /// Who has this key. Without one any that is well-formed does: the crate has no local provider.
    fn provider(&self, key: &str) -> CredentialProvider {
        let key = if key.is_empty() { "nobody" } else { key };
        let json = format!("{{\"endpoint\":\"localhost\",\"api_key\":\"{key}\"}}");
        self.told(base64(json.as_bytes()))
    }

    /// Who has what the crate takes for a token.
    fn told(&self, token: String) -> CredentialProvider {
        let provider = CredentialProvider::from_disposable_token(token).expect("a well-formed token");
        provider.insecure_endpoint_override(&format!("http://127.0.0.1:{}", self.port))
    }

    fn topics(&self, provider: CredentialProvider) -> TopicClient {
        let configuration = momento::topics::configurations::Laptop::latest();
        TopicClient::builder()
            .configuration(configuration)
            .credential_provider(provider)
            .build()
            .expect("a client")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | u32::from(*three.get(at).unwrap_or(&0)));
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at) & 63) as usize] as char;
            text.push(if at <= three.len() { digit } else { '=' });
        }
    }
    text
}

async fn next(heard: &mut Subscription) -> SubscriptionValue {
    let next = tokio::time::timeout(PATIENCE, heard.next()).await;
    next.expect("it did not come").expect("the subscription ended")
}

fn text(value: &SubscriptionValue) -> &str {
    match &value.kind {
        ValueKind::Text(text) => text,
        ValueKind::Binary(_) => panic!("no text: {value:?}"),
    }
}

async fn caches_come_and_go(server: &Server) {
    let client = CacheClient::builder()
        .default_ttl(Duration::from_secs(60))
        .configuration(momento::cache::configurations::Laptop::latest())
        .credential_provider(server.provider(""))
        .build()
        .expect("a client");
    client.create_cache("mine").await.expect("a cache is created");
    let names: Vec<String> =
        client.list_caches().await.expect("a list").caches.into_iter().map(|cache| cache.name).collect();
    assert!(names.contains(&"mine".to_owned()), "{names:?}");
    client.flush_cache("mine").await.expect("it is flushed");
    client.delete_cache("mine").await.expect("it is deleted");
    assert_eq!(
        client.delete_cache("mine").await.unwrap_err().error_code,
        MomentoErrorCode::CacheNotFoundError
    );
}

async fn values_are_heard_as_they_were_sent(server: &Server) {
    let client = server.topics(server.provider(""));
    let mut heard = client.subscribe("kept", "values").await.expect("a subscription");
    client.publish("kept", "values", "text").await.expect("it is published");
    client.publish("kept", "values", vec![255u8, 0]).await.expect("it is published");
    let (one, two) = (next(&mut heard).await, next(&mut heard).await);
    assert_eq!((text(&one), one.topic_sequence_number), ("text", 1));
    assert_eq!((two.kind, two.topic_sequence_number), (ValueKind::Binary(vec![255, 0]), 2));
    let page = two.topic_sequence_page;
    let resumed = momento::topics::SubscribeRequest::new("kept", "values", Some(1), Some(page));
    let mut resumed = client.send_request(resumed).await.expect("a subscription");
    assert_eq!(next(&mut resumed).await.topic_sequence_number, 1, "a resume is inclusive");
    let refused = client.subscribe("nowhere", "t").await.err().expect("there is no such cache");
    assert_eq!(refused.error_code, MomentoErrorCode::CacheNotFoundError);
}

async fn a_restart_is_survived(server: &mut Server) {
    let client = server.topics(server.provider(""));
    let mut heard = client.subscribe("kept", "restart").await.expect("a subscription");
    client.publish("kept", "restart", "before").await.expect("it is published");
    let before = next(&mut heard).await;
    server.restart();
    let other = server.topics(server.provider(""));
    other.publish("kept", "restart", "after").await.expect("it is published");
    let after = next(&mut heard).await;
    assert_eq!(text(&after), "after");
    assert!(after.topic_sequence_page > before.topic_sequence_page);
}

/// The crate's own timeout goes along with a subscription, and does not end it.
async fn a_timeout_of_calls_ends_no_subscription(server: &Server) {
    let client = TopicClient::builder()
        .configuration(momento::topics::configurations::LowLatency::latest())
        .credential_provider(server.provider(""))
        .build()
        .expect("a client");
    let mut heard = client.subscribe("kept", "slow").await.expect("a subscription");
    // Longer than the 0.5 s of this configuration; time is what this is about.
    tokio::time::sleep(Duration::from_secs(2)).await;
    client.publish("kept", "slow", "late").await.expect("it is published");
    assert_eq!(text(&next(&mut heard).await), "late");
}

async fn tokens_do_what_they_are_for(server: &Server) {
    let root = server.provider(&server.key);
    let auth = AuthClient::builder().credential_provider(root.clone()).build().expect("a client");
    let topic = |name: &str| TopicSelector::TopicName { name: name.to_owned() };
    let caches = CacheClient::builder()
        .default_ttl(Duration::from_secs(60))
        .configuration(momento::cache::configurations::Laptop::latest())
        .credential_provider(root)
        .build()
        .expect("a client");
    caches.create_cache("cache").await.expect("the key may create caches");
    let minutes = || ExpiresIn::minutes(5);
    let reads: DisposableTokenScope = PermissionScopes::topic_subscribe_only("cache", topic("t")).into();
    let writes: DisposableTokenScope = PermissionScopes::topic_publish_only("cache", topic("t")).into();
    let reads = auth.generate_disposable_token(reads, minutes()).await.expect("a token");
    let writes = GenerateDisposableTokenRequest::new(writes, minutes()).token_id("sensor-7".into());
    let writes = auth.send_request(writes).await.expect("a token");
    let reader = server.topics(server.told(reads.auth_token()));
    let writer = server.topics(server.told(writes.auth_token()));
    let mut heard = reader.subscribe("cache", "t").await.expect("a subscription");
    let denied = |error: momento::MomentoError| error.error_code;
    let permission = MomentoErrorCode::PermissionError;
    assert_eq!(reader.publish("cache", "t", "x").await.map_err(denied).unwrap_err(), permission);
    assert_eq!(writer.publish("cache", "u", "x").await.map_err(denied).unwrap_err(), permission);
    assert_eq!(writer.subscribe("cache", "t").await.map(|_| ()).map_err(denied).unwrap_err(), permission);
    writer.publish("cache", "t", "written").await.expect("it is published");
    let written = next(&mut heard).await;
    assert_eq!((text(&written), written.publisher_id.as_str()), ("written", "sensor-7"));
    let nobody = server.topics(server.provider(""));
    let refused = nobody.publish("cache", "t", "x").await.map_err(denied).unwrap_err();
    assert_eq!(refused, MomentoErrorCode::AuthenticationError);
}

#[tokio::main]
async fn main() {
    let mut open = Server::start(&[]);
    caches_come_and_go(&open).await;
    values_are_heard_as_they_were_sent(&open).await;
    a_timeout_of_calls_ends_no_subscription(&open).await;
    a_restart_is_survived(&mut open).await;
    drop(open);
    tokens_do_what_they_are_for(&Server::start(&["--guarded"])).await;
    println!("test result: ok. 5 subjects of the Rust crate");
}
