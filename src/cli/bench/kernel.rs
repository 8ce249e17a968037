//! The kernel's limit: a process that does nothing but write to sockets.
//!
//! It stands in for a server that has no work at all, so its CPU per delivery is what no server
//! can go below on this machine. `bugle bench compare` runs it as a child so that it is measured
//! like the others.

use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::arrivals::Arrivals;
use super::system::{Inbound, Opening};
use crate::error::{Code, Error, Result};

/// Bytes of one write.
const WRITE_BYTES: usize = 64 * 1024;
/// What each 128-byte message is counted with beside its payload, bytes: Bugle frames it with as
/// many, so both move the same.
pub const OVERHEAD_BYTES: usize = 34;
/// The parent has to connect all its sockets in this time, or it is gone.
const CONNECT_DEADLINE: Duration = Duration::from_secs(60);

/// Accepts `connections` sockets and writes to each as much as it takes, until all are closed. The
/// port is printed first.
///
/// Send buffers are small and each is filled before the next has its turn: so the bytes stay in
/// cache and a wake-up is good for several writes. Blocking writes in turn cost twice as much.
///
/// # Errors
/// Unavailable, when no port can be bound or the sockets do not come.
pub async fn serve(connections: usize) -> Result<()> {
    let io_error = |e: io::Error| Error::new(Code::Unavailable, "the socket loop cannot listen").because(e);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(io_error)?;
    let port = listener.local_addr().map_err(io_error)?.port();
    writeln!(io::stdout(), "{port}").map_err(io_error)?;
    // All of them first: writers that always have room leave the listener no time.
    let mut sockets = Vec::with_capacity(connections);
    while sockets.len() < connections {
        let accepted = timeout(CONNECT_DEADLINE, listener.accept()).await;
        let late = |_| Error::new(Code::DeadlineExceeded, "nobody connected to the socket loop");
        let (socket, _) = accepted.map_err(late)?.map_err(io_error)?;
        SockRef::from(&socket).set_send_buffer_size(2 * WRITE_BYTES).map_err(io_error)?;
        sockets.push(socket);
    }
    let mut writers: JoinSet<()> = sockets.into_iter().map(fill).collect();
    while writers.join_next().await.is_some() {}
    Ok(())
}

async fn fill(mut socket: TcpStream) {
    static BYTES: [u8; WRITE_BYTES] = [b'.'; WRITE_BYTES];
    while socket.write_all(&BYTES).await.is_ok() {}
}

/// A connection that counts bytes; the load divides them by the length of a message.
pub fn subscriber(topics: Vec<(String, Arrivals)>) -> Opening {
    let flows = topics.into_iter().map(|(_, mut arrivals)| {
        arrivals.opened(0);
        arrivals
    });
    Opening { greeting: Vec::new(), inbound: Box::new(Flow { arrivals: flows.collect() }), credit: None }
}

struct Flow {
    arrivals: Vec<Arrivals>,
}

impl Inbound for Flow {
    fn take(&mut self, now: u64, read: &[u8], _: &mut Vec<u8>) -> Result<()> {
        for arrivals in &mut self.arrivals {
            arrivals.unnumbered(0, read.len());
            arrivals.flush(now);
        }
        Ok(())
    }
}
