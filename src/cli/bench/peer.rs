//! Starting the servers of a comparison: each on a free port of loopback, nothing kept on disk, all
//! else as it comes. Beside them, the sink that Bugle exports spans to.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::args::CompareArgs;
use super::process::{Process, Spawned};
use super::sink::Received;
use super::system::System;
use crate::config::STANDARD_PREFIX;
use crate::error::{Code, Error, Result};

/// A server has to listen in this time.
const START_DEADLINE: Duration = Duration::from_secs(15);
/// A server that was told to end has to do so in this time: more than its own grace.
const END_DEADLINE: Duration = Duration::from_secs(20);
/// How often it is tried.
const RETRY: Duration = Duration::from_millis(20);

/// Where the binaries are.
pub struct Binaries {
    /// This program, whose bare socket loop is the kernel's limit.
    own: PathBuf,
    bugle: PathBuf,
    nats: PathBuf,
    redis: PathBuf,
    settings: Vec<(String, String)>,
}

/// An option of Bugle: its key and its value.
pub type Setting = (&'static str, String);

impl Binaries {
    /// Those the options name; Bugle is this program unless they say otherwise.
    ///
    /// # Errors
    /// Internal, when this program does not know where it is.
    pub fn new(args: &CompareArgs) -> Result<Self> {
        let own = std::env::current_exe()
            .map_err(|e| Error::new(Code::Internal, "this program's own path is not known").because(e))?;
        let bugle = args.bugle.clone().unwrap_or_else(|| own.clone());
        let settings = args.server_settings.clone();
        Ok(Binaries { own, bugle, nats: args.nats.clone(), redis: args.redis.clone(), settings })
    }

    /// The version the system's binary prints; `None` when it cannot be run.
    pub fn version(&self, system: System) -> Option<String> {
        let output = Command::new(self.path(system)).arg("--version").stdin(Stdio::null()).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Some(text.lines().next().unwrap_or_default().to_owned())
    }

    fn path(&self, system: System) -> &PathBuf {
        match system {
            System::Kernel => &self.own,
            System::Bugle => &self.bugle,
            System::Nats => &self.nats,
            System::Redis => &self.redis,
        }
    }

    /// Starts a system that `connections` subscribers are going to connect to; Bugle with these
    /// settings.
    ///
    /// # Errors
    /// Unavailable, when it does not come up.
    pub async fn start(&self, system: System, connections: usize, settings: &[Setting]) -> Result<Server> {
        if system == System::Kernel {
            let arguments = ["kernel", "--connections", &connections.to_string()];
            let (address, _, spawned) = self.child(&arguments, Stdio::null())?;
            return Ok(Server { system, address, spawned });
        }
        let failed = |e| self.not_started(system, e);
        let mut command = Command::new(self.path(system));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let address = free_address().map_err(failed)?;
        command.args(arguments(system, address.port()));
        if system == System::Bugle {
            self.set(&mut command, settings);
        }
        let mut spawned = Spawned::start(&mut command).map_err(failed)?;
        let deadline = Instant::now() + START_DEADLINE;
        while TcpStream::connect(address).is_err() {
            if Instant::now() > deadline || spawned.has_ended() {
                let advice = format!("{system} does not listen; run `{command:?}` to see why");
                return Err(Error::new(Code::Unavailable, advice));
            }
            tokio::time::sleep(RETRY).await;
        }
        Ok(Server { system, address, spawned })
    }

    /// Sets Bugle's options: those of a row in the environment, where a version that does not know
    /// one warns and goes on; those of the user as flags, which win.
    fn set(&self, command: &mut Command, settings: &[Setting]) {
        // Its user's exporter is not meant; variables of Bugle's own are.
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_standard(name)) {
            command.env_remove(name);
        }
        // With its metrics on, as it is when it serves.
        let metrics = ("metrics.listen", "127.0.0.1:0".to_owned());
        for (key, value) in [&metrics].into_iter().chain(settings) {
            command.env(variable(key), value);
        }
        for (key, value) in &self.settings {
            command.args(["--set", &format!("{key}={value}")]);
        }
    }

    /// Starts a receiver of spans.
    ///
    /// # Errors
    /// Unavailable, when it does not come up.
    pub fn sink(&self) -> Result<Sink> {
        let (address, output, spawned) = self.child(&["sink"], Stdio::piped())?;
        Ok(Sink { address, output, spawned })
    }

    /// Starts this program as one of its hidden servers, which print their port first.
    fn child(
        &self,
        arguments: &[&str],
        input: Stdio,
    ) -> Result<(SocketAddr, BufReader<ChildStdout>, Spawned)> {
        let mut command = Command::new(&self.own);
        command.arg("bench").args(arguments).stdin(input).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut spawned = Spawned::start(&mut command).map_err(|e| self.not_started(System::Kernel, e))?;
        let silent = || Error::new(Code::Unavailable, format!("`{command:?}` did not say its port"));
        let mut output = BufReader::new(spawned.child.stdout.take().ok_or_else(silent)?);
        let port: u16 =
            read_line(&mut output).and_then(|line| line.trim().parse().ok()).ok_or_else(silent)?;
        Ok((SocketAddr::from((Ipv4Addr::LOCALHOST, port)), output, spawned))
    }

    fn not_started(&self, system: System, error: std::io::Error) -> Error {
        let advice = format!("{} cannot be started; is the path right?", self.path(system).display());
        Error::new(Code::Unavailable, advice).because(error)
    }
}

