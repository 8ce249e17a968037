//! The console's page and its JSON: shown to those who may see it, as the services Admin and Monitor
//! show it. How it looks and works in a browser is tests/browser/console.mjs.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::access::Guarded;
use crate::support::{Process, soon};

/// Asks in HTTP/1.1, as this caller: the status, the head and the body.
async fn ask(address: SocketAddr, request: &str, token: &str, more: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let authorization =
        if token.is_empty() { String::new() } else { format!("authorization: Bearer {token}\r\n") };
    let head = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{authorization}{more}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_ascii_lowercase(), body.to_owned())
}

async fn get(address: SocketAddr, path: &str, token: &str) -> (u16, Value) {
    let (status, head, body) = ask(address, &format!("GET {path}"), token, "").await;
    assert!(head.contains("content-type: application/json"), "{head}");
    (status, serde_json::from_str(&body).unwrap())
}

fn names<'a>(listed: &'a Value, of: &str, name: &str) -> Vec<&'a str> {
    listed[of].as_array().unwrap().iter().map(|each| each[name].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_shows_each_caller_what_that_one_may_see() {
    let server = Guarded::start();
    let (root, address) = (server.root.clone(), server.address);
    for topic in ["orders.eu", "orders.us", "secret"] {
        soon(server.root().publish(topic, "x")).await.unwrap();
    }
    let reader = server.key("reader").await;
    let (status, said) = get(address, "/admin/v1/topics/default", "").await;
    assert_eq!((status, &said["error"]["reason"]), (401, &Value::from("CREDENTIAL_MISSING")));
    assert_eq!(get(address, "/admin/v1/server", "nonsense").await.0, 401);

    let (status, all) = get(address, "/admin/v1/topics/default", &root).await;
    assert_eq!((status, names(&all, "topics", "topic")), (200, vec!["orders.eu", "orders.us", "secret"]));
    let (status, some) = get(address, "/admin/v1/topics/default?prefix=", &reader).await;
    assert_eq!((status, names(&some, "topics", "topic")), (200, vec!["orders.eu", "orders.us"]));

    for (path, for_root, for_reader) in [
        ("/admin/v1/server", 200, 403),
        ("/admin/v1/namespaces", 200, 200),
        ("/admin/v1/topics/default/orders.eu", 200, 200),
        ("/admin/v1/topics/default/secret", 200, 403),
        ("/admin/v1/topics/default/nothing", 404, 403),
        ("/admin/v1/subscriptions/default/orders.eu", 200, 403),
        ("/admin/v1/nothing", 404, 404),
        ("/admin/v1/topics/default?page_size=x", 400, 400),
    ] {
        assert_eq!(get(address, path, &root).await.0, for_root, "{path}");
        assert_eq!(get(address, path, &reader).await.0, for_reader, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_json_says_what_the_services_say() {
    let (_process, address) = Process::serve(&[]);
    let client = bugle::client::Client::builder(format!("http://{address}")).connect_lazy().unwrap();
    for topic in ["a/b", "b", "c"] {
        soon(client.publish(topic, "hello")).await.unwrap();
    }
    let _reader = soon(client.subscribe("b").open()).await.unwrap();
    let (_, server) = get(address, "/admin/v1/server", "").await;
    assert_eq!((&server["topics"], &server["subscriptions"]), (&Value::from(3), &Value::from(1)));
    assert_eq!(server["traffic"]["publishedMessages"], 3);
    let (_, topic) = get(address, "/admin/v1/topics/default/a/b", "").await;
    assert_eq!((topic["topic"].as_str(), &topic["nextSequence"]), (Some("a/b"), &Value::from(2)));
    let (_, readers) = get(address, "/admin/v1/subscriptions/default/b", "").await;
    assert_eq!(
        (&readers["total"], &readers["subscriptions"][0]["cut"]),
        (&Value::from(1), &Value::from(false))
    );

    let (_, first) = get(address, "/admin/v1/topics/default?page_size=2", "").await;
    assert_eq!(names(&first, "topics", "topic"), ["a/b", "b"]);
    let behind = first["nextPageToken"].as_str().unwrap();
    let (_, second) =
        get(address, &format!("/admin/v1/topics/default?page_size=2&page_token={behind}"), "").await;
    assert_eq!(names(&second, "topics", "topic"), ["c"]);
    assert_eq!(second["nextPageToken"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_shown_to_everybody_and_sent_once() {
    let server = Guarded::start();
    let (status, head, body) = ask(server.address, "GET /", "", "").await;
    assert_eq!(status, 200);
    assert!(head.contains("content-security-policy: default-src 'self';"), "{head}");
    assert!(body.starts_with("<!doctype html>"));
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    let (status, _, body) = ask(server.address, "GET /", "", &format!("if-none-match: {tag}\r\n")).await;
    assert_eq!((status, body.as_str()), (304, ""));
    let (status, head, body) = ask(server.address, "HEAD /console/main.js", "", "").await;
    assert_eq!((status, body.as_str()), (200, ""));
    assert!(head.contains("content-type: text/javascript"), "{head}");
    let (status, head, _) = ask(server.address, "DELETE /", "", "").await;
    assert!(status == 405 && head.contains("allow: get, head"), "{head}");
    assert_eq!(ask(server.address, "GET /console/nothing.js", "", "").await.0, 404);
}
