//! How webhooks are administered: over gRPC, by the configuration, and by whom.

use bugle::proto::v1::admin_client::AdminClient;
use bugle::proto::v1::{
    CreateWebhookRequest, DeleteWebhookRequest, GetWebhookRequest, ListWebhooksRequest, TestWebhookRequest,
    UpdateWebhookRequest, Webhook, webhook,
};
use tonic::Code;

use super::endpoint::{Endpoint, Reply};
use super::{OK, publish, server, texts};
use crate::support::Running;

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