/// The variable of an option: BUGLE_TRACES_RATIO for traces.ratio.
fn variable(key: &str) -> String {
    format!("BUGLE_{}", key.to_uppercase().replace('.', "_"))
}

/// Whether a variable is one of those that OpenTelemetry has standardized.
fn is_standard(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with(STANDARD_PREFIX)
}

fn read_line(output: &mut BufReader<ChildStdout>) -> Option<String> {
    let mut line = String::new();
    output.read_line(&mut line).ok().map(|_| line)
}

fn arguments(system: System, port: u16) -> Vec<String> {
    let line = match system {
        System::Bugle | System::Kernel => format!("serve --listen 127.0.0.1:{port}"),
        System::Nats => format!("--addr 127.0.0.1 --port {port}"),
        System::Redis => format!("--bind 127.0.0.1 --port {port} --appendonly no --maxclients 50000 --save"),
    };
    let mut arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
    if system == System::Redis {
        // An empty list of save points: no snapshots.
        arguments.push(String::new());
    }
    arguments
}

fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// A running server; dropping it kills it.
pub struct Server {
    /// Which it is.
    pub system: System,
    /// Where it listens.
    pub address: SocketAddr,
    spawned: Spawned,
}

impl Server {
    /// Its process.
    pub fn process(&self) -> Process {
        self.spawned.process()
    }

    /// Ends it in order: it exports the spans that wait.
    ///
    /// # Errors
    /// DeadlineExceeded, when it does not end.
    pub async fn end(mut self) -> Result<()> {
        let failed = |e| Error::new(Code::Internal, "the server cannot be told to end").because(e);
        self.spawned.terminate().map_err(failed)?;
        let deadline = Instant::now() + END_DEADLINE;
        while !self.spawned.has_ended() {
            if Instant::now() > deadline {
                return Err(Error::new(Code::DeadlineExceeded, "the server did not end when it was told to"));
            }
            tokio::time::sleep(RETRY).await;
        }
        Ok(())
    }
}

/// A running receiver of spans; dropping it kills it.
pub struct Sink {
    /// Where it listens.
    pub address: SocketAddr,
    output: BufReader<ChildStdout>,
    spawned: Spawned,
}

impl Sink {
    /// Ends it: what it has received.
    ///
    /// # Errors
    /// Internal, when it does not say.
    pub fn end(mut self) -> Result<Received> {
        drop(self.spawned.child.stdin.take());
        let received = read_line(&mut self.output).and_then(|line| Received::parse(&line));
        received.ok_or_else(|| Error::new(Code::Internal, "the sink did not say what it has received"))
    }
}
