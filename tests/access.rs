//! Who may do what on a real server: keys and tokens, policies and roles, and what happens to streams
//! when any of them changes.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use bugle::client::access::{Action, Grant};
use bugle::client::{Client, Event, Start};
use bugle::error::{Code, Error};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::{Process, soon};

const POLICIES: &str = r#"
[auth]
enabled = true
keys_file = "KEYS"

[[policies]]
principal = "key:root"
namespace = "*"
actions = ["publish", "subscribe", "admin"]

[[policies]]
principal = "role:writers"
topic = "orders.*"
actions = ["publish"]

[[policies]]
principal = "key:reader"
topic = "orders.*"
actions = "subscribe"

[[roles]]
name = "writers"
members = ["key:billing", "key:w*"]
"#;

/// A server with these policies, and the credential of its first key, which may do everything.
pub struct Guarded {
    pub process: Process,
    pub address: SocketAddr,
    pub folder: TempDir,
    pub root: String,
}

impl Guarded {
    pub fn start() -> Guarded {
        Guarded::with("")
    }

    /// The same with more in its configuration.
    pub fn with(more: &str) -> Guarded {
        Guarded::configured(more, |text| text)
    }

    /// The same, changed.
    pub fn configured(more: &str, change: impl FnOnce(String) -> String) -> Guarded {
        let folder = TempDir::new().unwrap();
        let root = create(&folder, "root");
        let config = folder.path().join("bugle.toml");
        let text = POLICIES.replace("KEYS", folder.path().join("keys.json").to_str().unwrap());
        std::fs::write(&config, change(format!("{text}{more}"))).unwrap();
        let (process, address) = Process::serve(&["--config", config.to_str().unwrap()]);
        Guarded { process, address, folder, root }
    }

    pub fn client(&self, credential: &str) -> Client {
        Client::builder(format!("http://{}", self.address)).credential(credential).connect_lazy().unwrap()
    }

    pub fn root(&self) -> Client {
        self.client(&self.root)
    }

    /// The credential of a new key of this name.
    pub async fn key(&self, name: &str) -> String {
        soon(self.root().access().create_key(name, None)).await.unwrap().1
    }

    /// Writes the configuration again, changed, and has the server read it.
    fn reload(&mut self, change: impl FnOnce(String) -> String) {
        let path = self.folder.path().join("bugle.toml");
        let text = change(std::fs::read_to_string(&path).unwrap());
        std::fs::write(&path, text).unwrap();
        self.process.signal(Signal::HUP);
    }
}

