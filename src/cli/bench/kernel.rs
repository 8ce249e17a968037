//! The kernel's limit: a process that does nothing but write to sockets.
//!
//! It stands in for a server that has no work at all, so its CPU per delivery is what no server
//! can go below on this machine. `bugle bench compare` runs it as a child so that it is measured
//! like the others.

use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::arrivals::Arrivals;
use super::system::{Inbound, Opening};
use crate::error::{Code, Error, Result};

/// Bytes of one write.
const WRITE_BYTES: usize = 64 * 1024;
/// Bytes counted as one 128-byte message: what Bugle frames it with is added, so that both move
/// the same bytes.
pub const OVERHEAD_BYTES: usize = 34;
/// The parent has to connect all its sockets in this time, or it is gone.
const CONNECT_DEADLINE: Duration = Duration::from_secs(60);

/// Accepts `connections` sockets and writes to them in turn until they are closed. The port is
/// printed first. Send buffers are small: hundreds of megabytes on their way, as the kernel would
/// otherwise grow them to, cost more in cache misses than the writes themselves.
///
/// # Errors
/// Unavailable, when no port can be bound or the sockets do not come.
pub fn serve(connections: usize) -> Result<()> {
    let io_error = |e: io::Error| Error::new(Code::Unavailable, "the socket loop cannot listen").because(e);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(io_error)?;
    let port = listener.local_addr().map_err(io_error)?.port();
    writeln!(io::stdout(), "{port}").map_err(io_error)?;
    let mut sockets = accept(&listener, connections).map_err(io_error)?;
    let bytes = vec![b'.'; WRITE_BYTES];
    while !sockets.is_empty() {
        sockets.retain_mut(|socket| socket.write_all(&bytes).is_ok());
    }
    Ok(())
}

fn accept(listener: &TcpListener, connections: usize) -> io::Result<Vec<TcpStream>> {
    let deadline = Instant::now() + CONNECT_DEADLINE;
    listener.set_nonblocking(true)?;
    let mut sockets = Vec::new();
    while sockets.len() < connections {
        match listener.accept() {
            Ok((socket, _)) => {
                socket.set_nonblocking(false)?;
                SockRef::from(&socket).set_send_buffer_size(2 * WRITE_BYTES)?;
                sockets.push(socket);
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(e) => return Err(e),
        }
    }
    Ok(sockets)
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
