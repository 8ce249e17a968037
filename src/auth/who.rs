//! Whom a policy is for, and who has a role.
//!
//! `key:billing` is one principal, `jwt:corp/*` all whose name begins so, `role:writers` whoever has
//! the role, and `*` everybody who has proved who they are. The kind is always named in full, so that
//! no pattern crosses from one way of proving to another.

use std::fmt;
use std::sync::Arc;

use super::{Kind, Principal};
use crate::error::{Error, Result};
use crate::limits::ROLE_BYTES_MAX;
use crate::topic::Pattern;

/// What a role's name stands behind.
const ROLE: &str = "role:";

/// Some principals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Everybody who has proved who they are.
    Anyone,
    /// Whoever has the role of this name.
    Role(Arc<str>),
    /// Those of this kind and of these names.
    Named(Kind, Pattern),
}

impl Who {
    /// Reads whom; the errors name this field.
    pub fn parse(field: &str, text: &str) -> Result<Who> {
        if text == "*" {
            return Ok(Who::Anyone);
        }
        if let Some(name) = text.strip_prefix(ROLE) {
            check_role(field, name)?;
            return Ok(Who::Role(Arc::from(name)));
        }
        let named = text.split_once(':').and_then(|(kind, name)| Some((Kind::parse(kind)?, name)));
        let Some((kind, name)) = named else {
            let shapes =
                "has to be key:NAME, jwt:ISSUER/SUBJECT, cert:NAME, role:NAME or *; a name can end in *";
            return Err(Error::field(field, format!("{text:?} {shapes}")));
        };
        if kind == Kind::Token {
            let advice = "a token may do what its grants say and its minter may; name the minter";
            return Err(Error::field(field, advice));
        }
        let pattern = Pattern::parse(field, name)?;
        // What no principal can be called is a mistake in what it was meant to be.
        if let Some(name) = pattern.exact() {
            Principal::new(kind, name).map_err(|error| Error::field(field, error.message()))?;
        }
        Ok(Who::Named(kind, pattern))
    }

    /// Whether this principal is one of them by its name. Roles are another matter.
    pub fn names(&self, principal: &Principal) -> bool {
        match self {
            Who::Anyone => true,
            Who::Role(_) => false,
            Who::Named(kind, pattern) => *kind == principal.kind() && pattern.matches(principal.name()),
        }
    }
}

/// Whether this can be the name of a role. Those of an issuer's JWTs are `ISSUER/NAME`.
pub fn check_role(field: &str, name: &str) -> Result<()> {
    let is_plain = !name.contains('*') && Principal::new(Kind::Key, name).is_ok();
    if !is_plain || name.len() > ROLE_BYTES_MAX {
        let rule =
            format!("has to be 1 to {ROLE_BYTES_MAX} bytes without white space, * and invisible characters");
        return Err(Error::field(field, format!("{name:?} is no name of a role: it {rule}")));
    }
    Ok(())
}

/// As it is written.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Anyone => f.write_str("*"),
            Who::Role(name) => write!(f, "{ROLE}{name}"),
            Who::Named(kind, pattern) => write!(f, "{}:{pattern}", kind.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(who: &str, principal: &str) -> bool {
        Who::parse("principal", who).unwrap().names(&Principal::parse(principal).unwrap())
    }

    #[test]
    fn no_pattern_crosses_from_one_kind_to_another() {
        for (who, principal, expected) in [
            ("key:admin", "key:admin", true),
            ("key:ad*", "key:admin", true),
            ("key:*", "key:admin", true),
            ("*", "cert:spiffe://corp/a", true),
            ("jwt:corp/*", "jwt:corp/alice", true),
            ("key:ad*", "jwt:corp/key:admin", false),
            ("key:*", "jwt:key:admin/x", false),
            ("jwt:corp/*", "jwt:corp2/alice", false),
            ("jwt:corp/*", "jwt:corp", false),
            ("key:admin", "key:Admin", false),
            ("key:admin", "key:аdmin", false),
            ("role:admin", "key:admin", false),
        ] {
            assert_eq!(names(who, principal), expected, "{who} {principal}");
        }
    }

    #[test]
    fn whom_reads_as_it_is_written_and_nothing_else_is_read() {
        for text in
            ["*", "role:writers", "role:corp/writers", "key:billing", "key:*", "jwt:corp/a*", "cert:a.b"]
        {
            assert_eq!(Who::parse("principal", text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "billing",
            "key:",
            "role:",
            "role:a*",
            "key*",
            "k*",
            "anonymous",
            "token:x",
            "key:a b",
            "key:*a",
            "user:a",
        ] {
            assert!(Who::parse("principal", text).is_err(), "{text:?}");
        }
    }
}
