//! A server that does what a test tells it, one call after the other, and the tests of the client
//! against it: what only shows with a network in between.

mod spans;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{Stream, StreamExt};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use super::{Backoff, Client, Event, OUTCOME_UNKNOWN, Start, Subscription};
use crate::error::Code;
use crate::proto::v1 as wire;
use crate::proto::v1::bus_server::{Bus, BusServer};
use crate::topic::Position;

type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
type Script = Vec<Result<wire::SubscribeResponse, Status>>;

/// What the server is to say, and what it was asked.
#[derive(Default)]
struct Stage {
    /// One script for each Subscribe; when it is over the stream stays open in silence.
    scripts: Mutex<VecDeque<Script>>,
    asked: Mutex<Vec<wire::SubscribeRequest>>,
    /// So many requests of the first PublishStream are answered, then it breaks.
    answers_until_break: Mutex<Option<usize>>,
    published: Mutex<Vec<wire::PublishRequest>>,
    /// The metadata of each call but those of PublishStream.
    metadata: Mutex<Vec<MetadataMap>>,
}

#[derive(Clone)]
struct Fake(Arc<Stage>);

#[tonic::async_trait]
impl Bus for Fake {
    async fn publish(
        &self,
        request: Request<wire::PublishRequest>,
    ) -> Result<Response<wire::PublishResponse>, Status> {
        self.0.metadata.lock().unwrap().push(request.metadata().clone());
        if request.get_ref().topic == "refused" {
            return Err(Status::resource_exhausted("refused"));
        }
        let last_sequence = request.get_ref().messages.len() as u64;
        self.0.published.lock().unwrap().push(request.into_inner());
        Ok(Response::new(wire::PublishResponse { epoch: 7, first_sequence: 1, last_sequence, status: None }))
    }

    type PublishStreamStream = Responses<wire::PublishResponse>;

    async fn publish_stream(
        &self,
        request: Request<Streaming<wire::PublishRequest>>,
    ) -> Result<Response<Self::PublishStreamStream>, Status> {
        let (mut requests, stage) = (request.into_inner(), Arc::clone(&self.0));
        let (answers, responses) = mpsc::channel(16);
        let breaks_after = stage.answers_until_break.lock().unwrap().take();
        tokio::spawn(async move {
            let mut answered = 0;
            while let Ok(Some(request)) = requests.message().await {
                let count = request.messages.len() as u64;
                let status = (request.topic == "refused").then(|| tonic_types::Status {
                    code: 3,
                    message: "refused".into(),
                    details: vec![],
                });
                let first_sequence = {
                    let mut published = stage.published.lock().unwrap();
                    let before: usize = published.iter().map(|request| request.messages.len()).sum();
                    published.push(request);
                    before as u64 + 1
                };
                if breaks_after == Some(answered) {
                    let _ = answers.send(Err(Status::unavailable("restarting"))).await;
                    return;
                }
                answered += 1;
                let last_sequence = first_sequence + count - 1;
                let _ = answers
                    .send(Ok(wire::PublishResponse { epoch: 7, first_sequence, last_sequence, status }))
                    .await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(responses))))
    }

    type SubscribeStream = Responses<wire::SubscribeResponse>;

    async fn subscribe(
        &self,
        request: Request<wire::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        self.0.metadata.lock().unwrap().push(request.metadata().clone());
        self.0.asked.lock().unwrap().push(request.into_inner());
        let script = self.0.scripts.lock().unwrap().pop_front().unwrap_or_default();
        let script = futures::stream::iter(script).chain(futures::stream::pending());
        Ok(Response::new(Box::pin(script)))
    }
}

/// A server with these scripts and a client connected to it.
async fn fake(stage: Stage) -> (Arc<Stage>, Client) {
    let (stage, uri) = serve(stage).await;
    (stage, Client::connect(uri).await.unwrap())
}

