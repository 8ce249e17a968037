//! A principal: whom a credential names.
//!
//! It is written `kind:name`, and policies are written in the same form. The kind says how it was
//! proved, so that a JWT whose subject happens to be the name of a key is not taken for that key.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::limits::PRINCIPAL_BYTES_MAX;

/// How a principal was proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// By nothing: authentication is off.
    Anonymous,
    /// By an API key, whose name it is.
    Key,
    /// By a JWT: the issuer's name in the configuration, a slash, and its subject.
    Jwt,
    /// By a client's certificate: a name in it.
    Certificate,
    /// By a token that Bugle minted, whose id it is.
    Token,
}

/// Whether a character is there and does not show: it joins, breaks, or turns the text around it.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{feff}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

impl Kind {
    /// Every kind, in the order of the declaration.
    pub const ALL: [Kind; 5] = [Kind::Anonymous, Kind::Key, Kind::Jwt, Kind::Certificate, Kind::Token];

    /// What a principal of this kind begins with.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Anonymous => "anonymous",
            Kind::Key => "key",
            Kind::Jwt => "jwt",
            Kind::Certificate => "cert",
            Kind::Token => "token",
        }
    }

    /// The kind of this name, of those whose principals have one.
    pub fn parse(text: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| *kind != Kind::Anonymous && kind.as_str() == text)
    }
}

/// Who calls. A clone is a reference.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Principal {
    kind: Kind,
    /// As it is written.
    text: Arc<str>,
}

impl Principal {
    /// Whoever calls where authentication is off.
    pub fn anonymous() -> Principal {
        Principal { kind: Kind::Anonymous, text: Arc::from(Kind::Anonymous.as_str()) }
    }

    /// The principal of this kind and name. Errors: a name that is empty, longer than
    /// [`PRINCIPAL_BYTES_MAX`], or has white space, control characters or characters that nobody sees,
    /// which would make log lines and policies ambiguous.
    pub fn new(kind: Kind, name: &str) -> Result<Principal> {
        let is_plain = !name.chars().any(|c| c.is_control() || c.is_whitespace() || is_invisible(c));
        if kind == Kind::Anonymous || name.is_empty() || name.len() > PRINCIPAL_BYTES_MAX || !is_plain {
            let description = format!(
                "has to be a name of 1 to {PRINCIPAL_BYTES_MAX} bytes without white space and invisible characters"
            );
            return Err(Error::field("principal", description));
        }
        Ok(Principal { kind, text: format!("{}:{name}", kind.as_str()).into() })
    }

    /// The principal that is written so: `key:billing`, or `anonymous`.
    pub fn parse(text: &str) -> Result<Principal> {
        if text == Kind::Anonymous.as_str() {
            return Ok(Principal::anonymous());
        }
        let known = text.split_once(':').and_then(|(kind, name)| Some((Kind::parse(kind)?, name)));
        let Some((kind, name)) = known else {
            let description = "has to be anonymous, key:NAME, jwt:ISSUER/SUBJECT, cert:NAME or token:ID";
            return Err(Error::field("principal", description));
        };
        Principal::new(kind, name)
    }

    /// How it was proved.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its name within its kind; empty for nobody.
    pub fn name(&self) -> &str {
        self.text.split_once(':').map_or("", |(_, name)| name)
    }

    /// As it is written, and stored with each message that it publishes.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Whether nobody is named, since authentication is off.
    pub fn is_anonymous(&self) -> bool {
        self.kind == Kind::Anonymous
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_reads_as_it_is_written() {
        for text in
            ["anonymous", "key:billing", "jwt:corp/alice@example.org", "cert:spiffe://corp/a", "token:x:y"]
        {
            assert_eq!(Principal::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "billing",
            "key:",
            "anonymous:x",
            "role:x",
            "key:a b",
            "key:a\n",
            "Key:a",
            "key:a\u{200b}",
            "jwt:corp/\u{202e}nimda",
        ] {
            assert!(Principal::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_kind_is_part_of_who_it_is() {
        assert_ne!(
            Principal::new(Kind::Jwt, "key:admin").unwrap(),
            Principal::new(Kind::Key, "admin").unwrap()
        );
    }
}
