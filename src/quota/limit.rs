//! What can be limited, and of whom: the closed lists that rules, refusals and metrics share.

use std::fmt;

/// Whose quota it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// A namespace's, whoever uses it.
    Namespace,
    /// A principal's, whatever it uses.
    Principal,
}

impl Scope {
    /// Both, in the order of the declaration.
    pub const ALL: [Scope; 2] = [Scope::Namespace, Scope::Principal];

    /// Its name, as the configuration has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Namespace => "namespace",
            Scope::Principal => "principal",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Limit {
    /// Messages published in a second.
    PublishMessages,
    /// Bytes of messages published in a second.
    PublishBytes,
    /// Open subscriptions.
    Subscriptions,
    /// Open topics: all of a namespace, those that a principal has opened.
    Topics,
    /// Bytes of messages that the topics of a namespace keep.
    RetainedBytes,
    /// Open connections.
    Connections,
}

/// The place of [`Limit::Subscriptions`] among all, for those who hold one.
pub const SUBSCRIPTIONS: usize = Limit::Subscriptions as usize;
/// The place of [`Limit::Topics`].
pub const TOPICS: usize = Limit::Topics as usize;
/// The place of [`Limit::Connections`].
pub const CONNECTIONS: usize = Limit::Connections as usize;

impl Limit {
    /// All of them, in the order of the declaration.
    pub const ALL: [Limit; 6] = [
        Limit::PublishMessages,
        Limit::PublishBytes,
        Limit::Subscriptions,
        Limit::Topics,
        Limit::RetainedBytes,
        Limit::Connections,
    ];

    /// Its name, as the configuration has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Limit::PublishMessages => "publish_messages_per_second",
            Limit::PublishBytes => "publish_bytes_per_second",
            Limit::Subscriptions => "subscriptions",
            Limit::Topics => "topics",
            Limit::RetainedBytes => "retained_bytes",
            Limit::Connections => "connections",
        }
    }

    /// The limit of this name.
    pub fn parse(name: &str) -> Option<Limit> {
        Limit::ALL.into_iter().find(|limit| limit.as_str() == name)
    }

    /// Whether it is so much in a second, and not so much at once.
    pub fn is_rate(self) -> bool {
        matches!(self, Limit::PublishMessages | Limit::PublishBytes)
    }

    /// Whether it is a number of bytes.
    pub fn is_bytes(self) -> bool {
        matches!(self, Limit::PublishBytes | Limit::RetainedBytes)
    }

    /// Whether a quota of this scope can have it.
    pub fn is_of(self, scope: Scope) -> bool {
        match self {
            Limit::RetainedBytes => scope == Scope::Namespace,
            Limit::Connections => scope == Scope::Principal,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_stands_where_its_number_says_and_is_found_by_its_name() {
        for (place, limit) in Limit::ALL.into_iter().enumerate() {
            assert_eq!((limit as usize, Limit::parse(limit.as_str())), (place, Some(limit)));
        }
        assert_eq!(Scope::ALL.map(|scope| scope as usize), [0, 1]);
        assert_eq!(Limit::parse("connection"), None);
    }
}
