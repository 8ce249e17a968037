//! Momento's HTTP on the one port: publishing, and the long poll.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{page, publish, text};
use crate::access::Guarded;
use crate::bus::Bus;
use crate::support::soon;

/// What HTTP/1.1 answers to a request with these headers, each with its line's end: the status, and the
/// body.
async fn http(address: SocketAddr, line: &str, headers: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let head = format!(
        "{line} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

const TEXT: &str = "content-type: text/plain\r\n";
const BINARY: &str = "content-type: application/octet-stream\r\n";

#[tokio::test]
async fn what_is_posted_is_polled_from_the_sequence_that_is_expected_next() {
    let bus = Bus::start().await;
    let address = bus.server.address;
    let posted = http(address, "POST /topics/default/a%20b/c", TEXT, "größe".as_bytes()).await;
    assert_eq!(posted, (204, String::new()));
    assert_eq!(http(address, "POST /topics/default/a%20b/c", BINARY, &[0xff, 0]).await.0, 204);
    let page = page(&bus, "a b/c");
    let path = format!("GET /topics/default/a%20b/c?sequence_number=1&sequence_page={page}");
    let items = format!(
        r#"{{"items":[{{"item":{{"sequence_page":{page},"topic_sequence_number":1,"value":{{"text":"größe"}}}}}},{{"item":{{"sequence_page":{page},"topic_sequence_number":2,"value":{{"binary":"/wA="}}}}}}]}}"#
    );
    assert_eq!(http(address, &path, "", b"").await, (200, items));
}

#[tokio::test]
async fn a_poll_waits_until_there_is_something() {
    let bus = Bus::start().await;
    publish(&bus, "t", text("old")).await.unwrap();
    let path = format!("GET /topics/default/t?sequence_number=2&sequence_page={}", page(&bus, "t"));
    let address = bus.server.address;
    let poll = tokio::spawn(async move { http(address, &path, "", b"").await });
    // It waits for as long as it is subscribed.
    while bus.broker.subscriptions() == 0 {
        tokio::task::yield_now().await;
    }
    publish(&bus, "t", text("new")).await.unwrap();
    let (status, body) = poll.await.unwrap();
    assert!(status == 200 && body.contains("new") && !body.contains("old"), "{status} {body}");
}

#[tokio::test]
async fn another_page_is_told_with_what_there_is_of_this_one() {
    let bus = Bus::start().await;
    publish(&bus, "t", text("x")).await.unwrap();
    let (_, body) =
        http(bus.server.address, "GET /topics/default/t?sequence_number=5&sequence_page=7", "", b"").await;
    let page = page(&bus, "t");
    let gap = format!(
        r#"{{"items":[{{"discontinuity":{{"last_topic_sequence":4,"new_sequence_page":{page},"new_topic_sequence":0}}}},{{"item":"#
    );
    assert!(body.starts_with(&gap), "{body}");
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_the_status_of_its_kind() {
    let bus = Bus::start().await;
    for (line, headers, body, expected) in [
        ("POST /topics/nowhere/t", TEXT, &b"x"[..], 404),
        ("POST /topics//t", TEXT, b"x", 400),
        ("POST /topics/default/", TEXT, b"x", 400),
        ("POST /topics/default/t", "content-type: application/json\r\n", b"{}", 400),
        ("POST /topics/default/t", TEXT, b"\xff", 400),
        ("GET /topics/nowhere/t", "", b"", 404),
        ("GET /topics/default/t?sequence_number=-1", "", b"", 400),
        ("GET /topics/default/t?sequence_number=x", "", b"", 400),
        ("GET /topics/default/t?from=1", "", b"", 400),
    ] {
        let (status, body) = http(bus.server.address, line, headers, body).await;
        assert_eq!(status, expected, "{line}: {body}");
        assert!(body.contains("\"error\""), "{line}: {body}");
    }
}

#[tokio::test]
async fn a_key_comes_in_one_of_two_ways_and_not_in_both() {
    let guarded = Guarded::start();
    let header = format!("{TEXT}authorization: {}\r\n", guarded.root);
    let query = format!("POST /topics/default/t?token={}", guarded.root);
    for (line, headers, expected) in [
        ("POST /topics/default/t", &*header, 204),
        (&query, TEXT, 204),
        (&query, &header, 400),
        ("POST /topics/default/t", TEXT, 401),
        ("POST /topics/default/t?token=wrong", TEXT, 401),
    ] {
        let (status, body) = http(guarded.address, line, headers, b"x").await;
        assert_eq!(status, expected, "{body}");
        assert!(!body.contains(&guarded.root));
    }
}
