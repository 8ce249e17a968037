//! From an accepted socket to something HTTP/2 can be spoken on, and who is at its other end.
//!
//! [`establish`] is the one place where TLS begins; it is inside the handshake deadline.

use std::io;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use crate::auth::Principal;
use crate::config::Keepalive;
use crate::server::tls::Tls;
use crate::server::wire::Wire;

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

/// Makes the connection ready for HTTP/2; and whom its certificate names, where it showed one.
pub async fn establish(stream: TcpStream, tls: Option<&Tls>) -> io::Result<(Wire, Option<Principal>)> {
    let Some(tls) = tls else { return Ok((Wire::Plain(stream), None)) };
    let (stream, principal) = tls.accept(stream).await?;
    Ok((Wire::Tls(Box::new(stream)), principal))
}
