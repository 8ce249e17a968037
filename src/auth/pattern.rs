//! A pattern of names: one name, or all names that begin in a certain way.
//!
//! `orders` is that name alone; `orders.*` is every name that begins with `orders.`, which `orders`
//! and `ordersX` do not; `*` is every name. There is no other wildcard, so a reader of a policy sees
//! at once what it covers. Names are compared byte by byte: letters that only look alike differ.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::limits::PATTERN_BYTES_MAX;

/// What stands for every ending.
const WILDCARD: char = '*';

/// A name, or the beginning of names. A clone is a reference.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// Without the wildcard.
    stem: Arc<str>,
    is_prefix: bool,
}

impl Pattern {
    /// Every name.
    pub fn any() -> Pattern {
        Pattern { stem: Arc::from(""), is_prefix: true }
    }

    /// Reads a pattern; the errors name this field.
    pub fn parse(field: &str, text: &str) -> Result<Pattern> {
        let (stem, is_prefix) = match text.strip_suffix(WILDCARD) {
            Some(stem) => (stem, true),
            None => (text, false),
        };
        let problem = if text.is_empty() {
            "has to be given; * is every name".to_owned()
        } else if stem.contains(WILDCARD) {
            "can have one *, and only at its end, such as orders.*".to_owned()
        } else if text.len() > PATTERN_BYTES_MAX {
            format!("has {} bytes; at most {PATTERN_BYTES_MAX} are allowed", text.len())
        } else if text.trim() != text || text.chars().any(char::is_control) {
            "has to be without control characters, and to begin and end with a visible character".to_owned()
        } else {
            return Ok(Pattern { stem: Arc::from(stem), is_prefix });
        };
        Err(Error::field(field, problem))
    }

    /// Whether this name is one of its.
    pub fn matches(&self, name: &str) -> bool {
        match self.is_prefix {
            true => name.as_bytes().starts_with(self.stem.as_bytes()),
            false => name == &*self.stem,
        }
    }

    /// Whether every name is one of its.
    pub fn is_any(&self) -> bool {
        self.is_prefix && self.stem.is_empty()
    }

    /// Whether every name of the other is one of its too.
    pub fn covers(&self, other: &Pattern) -> bool {
        match (self.is_prefix, other.is_prefix) {
            (true, _) => other.stem.starts_with(&*self.stem),
            (false, true) => false,
            (false, false) => self.stem == other.stem,
        }
    }

    /// The one name that it is, unless it is the beginning of many.
    pub fn exact(&self) -> Option<&str> {
        (!self.is_prefix).then_some(&*self.stem)
    }
}

/// As it is written.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.stem)?;
        if self.is_prefix { write!(f, "{WILDCARD}") } else { Ok(()) }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse("topic", text).unwrap()
    }

    #[test]
    fn a_pattern_is_a_name_or_the_beginning_of_names() {
        for (text, matching, others) in [
            ("orders", &["orders"][..], &["orders.", "order", "Orders", "ordersX", ""][..]),
            (
                "orders.*",
                &["orders.", "orders.eu", "orders.eu.x", "orders.*"],
                &["orders", "ordersX", "xorders."],
            ),
            ("*", &["orders", "", "ü"], &[]),
            // The same letters to the eye: Cyrillic, a full stop of another width, a composed ö.
            ("orders.*", &[], &["оrders.eu", "orders．eu", "orders\u{200b}.eu"]),
            ("b\u{f6}rse", &["b\u{f6}rse"], &["bo\u{308}rse"]),
        ] {
            let it = pattern(text);
            assert_eq!(it.to_string(), text);
            assert!(matching.iter().all(|name| it.matches(name)), "{text}");
            assert!(!others.iter().any(|name| it.matches(name)), "{text}");
        }
    }

    #[test]
    fn a_wildcard_anywhere_but_at_the_end_is_refused() {
        for text in ["", "*.eu", "orders.*.created", "**", "a**", " a", "a ", "a\n*", &"x".repeat(2000)] {
            assert!(Pattern::parse("topic", text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_pattern_covers_those_that_say_less() {
        for (wide, narrow, is_covered) in [
            ("*", "*", true),
            ("*", "orders", true),
            ("orders.*", "orders.eu.*", true),
            ("orders.*", "orders.*", true),
            ("orders.*", "orders.eu", true),
            ("orders", "orders", true),
            ("orders.*", "orders", false),
            ("orders.*", "orders*", false),
            ("orders.*", "*", false),
            ("orders", "orders*", false),
            ("orders", "orderz", false),
        ] {
            assert_eq!(pattern(wide).covers(&pattern(narrow)), is_covered, "{wide} {narrow}");
        }
    }
}
