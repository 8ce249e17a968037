//! What an address speaks where a connection to it broke: HTTP/1, as the metrics of a server do, or TLS
//! is a wrong URL and no accident of the network.
//!
//! The connection alone cannot tell: whoever does not know HTTP/2 hangs up like one that was killed.
//! So whoever is about to report such an error asks once more, in HTTP/1. A server of the bus speaks that too,
//! and is known by its answer: a call of gRPC in HTTP/1 it refuses for the version.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::SERVER;
use crate::error::Error;

/// How every answer of HTTP/1 begins.
const HTTP1: &[u8] = b"HTTP/";
/// How a server of the bus answers to a call of gRPC in HTTP/1.
const BUS: &[u8] = b"HTTP/1.1 505";
/// How a record of TLS begins that says that something is wrong.
const TLS_ALERT: u8 = 21;
const TLS_MAJOR: u8 = 3;
/// For the answer; the error waits for it.
const PATIENCE: Duration = Duration::from_secs(1);

/// What to tell of an error that may be due to a wrong port; `None` where it is not.
pub(super) async fn hint(error: &Error) -> Option<String> {
    let authority = authority(server(error)?)?;
    match tokio::time::timeout(PATIENCE, answer(&authority)).await {
        Ok(Ok(answer)) if answer.starts_with(HTTP1) && answer != BUS => Some(format!(
            "{authority} speaks HTTP/1 and not HTTP/2: it may be the metrics port (7601 by default); the bus is \
             on another port (7600 by default)"
        )),
        Ok(Ok(answer)) if answer.starts_with(&[TLS_ALERT, TLS_MAJOR]) => {
            Some(format!("{authority} speaks TLS: use https://{authority}, and maybe --tls-ca"))
        }
        _ => None,
    }
}

/// The server whose connection broke, or broke first: a publisher tells of its line in its own words.
fn server(error: &Error) -> Option<&str> {
    let chain = std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |it| it.source());
    let known = chain.filter_map(|it| it.downcast_ref::<Error>()?.metadata().get(SERVER));
    known.map(String::as_str).next()
}

/// Host and port.
fn authority(uri: &str) -> Option<String> {
    let authority = uri.strip_prefix("http://")?.split(['/', '?']).next()?;
    let has_port = authority.rsplit(']').next()?.contains(':');
    Some(if has_port { authority.to_owned() } else { format!("{authority}:80") })
}

/// How it answers to a call of gRPC in HTTP/1, as far as is needed to know it.
async fn answer(authority: &str) -> io::Result<Vec<u8>> {
    let stream = TcpStream::connect(authority).await?;
    let (read, mut write) = stream.into_split();
    let question = format!(
        "POST /bugle.v1.Bus/Publish HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\
         Content-Type: application/grpc\r\nContent-Length: 0\r\n\r\n"
    );
    write.write_all(question.as_bytes()).await?;
    let mut answer = Vec::new();
    read.take(BUS.len() as u64).read_to_end(&mut answer).await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn the_server_is_known_from_the_cause_too() {
        let broken = Error::new(Code::Unavailable, "broken").with(SERVER, "http://x");
        let told = Error::new(Code::Unavailable, "the message may have been stored").because(broken);
        assert_eq!(server(&told), Some("http://x"));
        assert_eq!(server(&Error::new(Code::Unavailable, "told by the server")), None);
    }

    #[test]
    fn the_port_of_a_url_is_found_or_is_the_usual_one() {
        for (uri, expected) in [
            ("http://127.0.0.1:7601", Some("127.0.0.1:7601")),
            ("http://bus.example:7601/metrics", Some("bus.example:7601")),
            ("http://bus.example", Some("bus.example:80")),
            ("http://[::1]:7601/", Some("[::1]:7601")),
            ("http://[::1]", Some("[::1]:80")),
            ("https://x", None),
        ] {
            assert_eq!(authority(uri).as_deref(), expected, "{uri}");
        }
    }
}
