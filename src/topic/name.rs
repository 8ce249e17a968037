//! Names, parsed once and valid for ever after: a value of these types needs no second look.
//!
//! The rules are those of a name that people type, log and put into paths: not empty, not blank at
//! either end, no control characters, a bounded length in bytes.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::limits::{NAMESPACE_BYTES_MAX, TOPIC_BYTES_MAX};

/// The name of a namespace. The empty name of a request means [`Namespace::DEFAULT`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Arc<str>);

impl Namespace {
    /// The namespace that always exists.
    pub const DEFAULT: &str = "default";

    /// Parses a namespace of a request; empty means the default one.
    pub fn parse(name: &str) -> Result<Self> {
        if name.is_empty() {
            return Ok(Namespace(Arc::from(Self::DEFAULT)));
        }
        check("namespace", name, NAMESPACE_BYTES_MAX)?;
        Ok(Namespace(Arc::from(name)))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Namespace(Arc::from(Self::DEFAULT))
    }
}

/// The full name of a topic: its namespace and its own name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName {
    namespace: Namespace,
    topic: Arc<str>,
}

impl TopicName {
    /// Parses the two names of a request.
    pub fn parse(namespace: &str, topic: &str) -> Result<Self> {
        Namespace::parse(namespace)?.topic(topic)
    }

    /// The namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The topic's own name.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The topic's own name, to keep.
    pub fn topic_shared(&self) -> Arc<str> {
        self.topic.clone()
    }
}

impl Namespace {
    /// The topic of this name in the namespace.
    pub fn topic(&self, topic: &str) -> Result<TopicName> {
        check("topic", topic, TOPIC_BYTES_MAX)?;
        Ok(TopicName { namespace: self.clone(), topic: Arc::from(topic) })
    }
}

fn check(field: &str, name: &str, bytes_max: usize) -> Result<()> {
    if name.is_empty() {
        return Err(Error::field(field, "has to be given"));
    }
    if name.len() > bytes_max {
        let length = name.len();
        return Err(Error::field(field, format!("has {length} bytes; at most {bytes_max} are allowed")));
    }
    if name.trim() != name {
        return Err(Error::field(field, "has to begin and end with a visible character"));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::field(field, "has to be without control characters"));
    }
    Ok(())
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// `namespace/topic`.
impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.topic)
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_people_use_are_accepted() {
        for name in ["orders", "a", "orders.eu/created", "größe", "with space", &"x".repeat(TOPIC_BYTES_MAX)]
        {
            assert_eq!(TopicName::parse("", name).unwrap().topic(), name);
        }
        assert_eq!(TopicName::parse("", "orders").unwrap().to_string(), "default/orders");
    }

    #[test]
    fn names_that_cannot_be_told_apart_or_printed_are_refused() {
        for name in ["", " ", " a", "a ", "a\nb", "a\0", "\u{7f}", &"x".repeat(TOPIC_BYTES_MAX + 1)] {
            let error = TopicName::parse("", name).unwrap_err();
            assert_eq!(error.violations()[0].field, "topic", "{name:?}");
        }
        assert!(Namespace::parse(&"n".repeat(NAMESPACE_BYTES_MAX + 1)).is_err());
    }
}