async fn serve(stage: Stage) -> (Arc<Stage>, String) {
    let stage = Arc::new(stage);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = BusServer::new(Fake(Arc::clone(&stage)));
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let service = service.clone();
            let service = hyper::service::service_fn(move |request| {
                let mut service = service.clone();
                async move { tower_service::Service::call(&mut service, request).await }
            });
            tokio::spawn(
                hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(socket), service),
            );
        }
    });
    (stage, format!("http://{address}"))
}

fn opened(next_sequence: u64) -> Result<wire::SubscribeResponse, Status> {
    let opened = wire::Opened { epoch: 7, next_sequence, ..Default::default() };
    Ok(wire::SubscribeResponse { opened: Some(opened), ..Default::default() })
}

fn messages(sequences: std::ops::RangeInclusive<u64>) -> Result<wire::SubscribeResponse, Status> {
    let messages = sequences.map(|sequence| wire::Message { sequence, ..Default::default() }).collect();
    Ok(wire::SubscribeResponse { messages, ..Default::default() })
}

async fn next_position(subscription: &mut Subscription) -> Position {
    subscription.next_message().await.unwrap().unwrap().position
}

fn quick() -> Backoff {
    let millisecond = Duration::from_millis(1);
    Backoff { initial: millisecond, max: millisecond, attempts_max: Some(5) }
}

#[tokio::test]
async fn a_subscription_that_is_cut_resumes_and_tells() {
    let scripts = [
        vec![opened(40), messages(40..=42), Err(Status::unavailable("restarting"))],
        vec![Err(Status::resource_exhausted("too slow"))],
        vec![opened(43), messages(43..=43), Err(Status::not_found("deleted"))],
    ];
    let (stage, client) = fake(Stage { scripts: Mutex::new(scripts.into()), ..Stage::default() }).await;
    let mut subscription = client.subscribe("orders").reconnect(quick()).open().await.unwrap();
    let mut told = Vec::new();
    let error = loop {
        match subscription.next().await.unwrap() {
            Ok(Event::Message(delivery)) => told.push(delivery.position.to_string()),
            Ok(Event::Opened { next, .. }) => told.push(format!("opened {next}")),
            Ok(Event::Reconnecting { cause, .. }) => told.push(cause.to_string()),
            Ok(event) => panic!("{event:?}"),
            Err(error) => break error,
        }
    };
    let expected = ["opened 7:40", "7:40", "7:41", "7:42", "restarting", "too slow", "opened 7:43", "7:43"];
    assert_eq!(told, expected);
    assert_eq!(error.code(), Code::NotFound);
    assert!(subscription.next().await.is_none());
    let asked: Vec<_> =
        stage.asked.lock().unwrap().iter().map(|it| it.start.unwrap().start.unwrap()).collect();
    use wire::start_position::Start as Wire;
    let after = Wire::After(wire::Position { epoch: 7, sequence: 42 });
    assert_eq!(asked, [Wire::Latest(true), after, after]);
}

#[tokio::test]
async fn a_silent_server_is_left() {
    let scripts = [vec![opened(1), messages(1..=1)], vec![opened(2), messages(2..=2)]];
    let (_, client) = fake(Stage { scripts: Mutex::new(scripts.into()), ..Stage::default() }).await;
    let builder = client.subscribe("orders").from(Start::Earliest).reconnect(quick());
    let mut subscription = builder.heartbeat_interval(Duration::from_millis(100)).open().await.unwrap();
    assert_eq!(next_position(&mut subscription).await, Position::new(7, 1));
    assert_eq!(next_position(&mut subscription).await, Position::new(7, 2));
    assert_eq!(client.generation(), 1, "the second attempt was on a connection of its own");
}

