//! An HTTP endpoint in the process of the test: it keeps what it is sent and answers as it is told.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::support::soon;

/// What an endpoint does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// Answers with this status.
    Status(u16),
    /// Answers with this status, and asks to be left alone for so many seconds.
    Later(u16, u64),
    /// Answers that the message should go to itself, without end.
    Loop,
    /// Does not answer.
    Hang,
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Received {
    pub headers: HeaderMap,
    pub body: Bytes,
    pub reply: Reply,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

type Decide = Box<dyn FnMut(u64) -> Reply + Send>;

/// The endpoint; ends when dropped.
pub struct Endpoint {
    pub address: SocketAddr,
    pub received: mpsc::UnboundedReceiver<Received>,
    decide: Arc<Mutex<Decide>>,
    _task: JoinSet<()>,
}

impl Endpoint {
    /// One that decides by the number of the request, the first being 1.
    pub async fn start(decide: impl FnMut(u64) -> Reply + Send + 'static) -> Endpoint {
        Endpoint::on(SocketAddr::from(([127, 0, 0, 1], 0)), decide).await
    }

    /// The same at this address.
    pub async fn on(address: SocketAddr, decide: impl FnMut(u64) -> Reply + Send + 'static) -> Endpoint {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, received) = mpsc::unbounded_channel();
        let decide: Arc<Mutex<Decide>> = Arc::new(Mutex::new(Box::new(decide)));
        let (shared, mut task) = (decide.clone(), JoinSet::new());
        task.spawn(async move {
            let count = Arc::new(Mutex::new(0_u64));
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (decide, sender, count) = (shared.clone(), sender.clone(), count.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    answer(request, decide.clone(), sender.clone(), count.clone())
                });
                let serve = hyper::server::conn::http1::Builder::new();
                connections.spawn(async move {
                    let _ = serve.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Endpoint { address, received, decide, _task: task }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook?a=b", self.address)
    }

    /// Decides otherwise from now on.
    pub fn now(&self, decide: impl FnMut(u64) -> Reply + Send + 'static) {
        *self.decide.lock().unwrap() = Box::new(decide);
    }

    pub async fn next(&mut self) -> Received {
        soon(self.received.recv()).await.unwrap()
    }

    /// The bodies of the next requests that are acknowledged.
    pub async fn bodies(&mut self, count: usize) -> Vec<String> {
        let mut bodies = Vec::new();
        while bodies.len() < count {
            let received = self.next().await;
            if received.reply == Reply::Status(200) {
                bodies.push(received.text().to_owned());
            }
        }
        bodies
    }
}

async fn answer(
    request: Request<Incoming>,
    decide: Arc<Mutex<Decide>>,
    sender: mpsc::UnboundedSender<Received>,
    count: Arc<Mutex<u64>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let nth = {
        let mut count = count.lock().unwrap();
        *count += 1;
        *count
    };
    let reply = (decide.lock().unwrap())(nth);
    let _ = sender.send(Received { headers: head.headers, body, reply });
    let response = Response::builder();
    let response = match reply {
        Reply::Status(status) => response.status(status),
        Reply::Later(status, seconds) => response.status(status).header("retry-after", seconds.to_string()),
        Reply::Loop => response.status(307).header("location", head.uri.to_string()),
        Reply::Hang => std::future::pending().await,
    };
    Ok(response.body(Full::new(Bytes::from_static(b"seen"))).unwrap())
}
