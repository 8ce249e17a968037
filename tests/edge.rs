//! What browsers use: WebSockets, gRPC-Web, and pages of other origins; and HTTP where somebody has to say who
//! they are.

use bugle::proto::v1::PublishRequest;
use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::access::Guarded;
use crate::bus::{Bus, EARLIEST, batch};
use crate::http::{Events, ask, post};
use crate::support::soon;

type Socket = WebSocketStream<TcpStream>;

async fn socket(address: std::net::SocketAddr, path: &str) -> Socket {
    let stream = TcpStream::connect(address).await.unwrap();
    let url = format!("ws://{address}{path}");
    soon(tokio_tungstenite::client_async(url, stream)).await.unwrap().0
}

/// The next frame that is no ping.
async fn next(socket: &mut Socket) -> Message {
    loop {
        match soon(socket.next()).await.unwrap().unwrap() {
            Message::Ping(_) => {}
            frame => return frame,
        }
    }
}

/// The next text frame that has this.
async fn told(socket: &mut Socket, key: &str) -> Value {
    loop {
        if let Message::Text(text) = next(socket).await {
            let value: Value = serde_json::from_str(&text).unwrap();
            if value.get(key).is_some() {
                return value;
            }
        }
    }
}

async fn closed(socket: &mut Socket) -> (CloseCode, String) {
    loop {
        if let Message::Close(frame) = next(socket).await {
            let frame = frame.unwrap();
            return (frame.code, frame.reason.to_string());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_socket_publishes_and_hears_and_resumes() {
    let bus = Bus::start().await;
    let mut one = socket(bus.server.address, "/v1/default/t").await;
    assert_eq!(told(&mut one, "event").await["event"], "opened");
    one.send("hello".into()).await.unwrap();
    let heard = told(&mut one, "text").await;
    assert_eq!((&heard["text"], &heard["contentType"]), (&"hello".into(), &"text/plain".into()));
    one.send(Message::Binary(vec![0xff, 0].into())).await.unwrap();
    assert_eq!(told(&mut one, "base64").await["base64"], "/wA=");
    assert_eq!(bus.subscribe("t", EARLIEST).await.take_all().await.len(), 2);
    let path = format!("/v1/default/t?format=binary&after={}:1", heard["epoch"]);
    let mut two = socket(bus.server.address, &path).await;
    loop {
        if let Message::Binary(payload) = next(&mut two).await {
            assert_eq!(payload[..], [0xff, 0]);
            break;
        }
    }
    one.close(None).await.unwrap();
    // The server answers the goodbye before it goes.
    let last = soon(async {
        loop {
            match one.next().await {
                Some(Ok(_)) => {}
                last => break last,
            }
        }
    });
    assert!(last.await.is_none());
    drop(two);
    soon(async {
        while bus.broker.subscriptions() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_socket_is_told_why_it_ends() {
    let mut bus = Bus::start().await;
    let mut large = socket(bus.server.address, "/v1/default/t").await;
    let _ = large.send(Message::Binary(vec![7; 100_000].into())).await;
    assert_eq!(closed(&mut large).await.0, CloseCode::Size);
    let mut one = socket(bus.server.address, "/v1/default/t").await;
    told(&mut one, "event").await;
    bus.server.stop();
    let (code, reason) = closed(&mut one).await;
    assert!(code == CloseCode::Away && !reason.is_empty(), "{code} {reason}");
    drop((one, large, bus.channel));
    assert_eq!(bus.server.ended().await.cut, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_half_a_web_socket_is_refused_in_http() {
    let bus = Bus::start().await;
    let upgrade = ["Upgrade: websocket", "Connection: Upgrade"];
    let (version, key) = ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==");
    for (path, more, says) in [
        ("t", vec!["Sec-WebSocket-Version: 8", key], "sec-websocket-version"),
        ("t", vec![version], "sec-websocket-key"),
        ("t?format=xml", vec![version, key], "format"),
        ("t?after=x", vec![version, key], "after"),
    ] {
        let headers = [&upgrade[..], &more].concat();
        let line = format!("GET /v1/default/{path}");
        let (status, _, text) = ask(bus.server.address, &line, &headers, b"").await;
        assert!(status == 400 && text.contains(says), "{path}: {status} {text}");
    }
}

/// A message of gRPC.
fn framed(message: &impl prost::Message) -> Vec<u8> {
    let body = message.encode_to_vec();
    [&[0][..], &(body.len() as u32).to_be_bytes(), &body].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_web_is_grpc_whose_trailers_are_its_last_frame() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let bus = Bus::start().await;
    let body = framed(&batch("t", ["hello"]));
    let request = format!(
        "POST /bugle.v1.Bus/Publish HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Type: application/grpc-web+proto\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(bus.server.address).await.unwrap();
    stream.write_all(&[request.as_bytes(), &body].concat()).await.unwrap();
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("application/grpc-web+proto"), "{text}");
    assert!(text.contains("grpc-status: 0\r\n"), "{text}");
    assert_eq!(bus.subscribe("t", EARLIEST).await.take_all().await.len(), 1);
    let wrong = framed(&PublishRequest::default());
    let headers = ["Content-Type: application/grpc-web"];
    let (status, head, body) = ask(bus.server.address, "POST /bugle.v1.Bus/Publish", &headers, &wrong).await;
    assert!(status == 200 && (head.contains("grpc-status: 3") || body.contains("grpc-status: 3")), "{head}");
    let text = ["Content-Type: application/grpc-web-text"];
    let (status, _, body) = ask(bus.server.address, "POST /bugle.v1.Bus/Publish", &text, b"AAAA").await;
    assert!(status == 415 && body.contains("grpc-web+proto"), "{status} {body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_need_leave() {
    let page = "Origin: https://app.example";
    let closed = Bus::start().await;
    assert_eq!(post(&closed, "/v1/default/t", &[page], b"x").await.0, 403);
    let own = format!("Origin: http://{}", closed.server.address);
    assert_eq!(post(&closed, "/v1/default/t", &[&own], b"x").await.0, 200);
    let bus = Bus::with(|config| config.http.cors_origins = vec!["https://app.example".into()]).await;
    let asks = [page, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: bugle-key"];
    let (status, head, _) = ask(bus.server.address, "OPTIONS /v1/default/t", &asks, b"").await;
    assert!(status == 204 && head.contains("access-control-allow-headers: bugle-key"), "{head}");
    let (status, head, _) = ask(bus.server.address, "POST /v1/default/t", &[page], b"x").await;
    let allowed = "access-control-allow-origin: https://app.example";
    assert!(status == 200 && head.contains(allowed), "{head}");
    let mut events = Events::open(bus.server.address, "/v1/default/t", &format!("{page}\r\n")).await;
    assert!(events.until("event: opened").await.contains(allowed));
    let other = "Origin: https://evil.example";
    assert_eq!(post(&bus, "/v1/default/t", &[other], b"x").await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_come_in_a_header_or_in_the_query_and_not_in_both() {
    let server = Guarded::start();
    let (writer, reader) = (server.key("billing").await, server.key("reader").await);
    let publish = |headers: Vec<String>, query: String| async move {
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let line = format!("POST /v1/default/orders.1{query}");
        ask(server.address, &line, &headers, b"x").await
    };
    let bearer = |key: &str| vec![format!("Authorization: Bearer {key}")];
    let query = |key: &str| format!("?token={key}");
    assert_eq!(publish(bearer(&writer), String::new()).await.0, 200);
    assert_eq!(publish(vec![format!("Authorization: {writer}")], String::new()).await.0, 200);
    assert_eq!(publish(vec![], query(&writer)).await.0, 200);
    assert_eq!(publish(bearer(&writer), query(&writer)).await.0, 400);
    let (status, head, _) = publish(vec![], String::new()).await;
    assert!(status == 401 && head.contains("www-authenticate: Bearer"), "{head}");
    assert_eq!(publish(bearer("wrong"), String::new()).await.0, 401);
    assert_eq!(publish(bearer(&reader), String::new()).await.0, 403);
    let path = format!("/v1/default/orders.1?start=earliest&token={reader}");
    let mut events = Events::open(server.address, &path, "").await;
    assert!(events.until("event: caught-up").await.contains("\"publisher\":\"key:billing\""));
    // Whoever may only subscribe is let go when it publishes.
    let mut socket = socket(server.address, &path).await;
    told(&mut socket, "text").await;
    socket.send("x".into()).await.unwrap();
    assert_eq!(closed(&mut socket).await.0, CloseCode::Policy);
}
