//! What `bugle certs dev` finds in its directory, and whether that can stay as it is.
//!
//! A pair that is whole stays if it does what a new one would: a certificate for the same names, of the
//! authority that is there, and still valid. Whatever cannot stay is an error that says why, before
//! anything is made.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rcgen::SanType;
use x509_parser::pem::{Pem, parse_x509_pem};
use x509_parser::prelude::{GeneralName, X509Certificate};

use super::failed;
use crate::error::{Code, Error, Result};

/// Where a certificate and its key are.
pub(super) fn paths(dir: &Path, file: &str) -> (PathBuf, PathBuf) {
    (dir.join(format!("{file}.pem")), dir.join(format!("{file}.key")))
}

/// Whether a certificate and its key are there. Errors: one is there without the other.
pub(super) fn is_there(dir: &Path, file: &str) -> Result<bool> {
    let (certificate, key) = paths(dir, file);
    match (certificate.exists(), key.exists()) {
        (true, false) => Err(taken(&certificate, &format!("and {} is not", key.display()))),
        (false, true) => Err(taken(&key, &format!("and {} is not", certificate.display()))),
        (is_there, _) => Ok(is_there),
    }
}

/// Whether this certificate can stay where one for these names is wanted, of this authority. Errors: why not.
pub(super) fn check(certificate: &Path, names: &[SanType], authority: &Path) -> Result<()> {
    let (own, above) = (read(certificate)?, read(authority)?);
    let (found, issuer) = (parse(certificate, &own)?, parse(authority, &above)?);
    if found.issuer().as_raw() != issuer.subject().as_raw() {
        return Err(taken(certificate, "and of another authority than the one beside it"));
    }
    if let Some(name) = names.iter().find(|name| !is_for(&found, name)) {
        return Err(taken(certificate, &format!("and not for {}", text(name))));
    }
    if !found.validity().is_valid() {
        return Err(taken(certificate, &format!("and valid only until {}", found.validity().not_after)));
    }
    Ok(())
}

/// The error for a file in the way.
pub(super) fn taken(path: &Path, why: &str) -> Error {
    let message = format!("{} is there already, {why}; choose another --dir, or --force", path.display());
    Error::new(Code::AlreadyExists, message)
}

fn read(path: &Path) -> Result<Pem> {
    let bytes = std::fs::read(path).map_err(|error| failed(path, &error))?;
    parse_x509_pem(&bytes).map(|(_, pem)| pem).map_err(|error| failed(path, &error))
}

fn parse<'a>(path: &Path, pem: &'a Pem) -> Result<X509Certificate<'a>> {
    pem.parse_x509().map_err(|error| failed(path, &error))
}

fn is_for(certificate: &X509Certificate<'_>, name: &SanType) -> bool {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return false };
    extension.value.general_names.iter().any(|there| match (there, name) {
        (GeneralName::DNSName(there), SanType::DnsName(name)) => *there == name.as_str(),
        (GeneralName::URI(there), SanType::URI(name)) => *there == name.as_str(),
        (GeneralName::IPAddress(there), SanType::IpAddress(IpAddr::V4(name))) => *there == name.octets(),
        (GeneralName::IPAddress(there), SanType::IpAddress(IpAddr::V6(name))) => *there == name.octets(),
        _ => false,
    })
}

fn text(name: &SanType) -> String {
    match name {
        SanType::DnsName(name) | SanType::URI(name) | SanType::Rfc822Name(name) => name.to_string(),
        SanType::IpAddress(address) => address.to_string(),
        _ => "what is wanted".to_owned(),
    }
}
