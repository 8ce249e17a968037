//! Bodies that are no gRPC messages, and calls of what is not there: each is answered with a status
//! that tells the sender what is wrong, and the connection lives on.

use bytes::Bytes;
use h2::client::SendRequest;
use tonic::{Code, Status};

use crate::bus::{Bus, EARLIEST, batch, reason, violation};
use crate::support::soon;

const UNARY: [&str; 4] = ["Bus/Publish", "Bus/Subscribe", "Admin/CreateTopic", "Admin/ListNamespaces"];

/// A connection whose bodies are written by hand.
struct Raw {
    send: SendRequest<Bytes>,
    authority: String,
    _driver: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

impl Raw {
    async fn connect(bus: &Bus) -> Raw {
        let stream = tokio::net::TcpStream::connect(bus.server.address).await.unwrap();
        let (send, connection) = h2::client::handshake(stream).await.unwrap();
        Raw { send, authority: bus.server.address.to_string(), _driver: tokio::spawn(connection) }
    }

    /// The status of a call with this body.
    async fn call(&mut self, method: &str, encoding: Option<&str>, body: &[u8]) -> Status {
        let mut request = http::Request::post(format!("http://{}/bugle.v1.{method}", self.authority))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if let Some(encoding) = encoding {
            request = request.header("grpc-encoding", encoding);
        }
        self.send = soon(self.send.clone().ready()).await.unwrap();
        let (response, mut sender) = self.send.send_request(request.body(()).unwrap(), false).unwrap();
        // Refused before it has sent all: then the answer is there already.
        let _ = sender.send_data(Bytes::copy_from_slice(body), true);
        let (head, mut body) = soon(response).await.unwrap().into_parts();
        assert_eq!(head.status, 200);
        assert_eq!(head.headers["content-type"], "application/grpc");
        if let Some(status) = Status::from_header_map(&head.headers) {
            return status;
        }
        while let Some(data) = soon(body.data()).await {
            body.flow_control().release_capacity(data.unwrap().len()).unwrap();
        }
        Status::from_header_map(&soon(body.trailers()).await.unwrap().unwrap()).unwrap()
    }
}

fn framed(flag: u8, length: usize, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![flag];
    bytes.extend((length as u32).to_be_bytes());
    bytes.extend(body);
    bytes
}

fn invalid(status: &Status, why: &str, says: &str) {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert_eq!(reason(status), why, "{status:?}");
    let (field, description) = violation(status);
    assert_eq!(field, "request");
    assert!(description.contains(says), "{description:?} does not say {says:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_protobuf_are_the_callers_mistake() {
    let bus = Bus::start().await;
    let mut raw = Raw::connect(&bus).await;
    for method in UNARY.into_iter().chain(["Bus/PublishStream"]) {
        for garbage in [&[0xff; 20][..], &[0x0a, 0x7f, 1], b"{\"topic\":\"t\"}"] {
            let status = raw.call(method, None, &framed(0, garbage.len(), garbage)).await;
            invalid(&status, "NOT_A_MESSAGE", "proto file");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_no_utf8_is_the_callers_mistake() {
    let bus = Bus::start().await;
    let status = Raw::connect(&bus).await.call("Bus/Publish", None, &framed(0, 4, b"\x12\x02\xc3\x28")).await;
    invalid(&status, "NOT_A_MESSAGE", "proto file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_ends_too_early_is_not_taken() {
    let bus = Bus::start().await;
    let mut raw = Raw::connect(&bus).await;
    for method in UNARY.into_iter().chain(["Bus/PublishStream"]) {
        for body in [&framed(0, 100, &[0x0a; 10])[..], &[0, 0, 0]] {
            let status = raw.call(method, None, body).await;
            invalid(&status, "TRUNCATED_MESSAGE", "send the whole of it");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_a_message_is_told_to_send_one() {
    let bus = Bus::start().await;
    let mut raw = Raw::connect(&bus).await;
    for method in UNARY {
        invalid(&raw.call(method, None, &[]).await, "", "has to be sent");
    }
    assert_eq!(raw.call("Bus/PublishStream", None, &[]).await.code(), Code::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_beyond_the_limit_is_refused_before_the_message_comes() {
    let bus = Bus::start().await;
    let mut raw = Raw::connect(&bus).await;
    let before = bus.broker.budget().used();
    for method in UNARY.into_iter().chain(["Bus/PublishStream"]) {
        for length in [(1 << 20) + 1, u32::MAX as usize] {
            let status = raw.call(method, None, &framed(0, length, &[1; 100])).await;
            invalid(&status, "MESSAGE_TOO_LARGE", "at most 1048576");
        }
    }
    assert_eq!(bus.broker.budget().used(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_messages_are_not_implemented_and_the_answer_says_so() {
    let bus = Bus::start().await;
    let mut raw = Raw::connect(&bus).await;
    for method in UNARY.into_iter().chain(["Bus/PublishStream"]) {
        for encoding in [None, Some("identity"), Some("gzip"), Some("snappy")] {
            let status = raw.call(method, encoding, &framed(1, 3, b"\x1f\x8b\x08")).await;
            assert_eq!(status.code(), Code::Unimplemented, "{method} {encoding:?} {status:?}");
            assert!(status.message().contains("compressed"), "{status:?}");
        }
        invalid(&raw.call(method, None, &framed(7, 3, b"abc")).await, "NOT_A_MESSAGE", "is not gRPC");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_and_services_that_are_not_there_are_unimplemented() {
    let bus = Bus::start().await;
    let mut raw = Raw::connect(&bus).await;
    for method in ["Bus/Unsubscribe", "Bus/", "Nothing/Publish", "Bus/publish"] {
        let status = raw.call(method, None, &framed(0, 0, b"")).await;
        assert_eq!(status.code(), Code::Unimplemented, "{method}");
        assert!(status.message().contains(method) && status.message().contains("reflection"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_and_what_was_acked_outlive_all_of_it() {
    use prost::Message as _;
    let bus = Bus::start().await;
    let mut raw = Raw::connect(&bus).await;
    for n in 0..200u64 {
        let good = batch("t", [Bytes::copy_from_slice(&n.to_be_bytes())]).encode_to_vec();
        assert_eq!(raw.call("Bus/Publish", None, &framed(0, good.len(), &good)).await.code(), Code::Ok);
        let cut = n as usize % good.len();
        let mut bad = framed(0, good.len(), &good[..cut]);
        bad[0] = (n % 3) as u8;
        assert_ne!(raw.call("Bus/Publish", None, &bad).await.code(), Code::Ok);
    }
    let messages = bus.subscribe("t", EARLIEST).await.take_all().await;
    assert!(messages.iter().map(crate::bus::number).eq(0..200));
}
