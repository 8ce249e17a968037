//! The server that is attacked: the real program, as a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bugle::client::Client;

pub struct Server {
    pub address: SocketAddr,
    child: Child,
}

impl Server {
    /// Starts one with these options, and at most so many files where that is said.
    pub fn start(options: &[&str], files: Option<u32>) -> Server {
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
            .args(["serve", "--listen", "127.0.0.1:0", "--metrics", "off", "--log-level", "error"])
            .args(options);
        let ours = |name: &str| name.starts_with("BUGLE_") || name.starts_with("OTEL_");
        for (name, _) in std::env::vars().filter(|(name, _)| ours(name)) {
            command.env_remove(name);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().parse().unwrap();
        Server { address, child }
    }

    /// Its memory, bytes.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Waits until it is as it was: a new client publishes and hears, and of all others nothing is left but
    /// this many connections.
    pub async fn is_well(&self, connections: u64) -> Result<(), String> {
        let work = async {
            let client =
                Client::connect(format!("http://{}", self.address)).await.map_err(|it| it.to_string())?;
            let mut heard = client.subscribe("new").open().await.map_err(|it| it.to_string())?;
            client.publish("new", "x").await.map_err(|it| it.to_string())?;
            while !matches!(heard.next().await, Some(Ok(bugle::client::Event::Message(_)))) {}
            drop(heard);
            loop {
                let server = client.monitor().get_server().await.map_err(|it| it.to_string())?;
                // And this one.
                if server.connections <= connections + 1 && server.subscriptions <= 2 {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let late = || format!("it is not as it was after {PATIENCE:?}");
        tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(late()))
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
