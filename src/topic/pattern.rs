//! A pattern of names: one name, or all names that begin in a certain way.
//!
//! `orders` is that name alone; `orders.*` is every name that begins with `orders.`, which `orders`
//! and `ordersX` do not; `*` is every name. There is no other wildcard, so a reader of a policy or a
//! quota sees at once whom it is for. Names are compared byte by byte: letters that only look alike
//! differ.

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

    /// The pattern that is written so; `None` where that is empty, or has a `*` before its end.
    pub fn read(text: &str) -> Option<Pattern> {
        let (stem, is_prefix) = match text.strip_suffix(WILDCARD) {
            Some(stem) => (stem, true),
            None => (text, false),
        };
        let is_one = !text.is_empty() && !stem.contains(WILDCARD);
        is_one.then(|| Pattern { stem: Arc::from(stem), is_prefix })
    }

    /// The same, where such names can be: bounded, without control characters, visible at both ends. The errors
    /// name this field.
    pub fn parse(field: &str, text: &str) -> Result<Pattern> {
        let problem = match Pattern::read(text) {
            None if text.is_empty() => "has to be given; * is every name".to_owned(),
            None => "can have one *, and only at its end, such as orders.*".to_owned(),
            Some(_) if text.len() > PATTERN_BYTES_MAX => {
                format!("has {} bytes; at most {PATTERN_BYTES_MAX} are allowed", text.len())
            }
            Some(_) if text.trim() != text || text.chars().any(char::is_control) => {
                "has to be without control characters, and to begin and end with a visible character"
                    .to_owned()
            }
            Some(pattern) => return Ok(pattern),
        };
        Err(Error::field(field, problem))
    }

    /// Whether this name is one of its.
    pub fn matches(&self, name: &str) -> bool {
        self.exactness(name).is_some()
    }

    /// How exactly it names this one; `None` where it does not. More is more exact, and the name itself most.
    pub fn exactness(&self, name: &str) -> Option<usize> {
        match self.is_prefix {
            true => name.starts_with(&*self.stem).then_some(self.stem.len()),
            false => (name == &*self.stem).then_some(usize::MAX),
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
    fn the_longer_of_two_is_the_more_exact_and_the_name_itself_is_most() {
        let exactness = |text: &str, name: &str| pattern(text).exactness(name);
        assert!(exactness("*", "eu.x") < exactness("eu*", "eu.x"));
        assert!(exactness("eu*", "eu.x") < exactness("eu.*", "eu.x"));
        assert!(exactness("eu.x*", "eu.x") < exactness("eu.x", "eu.x"));
        assert_eq!(
            (exactness("*", "eu"), exactness("eu.*", "eu"), exactness("e", "eu")),
            (Some(0), None, None)
        );
    }

    #[test]
    fn reading_alone_looks_at_the_wildcard_and_at_nothing_else() {
        for text in [" a", "a\n*", "*", &"x".repeat(2000)] {
            assert_eq!(Pattern::read(text).unwrap().to_string(), text);
        }
        for text in ["", "a*b", "**", "*a"] {
            assert_eq!(Pattern::read(text), None, "{text:?}");
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
