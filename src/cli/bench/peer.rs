//! Starting the servers of a comparison: each on a free port of loopback, nothing kept on disk, all
//! else as it comes.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::args::CompareArgs;
use super::process::{Process, Spawned};
use super::system::System;
use crate::config::STANDARD_PREFIX;
use crate::error::{Code, Error, Result};

/// A server has to listen in this time.
const START_DEADLINE: Duration = Duration::from_secs(15);
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

    /// Starts a system that `connections` subscribers are going to connect to.
    ///
    /// # Errors
    /// Unavailable, when it does not come up.
    pub async fn start(&self, system: System, connections: usize) -> Result<Server> {
        let failed = |e| {
            let advice = format!("{} cannot be started; is the path right?", self.path(system).display());
            Error::new(Code::Unavailable, advice).because(e)
        };
        let mut command = Command::new(self.path(system));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        if system == System::Kernel {
            command
                .args(["bench", "kernel", "--connections", &connections.to_string()])
                .stdout(Stdio::piped());
            let mut spawned = Spawned::start(&mut command).map_err(failed)?;
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, announced(&mut spawned)?));
            return Ok(Server { system, address, spawned });
        }
        let address = free_address().map_err(failed)?;
        command.args(arguments(system, address.port()));
        if system == System::Bugle {
            self.set(&mut command);
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

    /// Sets Bugle's options: ours in the environment, where a version that does not know one warns
    /// and goes on; those of the user as flags, which win.
    fn set(&self, command: &mut Command) {
        // Its user's exporter is not meant; variables of Bugle's own are.
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_standard(name)) {
            command.env_remove(name);
        }
        // With its metrics on, as it is when it serves.
        command.env("BUGLE_METRICS_LISTEN", "127.0.0.1:0");
        for (key, value) in &self.settings {
            command.args(["--set", &format!("{key}={value}")]);
        }
    }
}

/// Whether a variable is one of those that OpenTelemetry has standardized.
fn is_standard(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with(STANDARD_PREFIX)
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

/// The port a socket loop prints.
fn announced(spawned: &mut Spawned) -> Result<u16> {
    let mut line = String::new();
    let output = spawned.child.stdout.take();
    let read = output.and_then(|output| BufReader::new(output).read_line(&mut line).ok());
    let port = read.and_then(|_| line.trim().parse().ok());
    port.ok_or_else(|| Error::new(Code::Unavailable, "the socket loop did not say its port"))
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
}
