//! Secrets on a running server: where they never are, and how they are changed.

use std::io::Read;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bugle::client::access::{Action, Grant};
use bugle::client::{Client, Event};
use rustix::process::Signal;

use crate::access::Guarded;
use crate::support::{Process, soon};

/// What a credential has that nobody else may see: not the id in front, which is told.
fn secret(credential: &str) -> &str {
    credential.get(credential.len() - 30..).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_credential_is_ever_shown_however_much_is_logged() {
    let mut server = Guarded::with("\n[log]\nlevel = \"trace\"\n");
    // The pipe would be full soon.
    let mut told = std::fs::File::from(server.process.stderr.get_ref().as_fd().try_clone_to_owned().unwrap());
    let log = std::thread::spawn(move || {
        let mut log = Vec::new();
        told.read_to_end(&mut log).unwrap();
        String::from_utf8_lossy(&log).into_owned()
    });
    let billing = server.key("billing").await;
    let grant =
        Grant { namespace: String::new(), topic: "orders.*".into(), actions: vec![Action::Publish.into()] };
    let token = soon(server.root().access().create_token(vec![grant], None, "")).await.unwrap();
    let token = token.token;
    let jwt =
        "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lkLmNvcnAiLCJzdWIiOiJ4In0.c2lnbmF0dXJlLXRoYXQtaXMtbm9uZQ";
    let wrong = format!("{}x", server.root);
    let mut said = String::new();
    for credential in [&server.root, &billing, &token, jwt, &wrong] {
        let client = server.client(credential);
        for topic in ["orders.1", "elsewhere"] {
            let outcome = soon(client.publish(topic, "x")).await;
            said += &outcome.map_or_else(|error| format!("{error} {error:?}"), |_| String::new());
            let outcome = soon(client.subscribe(topic).open()).await;
            said += &outcome.map_or_else(|error| format!("{error} {error:?}"), |_| String::new());
        }
    }
    let config = server.folder.path().join("bugle.toml");
    let check =
        Command::new(Process::PATH).args(["serve", "--check", "--config"]).arg(&config).output().unwrap();
    assert!(check.status.success());
    said += &String::from_utf8_lossy(&check.stdout);
    said += &std::fs::read_to_string(server.folder.path().join("keys.json")).unwrap();
    server.process.signal(Signal::TERM);
    assert!(server.process.ended().success());
    said += &log.join().unwrap();
    assert!(
        said.contains("\"trace\"") && said.contains("CREDENTIAL_INVALID"),
        "too little was said to find anything"
    );
    for credential in [&server.root, &billing, &token, jwt, &wrong] {
        let place = said.find(secret(credential));
        let around = place.map(|at| said.get(at.saturating_sub(200)..at).unwrap_or_default().to_owned());
        assert_eq!(around, None, "a credential was shown");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_leaves_no_core_dump_with_what_its_memory_has() {
    let (process, _) = Process::serve(&[]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.child.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(line.split_whitespace().nth(4), Some("0"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_changed_under_load_without_a_failed_call() {
    let server = Arc::new(Guarded::start());
    let first = server.key("billing").await;
    let current = Arc::new(Mutex::new(first.clone()));
    let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut feed = soon(server.root().subscribe("orders.1").open()).await.unwrap();
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (server, current, stop, calls) =
                (server.clone(), current.clone(), stop.clone(), calls.clone());
            tokio::spawn(async move {
                let mut used = String::new();
                let mut client: Option<Client> = None;
                while !stop.load(Ordering::Relaxed) {
                    let credential = current.lock().unwrap().clone();
                    if credential != used {
                        client = Some(server.client(&credential));
                        used = credential;
                    }
                    client.as_ref().unwrap().publish("orders.1", "x").await.unwrap();
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut old = first.clone();
    for _ in 0..5 {
        let next = server.key("billing").await;
        *current.lock().unwrap() = next.clone();
        // Whoever calls has taken the new one when it has called twice.
        let seen = calls.load(Ordering::Relaxed);
        soon(async {
            while calls.load(Ordering::Relaxed) < seen + 400 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let keys = soon(server.root().access().keys()).await.unwrap();
        let id = old.split('_').nth(1).unwrap();
        assert!(keys.iter().any(|key| key.id == id), "{id}");
        soon(server.root().access().delete_key(id)).await.unwrap();
        assert!(soon(server.client(&old).publish("orders.1", "x")).await.is_err());
        old = next;
    }
    stop.store(true, Ordering::Relaxed);
    for task in load {
        soon(task).await.unwrap();
    }
    let mut heard = 0;
    while heard < calls.load(Ordering::Relaxed) {
        match soon(feed.next()).await.unwrap().unwrap() {
            Event::Message(_) => heard += 1,
            Event::Discontinuity { .. } => panic!("messages are missing"),
            _ => {}
        }
    }
}
