//! From an accepted socket to something HTTP/2 can be spoken on, and who is at its other end.
//!
//! [`establish`] is the one place where TLS and the identity it proves are to be added; whatever it
//! does is inside the handshake deadline.

use std::io;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use crate::auth::Principal;
use crate::config::Keepalive;

/// Sets what the kernel should do for the connection: send at once, and notice a peer that is
/// gone, also while data is on its way to it (`TCP_USER_TIMEOUT`).
pub fn configure(stream: &TcpStream, keepalive: &Keepalive) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let probes = TcpKeepalive::new().with_time(keepalive.interval).with_interval(keepalive.timeout);
    socket.set_tcp_keepalive(&probes)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(keepalive.interval + keepalive.timeout))?;
    Ok(())
}

/// Makes the connection ready for HTTP/2: plaintext, so there is nothing to do and nobody is
/// identified.
pub async fn establish(stream: TcpStream) -> io::Result<(TcpStream, Option<Principal>)> {
    Ok((stream, None))
}
