//! How webhooks are administered: over gRPC, by the configuration, and by whom.

use bugle::client::webhooks::Webhook as Made;
use bugle::error::Code as OurCode;
use bugle::proto::v1::admin_client::AdminClient;
use bugle::proto::v1::{
    CreateWebhookRequest, DeleteWebhookRequest, GetWebhookRequest, ListWebhooksRequest, TestWebhookRequest,
    UpdateWebhookRequest, Webhook, webhook,
};
use tonic::Code;

use super::endpoint::{Endpoint, Reply};
use super::{OK, publish, server, texts};
use crate::access::Guarded;
use crate::cli;
use crate::collector::{Collector, attribute};
use crate::support::{Running, soon};

async fn admin(server: &Running) -> AdminClient<tonic::transport::Channel> {
    AdminClient::new(server.channel().await)
}

fn hook(endpoint: &Endpoint) -> Webhook {
    Webhook {
        name: "hook".into(),
        topic: "t".into(),
        url: endpoint.url(),
        format: webhook::Format::Raw.into(),
        from_earliest: true,
        headers: [("authorization".to_owned(), "Bearer hunter2".to_owned())].into(),
        ..Webhook::default()
    }
}

fn create(webhook: Webhook) -> CreateWebhookRequest {
    CreateWebhookRequest { webhook: Some(webhook), secret: String::new() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_shown_once_and_values_of_headers_never() {
    let (server, mut endpoint) = (server(|_| {}).await, Endpoint::start(OK).await);
    let mut admin = admin(&server).await;
    let made = admin.create_webhook(create(hook(&endpoint))).await.unwrap().into_inner();
    assert!(made.secret.starts_with("whsec_"));
    let get = || GetWebhookRequest { name: "hook".into(), ..Default::default() };
    let got = admin.get_webhook(get()).await.unwrap().into_inner();
    let listed = admin.list_webhooks(ListWebhooksRequest::default()).await.unwrap().into_inner();
    let shown = format!("{got:?} {listed:?} {:?}", made.webhook);
    assert!(!shown.contains(&made.secret) && !shown.contains("hunter2"), "{shown}");
    assert_eq!(listed.webhooks.len(), 1);
    publish(&server, "t", 0..1).await;
    assert_eq!(endpoint.next().await.header("authorization"), "Bearer hunter2");
    // An update that says nothing of them keeps the secret and the values.
    let changed = Webhook { concurrency: 2, ..got };
    let update = UpdateWebhookRequest { webhook: Some(changed), secret: String::new() };
    assert_eq!(admin.update_webhook(update).await.unwrap().into_inner().concurrency, 2);
    publish(&server, "t", 1..2).await;
    let got = endpoint.next().await;
    assert_eq!((got.header("authorization"), got.text()), ("Bearer hunter2", "1"));
    let secret = bugle::webhook::Signing::parse(&made.secret).unwrap();
    let timestamp = got.header("webhook-timestamp").parse().unwrap();
    assert_eq!(got.header("webhook-signature"), secret.sign(got.header("webhook-id"), timestamp, &got.body));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_with_the_field() {
    let (server, endpoint) = (server(|_| {}).await, Endpoint::start(OK).await);
    let mut admin = admin(&server).await;
    for (wrong, field) in [
        (Webhook { name: "a b".into(), ..hook(&endpoint) }, "webhook.name"),
        (Webhook { url: "ftp://a".into(), ..hook(&endpoint) }, "webhook.url"),
        (Webhook { topic: String::new(), ..hook(&endpoint) }, "webhook.topic"),
        (Webhook { concurrency: 100, ..hook(&endpoint) }, "webhook.concurrency"),
    ] {
        let status = admin.create_webhook(create(wrong)).await.unwrap_err();
        assert_eq!(
            (status.code(), crate::bus::violation(&status).0.as_str()),
            (Code::InvalidArgument, field)
        );
    }
    let short = CreateWebhookRequest { secret: "whsec_c2hvcnQ=".into(), ..create(hook(&endpoint)) };
    assert_eq!(admin.create_webhook(short).await.unwrap_err().code(), Code::InvalidArgument);
    admin.create_webhook(create(hook(&endpoint))).await.unwrap();
    let status = admin.create_webhook(create(hook(&endpoint))).await.unwrap_err();
    assert_eq!(
        (status.code(), crate::bus::reason(&status).as_str()),
        (Code::AlreadyExists, "WEBHOOK_EXISTS")
    );
    let missing = || DeleteWebhookRequest { name: "other".into(), ..Default::default() };
    assert_eq!(admin.delete_webhook(missing()).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_tells_the_answer_and_moves_nothing() {
    let (server, mut endpoint) = (server(|_| {}).await, Endpoint::start(|_| Reply::Status(418)).await);
    let mut admin = admin(&server).await;
    admin.create_webhook(create(hook(&endpoint))).await.unwrap();
    let test = || TestWebhookRequest { name: "hook".into(), ..Default::default() };
    let answer = admin.test_webhook(test()).await.unwrap().into_inner();
    assert_eq!((answer.acknowledged, answer.status), (false, 418));
    let got = endpoint.next().await;
    assert!(got.header("bugle-test") == "true" && got.header("webhook-id").starts_with("test_"));
    endpoint.now(OK);
    assert!(admin.test_webhook(test()).await.unwrap().into_inner().acknowledged);
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_of_the_configuration_follow_it() {
    let mut endpoint = Endpoint::start(OK).await;
    let directory = tempfile::tempdir().unwrap();
    let secret = bugle::webhook::Signing::random().unwrap();
    std::fs::write(directory.path().join("secret"), format!("{}\n", *secret.expose_text())).unwrap();
    let file = directory.path().join("bugle.toml");
    let url = endpoint.url();
    std::fs::write(
        &file,
        format!(
            "[webhooks]\nallow = \"127.0.0.1\"\n[[endpoints]]\nname = \"hook\"\ntopic = \"t\"\nurl = \"{url}\"\n\
             start = \"earliest\"\nformat = \"raw\"\nsecret_file = \"{}\"\n",
            directory.path().join("secret").display()
        ),
    )
    .unwrap();
    let sources = bugle::config::Sources { file: Some(file), ..Default::default() };
    let mut loaded = sources.load().unwrap().config;
    loaded.listen = crate::support::config().listen;
    loaded.metrics.listen = None;
    let server = Running::start(loaded.clone()).await;
    publish(&server, "t", 0..2).await;
    assert_eq!(endpoint.bodies(2).await, texts(0..2));
    let mut admin = admin(&server).await;
    let delete = || DeleteWebhookRequest { name: "hook".into(), ..Default::default() };
    let status = admin.delete_webhook(delete()).await.unwrap_err();
    assert_eq!(crate::bus::reason(&status), "WEBHOOK_CONFIGURED");
    loaded.endpoints.clear();
    server.live.apply(&loaded).unwrap();
    let get = GetWebhookRequest { name: "hook".into(), ..Default::default() };
    assert_eq!(admin.get_webhook(get).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_makes_a_webhook_may_administer_its_topic_and_subscribe_to_it() {
    let grant = |name: &str, actions: &str| {
        format!("\n[[policies]]\nprincipal = \"key:{name}\"\ntopic = \"orders.*\"\nactions = {actions}\n")
    };
    let more = grant("owner", "[\"admin\", \"subscribe\"]") + &grant("deaf", "[\"admin\"]");
    let guarded = Guarded::with(&more);
    let endpoint = Endpoint::start(OK).await;
    let hook = |topic: &str| Made {
        name: "hook".into(),
        topic: topic.into(),
        url: format!("http://example.invalid:{}/", endpoint.address.port()),
        ..Made::default()
    };
    for (name, topic) in
        [("reader", "orders.eu"), ("deaf", "orders.eu"), ("owner", "other"), ("nobody", "orders.eu")]
    {
        let webhooks = guarded.client(&guarded.key(name).await).webhooks();
        let error = soon(webhooks.create(hook(topic), "")).await.unwrap_err();
        assert_eq!(error.code(), OurCode::PermissionDenied, "{name}: {error}");
    }
    let owner = guarded.client(&guarded.key("owner").await).webhooks();
    soon(owner.create(hook("orders.eu"), "")).await.unwrap();
    let reader = guarded.client(&guarded.key("reader").await).webhooks();
    for outcome in [soon(reader.get("hook")).await, soon(reader.pause("hook")).await] {
        assert_eq!(outcome.unwrap_err().code(), OurCode::PermissionDenied);
    }
    // To what the owner may not administer it cannot be turned.
    let error = soon(owner.update(hook("other"), "")).await.unwrap_err();
    assert_eq!(error.code(), OurCode::PermissionDenied);
    assert_eq!(soon(guarded.root().webhooks().list()).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_makes_shows_stops_and_tests_a_webhook() {
    let (server, mut endpoint) = (server(|_| {}).await, Endpoint::start(OK).await);
    let (address, url) = (server.address, endpoint.url());
    let (secret, said, code) =
        cli::run(address, &["webhooks", "create", "hook", "t", &url, "--format", "raw"]).await;
    assert!(code == 0 && secret.starts_with("whsec_") && said.contains("only time"), "{secret} {said}");
    publish(&server, "t", 0..1).await;
    assert_eq!(endpoint.next().await.text(), "0");
    let (said, _, code) = cli::run(address, &["webhooks", "test", "hook"]).await;
    assert_eq!((code, said.trim()), (0, "acknowledged with 200"));
    assert_eq!(endpoint.next().await.header("bugle-test"), "true");
    let change = ["webhooks", "update", "hook", "--timeout", "3s", "--header", "x-a: b"];
    assert_eq!(cli::run(address, &change).await.2, 0);
    for (command, health) in [("pause", "paused"), ("resume", "active")] {
        assert_eq!(cli::run(address, &["webhooks", command, "hook"]).await.2, 0);
        let (shown, ..) = cli::run(address, &["webhooks", "describe", "hook"]).await;
        assert!(shown.contains(health) && shown.contains("3s") && shown.contains("x-a"), "{shown}");
        assert!(!shown.contains(secret.trim()));
    }
    let (listed, ..) = cli::run(address, &["webhooks", "list"]).await;
    assert!(listed.lines().count() == 2 && listed.contains(&url), "{listed}");
    assert_eq!(cli::run(address, &["webhooks", "seek", "hook", "earliest"]).await.2, 0);
    let got = endpoint.next().await;
    assert_eq!((got.text(), got.header("x-a")), ("0", "b"));
    assert_eq!(cli::run(address, &["webhooks", "delete", "hook"]).await.2, 0);
    let (_, said, code) = cli::run(address, &["webhooks", "describe", "hook"]).await;
    assert!(code == 1 && said.contains("does not exist"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_attempt_is_a_span_in_the_trace_of_its_message() {
    let collector = Collector::grpc().await;
    let server = server(|config| collector.configure(config)).await;
    let mut endpoint = Endpoint::start(|nth| Reply::Status(if nth == 1 { 500 } else { 200 })).await;
    let mut admin = admin(&server).await;
    admin.create_webhook(create(hook(&endpoint))).await.unwrap();
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let message = bugle::topic::Message { traceparent: traceparent.into(), ..Default::default() };
    let batch = bugle::topic::Batch::encode(&[message]).unwrap();
    server.broker.publish(&super::topic("t"), &batch).await.unwrap();
    let sent = [endpoint.next().await, endpoint.next().await];
    let spans = collector.spans("deliver t", 2).await;
    for (span, sent) in spans.iter().zip(&sent) {
        let ids = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let context = format!("00-{}-{}-01", ids(&span.trace_id), ids(&span.span_id));
        assert_eq!(sent.header("traceparent"), context);
        assert_eq!((ids(&span.parent_span_id).as_str(), span.kind), ("00f067aa0ba902b7", 3), "a client's");
        assert_eq!(ids(&span.links[0].span_id), "00f067aa0ba902b7");
        assert_eq!(attribute(span, "bugle.webhook").unwrap(), "hook");
    }
    assert_eq!(attribute(&spans[0], "http.response.status_code").unwrap(), "500");
}
