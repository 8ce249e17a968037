//! grpc.health.v1 and the answers to what is no call at all.

use bytes::Bytes;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{Running, config, request, soon};

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

#[tokio::test]
async fn each_service_is_healthy_while_the_server_serves() {
    let server = Running::start(config()).await;
    let mut health = HealthClient::new(server.channel().await);
    for service in ["", "bugle.v1.Bus", "bugle.v1.Admin"] {
        let response = health.check(of(service)).await.unwrap().into_inner();
        assert_eq!(response.status(), ServingStatus::Serving, "{service:?}");
    }
    let status = health.check(of("bugle.v1.Nothing")).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("bugle.v1.Nothing"), "{status}");
}

#[tokio::test]
async fn watchers_hear_that_the_server_drains_and_do_not_hold_it_up() {
    let mut server = Running::start(config()).await;
    let mut health = HealthClient::new(server.channel().await);
    let mut known = health.watch(of("bugle.v1.Bus")).await.unwrap().into_inner();
    let mut unknown = health.watch(of("bugle.v1.Nothing")).await.unwrap().into_inner();
    assert_eq!(known.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    assert_eq!(unknown.message().await.unwrap().unwrap().status(), ServingStatus::ServiceUnknown);

    server.stop();
    assert_eq!(soon(known.message()).await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert!(soon(known.message()).await.unwrap().is_none());
    drop(unknown);
    assert_eq!(server.ended().await.cut, 0);
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented_and_named() {
    let server = Running::start(config()).await;
    for path in ["/bugle.v1.Bus/Nope", "/no.such.Service/Method"] {
        let (head, _) = request(server.address, "POST", path, Some("application/grpc")).await;
        assert_eq!(head.status, 200);
        assert_eq!(head.headers["grpc-status"], "12");
        let message = head.headers["grpc-message"].to_str().unwrap();
        assert!(message.contains(&path[1..]), "{message}");
    }
}

#[tokio::test]
async fn what_is_not_grpc_gets_an_http_answer() {
    let server = Running::start(config()).await;
    let method = "/grpc.health.v1.Health/Check";
    for (verb, path, content_type, status) in [
        ("POST", method, Some("application/json"), 415),
        ("POST", method, Some("application/grpc-webs"), 415),
        ("POST", method, None, 415),
        ("GET", method, None, 415),
        ("GET", method, Some("application/grpc"), 405),
        ("GET", "/", None, 200),
        ("GET", "/metrics", None, 404),
        ("POST", "/nothing", Some("text/plain"), 404),
    ] {
        let (head, body) = request(server.address, verb, path, content_type).await;
        assert_eq!(head.status, status, "{verb} {path} {content_type:?}");
        assert_ne!(body, Bytes::new(), "{verb} {path}");
    }
    let (head, _) = request(server.address, "POST", method, Some("application/grpc+json")).await;
    assert_eq!((head.status.as_u16(), &head.headers["grpc-status"]), (200, &"12".parse().unwrap()));
}
