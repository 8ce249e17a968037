//! What several test files need: a server in this process, and one of its own.
//!
//! Both take port 0 and tell the address, so no test guesses ports, reads logs for readiness or
//! sleeps. Waiting is bounded by [`PATIENCE`], which is not an assertion about speed.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bugle::broker::Broker;
use bugle::config::Config;
use bugle::error::Result;
use bugle::server::{Drained, Live, Server};
use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

/// Longest wait for something that has to happen: a test that hits it has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Awaits what has to happen.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it did not happen")
}

/// The default configuration on a free port, without metrics.
pub fn config() -> Config {
    let mut config = Config { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..Config::default() };
    config.metrics.listen = None;
    config
}

/// A server in this process; ends when dropped.
pub struct Running {
    pub address: SocketAddr,
    /// Where its metrics are, if they are served.
    pub metrics: Option<SocketAddr>,
    pub broker: Arc<Broker>,
    /// What of it can be changed.
    pub live: Live,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<Result<Drained>>>,
}

impl Running {
    pub async fn start(config: Config) -> Self {
        let server = Server::bind(config).await.unwrap();
        let (address, metrics, broker) = (server.local_addr(), server.metrics_addr(), server.broker());
        let live = server.live();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Running { address, metrics, broker, live, stop: Some(stop), task: Some(task) }
    }

    /// A gRPC channel on a connection of its own.
    pub async fn channel(&self) -> Channel {
        channel(self.address).await
    }

    /// Asks the server to drain.
    pub fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> Drained {
        soon(self.task.take().unwrap()).await.unwrap().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// A gRPC channel on a connection of its own.
pub async fn channel(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

/// One HTTP/2 request on a connection of its own; returns the head of the response and its body.
pub async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    content_type: Option<&str>,
) -> (http::response::Parts, Bytes) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    let driver = tokio::spawn(connection);
    let mut request = http::Request::builder().method(method).uri(format!("http://{address}{path}"));
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    let (response, _) = send.ready().await.unwrap().send_request(request.body(()).unwrap(), true).unwrap();
    let (head, mut body) = response.await.unwrap().into_parts();
    let mut bytes = Vec::new();
    while let Some(chunk) = body.data().await {
        bytes.extend_from_slice(&chunk.unwrap());
    }
    driver.abort();
    (head, Bytes::from(bytes))
}

/// The real program as a process of its own; killed when dropped.
pub struct Process {
    pub child: Child,
    pub stdout: BufReader<ChildStdout>,
    pub stderr: BufReader<ChildStderr>,
}

impl Process {
    /// The path of the program.
    pub const PATH: &str = env!("CARGO_BIN_EXE_bugle");

    /// Starts a command with its outputs captured and without the environment of the test.
    pub fn start(command: &mut Command) -> Self {
        let ours = |name: &str| name.starts_with("BUGLE_") || name.starts_with("OTEL_");
        for (name, _) in std::env::vars().filter(|(name, _)| ours(name)) {
            command.env_remove(name);
        }
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Process { child, stdout, stderr }
    }

    /// Starts `bugle serve` on a free port, without metrics unless the arguments say otherwise;
    /// returns when it listens.
    pub fn serve(arguments: &[&str]) -> (Self, SocketAddr) {
        let mut command = Command::new(Self::PATH);
        command.args(["serve", "--listen", "127.0.0.1:0"]).args(arguments);
        if !arguments.contains(&"--metrics") {
            command.args(["--metrics", "off"]);
        }
        let mut process = Process::start(&mut command);
        let address = process.address();
        (process, address)
    }

    /// The address it says it listens on.
    pub fn address(&mut self) -> SocketAddr {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim()
            .rsplit(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap_or_else(|_| panic!("{line:?}: {}", self.rest()))
    }

    /// Reads its log until a line contains the text, and gives that one.
    pub fn logs(&mut self, text: &str) -> String {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert!(self.stderr.read_line(&mut line).unwrap() > 0, "it ended without logging {text:?}");
        }
        line
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, signal).unwrap();
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// What it says on standard error until it ends.
    pub fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).unwrap();
        rest
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
