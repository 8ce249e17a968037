//! HTTP beside gRPC, on real sockets: what is published in each form arrives as that, server-sent events
//! resume, and bad input is answered with what to change.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bus::{Bus, EARLIEST};
use crate::support::soon;

/// What a server answers to these bytes until it closes the connection.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // It may have answered and gone before all was sent.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = soon(stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// A request with these header lines and this body, alone on its connection.
pub async fn ask(address: SocketAddr, line: &str, headers: &[&str], body: &[u8]) -> (u16, String, String) {
    let mut request = format!("{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    headers.iter().for_each(|header| request.push_str(&format!("{header}\r\n")));
    let bytes = [request.as_bytes(), b"\r\n", body].concat();
    let answer = exchange(address, &bytes).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no status: {answer:?}")), head.to_owned(), body.to_owned())
}

/// Posts; where it is, or the error.
pub async fn post(bus: &Bus, path: &str, headers: &[&str], body: &[u8]) -> (u16, Value) {
    let (status, _, body) = ask(bus.server.address, &format!("POST {path}"), headers, body).await;
    (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
}

/// A stream of server-sent events.
pub struct Events {
    stream: TcpStream,
    read: String,
}

impl Events {
    pub async fn open(address: SocketAddr, path: &str, headers: &str) -> Events {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        Events { stream, read: String::new() }
    }

    /// Reads until this has come; everything so far, without what frames its chunks.
    pub async fn until(&mut self, text: &str) -> String {
        let mut bytes = vec![0; 64 * 1024];
        while !self.read.contains(text) {
            let count = soon(self.stream.read(&mut bytes)).await.unwrap();
            assert!(count > 0, "ended before {text:?}: {}", self.read);
            self.read.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        self.read.clone()
    }
}

fn position(answer: &Value) -> String {
    answer["position"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_published_with_what_its_headers_say_and_arrives_everywhere() {
    let bus = Bus::start().await;
    let headers = [
        "Content-Type: text/plain",
        "Bugle-Key: k%201",
        "Bugle-Id: 67e55044-10b1-426f-9247-bb680e5fe0c8",
        "Bugle-Attribute-Colour: caf%C3%A9",
    ];
    let (status, answer) = post(&bus, "/v1/default/orders%2Feu/x", &headers, b"hello").await;
    assert_eq!((status, &answer["first"], &answer["last"]), (200, &1.into(), &1.into()), "{answer}");
    let message = bus.subscribe("orders/eu/x", EARLIEST).await.take_all().await.remove(0);
    assert_eq!((&message.payload[..], message.key.as_str()), (&b"hello"[..], "k 1"));
    assert_eq!(
        (message.attributes["colour"].as_str(), message.content_type.as_str()),
        ("café", "text/plain")
    );
    let mut events = Events::open(bus.server.address, "/v1/default/orders/eu/x?start=earliest", "").await;
    let text = events.until("event: caught-up").await;
    assert!(text.contains("content-type: text/event-stream"), "{text}");
    for part in
        ["\"text\":\"hello\"", "67e55044-10b1-426f-9247-bb680e5fe0c8", "\"colour\":\"café\"", "event: opened"]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(text.contains(&format!("id: {}\n", position(&answer))), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_in_json_is_one_batch() {
    let bus = Bus::start().await;
    let body = br#"[{"text":"a"},{"data":{"b":1}},{"base64":"/wA=","key":"k","attributes":{"x":"y"}}]"#;
    let headers = ["Content-Type: application/vnd.bugle.batch+json"];
    let (status, answer) = post(&bus, "/v1/default/t", &headers, body).await;
    assert_eq!((status, &answer["first"], &answer["last"]), (200, &1.into(), &3.into()), "{answer}");
    let messages = bus.subscribe("t", EARLIEST).await.take_all().await;
    let payloads: Vec<_> = messages.iter().map(|message| message.payload.to_vec()).collect();
    assert_eq!(payloads, [b"a".to_vec(), br#"{"b":1}"#.to_vec(), vec![0xff, 0]]);
    let mut events = Events::open(bus.server.address, "/v1/default/t?last=3", "").await;
    let text = events.until("event: caught-up").await;
    assert!(text.contains(r#""data":{"b":1}"#) && text.contains(r#""base64":"/wA=""#), "{text}");
    // What was delivered can be published as it came.
    let line = text.lines().find_map(|line| line.strip_prefix("data: {\"epoch\"")).unwrap();
    let again = format!("{{\"epoch\"{line}");
    let headers = ["Content-Type: application/vnd.bugle.message+json"];
    let (status, answer) = post(&bus, "/v1/default/again", &headers, again.as_bytes()).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cloud_events_come_in_all_three_modes() {
    let bus = Bus::start().await;
    let binary = [
        "Content-Type: application/json",
        "ce-specversion: 1.0",
        "ce-id: one",
        "ce-source: /shop",
        "ce-type: order.created",
        "ce-partitionkey: k",
    ];
    let structured = r#"{"specversion":"1.0","id":"one","source":"/shop","type":"order.created","partitionkey":"k","data":{"n":1}}"#;
    let batch = format!("[{structured},{structured}]");
    let forms: [(&[&str], &[u8]); 3] = [
        (&binary, br#"{"n":1}"#),
        (&["Content-Type: application/cloudevents+json; charset=utf-8"], structured.as_bytes()),
        (&["Content-Type: application/cloudevents-batch+json"], batch.as_bytes()),
    ];
    for (headers, body) in forms {
        let (status, answer) = post(&bus, "/v1/default/ce", headers, body).await;
        assert_eq!(status, 200, "{answer}");
    }
    let messages = bus.subscribe("ce", EARLIEST).await.take_all().await;
    assert_eq!(messages.len(), 4);
    for message in messages {
        assert_eq!((&message.payload[..], message.key.as_str()), (&br#"{"n":1}"#[..], "k"));
        assert_eq!(message.content_type, "application/json");
        let attributes = ["ce-id", "ce-source", "ce-type"].map(|name| message.attributes[name].as_str());
        assert_eq!(attributes, ["one", "/shop", "order.created"]);
    }
    post(&bus, "/v1/default/ce", &[], b"plain").await;
    let path = "/v1/default/ce?start=earliest&format=cloudevents";
    let text = Events::open(bus.server.address, path, "").await.until("event: caught-up").await;
    let events = text.lines().filter_map(|line| line.strip_prefix("data: {\"bugleposition"));
    let events: Vec<Value> =
        events.map(|rest| serde_json::from_str(&format!("{{\"bugleposition{rest}")).unwrap()).collect();
    assert_eq!(events.len(), 5, "{text}");
    assert_eq!((&events[0]["id"], &events[0]["data"]["n"]), (&"one".into(), &1.into()));
    assert_eq!((&events[4]["type"], &events[4]["data"]), (&"io.bugle.message".into(), &"plain".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_resume_behind_the_last_one_that_was_seen() {
    let bus = Bus::start().await;
    let (_, first) = post(&bus, "/v1/default/t", &[], b"one").await;
    post(&bus, "/v1/default/t", &[], b"two").await;
    let header = format!("Last-Event-ID: {}\r\n", position(&first));
    let mut events = Events::open(bus.server.address, "/v1/default/t?start=earliest", &header).await;
    let text = events.until("event: caught-up").await;
    assert!(text.contains("\"two\"") && !text.contains("\"one\""), "{text}");
    post(&bus, "/v1/default/t", &[], b"three").await;
    events.until("\"three\"").await;
    let path = format!("/v1/default/t?after=7:{}", 1);
    let mut old = Events::open(bus.server.address, &path, "").await;
    let text = old.until("event: caught-up").await;
    assert!(text.contains("event: discontinuity") && text.contains("\"one\""), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_server_is_told_and_a_connection_that_waits_is_closed() {
    let mut bus = Bus::start().await;
    let mut events = Events::open(bus.server.address, "/v1/default/t", "").await;
    events.until("event: caught-up").await;
    let mut idle = TcpStream::connect(bus.server.address).await.unwrap();
    idle.write_all(b"POST /v1/default/t HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx").await.unwrap();
    let mut head = vec![0; 15];
    soon(idle.read_exact(&mut head)).await.unwrap();
    assert_eq!(head, b"HTTP/1.1 200 OK");
    bus.server.stop();
    let text = events.until("event: error").await;
    assert!(text.contains("event: draining"), "{text}");
    soon(idle.read_to_end(&mut Vec::new())).await.unwrap();
    drop((events, bus.channel));
    assert_eq!(bus.server.ended().await.cut, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_answered_with_what_to_change() {
    let bus = Bus::start().await;
    let batch = "Content-Type: application/vnd.bugle.batch+json";
    let event = "Content-Type: application/cloudevents+json";
    let large = vec![b'x'; (1 << 20) + 1];
    type Case<'a> = (&'a str, &'a [&'a str], &'a [u8], u16, &'a str);
    let cases: [Case<'_>; 21] = [
        ("POST /v1/default/t", &[batch], b"[{\"text\":", 400, "NOT_JSON"),
        ("POST /v1/default/t", &[batch], b"{}", 400, "a list of messages"),
        ("POST /v1/default/t", &[batch], b"[]", 400, "at least one"),
        ("POST /v1/default/t", &[batch], br#"[{"text":"a"},{"text":"a","data":1}]"#, 400, "messages[1].text"),
        ("POST /v1/default/t", &[batch], br#"[{"txt":"a"}]"#, 400, "unknown field"),
        ("POST /v1/default/t", &[event], b"{}", 400, "specversion"),
        ("POST /v1/default/t", &["Content-Type: application/cloudevents+avro"], b"x", 415, "content-type"),
        ("POST /v1/default/t", &["Content-Encoding: gzip"], b"x", 415, "uncompressed"),
        ("POST /v1/default/t", &["ce-specversion: 1.0"], b"x", 400, "has to be given in a CloudEvent"),
        ("POST /v1/default/t", &["Bugle-Id: 7"], b"x", 400, "UUID"),
        ("POST /v1/default/t", &["Bugle-Key: a", "Bugle-Key: b"], b"x", 400, "twice"),
        ("POST /v1/default/t", &["Bugle-Key: %FF"], b"x", 400, "UTF-8"),
        ("POST /v1/default/t", &[], &large, 413, "MESSAGE_TOO_LARGE"),
        ("POST /v1/default/", &[], b"x", 400, "topic"),
        ("POST /v1/default/t?x=1", &[], b"x", 400, "query"),
        ("PUT /v1/default/t", &[], b"x", 405, "METHOD_NOT_ALLOWED"),
        ("GET /v1/default/t?after=nine", &[], b"", 400, "after"),
        ("GET /v1/default/t?last=-1", &[], b"", 400, "last"),
        ("GET /v1/default/t?start=latest&last=1", &[], b"", 400, "choose one"),
        ("GET /v1/default/t", &["Last-Event-ID: 99999999999999999999:1"], b"", 400, "Last-Event-ID"),
        ("POST /bugle.v1.Bus/Publish", &["Content-Type: application/grpc"], b"", 505, "HTTP/2"),
    ];
    for (line, headers, body, expected, says) in cases {
        let (status, _, text) = ask(bus.server.address, line, headers, body).await;
        assert!(status == expected && text.contains(says), "{line} {headers:?}: {status} {text}");
    }
    assert!(bus.broker.budget().used() < 1 << 20, "nothing of it is held");
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_and_floods_end_their_connection_and_nothing_else() {
    let bus = Bus::start().await;
    let address = bus.server.address;
    let flood: String = (0..1000).map(|n| format!("x-{n}: y\r\n")).collect();
    let long = format!("GET /v1/default/t HTTP/1.1\r\nHost: x\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    let chunked = "POST /v1/default/t HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (bytes, expected) in [
        (format!("GET /v1/default/t HTTP/1.1\r\nHost: x\r\n{flood}\r\n"), "431"),
        (long, "431"),
        (format!("{chunked}zz\r\nhello\r\n"), "400"),
        (format!("{chunked}fffffffffffffffff\r\nhello\r\n"), "400"),
        (
            "POST /v1/default/t HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"
                .into(),
            "400",
        ),
        ("POST /v1/default/t HTTP/1.1\r\nHost: x\r\nContent-Length: nine\r\n\r\nab".into(), "400"),
        ("POST /v1/default/t HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nab".into(), "413"),
        ("nonsense\r\n\r\n".into(), "400"),
    ] {
        let answer = exchange(address, bytes.as_bytes()).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert_eq!(status, expected, "{:.80} was answered with {answer}", bytes);
    }
    // A body that ends before its length: nobody waits for the answer.
    let mut half = TcpStream::connect(address).await.unwrap();
    half.write_all(b"POST /v1/default/t HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab").await.unwrap();
    half.shutdown().await.unwrap();
    soon(half.read_to_end(&mut Vec::new())).await.unwrap();
    let pipelined = "POST /v1/default/t HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx".repeat(200);
    let last = "POST /v1/default/t HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx";
    let answers = exchange(address, format!("{pipelined}{last}").as_bytes()).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 201);
    assert_eq!(bus.subscribe("t", EARLIEST).await.take_all().await.len(), 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_trickles_is_not_waited_for() {
    let bus =
        Bus::with(|config| config.limits.handshake_deadline = std::time::Duration::from_millis(300)).await;
    let mut slow = TcpStream::connect(bus.server.address).await.unwrap();
    slow.write_all(b"GET /v1/default/t HTTP/1.1\r\nHo").await.unwrap();
    let mut answer = Vec::new();
    let _ = soon(slow.read_to_end(&mut answer)).await;
    assert!(answer.is_empty());
    assert_eq!(post(&bus, "/v1/default/t", &[], b"x").await.0, 200);
}
