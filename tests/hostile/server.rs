//! The server that is attacked: the real program, as a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bugle::client::{Client, ClientBuilder};
use tempfile::TempDir;
use tokio::time::timeout;

pub struct Server {
    pub address: SocketAddr,
    metrics: SocketAddr,
    child: Child,
    certificates: Option<TempDir>,
}

impl Server {
    /// Starts one with these options, and at most so many files where that is said; with certificates of its own
    /// where it is to speak TLS.
    pub fn start(options: &[&str], files: Option<u64>, tls: bool) -> Server {
        let program = env!("CARGO_BIN_EXE_bugle");
        let mut command = match files {
            Some(files) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\""), program]);
                shell
            }
            None => Command::new(program),
        };
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--log-level", "error"])
            .args(options);
        let certificates = tls.then(|| {
            let folder = TempDir::new().unwrap();
            let mut certs = Command::new(program);
            certs.args(["certs", "dev", "--dir"]).arg(folder.path()).stdout(Stdio::null());
            assert!(certs.status().unwrap().success());
            for (key, name) in [("cert", "server.pem"), ("key", "server.key")] {
                command.args(["--set", &format!("tls.{key}={}", folder.path().join(name).display())]);
            }
            folder
        });
        let ours = |name: &str| name.starts_with("BUGLE_") || name.starts_with("OTEL_");
        for (name, _) in std::env::vars().filter(|(name, _)| ours(name)) {
            command.env_remove(name);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let address = lines.next().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
        let metrics = lines.next().unwrap();
        let metrics = metrics.split("http://").nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
        Server { address, metrics, child, certificates }
    }

    /// A client of its.
    pub fn client(&self) -> ClientBuilder {
        match &self.certificates {
            Some(folder) => {
                let authority = std::fs::read_to_string(folder.path().join("ca.pem")).unwrap();
                Client::builder(format!("https://localhost:{}", self.address.port()))
                    .ca_certificate(authority)
            }
            None => Client::builder(format!("http://{}", self.address)),
        }
    }

    /// Its memory, bytes.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// The files that it has open.
    pub fn files(&self) -> u64 {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count() as u64
    }

    /// Its connections and streams.
    pub fn open(&self) -> [u64; 2] {
        let mut stream = TcpStream::connect(self.metrics).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        ["bugle_connections ", "bugle_streams "].map(|name| {
            let value = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            value.parse().unwrap()
        })
    }

    /// Waits until it is as it was: a new client publishes and hears, and of all others nothing is left but these
    /// connections and streams, and files.
    pub async fn is_well(&self, before: [u64; 2], files: u64) -> Result<(), String> {
        let step = Mutex::new("connected");
        let serves =
            timeout(PATIENCE, self.serves(&step)).await.unwrap_or_else(|_| Err("nothing came".to_owned()));
        serves.map_err(|problem| {
            let (step, open) = (*step.lock().unwrap(), self.open());
            format!(
                "a new client was not {step}: {problem}; {open:?} connections and streams, {before:?} before"
            )
        })?;
        let gone = async {
            while self.open() > before || self.files() > files + 2 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, gone).await.map_err(|_| {
            let (open, now) = (self.open(), self.files());
            format!(
                "not all have gone after {PATIENCE:?}: {open:?} connections and streams, {before:?} before, {now} files, \
                 {files} before"
            )
        })
    }

    async fn serves(&self, step: &Mutex<&'static str>) -> Result<(), String> {
        let told = |error: bugle::error::Error| error.to_string();
        let client = self.client().connect().await.map_err(told)?;
        *step.lock().unwrap() = "subscribed";
        let mut heard = client.subscribe("new").open().await.map_err(told)?;
        *step.lock().unwrap() = "answered to its publish";
        client.publish("new", "x").await.map_err(told)?;
        *step.lock().unwrap() = "told what it published";
        while !matches!(heard.next().await, Some(Ok(bugle::client::Event::Message(_)))) {}
        Ok(())
    }

    /// Ends when it is told to, in order.
    pub fn stop(mut self) {
        let began = Instant::now();
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success(), "it ended badly");
        assert!(began.elapsed() < PATIENCE, "it did not end");
    }
}

/// For what is left of an attack to go.
const PATIENCE: Duration = Duration::from_secs(20);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
