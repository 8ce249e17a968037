//! An API key is changed while everything that uses it goes on: a second one of the same name is made,
//! handed out in a file, and the first one is deleted. Nobody is refused, and no message is missed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bugle::client::{Client, Event, Start};
use bugle::error::{Code, Error, Result};
use tokio::task::JoinHandle;

use crate::access::Guarded;
use crate::support::{Process, soon};

/// How somebody goes on.
#[derive(Clone, Default)]
struct Pace {
    done: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
}

impl Pace {
    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    fn did(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }
}

/// Somebody who uses the key all the time.
struct Worker {
    what: &'static str,
    pace: Pace,
    task: JoinHandle<Result<()>>,
}

impl Worker {
    fn start<F>(what: &'static str, work: impl FnOnce(Pace) -> F) -> Worker
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let pace = Pace::default();
        Worker { what, pace: pace.clone(), task: tokio::spawn(work(pace)) }
    }

    /// Returns when it has done more than it had, some times.
    async fn goes_on(&self) {
        let before = self.pace.done.load(Ordering::Relaxed);
        let more = async {
            while self.pace.done.load(Ordering::Relaxed) < before + 3 && !self.task.is_finished() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        soon(more).await;
    }

    async fn ends(self) {
        self.pace.is_over.store(true, Ordering::Relaxed);
        let outcome = soon(self.task).await.unwrap();
        assert!(outcome.is_ok(), "{}: {outcome:?}", self.what);
    }
}

async fn calls(client: Client, pace: Pace) -> Result<()> {
    while pace.goes_on() {
        client.publish("orders.calls", "x").await?;
        pace.did();
    }
    Ok(())
}

async fn streams(client: Client, pace: Pace) -> Result<()> {
    let publisher = client.publisher().build()?;
    while pace.goes_on() {
        let pair =
            (publisher.publish("orders.stream", "x").await?, publisher.publish("orders.more", "x").await?);
        pair.0.await?;
        pair.1.await?;
        pace.did();
    }
    publisher.close().await
}

/// Publishes so seldom that its stream is idle when the key is changed and when it is deleted.
async fn streams_seldom(client: Client, pace: Pace) -> Result<()> {
    let publisher = client.publisher().build()?;
    while pace.goes_on() {
        publisher.publish("orders.seldom", "x").await?.await?;
        pace.did();
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    publisher.close().await
}

async fn opens(client: Client, pace: Pace) -> Result<()> {
    while pace.goes_on() {
        let mut feed = client.subscribe("orders.calls").from(Start::Last(1)).open().await?;
        feed.next().await.unwrap()?;
        pace.did();
        // HTTP/2 of the client bears 50 streams a second that are dropped with messages on their way.
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    Ok(())
}

/// Reads every message of a topic, in its order.
async fn follows(client: Client, pace: Pace) -> Result<()> {
    let from = client.subscribe("orders.stream").from(Start::Earliest);
    let mut feed = from.heartbeat_interval(Duration::from_millis(200)).open().await?;
    let mut last = 0;
    loop {
        match feed.next().await.unwrap()? {
            Event::Message(message) => {
                assert_eq!(message.position.sequence, last + 1, "a message is missing or came twice");
                last += 1;
                pace.did();
            }
            gap @ Event::Discontinuity { .. } => {
                return Err(Error::new(Code::Internal, format!("{gap:?}")));
            }
            Event::Heartbeat { newest, .. } if !pace.goes_on() => {
                assert_eq!(newest.map(|newest| newest.sequence), Some(last));
                return Ok(());
            }
            _ => {}
        }
    }
}

/// Runs the program again and again, which reads the file each time.
fn commands(server: String, file: PathBuf, pace: &Pace) -> Result<()> {
    while pace.goes_on() {
        let mut command = Command::new(Process::PATH);
        command
            .args(["publish", "orders.commands", "x", "--server", &server, "--credential-file"])
            .arg(&file);
        let output = command.env_remove("BUGLE_CREDENTIAL").output().unwrap();
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Error::new(Code::Internal, text));
        }
        pace.did();
    }
    Ok(())
}

/// Puts a credential into the file, all at once.
fn hand_out(file: &Path, credential: &str) {
    let beside = file.with_extension("new");
    std::fs::write(&beside, credential).unwrap();
    std::fs::rename(&beside, file).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_changed_under_load_costs_no_call_and_no_message() {
    let policy =
        "\n[[policies]]\nprincipal = \"key:billing\"\ntopic = \"orders.*\"\nactions = [\"subscribe\"]\n";
    let server = Guarded::with(policy);
    let (access, file) = (server.root().access(), server.folder.path().join("billing.credential"));
    let (mut info, mut credential) = soon(access.create_key("billing", None)).await.unwrap();
    hand_out(&file, &credential);
    let url = format!("http://{}", server.address);
    let clients: Vec<Client> = (0..6).map(|_| server.client(&credential)).collect();
    let of = |at: usize| clients[at].clone();
    let readers = [Worker::start("follows", |pace| follows(of(0), pace))];
    let writers = [
        Worker::start("calls", |pace| calls(of(1), pace)),
        Worker::start("streams", |pace| streams(of(2), pace)),
        Worker::start("streams too", |pace| streams(of(3), pace)),
        Worker::start("streams seldom", |pace| streams_seldom(of(4), pace)),
        Worker::start("opens", |pace| opens(of(5), pace)),
        Worker::start("runs commands", |pace| {
            let (url, file) = (url.clone(), file.clone());
            async move { tokio::task::spawn_blocking(move || commands(url, file, &pace)).await.unwrap() }
        }),
    ];
    let everybody = || readers.iter().chain(&writers);
    for worker in everybody() {
        worker.goes_on().await;
    }
    for _ in 0..2 {
        let (fresh, text) = soon(access.create_key("billing", None)).await.unwrap();
        hand_out(&file, &text);
        for client in &clients {
            client.use_credential(&std::fs::read_to_string(&file).unwrap()).unwrap();
        }
        for worker in everybody() {
            worker.goes_on().await;
        }
        soon(access.delete_key(&info.id)).await.unwrap();
        let refused = soon(server.client(&credential).publish("orders.calls", "x")).await.unwrap_err();
        assert_eq!(refused.reason_code(), Some("CREDENTIAL_INVALID"));
        (info, credential) = (fresh, text);
        for worker in everybody().chain(everybody()) {
            worker.goes_on().await;
        }
    }
    for worker in writers.into_iter().chain(readers) {
        worker.ends().await;
    }
}
