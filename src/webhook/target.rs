//! The URL of a webhook: http or https, a host, and nothing that would end up in a log as a secret.

use std::net::IpAddr;

use http::Uri;

use super::address::Allow;
use crate::error::{Code, Error, Result};
use crate::limits::WEBHOOK_URL_BYTES_MAX;

/// Where a webhook's requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The whole of it.
    pub uri: Uri,
    /// The address, where the host is one.
    address: Option<IpAddr>,
}

impl Target {
    /// Reads a URL.
    pub fn parse(text: &str) -> Result<Target> {
        let wrong = |description: &str| Error::field("url", description);
        if text.len() > WEBHOOK_URL_BYTES_MAX {
            return Err(wrong(&format!("has more than {WEBHOOK_URL_BYTES_MAX} bytes")));
        }
        if text.contains('#') {
            return Err(wrong("has a fragment, which no server is sent"));
        }
        let uri: Uri = text.parse().map_err(|_| wrong("has to be a URL such as https://example.com/hook"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(wrong("has to begin with https:// or http://"));
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(wrong("has a user in it; use a header, which is not shown, for credentials"));
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| wrong("has no host"))?;
        let address = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
        if uri.authority().is_some_and(|all| all.as_str().ends_with(':')) || uri.port_u16() == Some(0) {
            return Err(wrong("has a port that is none"));
        }
        Ok(Target { uri, address })
    }

    /// Refuses an address that may not be talked to. Names are checked when they are resolved, each time.
    pub fn check(&self, allow: &Allow) -> Result<()> {
        match self.address.and_then(|address| allow.refuses(address)) {
            Some(why) => Err(refused(&format!("its host {why}"))),
            None => Ok(()),
        }
    }
}

fn refused(why: &str) -> Error {
    let message = format!(
        "the endpoint may not be talked to: {why}; use a public address, or let the operator add it to webhooks.allow"
    );
    Error::new(Code::InvalidArgument, message.clone()).reason("WEBHOOK_TARGET").violation("url", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_one_of_http_without_secrets() {
        for good in ["https://example.com", "http://example.com:8080/a?b=c", "http://[2606:4700::1]:80/"] {
            assert!(Target::parse(good).is_ok(), "{good}");
        }
        for wrong in [
            "",
            "example.com",
            "/a",
            "ftp://example.com/",
            "file:///etc/passwd",
            "gopher://example.com",
            "http://",
            "https://:443/",
            "http://user@example.com/",
            "http://user:word@example.com/",
            "http://example.com/#a",
            "http://example.com:/",
            "http://example.com:0/",
            "http://a b/",
        ] {
            assert!(Target::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Target::parse(&format!("http://a/{}", "x".repeat(WEBHOOK_URL_BYTES_MAX))).is_err());
    }

    #[test]
    fn an_address_in_a_url_is_checked_at_once() {
        for url in [
            "http://127.0.0.1/",
            "https://[::1]/",
            "http://169.254.169.254/latest",
            "http://[::ffff:10.0.0.1]/",
        ] {
            let error = Target::parse(url).unwrap().check(&Allow::default()).unwrap_err();
            assert_eq!(error.reason_code(), Some("WEBHOOK_TARGET"), "{url}");
        }
        assert!(
            Target::parse("http://127.0.0.1/").unwrap().check(&Allow::parse("127.0.0.0/8").unwrap()).is_ok()
        );
        assert!(Target::parse("http://localhost/").unwrap().check(&Allow::default()).is_ok());
    }
}
