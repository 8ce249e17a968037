//! The command line as people and scripts use it: the real program against a real server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};

use crate::support::{Process, Running, config};

/// The program, told where the server is.
pub fn bugle(address: SocketAddr, arguments: &[&str]) -> Command {
    let mut command = Command::new(Process::PATH);
    command.args(arguments).env("BUGLE_SERVER", format!("http://{address}")).env_remove("BUGLE_NAMESPACE");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command to its end; its outputs as text and its exit code.
pub async fn run(address: SocketAddr, arguments: &[&str]) -> (String, String, i32) {
    let mut command = bugle(address, arguments);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let Output { status, stdout, stderr } = output;
    (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap(), status.code().unwrap())
}

/// Runs a command with this on its standard input.
async fn run_with(address: SocketAddr, arguments: &[&str], input: &'static [u8]) -> (String, i32) {
    let mut command = bugle(address, arguments);
    let output = tokio::task::spawn_blocking(move || {
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap()
    });
    let output = output.await.unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap())
}

/// An address nothing listens on.
pub fn nobody() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_can_be_subscribed_to() {
    let server = Running::start(config()).await;
    let address = server.address;
    let (receipt, _, code) =
        run(address, &["publish", "orders", "hello", "-k", "k", "-a", "region=eu"]).await;
    assert_eq!(code, 0);
    let position: bugle::topic::Position = receipt.trim().parse().unwrap();
    let arguments = ["subscribe", "orders", "--from", "earliest", "--count", "1", "--output"];
    let (raw, ..) = run(address, &[&arguments[..], &["raw"]].concat()).await;
    assert_eq!(raw, "hello\n");
    let (json, ..) = run(address, &[&arguments[..], &["json"]].concat()).await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["position"], position.to_string());
    assert_eq!((&json["payload"], &json["key"]), (&"hello".into(), &"k".into()));
    assert_eq!(json["attributes"]["region"], "eu");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_of_standard_input_is_a_message() {
    let server = Running::start(config()).await;
    let (receipts, code) = run_with(server.address, &["publish", "orders"], b"a\nb\r\n\nlast").await;
    assert_eq!(code, 0);
    let sequences: Vec<_> = receipts.lines().map(|line| line.split_once(':').unwrap().1.to_owned()).collect();
    assert_eq!(sequences, ["1", "2", "3", "4"]);
    let arguments = ["subscribe", "orders", "--from", "last:10", "-c", "4", "-o", "raw"];
    assert_eq!(run(server.address, &arguments).await.0, "a\nb\n\nlast\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_text_is_base64_in_json() {
    let server = Running::start(config()).await;
    run_with(server.address, &["publish", "bin", "--file", "-", "--quiet"], b"\xff\xfe").await;
    let (json, ..) = run(server.address, &["subscribe", "bin", "--from", "earliest", "-c", "1"]).await;
    assert!(json.contains(r#""payload_base64":"//4=""#), "{json}");
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_administered_in_human_units() {
    let server = Running::start(config()).await;
    let address = server.address;
    let create = ["topics", "create", "orders", "--retain-bytes", "1MiB", "--retain-age", "90m"];
    assert_eq!(run(address, &create).await.2, 0);
    assert_eq!(run(address, &create).await.2, 1, "it exists");
    assert_eq!(run(address, &["topics", "update", "orders", "--retain-messages", "10"]).await.2, 0);
    let (text, ..) = run(address, &["topics", "describe", "orders"]).await;
    for expected in ["1 MiB", "10", "1h 30m", "nothing"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let (table, ..) = run(address, &["topics", "list"]).await;
    assert!(table.starts_with("TOPIC") && table.contains("\norders"), "{table}");
    assert_eq!(run(address, &["topics", "delete", "orders"]).await.2, 0);
    let (_, error, code) = run(address, &["topics", "describe", "orders"]).await;
    assert_eq!(code, 1);
    assert!(error.starts_with("error: topic"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_hold_topics_apart() {
    let server = Running::start(config()).await;
    let address = server.address;
    assert_eq!(run(address, &["publish", "-n", "staging", "orders", "x"]).await.2, 1);
    assert_eq!(run(address, &["namespaces", "create", "staging"]).await.2, 0);
    assert_eq!(run(address, &["publish", "-n", "staging", "orders", "x"]).await.2, 0);
    let (list, ..) = run(address, &["namespaces", "list", "--json"]).await;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list[1], serde_json::json!({"namespace": "staging", "topics": 1}));
    assert_eq!(run(address, &["namespaces", "delete", "staging"]).await.2, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told_apart_by_the_exit_code() {
    let server = Running::start(config()).await;
    for (address, arguments, code, text) in [
        (nobody(), &["publish", "orders", "x"][..], 3, "(start one with `bugle serve`), or it is draining"),
        (nobody(), &["subscribe", "orders"], 3, "bugle serve"),
        (server.address, &["publish", " ", "x"], 1, "visible character"),
        (server.address, &["publish", "orders", "x", "--attribute", "novalue"], 2, "NAME=VALUE"),
        (server.address, &["publish", "orders", "--file", "/does/not/exist"], 1, "cannot be read"),
        (server.address, &["subscribe", "orders", "--from", "tomorrow"], 2, "last:N"),
        (server.address, &["topics", "create", "x", "--retain-bytes", "many"], 2, "64MiB"),
        (server.address, &["topics", "list", "--server", "localhost"], 1, "http://127.0.0.1:7600"),
    ] {
        let (_, error, exit) = run(address, arguments).await;
        assert_eq!(exit, code, "{arguments:?}: {error}");
        assert!(error.contains(text), "{arguments:?}: {error}");
        assert_eq!(error.matches("error:").count(), 1, "told once: {error}");
    }
}

fn follow(address: SocketAddr) -> (Child, BufReader<std::process::ChildStdout>) {
    let arguments = ["subscribe", "orders", "--from", "earliest", "--output", "raw"];
    let mut child = bugle(address, &arguments).spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    (child, stdout)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_ends_a_subscription_quietly() {
    let server = Running::start(config()).await;
    let address = server.address;
    run(address, &["publish", "orders", "first"]).await;
    let ended = tokio::task::spawn_blocking(move || {
        let (mut child, mut stdout) = follow(address);
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        // No message follows: it has to notice without a write.
        drop(stdout);
        let status = child.wait().unwrap();
        let mut error = String::new();
        child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        (line, status.code(), error)
    });
    assert_eq!(ended.await.unwrap(), ("first\n".to_owned(), Some(0), String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_a_subscription_quietly() {
    let server = Running::start(config()).await;
    let address = server.address;
    run(address, &["publish", "orders", "first"]).await;
    let ended = tokio::task::spawn_blocking(move || {
        let (mut child, mut stdout) = follow(address);
        stdout.read_line(&mut String::new()).unwrap();
        let process = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
        child.wait().unwrap().code()
    });
    assert_eq!(ended.await.unwrap(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_subcommand_explains_itself_with_an_example() {
    let work = ["serve", "publish", "subscribe", "topics", "namespaces", "bench", "completions"];
    let look = ["top", "trace", "log", "health"];
    let (all, ..) = run(nobody(), &["--help"]).await;
    for command in work.into_iter().chain(look) {
        assert!(all.contains(&format!("\n  {command} ")), "{command}: {all}");
        let (help, _, code) = run(nobody(), &[command, "--help"]).await;
        assert_eq!(code, 0, "{command}");
        assert!(help.contains(&format!("bugle {command}")) && help.contains("Example"), "{command}: {help}");
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let (script, _, code) = run(nobody(), &["completions", shell]).await;
        assert!(code == 0 && script.contains("subscribe"), "{shell}");
    }
}
