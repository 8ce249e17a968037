//! What a certificate says: whom it names, and until when.

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

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

/// Whom the certificate of a client names: by its first URI, or else its first DNS name, or else its first
/// mail address. Its subject is free text, and names nobody. Errors: it has none of them.
pub fn principal(certificate: &CertificateDer<'_>) -> Result<Principal, String> {
    let parsed = parse(certificate)?;
    let mut names = names(&parsed);
    names.sort_by_key(|(rank, _)| *rank);
    let (_, name) = names.first().ok_or(
        "the client's certificate names nobody: it needs a subject alternative name that is a URI, a DNS name or a \
         mail address",
    )?;
    Principal::new(Kind::Certificate, name).map_err(|error| format!("the client's certificate: {error}"))
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, String> {
    match X509Certificate::from_der(certificate) {
        Ok((_, parsed)) => Ok(parsed),
        Err(error) => Err(format!("is no certificate that can be understood: {error}")),
    }
}

/// The names of a certificate, each with its rank: a URI says most exactly who it is.
fn names(certificate: &X509Certificate<'_>) -> Vec<(u8, String)> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let named = extension.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(text) => Some((0, (*text).to_owned())),
        GeneralName::DNSName(text) => Some((1, (*text).to_owned())),
        GeneralName::RFC822Name(text) => Some((2, (*text).to_owned())),
        _ => None,
    });
    named.collect()
}