/// Makes a key in the file of a server that does not run yet.
fn create(folder: &TempDir, name: &str) -> String {
    let mut command = Command::new(Process::PATH);
    command.args(["keys", "create", name, "--file"]).arg(folder.path().join("keys.json"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn refused<T>(outcome: Result<T, Error>) -> (Code, String) {
    let error = outcome.err().unwrap();
    (error.code(), error.reason_code().unwrap_or_default().to_owned())
}

fn missing() -> (Code, String) {
    (Code::Unauthenticated, "CREDENTIAL_MISSING".to_owned())
}

fn invalid() -> (Code, String) {
    (Code::Unauthenticated, "CREDENTIAL_INVALID".to_owned())
}

fn denied() -> (Code, String) {
    (Code::PermissionDenied, "POLICY".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_prove_who_it_is_is_refused_and_health_answers_all_the_same() {
    let server = Guarded::start();
    let nobody = Client::builder(format!("http://{}", server.address)).connect_lazy().unwrap();
    assert_eq!(refused(soon(nobody.publish("orders.1", "x")).await), missing());
    assert_eq!(refused(soon(nobody.subscribe("orders.1").open()).await.map(|_| ())), missing());
    assert_eq!(refused(soon(nobody.admin().list_namespaces()).await), missing());
    assert_eq!(refused(soon(nobody.monitor().log_filter()).await), missing());
    assert_eq!(refused(soon(nobody.access().keys()).await), missing());
    for credential in
        ["nonsense", "bgl_", "bgt_x.y", "a.b.c", &server.root.to_uppercase(), &format!("{}x", server.root)]
    {
        let stranger = server.client(credential);
        assert_eq!(refused(soon(stranger.publish("orders.1", "x")).await), invalid(), "{credential}");
    }
    let mut health = Command::new(Process::PATH);
    health.args(["health", "--server", &format!("http://{}", server.address)]);
    assert!(tokio::task::spawn_blocking(move || health.status()).await.unwrap().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_may_do_what_its_policies_and_roles_say_and_nothing_else() {
    let server = Guarded::start();
    let (billing, reader) =
        (server.client(&server.key("billing").await), server.client(&server.key("reader").await));
    soon(billing.publish("orders.1", "hello")).await.unwrap();
    assert_eq!(refused(soon(billing.publish("orders", "x")).await), denied());
    assert_eq!(refused(soon(billing.publish("ordersX", "x")).await), denied());
    assert_eq!(refused(soon(billing.publish("other", "x")).await), denied());
    assert_eq!(refused(soon(billing.subscribe("orders.1").open()).await.map(|_| ())), denied());
    assert_eq!(refused(soon(reader.publish("orders.1", "x")).await), denied());
    let elsewhere = billing.in_namespace("elsewhere").unwrap();
    assert_eq!(refused(soon(elsewhere.publish("orders.1", "x")).await), denied());
    let mut feed = soon(reader.subscribe("orders.1").from(Start::Earliest).open()).await.unwrap();
    let message = loop {
        if let Event::Message(message) = soon(feed.next()).await.unwrap().unwrap() {
            break message;
        }
    };
    assert_eq!((message.payload().as_ref(), message.publisher()), (&b"hello"[..], "key:billing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_does_not_tell_whether_there_is_such_a_topic_or_namespace() {
    let server = Guarded::start();
    soon(server.root().publish("secret", "x")).await.unwrap();
    soon(server.root().admin().create_namespace("hidden")).await.unwrap();
    let reader = server.client(&server.key("reader").await);
    let told = |error: Error, name: &str| error.message().replace(name, "NAME");
    let told = |outcome: Result<(), Error>, name: &str| told(outcome.unwrap_err(), name);
    for call in ["publish", "subscribe", "describe", "delete"] {
        let ask = async |topic: &str| match call {
            "publish" => soon(reader.publish(topic, "x")).await.map(|_| ()),
            "subscribe" => soon(reader.subscribe(topic).open()).await.map(|_| ()),
            "describe" => soon(reader.admin().get_topic(topic)).await.map(|_| ()),
            _ => soon(reader.admin().delete_topic(topic)).await,
        };
        assert_eq!(told(ask("secret").await, "secret"), told(ask("nothing").await, "nothing"), "{call}");
    }
    for namespace in ["hidden", "none"] {
        let there = reader.in_namespace(namespace).unwrap();
        assert_eq!(refused(soon(there.admin().list_topics("")).await.map(|_| ())), denied());
    }
    soon(server.root().publish("orders.1", "x")).await.unwrap();
    let topics = soon(reader.admin().list_topics("")).await.unwrap();
    let names: Vec<String> = topics.into_iter().map(|topic| topic.name).collect();
    assert_eq!(names, ["orders.1"]);
    let namespaces = soon(reader.admin().list_namespaces()).await.unwrap();
    assert_eq!(namespaces.into_iter().map(|it| it.name).collect::<Vec<_>>(), ["default"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_key_proves_nothing_and_ends_the_streams_and_tokens_that_live_on_it() {
    let server = Guarded::start();
    let access = server.root().access();
    let (info, credential) = soon(access.create_key("root", None)).await.unwrap();
    let second = server.client(&credential);
    let grants = vec![Grant {
        namespace: String::new(),
        topic: "orders.1".into(),
        actions: vec![Action::Subscribe.into()],
    }];
    let token = soon(second.access().create_token(grants, None, "job")).await.unwrap();
    let bearer = server.client(&token.token);
    let mut feeds = vec![
        soon(second.subscribe("orders.1").open()).await.unwrap(),
        soon(bearer.subscribe("orders.1").open()).await.unwrap(),
    ];
    soon(access.delete_key(&info.id)).await.unwrap();
    assert_eq!(refused(soon(second.publish("orders.1", "x")).await), invalid());
    for feed in &mut feeds {
        let error = loop {
            match soon(feed.next()).await.unwrap() {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.code(), Code::Unauthenticated, "{error}");
    }
    assert_eq!(refused(soon(access.delete_key(&info.id)).await).0, Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_may_do_no_more_than_its_grants_nor_than_its_maker_nor_for_longer() {
    let server = Guarded::start();
    let reader = server.client(&server.key("reader").await);
    let grant = |topic: &str, action: Action| Grant {
        namespace: "default".into(),
        topic: topic.into(),
        actions: vec![action.into()],
    };
    for (topic, action) in [
        ("orders.*", Action::Publish),
        ("*", Action::Subscribe),
        ("orders*", Action::Subscribe),
        ("orders.1", Action::Admin),
    ] {
        let outcome = soon(reader.access().create_token(vec![grant(topic, action)], None, "")).await;
        assert_eq!(refused(outcome), denied(), "{topic} {action:?}");
    }
    let short = Some(Duration::from_secs(2));
    let made =
        soon(reader.access().create_token(vec![grant("orders.1", Action::Subscribe)], short, "tab-1")).await;
    let token = made.unwrap();
    assert_eq!(token.principal, "token:tab-1");
    let bearer = server.client(&token.token);
    let mut feed = soon(bearer.subscribe("orders.1").open()).await.unwrap();
    assert_eq!(refused(soon(bearer.subscribe("orders.2").open()).await.map(|_| ())), denied());
    assert_eq!(refused(soon(bearer.publish("orders.1", "x")).await), denied());
    let own = soon(bearer.access().create_token(vec![grant("orders.1", Action::Subscribe)], None, "")).await;
    assert_eq!(refused(own), denied());
    let ended = async {
        loop {
            if let Some(Err(error)) = feed.next().await {
                return error;
            }
        }
    };
    let error = soon(ended).await;
    assert_eq!((error.code(), error.reason_code()), (Code::Unauthenticated, Some("CREDENTIAL_EXPIRED")));
    for ttl in [0, 25 * 60 * 60] {
        let ttl = Some(Duration::from_secs(ttl));
        let outcome =
            soon(reader.access().create_token(vec![grant("orders.1", Action::Subscribe)], ttl, "")).await;
        assert_eq!(outcome.err().unwrap().violations()[0].field, "ttl");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_are_read_again_and_streams_that_they_forbid_end() {
    let mut server = Guarded::start();
    let reader = server.client(&server.key("reader").await);
    let mut feed = soon(reader.subscribe("orders.1").open()).await.unwrap();
    server.reload(|text| text.replace("principal = \"key:reader\"", "principal = \"key:another\""));
    let error = loop {
        if let Err(error) = soon(feed.next()).await.unwrap() {
            break error;
        }
    };
    assert_eq!((error.code(), error.reason_code()), (Code::PermissionDenied, Some("POLICY")));
    server.reload(|text| {
        text.replace("key:another", "key:reader").replace("actions = \"subscribe\"", "actions = \"nothing\"")
    });
    let told = tokio::task::spawn_blocking(move || {
        let line = server.process.logs("was read again and not applied");
        (server, line)
    });
    let (server, line) = soon(told).await.unwrap();
    assert!(line.contains("policies[2].actions") && line.contains("bugle.toml:"), "{line}");
    assert_eq!(refused(soon(reader.subscribe("orders.1").open()).await.map(|_| ())), denied());
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_explained_which_rule_decides() {
    let server = Guarded::start();
    let access = server.root().access();
    let allowed = soon(access.explain("key:wally", Action::Publish, "orders.1")).await.unwrap();
    assert!(
        allowed.allowed && allowed.rule.contains("role:writers") && allowed.place.contains("bugle.toml:"),
        "{allowed:?}"
    );
    let refused_one = soon(access.explain("key:wally", Action::Subscribe, "orders.1")).await.unwrap();
    assert!(
        !refused_one.allowed && refused_one.notes.iter().any(|note| note.contains("other actions")),
        "{refused_one:?}"
    );
    let reader = server.client(&server.key("reader").await);
    assert_eq!(refused(soon(reader.access().explain("key:a", Action::Publish, "x")).await), denied());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_says_who_did_what_and_nothing_that_is_logged_is_secret() {
    let mut server = Guarded::with("\n[log]\nlevel = \"trace\"\n");
    let credential = server.key("billing").await;
    let billing = server.client(&credential);
    let _ = soon(billing.publish("other", "x")).await;
    let _ = soon(server.client("bgl_very-wrong-and-secret").publish("orders.1", "x")).await;
    soon(server.root().admin().create_namespace("eu")).await.unwrap();
    server.process.signal(Signal::TERM);
    let rest = tokio::task::spawn_blocking(move || (server.process.rest(), server.root));
    let (log, root) = soon(rest).await.unwrap();
    let audit: Vec<&str> = log.lines().filter(|line| line.contains("\"target\":\"bugle::audit\"")).collect();
    for expected in [
        &["\"event\":\"key.created\"", "\"principal\":\"key:root\"", "key:billing"][..],
        &["\"event\":\"refused\"", "\"principal\":\"key:billing\"", "default/other", "\"reason\":\"POLICY\""],
        &["\"event\":\"unauthenticated\"", "CREDENTIAL_INVALID"],
        &["\"event\":\"namespace.created\"", "\"principal\":\"key:root\"", "\"name\":\"eu\""],
    ] {
        let found = audit.iter().any(|line| expected.iter().all(|part| line.contains(part)));
        assert!(found, "{expected:?} in {audit:#?}");
    }
    let secrets = [&credential[37..], &root[37..], "very-wrong-and-secret"];
    assert!(secrets.iter().all(|secret| !log.contains(secret)), "a secret was logged");
}

#[test]
fn a_server_that_asks_nobody_listens_on_this_machine_alone_unless_it_is_told_so() {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(Process::PATH);
        command.args(["serve", "--check", "--listen", "0.0.0.0:0"]).args(arguments).output().unwrap()
    };
    let refused = run(&[]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && text.contains("--insecure") && text.contains("auth.enabled"),
        "{text}"
    );
    assert!(run(&["--insecure"]).status.success());
    assert!(run(&["--set", "auth.enabled=true"]).status.success());
}
