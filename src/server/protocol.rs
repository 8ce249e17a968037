//! Which HTTP a connection speaks: what was agreed on with TLS, or else what its first bytes say.
//!
//! A connection of HTTP/2 begins with `PRI `, which is no method of HTTP/1. So at most four bytes are read
//! before whoever speaks the protocol goes on from there; a client that sends none of them is waited for
//! until its deadline, or until the server ends.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// How a connection of HTTP/2 begins.
pub const BEGINNING: &[u8; 4] = b"PRI ";
/// HTTP/2, as TLS names it.
pub const ALPN_HTTP2: &[u8] = b"h2";
/// HTTP/1.1, as TLS names it.
pub const ALPN_HTTP1: &[u8] = b"http/1.1";

/// What a connection speaks.
pub enum Protocol {
    /// HTTP/2, whose [`BEGINNING`] was read.
    Http2,
    /// HTTP/1, of which this was read.
    Http1(Vec<u8>),
}

/// Reads as much of a connection as it takes to know what it speaks. Errors: it has ended before.
pub async fn protocol(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Protocol> {
    let (mut read, mut count) = ([0; BEGINNING.len()], 0);
    while count < BEGINNING.len() {
        match stream.read(&mut read[count..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => count += more,
        }
        if read[..count] != BEGINNING[..count] {
            return Ok(Protocol::Http1(read[..count].to_vec()));
        }
    }
    Ok(Protocol::Http2)
}

/// A connection of which something was read already, which is read again.
pub struct Begun<S> {
    start: Vec<u8>,
    stream: S,
}

impl<S> Begun<S> {
    /// This connection, which began with this.
    pub fn new(start: Vec<u8>, stream: S) -> Begun<S> {
        Begun { start, stream }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Begun<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.start.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        }
        let some = this.start.len().min(buf.remaining());
        buf.put_slice(&this.start[..some]);
        this.start.drain(..some);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Begun<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    async fn begins(pieces: &[&[u8]]) -> Option<Vec<u8>> {
        let (mut client, mut server) = tokio::io::duplex(1);
        let send = async {
            for piece in pieces {
                client.write_all(piece).await.unwrap();
            }
        };
        let (_, protocol) = tokio::join!(send, async {
            let protocol = protocol(&mut server).await.unwrap();
            drop(server);
            protocol
        });
        match protocol {
            Protocol::Http2 => None,
            Protocol::Http1(start) => Some(start),
        }
    }

    #[tokio::test]
    async fn the_first_bytes_tell_whichever_way_they_are_cut() {
        assert_eq!(begins(&[b"PRI "]).await, None);
        assert_eq!(begins(&[b"P", b"R", b"I", b" "]).await, None);
        assert_eq!(begins(&[b"G"]).await.as_deref(), Some(&b"G"[..]));
        assert_eq!(begins(&[b"PRO"]).await.as_deref(), Some(&b"PRO"[..]));
    }

    #[tokio::test]
    async fn what_was_read_is_read_again_and_then_the_rest() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(b"ST /").await.unwrap();
        drop(client);
        let mut text = String::new();
        Begun::new(b"PO".to_vec(), server).read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "POST /");
    }
}
