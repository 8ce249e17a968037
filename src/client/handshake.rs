//! Why a TLS handshake failed, in words that say what to change.
//!
//! Where the certificate of the client is refused, its side of the handshake has mostly ended: the
//! refusal comes with the first call, and the failure of that may not know of it. The connection does.
//!
//! [`status`](super::status) asks it about every failure of a connection.

use std::error::Error as Cause;
use std::io;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError};

use super::dialer::Handshake;
use crate::error::{Code, Error};

/// Reason of an error when a server is there and TLS with it failed: its certificate, what it speaks.
pub const TLS: &str = "TLS";
/// Reason of an error when the server wants another certificate of the client, or any. Nothing that
/// was sent has been taken.
pub const CERTIFICATE_REFUSED: &str = "CERTIFICATE_REFUSED";

/// As many names of a certificate are told.
const NAMES_MAX: usize = 8;

/// The error for this failure of a connection to `uri`, where TLS is its cause; `last_word` is what the
/// server said on the latest connection when it ended it.
pub(super) fn failure(
    chain: &[&(dyn Cause + 'static)],
    last_word: Option<AlertDescription>,
    uri: &str,
) -> Option<Error> {
    match chain.iter().find_map(|error| error.downcast_ref::<Handshake>()) {
        Some(Handshake::NotH2) => return Some(failed(not_h2(uri))),
        Some(Handshake::Late) => {
            let message =
                format!("{uri} did not answer the TLS handshake: if it speaks plaintext, use http://");
            return Some(failed(message));
        }
        Some(Handshake::Failed(error)) => {
            return Some(match tls(error) {
                Some(rustls::Error::InvalidCertificate(error)) => failed(certificate(error, uri)),
                Some(rustls::Error::AlertReceived(alert)) => told(*alert, uri),
                // What is not TLS, and whoever hangs up, mostly did not understand it.
                Some(rustls::Error::InvalidMessage(_)) | None => failed(plaintext(uri)),
                Some(error) => failed(format!("TLS with {uri} failed: {error}")),
            });
        }
        None => {}
    }
    let is_connecting = chain.iter().any(|error| error.is::<tonic::ConnectError>());
    last_word.filter(|_| !is_connecting).map(|alert| told(alert, uri))
}

fn failed(message: String) -> Error {
    Error::new(Code::Unavailable, message).reason(TLS)
}

fn plaintext(uri: &str) -> String {
    format!("{uri} does not answer in TLS: if it speaks plaintext, use http://")
}

/// The error of rustls that an error of input and output carries. It does not call it its source.
pub(super) fn tls(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn not_h2(uri: &str) -> String {
    format!("{uri} speaks TLS but not HTTP/2 (h2 by ALPN): is it the port of the bus?")
}

/// The error for an alert of the server: what it did not like.
fn told(alert: AlertDescription, uri: &str) -> Error {
    use AlertDescription as Alert;
    let why = match alert {
        Alert::CertificateRequired => {
            let wanted = "wants a certificate of its clients: give one with identity (--tls-cert, --tls-key)";
            return Error::new(Code::Unauthenticated, format!("{uri} {wanted}")).reason(CERTIFICATE_REFUSED);
        }
        Alert::UnknownCA => "it does not trust the authority that issued it",
        Alert::CertificateExpired => "it has expired, or is not valid yet",
        Alert::CertificateRevoked => "it has been revoked",
        Alert::UnsupportedCertificate => "it is not one for clients",
        Alert::BadCertificate => "it names nobody, is damaged, or is missing",
        Alert::CertificateUnknown | Alert::AccessDenied => "it is not one that the server lets in",
        Alert::DecryptError => "its signature is not right",
        Alert::ProtocolVersion => {
            return failed(format!("{uri} speaks neither TLS 1.2 nor TLS 1.3, which this client does"));
        }
        Alert::NoApplicationProtocol => return failed(not_h2(uri)),
        alert => return failed(format!("{uri} ended the TLS connection: {alert:?}")),
    };
    let message = format!(
        "{uri} refused the certificate of this client: {why}; give another with identity (--tls-cert, --tls-key)"
    );
    Error::new(Code::Unauthenticated, message).reason(CERTIFICATE_REFUSED)
}

/// What is wrong with the certificate of the server.
fn certificate(error: &CertificateError, uri: &str) -> String {
    let of = format!("the certificate of {uri}");
    match error {
        CertificateError::UnknownIssuer => format!(
            "{of} is from an authority that is not trusted here: if it should be, trust it with \
             ca_certificate (--tls-ca)"
        ),
        CertificateError::BadSignature => format!(
            "{of} is not from the authority that is trusted here under that name: trust the one that issued it \
             with ca_certificate (--tls-ca)"
        ),
        CertificateError::ExpiredContext { time, not_after } => {
            let ago = rough(time.as_secs().saturating_sub(not_after.as_secs()));
            format!("{of} has expired, {ago} ago: the server needs a new one (or is the clock here wrong?)")
        }
        CertificateError::Expired => format!("{of} has expired: the server needs a new one"),
        CertificateError::NotValidYetContext { time, not_before } => {
            let ahead = rough(not_before.as_secs().saturating_sub(time.as_secs()));
            format!("{of} is not valid yet but in {ahead}: check the clocks, here and where it was issued")
        }
        CertificateError::NotValidYet => format!("{of} is not valid yet: check the clocks"),
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "{of} is for another name: {}, and not for {}: use one of its names in the URL, or expect one with \
             domain_name (--tls-domain)",
            names(presented),
            expected.to_str()
        ),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            format!("{of} is not one for servers: the server needs another (`bugle certs dev` makes one)")
        }
        CertificateError::Revoked => format!("{of} has been revoked: the server needs a new one"),
        error => match error.to_string() {
            // A server that shows its own authority.
            text if text.contains("CaUsedAsEndEntity") => format!(
                "{of} is that of an authority: the server needs one that it issued (`bugle certs dev` makes one)"
            ),
            text => format!("{of} cannot be believed: {text}"),
        },
    }
}

/// The names of a certificate. A stranger may have written them.
fn names(presented: &[String]) -> String {
    let clean = |name: &String| {
        let inner = name.split_once('(').map_or(name.as_str(), |(_, rest)| rest.trim_end_matches(')'));
        inner.chars().filter(|char| char.is_ascii_graphic() && *char != '"').take(253).collect::<String>()
    };
    let mut told: Vec<String> = presented.iter().take(NAMES_MAX).map(clean).collect();
    match presented.len() {
        0 => return "no name at all".to_owned(),
        more if more > NAMES_MAX => told.push("…".to_owned()),
        _ => {}
    }
    told.join(", ")
}

/// A time in its largest unit.
fn rough(seconds: u64) -> String {
    const DAY: u64 = 24 * 60 * 60;
    match seconds {
        0..60 => format!("{:?}", Duration::from_secs(seconds)),
        60..3600 => format!("{} min", seconds / 60),
        3600..DAY => format!("{} h", seconds / 3600),
        days if days < 2 * DAY => "1 day".to_owned(),
        days => format!("{} days", days / DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error for a handshake that failed with this.
    fn failed_with(error: rustls::Error) -> Error {
        let error = Handshake::Failed(io::Error::new(io::ErrorKind::InvalidData, error));
        failure(&[&error], None, "https://x").unwrap()
    }

    fn refused(error: CertificateError) -> String {
        let error = failed_with(rustls::Error::InvalidCertificate(error));
        assert_eq!((error.code(), error.reason_code()), (Code::Unavailable, Some(TLS)));
        error.message().to_owned()
    }

    #[test]
    fn a_certificate_that_is_not_believed_is_told_with_what_to_change() {
        use rustls::pki_types::{ServerName, UnixTime};
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        assert!(refused(CertificateError::UnknownIssuer).contains("--tls-ca"));
        let expired = CertificateError::ExpiredContext { time: at(300_000), not_after: at(100_000) };
        assert!(refused(expired).starts_with("the certificate of https://x has expired, 2 days ago"));
        let early = CertificateError::NotValidYetContext { time: at(0), not_before: at(7300) };
        assert!(refused(early).contains("not valid yet but in 2 h"));
        let expected = ServerName::try_from("x").unwrap();
        let presented = vec!["DnsName(\"a.example\")".to_owned(), "IpAddress(127.0.0.1)".to_owned()];
        let named = refused(CertificateError::NotValidForNameContext { expected, presented });
        assert!(
            named.contains("is for another name: a.example, 127.0.0.1, and not for x: ")
                && named.contains("--tls-domain")
        );
    }

    #[test]
    fn names_that_a_stranger_wrote_stay_on_their_line_and_are_few() {
        assert_eq!(names(&[]), "no name at all");
        assert_eq!(names(&["DnsName(\"a\u{1b}[2J\nb\")".to_owned()]), "a[2Jb");
        assert!(names(&vec!["DnsName(\"a\")".to_owned(); 99]).ends_with("a, …"));
    }

    #[test]
    fn a_refusal_of_the_clients_certificate_is_known_from_the_last_word_too() {
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        let error = failure(&[&reset], Some(AlertDescription::CertificateRequired), "https://x").unwrap();
        assert_eq!((error.code(), error.reason_code()), (Code::Unauthenticated, Some(CERTIFICATE_REFUSED)));
        assert!(error.message().contains("--tls-cert"), "{error}");
        let error = failed_with(rustls::Error::AlertReceived(AlertDescription::UnknownCA));
        assert!(error.message().contains("does not trust the authority"), "{error}");
    }

    #[test]
    fn a_server_that_hangs_up_or_says_nothing_may_speak_plaintext() {
        let hung_up = Handshake::Failed(io::Error::from(io::ErrorKind::UnexpectedEof));
        for error in [hung_up, Handshake::Late] {
            let error = failure(&[&error], None, "https://x").unwrap();
            assert!(error.message().contains("use http://"), "{error}");
        }
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        assert!(failure(&[&reset], None, "https://x").is_none());
    }
}
