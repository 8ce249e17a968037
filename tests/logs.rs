//! The log of the real process, and what SIGHUP does with it.

use std::io::{BufRead, Read, Write};
use std::net::{SocketAddr, TcpStream};

use bugle::proto::v1::bus_client::BusClient;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::bus::batch;
use crate::support::{PATIENCE, Process, channel, soon};

/// Silent connections are closed soon, and level `debug` says so.
const IMPATIENT: &str = "[limits]\nhandshake_deadline = \"10ms\"\n";
const CLOSED: &str = "there was no request in time";
const READ: &str = "read the configuration again";

/// A server whose configuration is this file.
fn serve(file: &NamedTempFile) -> (Process, SocketAddr) {
    Process::serve(&["--config", file.path().to_str().unwrap()])
}

fn file(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    write(&file, text);
    file
}

fn write(file: &NamedTempFile, text: &str) {
    std::fs::write(file.path(), text).unwrap();
}

/// What it logs up to the line that contains the text, and that.
fn until(process: &mut Process, text: &str) -> Vec<Value> {
    let mut found = Vec::new();
    loop {
        let mut line = String::new();
        assert!(
            process.stderr.read_line(&mut line).unwrap() > 0,
            "it ended without logging {text:?}: {found:?}"
        );
        found.push(serde_json::from_str(&line).unwrap());
        if line.contains(text) {
            return found;
        }
    }
}

fn has(lines: &[Value], text: &str) -> bool {
    lines.iter().any(|line| line["message"].as_str().unwrap().contains(text))
}

/// Connects, says nothing and waits until the server has had enough.
fn be_silent(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
}

#[test]
fn a_hang_up_changes_the_filter_and_tells_what_needs_a_restart() {
    let file = file(IMPATIENT);
    let (mut process, address) = serve(&file);
    be_silent(address);
    write(
        &file,
        &format!("{IMPATIENT}max_connections = 5\nmax_handshakes = 6\n[log]\nlevel = \"debug, h2=error\"\n"),
    );
    process.signal(Signal::HUP);
    let lines = until(&mut process, READ);
    assert!(!has(&lines, CLOSED), "{lines:?}");
    let waiting: Vec<&str> = lines.iter().filter_map(|line| line["option"].as_str()).collect();
    assert_eq!(waiting, ["limits.max_connections", "limits.max_handshakes"]);
    let warning = lines.iter().find(|line| line["option"].is_string()).unwrap();
    assert_eq!(
        (warning["level"].as_str(), warning["target"].as_str()),
        (Some("warn"), Some("bugle::cli::serve::reload"))
    );
    assert!(warning["from"].as_str().unwrap().contains(file.path().to_str().unwrap()));
    assert_eq!(lines.last().unwrap()["filter"], "debug,h2=error");
    be_silent(address);
    until(&mut process, CLOSED);

    write(&file, IMPATIENT);
    process.signal(Signal::HUP);
    let lines = until(&mut process, READ);
    assert_eq!(lines.last().unwrap()["filter"], "info");
    assert!(lines.iter().all(|line| line["option"].is_null()), "it is as it was: {lines:?}");
}

#[test]
fn a_hang_up_with_a_wrong_configuration_changes_nothing_and_is_told_in_one_line() {
    let file = file(&format!("{IMPATIENT}[log]\nlevel = \"debug\"\n"));
    let (mut process, address) = serve(&file);
    write(&file, "listn = 1\n[log]\nlevel = \"loud\"\n");
    process.signal(Signal::HUP);
    let lines = until(&mut process, "not applied");
    let problem = lines.last().unwrap()["problem"].as_str().unwrap();
    assert!(
        problem.contains("did you mean listen?") && problem.contains("info,bugle::broker=debug"),
        "{problem}"
    );
    assert_eq!(lines.last().unwrap()["level"], "error");
    be_silent(address);
    let lines = until(&mut process, CLOSED);
    assert!(!has(&lines, "not applied"), "{lines:?}");

    process.signal(Signal::TERM);
    assert!(process.ended().success());
}

#[test]
fn a_client_cannot_make_a_library_fill_the_log() {
    const FRAME_PING: u8 = 6;
    let (mut process, address) = Process::serve(&[]);
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let ping = |flags: u8| [&[0, 0, 8, FRAME_PING, flags, 0, 0, 0, 0], b"whatever".as_slice()].concat();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    // Answers to pings that were never sent, of which h2 warns, and a ping to know when they were read.
    for _ in 0..10 {
        stream.write_all(&ping(1)).unwrap();
    }
    stream.write_all(&ping(0)).unwrap();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).unwrap();
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload).unwrap();
        if head[3] == FRAME_PING {
            break;
        }
    }
    process.signal(Signal::TERM);
    drop(stream);
    assert!(process.ended().success());
    let rest = process.rest();
    assert!(rest.contains("draining") && !rest.contains("PING"), "{rest}");
}

#[test]
fn a_pretty_log_is_for_people() {
    let (mut process, _) = Process::serve(&["--log-format", "pretty"]);
    process.signal(Signal::TERM);
    assert!(process.ended().success());
    let rest = process.rest();
    assert!(rest.contains("Z  INFO bugle::server: draining address=127.0.0.1:"), "{rest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_a_traced_call_carry_its_trace() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let (mut process, address) = Process::serve(&["--log-level", "debug", "--log-format", "json"]);
    let mut client = BusClient::new(channel(address).await);
    let mut request = tonic::Request::new(batch(" not a name", ["x"]));
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    request.metadata_mut().insert("traceparent", traceparent.parse().unwrap());
    soon(client.publish(request)).await.unwrap_err();
    let lines = until(&mut process, "\"message\":\"refused\"");
    let refused = lines.last().unwrap();
    assert_eq!((&refused["trace_id"], &refused["span_id"]), (&TRACE.into(), &"00f067aa0ba902b7".into()));
    assert_eq!(refused["code"], "invalid_argument");
}
