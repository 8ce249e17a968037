//! The reading loop, the same for every system: read as much as there is, walk it in place.
//!
//! All connections of a thread read into one buffer, so thousands of them stay cheap. A read that
//! does not fill the buffer ends a turn without asking the kernel again.

use std::cell::RefCell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tracing::debug;

use super::clock;
use super::system::{Inbound, Opening};
use crate::error::{Code, Error, Result};

/// Bytes read at most with one call.
const READ_BYTES: usize = 256 * 1024;
/// What a connection that never reads lets the kernel keep for it, bytes.
const STALLED_BUFFER_BYTES: u32 = 8 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// A connection to `address` with TCP_NODELAY.
///
/// # Errors
/// Unavailable, when nobody listens there.
pub async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let refused = |e: std::io::Error| Error::new(Code::Unavailable, not_there(address)).because(e);
    let socket = TcpStream::connect(address).await.map_err(refused)?;
    socket.set_nodelay(true).map_err(refused)?;
    Ok(socket)
}

/// Like [`connect`], with so small a receive buffer that a sender soon has to wait.
///
/// # Errors
/// Unavailable, when nobody listens there.
pub async fn connect_to_stall(address: SocketAddr) -> Result<TcpStream> {
    let refused = |e: std::io::Error| Error::new(Code::Unavailable, not_there(address)).because(e);
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.map_err(refused)?;
    socket.set_recv_buffer_size(STALLED_BUFFER_BYTES).map_err(refused)?;
    socket.connect(address).await.map_err(refused)
}

fn not_there(address: SocketAddr) -> String {
    format!("no server answers on {address}; start one with `bugle serve`, or say where with --server")
}

/// Sends the greeting and reads until the server closes the connection or the task is dropped.
pub async fn follow(socket: TcpStream, opening: Opening) {
    let Err(error) = converse(socket, opening).await;
    debug!(?error, "a subscriber's connection is over");
}

async fn converse(mut socket: TcpStream, opening: Opening) -> Result<Infallible> {
    let Opening { greeting, mut inbound, .. } = opening;
    let mut out = Vec::new();
    socket.write_all(&greeting).await.map_err(cut)?;
    loop {
        turn(&mut socket, inbound.as_mut(), &mut out).await?;
        if !out.is_empty() {
            socket.write_all(&out).await.map_err(cut)?;
            out.clear();
        }
    }
}

/// Reads what is there, at least once.
///
/// # Errors
/// Unavailable, when the connection is over; those of the protocol.
pub async fn turn(
    socket: &mut (impl AsyncRead + Unpin),
    inbound: &mut dyn Inbound,
    out: &mut Vec<u8>,
) -> Result<()> {
    std::future::poll_fn(|cx| BUFFER.with_borrow_mut(|buffer| read(cx, socket, buffer, inbound, out))).await
}

fn read(
    cx: &mut Context<'_>,
    socket: &mut (impl AsyncRead + Unpin),
    buffer: &mut [u8],
    inbound: &mut dyn Inbound,
    out: &mut Vec<u8>,
) -> Poll<Result<()>> {
    let mut buffer = ReadBuf::new(buffer);
    ready!(Pin::new(socket).poll_read(cx, &mut buffer)).map_err(cut)?;
    if buffer.filled().is_empty() {
        return Poll::Ready(Err(Error::new(Code::Unavailable, "the server closed the connection")));
    }
    Poll::Ready(inbound.take(clock::now(), buffer.filled(), out))
}

fn cut(error: std::io::Error) -> Error {
    Error::new(Code::Unavailable, "the connection to the server broke").because(error)
}
