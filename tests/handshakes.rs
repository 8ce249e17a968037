//! Handshakes that fail, as the command line tells of them and a program is told: each with its cause,
//! every time, and in time.

use std::process::Command;
use std::time::Duration;

use bugle::client::{CERTIFICATE_REFUSED, Client, Event, Start, TLS};
use bugle::error::Code;
use tokio::net::TcpListener;

use crate::authority::{Authority, Pair, Secure};
use crate::support::{Process, Running, config, soon};

/// Runs a command against this server, which trusts the authority in `folder`; the error and the exit
/// code.
async fn bugle(secure: &Secure, command: &[&str], url: &str, more: &[&str]) -> (String, i32) {
    let ca = secure.folder.path().join("ca.pem");
    std::fs::write(&ca, &secure.authority.pem).unwrap();
    let mut program = Command::new(Process::PATH);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("BUGLE_")) {
        program.env_remove(name);
    }
    program.args(command).args(["--server", url, "--tls-ca"]).arg(ca).args(more);
    program.current_dir(secure.folder.path());
    let output = tokio::task::spawn_blocking(move || program.output().unwrap()).await.unwrap();
    (String::from_utf8(output.stderr).unwrap(), output.status.code().unwrap())
}

fn url(secure: &Secure) -> String {
    format!("https://localhost:{}", secure.server.address.port())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_told_every_time_that_its_certificate_is_wanted() {
    let secure = Secure::asking("required").await;
    let commands: [&[&str]; 4] =
        [&["health"], &["topics", "list"], &["publish", "orders", "x"], &["subscribe", "orders"]];
    for command in commands.iter().cycle().take(5 * commands.len()) {
        let (error, code) = bugle(&secure, command, &url(&secure), &[]).await;
        assert!(code == 1 && error.contains("wants a certificate of its clients"), "{command:?}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_is_not_let_in_knows_that_nothing_was_stored() {
    let secure = Secure::asking("required").await;
    let client = secure.builder().connect_lazy().unwrap();
    let publisher = client.publisher().build().unwrap();
    let error = soon(publisher.publish("orders", "x").await.unwrap()).await.unwrap_err();
    assert_eq!((error.code(), error.reason_code()), (Code::Unauthenticated, Some(CERTIFICATE_REFUSED)));
    assert!(!error.message().contains("may have been stored"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_not_what_they_should_be_are_named() {
    let secure = Secure::start(|_, _| ()).await;
    let put = |name: &str, text: &str| std::fs::write(secure.folder.path().join(name), text).unwrap();
    put("other.key", &secure.authority.client(|_| ()).key);
    put("bad.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let cases: [(&[&str], i32, &str); 5] = [
        (&["--tls-cert", "server.pem"], 2, "--tls-key"),
        (
            &["--tls-cert", "bad.pem", "--tls-key", "server.key"],
            1,
            "--tls-cert: bad.pem holds a certificate that",
        ),
        (
            &["--tls-cert", "server.pem", "--tls-key", "server.pem"],
            1,
            "--tls-key: server.pem holds no private key",
        ),
        (&["--tls-cert", "server.pem", "--tls-key", "other.key"], 1, "give both of one pair"),
        (&["--tls-domain", "a b"], 1, "--tls-domain: has to be a host name"),
    ];
    for (more, exit, expected) in cases {
        let (error, code) = bugle(&secure, &["health"], &url(&secure), more).await;
        assert!(error.contains(expected), "{more:?}: {error}");
        assert_eq!(code, exit, "{more:?}: {error}");
    }
    let builder =
        secure.builder().ca_certificate("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let error = builder.connect().await.unwrap_err();
    assert!(error.message().contains("ca_certificate: holds a certificate that cannot be used"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_port_or_url_is_told_from_a_missing_server() {
    let secure = Secure::start(|_, _| ()).await;
    let plain = Running::start(config()).await;
    let (error, code) = bugle(&secure, &["health"], &format!("https://{}", plain.address), &[]).await;
    assert!(code == 1 && error.contains("if it speaks plaintext, use http://"), "{error}");
    let (error, code) = bugle(&secure, &["health"], &format!("http://{}", plain.address), &[]).await;
    assert!(code == 1 && error.contains("(--tls-ca) is for TLS: use https://"), "{error}");
    let (error, code) = bugle(&secure, &["health"], &format!("https://{}", crate::cli::nobody()), &[]).await;
    assert!(code == 3 && error.contains("nobody answers"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_is_not_waited_for_without_end() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("https://localhost:{}", silent.local_addr().unwrap().port());
    let secure = Secure::start(|_, _| ()).await;
    let builder = Client::builder(uri).ca_certificate(secure.authority.pem.clone());
    let error = soon(builder.connect_timeout(Duration::from_millis(300)).connect()).await.unwrap_err();
    assert_eq!((error.code(), error.reason_code()), (Code::Unavailable, Some(TLS)));
    assert!(error.message().contains("did not answer the TLS handshake"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_outlives_a_server_whose_certificate_is_wrong_for_a_while() {
    let mut kept = None;
    let secure = Secure::start(|config, _| kept = Some(config.clone())).await;
    let mut config = kept.unwrap();
    config.listen = secure.server.address;
    let client = secure.builder().connect().await.unwrap();
    let mut subscription = client.subscribe("orders").from(Start::Earliest).open().await.unwrap();
    let (wrong, own) = (Authority::new("other").server(|_| ()), secure.authority.server(|_| ()));
    let (builder, Secure { mut server, folder, .. }) = (secure.builder(), secure);
    let show = |pair: &Pair| {
        std::fs::write(folder.path().join("server.pem"), &pair.certificate).unwrap();
        std::fs::write(folder.path().join("server.key"), &pair.key).unwrap();
    };
    server.stop();
    soon(server.ended()).await;
    show(&wrong);
    let mut mistaken = Running::start(config.clone()).await;
    let cause = soon(async {
        loop {
            if let Event::Reconnecting { cause, .. } = subscription.next().await.unwrap().unwrap()
                && cause.reason_code() == Some(TLS)
            {
                break cause;
            }
        }
    });
    assert!(cause.await.message().contains("not trusted here"));
    mistaken.stop();
    soon(mistaken.ended()).await;
    show(&own);
    let _again = Running::start(config).await;
    let other = soon(builder.connect()).await.unwrap();
    soon(other.publish("orders", "after the mistake")).await.unwrap();
    let message = soon(async {
        loop {
            if let Event::Message(message) = subscription.next().await.unwrap().unwrap() {
                break message;
            }
        }
    });
    assert_eq!(message.await.payload(), "after the mistake");
}
