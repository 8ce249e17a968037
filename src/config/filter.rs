//! What `log.level` says: a level for Bugle's own lines, and levels of single modules.
//!
//! `info`, or `info,bugle::broker=debug,h2=trace`. The order does not matter; the more of a module's
//! path is named, the more that level counts. It prints itself in one form, so two texts that mean
//! the same are equal afterwards. `telemetry` turns it into what the logging library wants.

use std::fmt;

use crate::limits;

/// The levels, from nothing to everything.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Which lines are logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The level of Bugle's own lines.
    pub level: &'static str,
    /// The modules that have a level of their own, Bugle's or those of the libraries below it.
    pub modules: Vec<(String, &'static str)>,
}

impl Filter {
    /// What a filter looks like, for those who wrote something else.
    pub const SHAPE: &str = "a level (error, warn, info, debug, trace or off), and after commas levels \
                             of single modules, such as info,bugle::broker=debug";

    /// Reads a filter; `None` when it is none.
    pub fn parse(text: &str) -> Option<Filter> {
        if text.len() > limits::LOG_FILTER_BYTES_MAX {
            return None;
        }
        let (mut own, mut modules) = (None, Vec::<(String, &'static str)>::new());
        for directive in text.split(',').map(str::trim) {
            match directive.split_once('=') {
                None if own.is_none() => own = Some(level(directive)?),
                None => return None,
                Some((module, text)) => {
                    let (module, level) = (module.trim(), level(text.trim())?);
                    if !is_module(module) || modules.iter().any(|(known, _)| known == module) {
                        return None;
                    }
                    modules.push((module.to_owned(), level));
                }
            }
        }
        modules.sort();
        Some(Filter { level: own?, modules })
    }

    /// The level of the libraries below, where nothing else is said of them: what goes wrong.
    pub fn others(&self) -> &'static str {
        match self.level {
            quiet @ ("off" | "error") => quiet,
            _ => "warn",
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.level)?;
        self.modules.iter().try_for_each(|(module, level)| write!(f, ",{module}={level}"))
    }
}

fn level(text: &str) -> Option<&'static str> {
    LEVELS.into_iter().find(|level| level.eq_ignore_ascii_case(text))
}

/// A path of Rust names, `bugle::broker`.
fn is_module(text: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c == '_' || c == '-' || c.is_ascii_alphanumeric())
    };
    text.split("::").all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_level_and_levels_of_modules_in_any_order() {
        let filter = Filter::parse("h2=off, INFO ,bugle::broker=debug").unwrap();
        assert_eq!(filter.level, "info");
        assert_eq!(filter.to_string(), "info,bugle::broker=debug,h2=off");
        assert_eq!(Filter::parse(&filter.to_string()), Some(filter));
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        let long = format!("info,{}=debug", "a".repeat(limits::LOG_FILTER_BYTES_MAX));
        for text in [
            "",
            "loud",
            "info,",
            "info,warn",
            "bugle=debug",
            "info,=debug",
            "info,a:b=debug",
            "info,a b=info",
            "info,a=",
            "info,a=loud",
            "info,a=info,a=debug",
            "info,[span{field=1}]=debug",
            "info\nwarn",
            &long,
        ] {
            assert_eq!(Filter::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn of_the_libraries_below_only_what_goes_wrong_is_shown() {
        for (text, others) in [("off", "off"), ("error", "error"), ("warn", "warn"), ("trace", "warn")] {
            assert_eq!(Filter::parse(text).unwrap().others(), others, "{text}");
        }
    }
}
