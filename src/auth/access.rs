//! The one door: authenticates a call, and decides whether it may go on.

use std::fmt;

use super::{Action, Identity, Principal};
use crate::error::Result;
use crate::topic::{Namespace, TopicName};

/// What a call brings to show who makes it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Presented<'a> {
    /// The credential of its metadata, without `Bearer`.
    pub credential: Option<&'a str>,
    /// Whom the certificate of its connection names.
    pub certificate: Option<&'a Principal>,
}

/// What something is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// The server as a whole: namespaces, keys, the log.
    Server,
    /// All topics of a namespace.
    Namespace(&'a Namespace),
    /// Some topic of a namespace, whichever: to know that the namespace exists.
    Within(&'a Namespace),
    /// One topic.
    Topic(&'a TopicName),
}

impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resource::Server => f.write_str("server"),
            Resource::Namespace(name) => write!(f, "{name}/*"),
            Resource::Within(name) => write!(f, "{name}"),
            Resource::Topic(name) => write!(f, "{name}"),
        }
    }
}

/// Who may do what on a server.
#[derive(Debug, Default)]
pub struct Access {}

impl Access {
    /// Nobody has to say who they are, and everybody may do everything.
    pub fn open() -> Access {
        Access {}
    }

    /// Whether everybody may do everything.
    pub fn is_open(&self) -> bool {
        true
    }

    /// Counts up whenever something changes that decisions depend on, so that whoever keeps one asks
    /// again.
    pub fn generation(&self) -> u64 {
        0
    }

    /// Who makes a call at this time, unix nanoseconds. Errors: UNAUTHENTICATED.
    pub fn authenticate(&self, presented: Presented<'_>, now: u64) -> Result<Identity> {
        let _ = (presented, now);
        Ok(Identity::anonymous())
    }

    /// Whether it may do this. Errors: PERMISSION_DENIED, in words that are the same whether or not
    /// what is named exists.
    pub fn authorise(&self, identity: &Identity, action: Action, resource: Resource<'_>) -> Result<()> {
        let _ = (identity, action, resource);
        Ok(())
    }
}
