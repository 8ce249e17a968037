//! What nobody but its owner is to see does not come out of a running server: not in its log, whatever the
//! level, not in an error, not with the configuration, and not in a core dump.

use std::io::{BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bugle::client::access::{Action, Grant};
use bugle::proto::v1::bus_client::BusClient;
use bugle::proto::v1::{Message, PublishRequest};
use ring::hmac;
use rustix::process::Signal;
use tokio::task::JoinHandle;

use crate::access::Guarded;
use crate::support::{Process, channel, soon};

const TOKEN_SECRET: &str = "token-secret-AAAAAAAAAAAAAAAAAAAAAAAAAA";
const SHARED_SECRET: &str = "shared-secret-BBBBBBBBBBBBBBBBBBBBBBBBB";

const SHORT_SECRET: &str = "too-short-a-secret";

const MORE: &str = r#"
[log]
level = "trace,h2=trace,hyper=trace,hyper_util=trace,tonic=trace,tower=trace,rustls=trace,tokio=trace,mio=trace"

[[issuers]]
name = "corp"
issuer = "https://id.corp"
audience = "bugle"
algorithms = ["HS256"]
secret_file = "SHARED"

[[policies]]
principal = "jwt:corp/*"
topic = "orders.*"
actions = ["publish"]
"#;

/// A JWT that is signed with this secret, for so long from now.
fn jwt(secret: &str, subject: &str, seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let end = now.checked_add_signed(seconds).unwrap();
    let claims = format!(r#"{{"iss":"https://id.corp","aud":"bugle","sub":"{subject}","exp":{end}}}"#);
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let text = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac))
}

/// A publish by a client that does not mark its credential as one, as most do not. What is refused says so
/// to it.
async fn publish(server: &Guarded, credential: &str) -> Option<String> {
    let mut bus = BusClient::new(channel(server.address).await);
    let message = Message { payload: "x".into(), ..Default::default() };
    let mut request = tonic::Request::new(PublishRequest {
        topic: "orders.1".to_owned(),
        messages: vec![message],
        ..Default::default()
    });
    request.metadata_mut().insert("authorization", format!("Bearer {credential}").parse().unwrap());
    soon(bus.publish(request)).await.err().map(|status| format!("{status:?}"))
}

async fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(Process::PATH);
    command.args(arguments).env_remove("BUGLE_CREDENTIAL");
    soon(tokio::task::spawn_blocking(move || command.output().unwrap())).await.unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What of a credential nobody is to see: all of it, and the part that proves it.
fn parts(credential: &str) -> Vec<String> {
    let proof = credential.rsplit(['_', '.']).next().unwrap();
    // In base64 both can be part of the proof.
    let tail = &credential[credential.len() - 20..];
    let mut parts = vec![credential.to_owned(), tail.to_owned()];
    parts.extend((proof.len() >= 20).then(|| proof.to_owned()));
    parts
}

/// Credentials that the server takes, and some that it does not.
async fn credentials(server: &Guarded) -> ([String; 3], [String; 4]) {
    let key = soon(server.root().access().create_key("billing", None)).await.unwrap().1;
    let grants = vec![Grant {
        namespace: String::new(),
        topic: "orders.1".into(),
        actions: vec![Action::Publish.into()],
    }];
    let token = soon(server.client(&key).access().create_token(grants, None, "job")).await.unwrap().token;
    let good = jwt(SHARED_SECRET, "alice", 3600);
    let bad = [
        jwt(SHARED_SECRET, "bob", -3600),
        jwt("another secret of many, many bytes", "mallory", 3600),
        format!("{}{}", &key[..key.len() - 43], "x".repeat(43)),
        format!("{}AAAA", &token[..token.len() - 4]),
    ];
    ([key, token, good], bad)
}

/// Everything that is told to whoever presents this credential, which is refused.
async fn refused(server: &Guarded, credential: &str) -> String {
    let told = publish(server, credential).await.unwrap();
    let error = soon(server.client(credential).publish("orders.1", "x")).await.unwrap_err();
    let file = server.folder.path().join("credential");
    std::fs::write(&file, credential).unwrap();
    let (url, file) = (format!("http://{}", server.address), file.to_str().unwrap());
    let output = run(&["publish", "orders.1", "x", "--server", &url, "--credential-file", file]).await;
    assert!(!output.status.success());
    format!("{told}\n{error}\n{error:?}\n{}", text(&output))
}

