//! What a certificate says: whom it names, and until when.

use std::fmt;

use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::prelude::{CertificateRevocationList, FromDer, GeneralName, X509Certificate};

use crate::auth::{Kind, Principal};

/// What a server's own certificate says, for people.
#[derive(Default)]
pub struct Description {
    /// The names it is for.
    pub names: String,
    /// From when, as text and unix seconds.
    pub not_before: String,
    /// The same in unix seconds.
    pub not_before_seconds: u64,
    /// Until when.
    pub not_after: String,
    /// The same in unix seconds.
    pub not_after_seconds: u64,
}

/// Reads a server's own certificate. Errors: what is wrong with it, in words.
pub fn describe(certificate: &CertificateDer<'_>) -> Result<Description, String> {
    let parsed = parse(certificate)?;
    let validity = parsed.validity();
    let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
    Ok(Description {
        names: names(&parsed).into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(", "),
        not_before: validity.not_before.to_string(),
        not_before_seconds: seconds(validity.not_before.timestamp()),
        not_after: validity.not_after.to_string(),
        not_after_seconds: seconds(validity.not_after.timestamp()),
    })
}

/// When the next list after this one is due, unix seconds; `None` where it does not say.
pub fn next_update(list: &CertificateRevocationListDer<'_>) -> Option<u64> {
    let (_, parsed) = CertificateRevocationList::from_der(list).ok()?;
    parsed.next_update().and_then(|time| u64::try_from(time.timestamp()).ok())
}

/// Whom the certificate of a client names: by its first URI, or else its first DNS name, or else its first
/// mail address. Its subject is free text, and names nobody. Errors: it has none of them, or the one that
/// counts is not written as its kind is. So no name can pass for one of another kind.
pub fn principal(certificate: &CertificateDer<'_>) -> Result<Principal, String> {
    let parsed = parse(certificate)?;
    let (kind, name) = names(&parsed).into_iter().min_by_key(|(kind, _)| *kind).ok_or(
        "the client's certificate names nobody: it needs a subject alternative name that is a URI, a DNS name or a \
         mail address",
    )?;
    let written = match kind {
        Name::Uri => uri(&name),
        Name::Dns => dns(&name),
        Name::Mail => mail(&name),
    };
    let name =
        written.ok_or_else(|| format!("the client's certificate: {name:?} is not written as {kind} is"))?;
    Principal::new(Kind::Certificate, &name).map_err(|error| format!("the client's certificate: {error}"))
}

/// The kinds of names that count, those first that say most exactly who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Uri,
    Dns,
    Mail,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Name::Uri => "a URI",
            Name::Dns => "the DNS name of one host",
            Name::Mail => "a mail address",
        })
    }
}

/// A scheme, a colon, and more.
fn uri(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    (is_scheme && !rest.is_empty() && rest.chars().all(|c| c.is_ascii_graphic())).then(|| text.to_owned())
}

/// Labels and dots, in small letters: case means nothing there.
fn dns(text: &str) -> Option<String> {
    let is_label = |label: &str| {
        !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    text.split('.').all(is_label).then(|| text.to_ascii_lowercase())
}

/// Somebody at a host; the name of the host in small letters.
fn mail(text: &str) -> Option<String> {
    let (user, host) = text.split_once('@')?;
    let is_user =
        !user.is_empty() && user.chars().all(|c| c.is_ascii_graphic() && !matches!(c, ':' | '/' | '@'));
    is_user.then(|| dns(host)).flatten().map(|host| format!("{user}@{host}"))
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, String> {
    match X509Certificate::from_der(certificate) {
        Ok((_, parsed)) => Ok(parsed),
        Err(error) => Err(format!("is no certificate that can be understood: {error}")),
    }
}

/// The names of a certificate, in its order.
fn names(certificate: &X509Certificate<'_>) -> Vec<(Name, String)> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let named = extension.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(text) => Some((Name::Uri, (*text).to_owned())),
        GeneralName::DNSName(text) => Some((Name::Dns, (*text).to_owned())),
        GeneralName::RFC822Name(text) => Some((Name::Mail, (*text).to_owned())),
        _ => None,
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_only_where_it_is_written_as_its_kind_is() {
        let texts = [
            "spiffe://test/billing",
            "urn:billing",
            "billing.example",
            "Billing-2_x.Example",
            "somebody@Example",
            "",
            ":",
            "1x:y",
            "spiffe:",
            "spiffe://tést",
            "*.example",
            ".example",
            "example.",
            "a..b",
            "@example",
            "a@b@c",
            "a:b@c",
            "a/b@c",
        ];
        let taken: Vec<_> = texts.map(|text| (uri(text), dns(text), mail(text))).into_iter().collect();
        let one = |text: &str| Some(text.to_owned());
        assert_eq!(taken[0], (one("spiffe://test/billing"), None, None));
        assert_eq!(taken[1], (one("urn:billing"), None, None));
        assert_eq!(taken[2], (None, one("billing.example"), None));
        assert_eq!(taken[3], (None, one("billing-2_x.example"), None));
        assert_eq!(taken[4], (None, None, one("somebody@example")));
        // What is a scheme and more is one, whatever else it looks like.
        assert_eq!(taken[16], (one("a:b@c"), None, None));
        for (text, taken) in texts.iter().zip(&taken).skip(5).filter(|(text, _)| **text != "a:b@c") {
            assert_eq!(*taken, (None, None, None), "{text}");
        }
    }
}
