//! A TLS connection that hears the server out.
//!
//! Under TLS 1.3 a server judges the certificate of its client when the client has already begun to
//! write. What it says of it may lie in the receive buffer while a write fails, and whoever made a call
//! is told only that the connection has ended. So a write that fails because the server has hung up is
//! left to the reader, who comes to the same end; and what the server said last is kept, for whoever
//! reports a failure. [`dialer`](super::dialer) makes these connections.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::task::{Context, Poll};

use rustls::AlertDescription;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::handshake;

/// What the server of the latest connection said when it ended it. A clone is a reference.
#[derive(Clone, Default)]
pub(super) struct LastWord(Arc<AtomicU16>);

impl LastWord {
    /// No alert is as large.
    const NOTHING: u16 = 0;

    /// What it said, if it said anything.
    pub fn get(&self) -> Option<AlertDescription> {
        match self.0.load(Ordering::Relaxed) {
            Self::NOTHING => None,
            known => u8::try_from(known - 1).ok().map(AlertDescription::from),
        }
    }

    /// A connection begins.
    pub fn clear(&self) {
        self.0.store(Self::NOTHING, Ordering::Relaxed);
    }

    fn hear(&self, error: &io::Error) {
        if let Some(rustls::Error::AlertReceived(alert)) = handshake::tls(error) {
            self.0.store(u16::from(u8::from(*alert)) + 1, Ordering::Relaxed);
        }
    }
}

/// The connection.
pub(super) struct Session {
    /// With TLS.
    pub stream: TlsStream<TcpStream>,
    /// What was said on it.
    pub last_word: LastWord,
}

/// What a write gives: the reader is the one to find that the server has hung up.
fn left_to_reader<T>(outcome: Poll<io::Result<T>>, written: T) -> Poll<io::Result<T>> {
    match outcome {
        Poll::Ready(Err(error))
            if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) =>
        {
            Poll::Ready(Ok(written))
        }
        outcome => outcome,
    }
}

impl AsyncRead for Session {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_read(cx, into);
        if let Poll::Ready(Err(error)) = &outcome {
            self.last_word.hear(error);
        }
        outcome
    }
}

impl AsyncWrite for Session {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        left_to_reader(Pin::new(&mut self.stream).poll_write(cx, bytes), bytes.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes = parts.iter().map(|part| part.len()).sum();
        left_to_reader(Pin::new(&mut self.stream).poll_write_vectored(cx, parts), bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        left_to_reader(Pin::new(&mut self.stream).poll_flush(cx), ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_is_kept_until_a_connection_begins() {
        let last_word = LastWord::default();
        assert_eq!(last_word.get(), None);
        last_word.hear(&io::Error::other("reset"));
        assert_eq!(last_word.get(), None);
        let alert = AlertDescription::CertificateRequired;
        last_word.clone().hear(&io::Error::other(rustls::Error::AlertReceived(alert)));
        assert_eq!(last_word.get(), Some(alert));
        last_word.clear();
        assert_eq!(last_word.get(), None);
    }

    #[test]
    fn only_the_end_of_the_connection_is_left_to_the_reader() {
        let failed = |kind| left_to_reader(Poll::Ready(Err(io::Error::from(kind))), 5);
        assert!(matches!(failed(io::ErrorKind::BrokenPipe), Poll::Ready(Ok(5))));
        assert!(matches!(failed(io::ErrorKind::TimedOut), Poll::Ready(Err(_))));
    }
}
