//! What proves to the server who is calling: an API key, a JWT or a token of the bus, sent with every
//! call, and never shown.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};

use http::HeaderValue;
use http::header::AUTHORIZATION;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::transport::Channel;

use crate::error::{Error, Result};

/// The credential of a client, which may change while it is in use. A clone is a reference.
#[derive(Clone, Default)]
pub struct Credential(Arc<Inner>);

#[derive(Default)]
struct Inner {
    value: RwLock<Option<HeaderValue>>,
    changes: AtomicU64,
}

impl Credential {
    /// From now on calls are made with this one. Errors: text that no metadata can carry.
    pub fn set(&self, text: &str) -> Result<()> {
        let value = HeaderValue::try_from(format!("Bearer {}", text.trim()));
        let mut value = value.map_err(|_| {
            Error::field("credential", "has to be one line of visible ASCII, as the server gave it")
        })?;
        // So that no log of the stack shows it, and no compression remembers it.
        value.set_sensitive(true);
        let mut known = self.0.value.write().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref() != Some(&value) {
            *known = Some(value);
            self.0.changes.fetch_add(1, Ordering::AcqRel);
        }
        Ok(())
    }

    /// How often it has changed. What was begun at another count was begun with another credential.
    pub fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::Acquire)
    }

    fn value(&self) -> Option<HeaderValue> {
        self.0.value.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.value().is_some() { "[secret]" } else { "none" })
    }
}

/// A connection whose calls carry the credential.
#[derive(Clone)]
pub struct Authorized {
    /// The connection.
    pub channel: Channel,
    /// What they carry.
    pub credential: Credential,
}

impl Service<http::Request<Body>> for Authorized {
    type Response = http::Response<Body>;
    type Error = tonic::transport::Error;
    type Future = <Channel as Service<http::Request<Body>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::poll_ready(&mut self.channel, cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        if let Some(value) = self.credential.value() {
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        self.channel.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_never_shown() {
        let credential = Credential::default();
        assert_eq!(format!("{credential:?}"), "none");
        credential.set("very secret\n").unwrap();
        assert_eq!(format!("{credential:?}"), "[secret]");
        assert_eq!(format!("{:?}", credential.value().unwrap()), "Sensitive");
        assert!(credential.set("two\nlines").is_err());
        assert_eq!(credential.changes(), 1);
        credential.set("very secret").unwrap();
        assert_eq!(credential.changes(), 1, "the same again is no change");
        credential.set("another one").unwrap();
        assert_eq!(credential.changes(), 2);
    }
}
