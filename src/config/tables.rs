//! Arrays of tables of the configuration file, such as `[[policies]]`: what cannot be an option, because
//! there are as many as somebody wants. They come from the file alone, for there is no good way to write
//! one as a variable or a flag.
//!
//! To add one: a row in [`TABLES`], and a field of [`Config`] that it goes into.

use super::nearest::nearest;
use super::value::Raw;
use super::{Config, access, issuers, quotas, webhooks};
use crate::error::Error;

/// What stands in one table, in its order.
pub type Entries = [(String, Raw)];

/// What is wrong with one: the entry, where it is about one, and the problem.
pub type Wrong = (Option<String>, String);

/// A kind of table.
pub struct Table {
    /// What an array of them is called.
    pub key: &'static str,
    /// What is said of them where all options are listed, as comments.
    pub doc: &'static str,
    /// Adds the table with these entries, which stands at this place.
    pub add: fn(&mut Config, &Entries, place: &str) -> Result<(), Wrong>,
    /// All there are, as tables.
    pub print: fn(&Config) -> String,
}

/// Every kind, in the order of the documentation.
pub const TABLES: &[Table] = &[
    Table {
        key: "policies",
        doc: access::POLICIES_DOC,
        add: |config, entries, place| access::policy(entries, place).map(|it| config.policies.push(it)),
        print: |config| config.policies.iter().map(access::print_policy).collect(),
    },
    Table {
        key: "roles",
        doc: access::ROLES_DOC,
        add: |config, entries, place| access::role(entries, place).map(|it| config.roles.push(it)),
        print: |config| config.roles.iter().map(access::print_role).collect(),
    },
    Table {
        key: "issuers",
        doc: issuers::DOC,
        add: |config, entries, place| issuers::issuer(entries, place).map(|it| config.issuers.push(it)),
        print: |config| config.issuers.iter().map(issuers::print).collect(),
    },
    Table {
        key: "endpoints",
        doc: webhooks::DOC,
        add: |config, entries, place| webhooks::endpoint(entries, place).map(|it| config.endpoints.push(it)),
        print: |config| config.endpoints.iter().map(webhooks::print).collect(),
    },
    Table {
        key: "quotas",
        doc: quotas::DOC,
        add: |config, entries, _| quotas::rule(entries).map(|it| config.quotas.push(it)),
        print: |config| config.quotas.iter().map(quotas::print).collect(),
    },
];

/// The kind of this key.
pub fn table(key: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.key == key)
}

/// The text of an entry.
pub fn text<'a>(entries: &'a Entries, name: &str) -> Result<Option<&'a str>, Wrong> {
    match entries.iter().find(|(entry, _)| entry == name) {
        None => Ok(None),
        Some((_, Raw::Text(text))) => Ok(Some(text)),
        Some((_, Raw::List(_))) => Err((Some(name.to_owned()), "has to be one text".to_owned())),
    }
}

/// The list of an entry; a single text is a list of one.
pub fn list(entries: &Entries, name: &str) -> Result<Option<Vec<String>>, Wrong> {
    Ok(match entries.iter().find(|(entry, _)| entry == name) {
        None => None,
        Some((_, Raw::Text(text))) => Some(vec![text.clone()]),
        Some((_, Raw::List(items))) => Some(items.clone()),
    })
}

/// That there is nothing but these.
pub fn only(entries: &Entries, known: &[&str], what: &str) -> Result<(), Wrong> {
    match entries.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some((name, _)) => Err((Some(name.clone()), unknown(name, known, what))),
    }
}

/// That an entry is none of those that there are.
pub fn unknown(name: &str, known: &[&str], what: &str) -> String {
    match nearest(name, known.iter().copied()) {
        Some(meant) => format!("is nothing that {what} can have; did you mean {meant}?"),
        None => format!("is nothing that {what} can have; that is {}", known.join(", ")),
    }
}

/// An error of the domain, about this entry.
pub fn about(name: &str, error: &Error) -> Wrong {
    (Some(name.to_owned()), described(error))
}

/// What an error of the domain says of its field.
pub fn described(error: &Error) -> String {
    error.violations().first().map_or_else(|| error.message().to_owned(), |it| it.description.clone())
}