/// The log of a server until it ends, read from now on: it is more than a pipe holds.
fn log(process: &mut Process) -> JoinHandle<String> {
    let nothing = Command::new("true").stderr(Stdio::piped()).spawn().unwrap().stderr.take().unwrap();
    let mut stderr = std::mem::replace(&mut process.stderr, BufReader::new(nothing));
    tokio::task::spawn_blocking(move || {
        let mut log = String::new();
        stderr.read_to_string(&mut log).unwrap();
        log
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn no_credential_and_no_secret_is_in_a_log_an_error_or_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let [shared, signing] = ["shared", "signing"].map(|name| folder.path().join(name));
    std::fs::write(&shared, SHARED_SECRET).unwrap();
    std::fs::write(&signing, TOKEN_SECRET).unwrap();
    let with = format!("[auth]\ntoken_secret_file = \"{}\"\n", signing.display());
    let more = MORE.replace("SHARED", shared.to_str().unwrap());
    let mut server = Guarded::configured(&more, |text| text.replace("[auth]\n", &with));
    let config = server.folder.path().join("bugle.toml");
    let (config, log) = (config.to_str().unwrap(), log(&mut server.process));
    let (good, bad) = credentials(&server).await;
    for credential in &good {
        assert_eq!(publish(&server, credential).await, None);
        soon(server.client(credential).publish("orders.1", "x")).await.unwrap();
    }
    let mut seen = text(&run(&["serve", "--check", "--config", config]).await);
    assert!(seen.contains(signing.to_str().unwrap()), "it says where they are");
    for credential in &bad {
        seen += &refused(&server, credential).await;
    }
    server.process.signal(Signal::TERM);
    seen += &soon(log).await.unwrap();
    assert!(seen.contains("\"level\":\"trace\",\"target\":\"h2::") && seen.contains("key.created"));
    for file in [&signing, &shared] {
        let secret = std::fs::read_to_string(file).unwrap();
        std::fs::write(file, SHORT_SECRET).unwrap();
        let output = run(&["serve", "--listen", "127.0.0.1:0", "--config", config]).await;
        assert!(!output.status.success() && text(&output).contains("32 to 4096"), "{}", text(&output));
        seen += &text(&output);
        std::fs::write(file, secret).unwrap();
    }
    let keys = std::fs::read_to_string(server.folder.path().join("keys.json")).unwrap();
    let hashes: Vec<String> = keys.split('"').filter(|text| text.len() == 64).map(str::to_owned).collect();
    assert_eq!(hashes.len(), 2);
    let secrets = [TOKEN_SECRET, SHARED_SECRET, SHORT_SECRET].map(str::to_owned);
    let credentials = good.iter().chain(&bad).chain([&server.root]);
    for secret in credentials.flat_map(|credential| parts(credential)).chain(secrets).chain(hashes) {
        assert_eq!(seen.lines().find(|line| line.contains(&secret)), None, "it shows {secret}");
    }
}

/// A server whose limit for core dumps would allow one, and that limit as it is then.
fn serve(folder: &Path, arguments: &[&str]) -> (Process, String) {
    let mut command = Command::new("sh");
    let script = "ulimit -S -c \"$(ulimit -H -c)\" && exec \"$@\"";
    command.args(["-c", script, "sh", Process::PATH, "serve", "--listen", "127.0.0.1:0", "--metrics", "off"]);
    let mut process = Process::start(command.args(arguments).current_dir(folder));
    process.address();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.child.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    (process, line.split_whitespace().skip(4).take(2).collect::<Vec<_>>().join(" "))
}

#[test]
fn a_crash_leaves_no_core_dump_unless_it_was_allowed_to() {
    let folder = tempfile::tempdir().unwrap();
    let (allowed, limit) = serve(folder.path(), &["--set", "core_dumps=true"]);
    let (soft, hard) = limit.split_once(' ').unwrap();
    assert_eq!(soft, hard, "it stays as it was");
    drop(allowed);
    let (mut process, limit) = serve(folder.path(), &[]);
    assert_eq!(limit, format!("0 {hard}"));
    process.signal(Signal::ABORT);
    let status = process.ended();
    assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()));
    assert!(!status.core_dumped());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
