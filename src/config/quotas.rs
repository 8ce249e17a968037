//! The tables `[[quotas]]` of the configuration file: what namespaces and principals may use.
//!
//! They come from the file alone, for there is no good way to write one as a variable or a flag.

use super::tables::{self, Entries, Wrong, described};
use super::units::{format_bytes, parse_bytes};
use super::value::Raw;
use crate::quota::{self, Limit, Rule, Scope};

/// What is said of them where all options are listed.
pub const DOC: &str = "\
# Quotas: a table for each namespace, or for each of the principals, that begins like this; of several
# the most exact counts, for each limit by itself. They are read again on SIGHUP.
# [[quotas]]
# namespace = \"eu.*\"                    # or: principal = \"key:*\"
# publish_messages_per_second = 10000
# publish_bytes_per_second = \"10MiB\"
# subscriptions = 1000
# topics = 100
# retained_bytes = \"1GiB\"               # of a namespace
# connections = 100                     # of a principal
";

/// The rule that a table with these entries is. An error is the entry, where it is about one, and what
/// is wrong with it.
pub fn rule(entries: &Entries) -> Result<Rule, Wrong> {
    let whole = |problem: String| (None, problem);
    let subjects: Vec<(Scope, &String, &Raw)> = entries
        .iter()
        .filter_map(|(name, raw)| {
            Scope::ALL.into_iter().find(|scope| scope.as_str() == name).map(|scope| (scope, name, raw))
        })
        .collect();
    let [(scope, name, raw)] = subjects[..] else {
        return Err(whole("has to name one: give either namespace or principal".to_owned()));
    };
    let Raw::Text(text) = raw else { return Err((Some(name.clone()), "has to be one pattern".to_owned())) };
    let mut rule = Rule::new(scope, text).map_err(|error| (Some(name.clone()), described(&error)))?;
    for (name, raw) in entries.iter().filter(|(entry, _)| entry != name) {
        let about = |problem: String| (Some(name.clone()), problem);
        let limit = Limit::parse(name).ok_or_else(|| about(unknown(name)))?;
        let value = value(limit, raw).map_err(about)?;
        rule = rule.with(limit, value).map_err(|error| about(described(&error)))?;
    }
    Ok(rule)
}

/// What is wrong between rules that are each right.
pub fn contradiction(rules: &[Rule]) -> Option<String> {
    quota::check(rules).err().map(|error| error.message().to_owned())
}

/// A rule as a table.
pub fn print(rule: &Rule) -> String {
    let pattern = toml::Value::from(rule.pattern.to_string());
    let mut text = format!("\n[[quotas]]\n{} = {pattern}\n", rule.scope);
    for (limit, value) in Limit::ALL.into_iter().zip(rule.limits) {
        text.push_str(&match value {
            Some(bytes) if limit.is_bytes() => format!("{} = \"{}\"\n", limit.as_str(), format_bytes(bytes)),
            Some(count) => format!("{} = {count}\n", limit.as_str()),
            None => continue,
        });
    }
    text
}

fn value(limit: Limit, raw: &Raw) -> Result<u64, String> {
    let value = match raw {
        Raw::Text(text) if limit.is_bytes() => parse_bytes(text),
        Raw::Text(text) => text.trim().parse().ok(),
        Raw::List(_) => None,
    };
    // The largest number of all says that there is no limit.
    value.filter(|value| *value < u64::MAX).ok_or_else(|| match limit.is_bytes() {
        true => "has to be a size such as 64MiB".to_owned(),
        false => "has to be a whole number".to_owned(),
    })
}

fn unknown(name: &str) -> String {
    let known = Limit::ALL.into_iter().map(Limit::as_str).chain(Scope::ALL.into_iter().map(Scope::as_str));
    tables::unknown(name, &known.collect::<Vec<_>>(), "a quota")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(all: &[(&str, &str)]) -> Vec<(String, Raw)> {
        all.iter().map(|(name, text)| ((*name).to_owned(), Raw::Text((*text).to_owned()))).collect()
    }

    #[test]
    fn a_table_is_a_rule_and_prints_as_one() {
        let all = entries(&[
            ("retained_bytes", "2MiB"),
            ("namespace", "eu.*"),
            ("topics", "7"),
            ("subscriptions", "0"),
        ]);
        let rule = rule(&all).unwrap();
        assert_eq!(
            (rule.scope, rule.limits[Limit::RetainedBytes as usize]),
            (Scope::Namespace, Some(2 << 20))
        );
        let lines = "namespace = \"eu.*\"\nsubscriptions = 0\ntopics = 7\nretained_bytes = \"2MiB\"\n";
        assert_eq!(print(&rule), format!("\n[[quotas]]\n{lines}"));
    }

    #[test]
    fn a_table_with_a_mistake_says_which_entry_it_is() {
        for (all, entry, says) in [
            (&[("topics", "7")][..], None, "either namespace or principal"),
            (&[("namespace", "a"), ("principal", "b"), ("topics", "7")], None, "either"),
            (&[("namespace", "a*b"), ("topics", "7")], Some("namespace"), "orders.*"),
            (&[("namespace", "a"), ("topic", "7")], Some("topic"), "did you mean topics?"),
            (&[("namespace", "a"), ("topics", "-1")], Some("topics"), "whole number"),
            (&[("namespace", "a"), ("retained_bytes", "much")], Some("retained_bytes"), "64MiB"),
            (&[("namespace", "a"), ("connections", "1")], Some("connections"), "of a principal"),
            (
                &[("principal", "a"), ("publish_bytes_per_second", "0")],
                Some("publish_bytes_per_second"),
                "at least 1",
            ),
        ] {
            let (named, problem) = rule(&entries(all)).unwrap_err();
            assert_eq!(named.as_deref(), entry, "{problem}");
            assert!(problem.contains(says), "{problem}");
        }
    }
}