#[tokio::test]
async fn a_response_can_be_taken_whole() {
    let scripts = [vec![opened(1), messages(1..=3)]];
    let (_, client) = fake(Stage { scripts: Mutex::new(scripts.into()), ..Stage::default() }).await;
    let mut subscription = client.subscribe("orders").open().await.unwrap();
    assert_eq!(subscription.next_batch().await.unwrap().unwrap().len(), 1);
    assert_eq!(subscription.next_batch().await.unwrap().unwrap().len(), 3);
    assert_eq!(subscription.position(), Some(Position::new(7, 3)));
}

#[tokio::test]
async fn receipts_name_the_place_of_each_message() {
    let (_, client) = fake(Stage::default()).await;
    let publisher = client.publisher().linger(Duration::from_secs(60)).build().unwrap();
    let mut pending = Vec::new();
    for payload in ["a", "b", "c"] {
        pending.push(publisher.publish("orders", payload).await.unwrap());
    }
    let refused = publisher.publish("refused", "d").await.unwrap();
    assert!(publisher.flush().await.is_err(), "one of them was refused");
    for (place, receipt) in pending.into_iter().enumerate() {
        assert_eq!(receipt.await.unwrap().position(), Position::new(7, place as u64 + 1));
    }
    assert_eq!(refused.await.unwrap_err().code(), Code::InvalidArgument);
    publisher.publish("orders", "e").await.unwrap();
    publisher.close().await.unwrap();
}

#[tokio::test]
async fn a_broken_publish_stream_fails_what_was_sent_and_sends_what_was_not() {
    let stage = Stage { answers_until_break: Mutex::new(Some(1)), ..Stage::default() };
    let (stage, client) = fake(stage).await;
    let builder = client.publisher().max_batch_messages(1).max_in_flight_batches(1);
    let publisher = builder.reconnect(quick()).build().unwrap();
    let mut pending = Vec::new();
    for payload in ["answered", "sent", "waiting", "waiting too"] {
        pending.push(publisher.publish("orders", payload).await.unwrap());
    }
    let outcomes = futures::future::join_all(pending).await;
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok() && outcomes[3].is_ok(), "{outcomes:?}");
    let error = outcomes[1].as_ref().unwrap_err();
    assert_eq!((error.code(), error.reason_code()), (Code::Unavailable, Some(OUTCOME_UNKNOWN)));
    assert!(error.message().contains("may have been stored"), "{error}");
    assert_eq!(stage.published.lock().unwrap().len(), 4, "nothing was sent twice");
}

#[tokio::test]
async fn without_a_server_messages_wait_and_then_fail_as_not_sent() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = Client::builder(format!("http://{free}")).connect_lazy().unwrap();
    let publisher = client.publisher().send_timeout(Duration::ZERO).reconnect(quick()).build().unwrap();
    let receipt = publisher.publish("orders", "a").await.unwrap();
    let error = receipt.await.unwrap_err();
    assert_eq!(error.reason_code(), Some(super::UNREACHABLE), "{error}");
    assert!(error.message().contains("not sent"), "{error}");
}

#[tokio::test]
async fn a_dropped_publisher_leaves_nobody_waiting() {
    let (_, client) = fake(Stage::default()).await;
    let publisher = client.publisher().linger(Duration::from_secs(60)).build().unwrap();
    let receipt = publisher.publish("orders", "a").await.unwrap();
    drop(publisher);
    assert_eq!(receipt.await.unwrap_err().code(), Code::Cancelled);
}

#[tokio::test]
async fn what_is_in_flight_is_bounded_in_bytes() {
    let (_, client) = fake(Stage::default()).await;
    let builder = client.publisher().linger(Duration::from_secs(60)).max_in_flight_bytes(1000);
    let publisher = builder.build().unwrap();
    assert!(publisher.try_publish("orders", vec![0; 600]).unwrap().is_some());
    assert!(publisher.try_publish("orders", vec![0; 600]).unwrap().is_none());
    publisher.flush().await.unwrap();
    assert!(publisher.try_publish("orders", vec![0; 5000]).unwrap().is_some(), "a large one takes it all");
}
