//! A server's process as /proc shows it: who listens on a port, CPU time, memory; and children that
//! end with the bench.

use std::net::SocketAddr;
use std::process::{Child, Command};
use std::time::Duration;
use std::{fs, io};

use crate::error::{Code, Error, Result};
use crate::metrics::process;

/// A running process.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    pid: u32,
}

impl Process {
    /// The process with this id.
    ///
    /// # Errors
    /// NotFound, when there is none.
    pub fn new(pid: u32) -> Result<Self> {
        let process = Process { pid };
        let missing = || Error::new(Code::NotFound, format!("there is no process {pid}; check --server-pid"));
        process.cpu().map(|_| process).ok_or_else(missing)
    }

    /// This process.
    pub fn own() -> Self {
        Process { pid: std::process::id() }
    }

    /// The process on this machine that listens on `address`; `None` when it is elsewhere, or
    /// another user's.
    pub fn listening_on(address: SocketAddr) -> Option<Self> {
        if !address.ip().is_loopback() && std::net::TcpListener::bind((address.ip(), 0)).is_err() {
            return None;
        }
        let tables =
            ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
        let lines = tables.iter().flat_map(|table| table.lines());
        let sockets: Vec<String> = lines.filter_map(|line| listener(line, address.port())).collect();
        let processes = fs::read_dir("/proc").ok()?.flatten();
        let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.find(|pid| holds(*pid, &sockets)).map(|pid| Process { pid })
    }

    /// The id.
    pub fn pid(self) -> u32 {
        self.pid
    }

    /// User and system time of all its threads, those that ended included.
    pub fn cpu(self) -> Option<Duration> {
        process::cpu(&self.pid.to_string())
    }

    /// Resident memory, bytes.
    pub fn rss(self) -> Option<u64> {
        process::resident_bytes(&self.pid.to_string())
    }
}

/// The inode of a line of /proc/net/tcp that listens (state 0A) on `port`, as a link's target.
fn listener(line: &str, port: u16) -> Option<String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
    let listens = *fields.get(3)? == "0A" && u16::from_str_radix(local_port, 16) == Ok(port);
    listens.then(|| fields.get(9).map(|inode| format!("socket:[{inode}]")))?
}

fn holds(pid: u32, sockets: &[String]) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let mut targets = descriptors.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    targets.any(|target| sockets.iter().any(|socket| target.as_os_str() == socket.as_str()))
}

/// A child process that is killed when this is dropped.
pub struct Spawned {
    /// The child.
    pub child: Child,
}

impl Spawned {
    /// Starts `command`.
    ///
    /// # Errors
    /// Those of the system, such as NotFound.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        command.spawn().map(|child| Spawned { child })
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end, as a service's supervisor does.
    ///
    /// # Errors
    /// Those of the system.
    pub fn terminate(&self) -> io::Result<()> {
        use rustix::process::{Pid, Signal, kill_process};
        Ok(kill_process(Pid::from_child(&self.child), Signal::TERM)?)
    }

    /// It as a process.
    pub fn process(&self) -> Process {
        Process { pid: self.child.id() }
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets this process open as many files as its hard limit allows: a subscriber is a socket. Returns
/// how many that is.
pub fn raise_open_files() -> u64 {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum || limit.maximum.is_none() {
        limit.current = limit.maximum.or(limit.current);
        let _ = setrlimit(Resource::Nofile, limit);
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listener_of_a_port_is_found_and_is_us() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let found = Process::listening_on(listener.local_addr().unwrap()).unwrap();
        assert_eq!(found.pid(), std::process::id());
        assert!(found.rss().unwrap() > 0 && found.cpu().is_some());
    }
}
