//! The secret of a webhook and its signature, as the specification of Standard Webhooks has them: HMAC-SHA256
//! over `ID.TIMESTAMP.BODY`, in base64, behind `v1,`. The secret is written `whsec_` and base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use zeroize::Zeroizing;

use crate::auth::Secret;
use crate::error::{Code, Error, Result};
use crate::limits::{WEBHOOK_SECRET_BYTES_MAX, WEBHOOK_SECRET_BYTES_MIN};

const PREFIX: &str = "whsec_";
/// What is made where none is given, bytes: as many as the hash has.
const MADE_BYTES: usize = 32;

/// What the requests of a webhook are signed with.
#[derive(Debug, Clone)]
pub struct Signing(Secret);

impl Signing {
    /// A new one. Errors: the system gives no random bytes.
    pub fn random() -> Result<Signing> {
        Secret::random(MADE_BYTES).map(Signing)
    }

    /// None yet, for a definition whose secret is read later.
    pub fn placeholder() -> Signing {
        Signing(Secret::new(Vec::new()))
    }

    /// The one in this file. Errors name the file.
    pub fn read(path: &std::path::Path) -> Result<Signing> {
        let refused = |problem: &str| {
            Error::new(Code::FailedPrecondition, format!("the secret in {}: {problem}", path.display()))
        };
        let text = std::fs::read_to_string(path).map(Zeroizing::new);
        let text = text.map_err(|error| refused(&format!("cannot be read: {error}")))?;
        Signing::parse(text.trim()).map_err(|error| refused(error.message()))
    }

    /// The one that is written so; the prefix may be left out.
    pub fn parse(text: &str) -> Result<Signing> {
        let description = || {
            format!(
                "has to be {PREFIX} and {WEBHOOK_SECRET_BYTES_MIN} to {WEBHOOK_SECRET_BYTES_MAX} bytes in base64; leave \
                 it out and the server makes one"
            )
        };
        let written = text.strip_prefix(PREFIX).unwrap_or(text);
        let bytes = STANDARD.decode(written).map_err(|_| Error::field("secret", description()))?;
        if !(WEBHOOK_SECRET_BYTES_MIN..=WEBHOOK_SECRET_BYTES_MAX).contains(&bytes.len()) {
            return Err(Error::field("secret", description()));
        }
        Ok(Signing(Secret::new(bytes)))
    }

    /// As it is written. To be shown once, to whoever made it.
    pub fn expose_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{PREFIX}{}", STANDARD.encode(self.0.expose())))
    }

    /// The value of `webhook-signature` of a request with this id and body, at this time, unix seconds.
    pub fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.expose());
        let mut context = hmac::Context::with_key(&key);
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

impl PartialEq for Signing {
    fn eq(&self, other: &Signing) -> bool {
        self.0.expose() == other.0.expose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_specification() {
        let secret = Signing::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature =
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_reads_as_it_is_written_and_is_never_formatted() {
        let secret = Signing::random().unwrap();
        let text = secret.expose_text();
        assert!(Signing::parse(&text).unwrap() == secret && text.starts_with("whsec_"));
        assert!(!format!("{secret:?}").contains(&text[10..]));
        for wrong in ["", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64", &"A".repeat(400)] {
            assert_eq!(Signing::parse(wrong).unwrap_err().violations()[0].field, "secret", "{wrong}");
        }
    }
}
