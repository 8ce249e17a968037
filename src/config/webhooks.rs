//! The section `webhooks`, and the tables `[[endpoints]]`: webhooks that are there from the start.
//!
//! What a webhook has to be is checked by `webhook`; its secret is in a file, which the server reads.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::tables::{Entries, Wrong, about, list, only, text};
use super::units::{format_duration, parse_duration};
use crate::error::Error;
use crate::limits::{
    WEBHOOK_RETRY_INITIAL_DEFAULT, WEBHOOK_RETRY_MAX_DEFAULT, WEBHOOKS_CONCURRENT_DEFAULT, WEBHOOKS_MAX,
};
use crate::topic::TopicName;
use crate::webhook::{Definition, Format, Origin, Signing};

/// The section `webhooks`.
#[derive(Debug, Clone)]
pub struct Webhooks {
    /// Requests of all of them at once.
    pub max_concurrent: u64,
    /// What may be talked to beside the public internet.
    pub allow: String,
    /// Authorities to trust beside those of the system.
    pub ca: String,
    /// Upper bound of the wait behind the first failure.
    pub retry_initial: Duration,
    /// Upper bound of all waits, while an endpoint is not dead.
    pub retry_max: Duration,
}

impl Default for Webhooks {
    fn default() -> Self {
        Webhooks {
            max_concurrent: WEBHOOKS_CONCURRENT_DEFAULT,
            allow: String::new(),
            ca: String::new(),
            retry_initial: WEBHOOK_RETRY_INITIAL_DEFAULT,
            retry_max: WEBHOOK_RETRY_MAX_DEFAULT,
        }
    }
}

/// A webhook of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// Everything but its secret, which is a placeholder.
    pub definition: Definition,
    /// Where the secret is.
    pub secret_file: PathBuf,
}

/// What is said of them where all options are listed.
pub const DOC: &str = "\
# Webhooks: topics that push their messages to HTTP endpoints. They are read again on SIGHUP.
# [[endpoints]]
# name = \"billing\"
# namespace = \"default\"
# topic = \"orders\"
# url = \"https://billing.example/hook\"
# secret_file = \"/etc/bugle/billing.secret\"  # whsec_ and base64 of 24 to 64 bytes: it signs the requests
# format = \"cloudevents\"                 # or cloudevents-json, raw
# headers = [\"authorization: Bearer …\"]  # sent with each request
# timeout = \"10s\"
# give_up_after = \"1d\"                   # then a message is passed over, and counted
# concurrency = 1                        # more give up the order
# start = \"latest\"                       # or earliest
";

const KNOWN: [&str; 11] = [
    "name",
    "namespace",
    "topic",
    "url",
    "secret_file",
    "format",
    "headers",
    "timeout",
    "give_up_after",
    "concurrency",
    "start",
];

/// The webhook that a table with these entries is; `place` is where it stands.
pub fn endpoint(entries: &Entries, place: &str) -> Result<Endpoint, Wrong> {
    only(entries, &KNOWN, "a webhook")?;
    let needed = |name: &str| {
        text(entries, name)?.filter(|text| !text.is_empty()).ok_or((None, format!("has to have {name}")))
    };
    let wrong = |name: &str, problem: &str| (Some(name.to_owned()), problem.to_owned());
    let topic = TopicName::parse(text(entries, "namespace")?.unwrap_or_default(), needed("topic")?)
        .map_err(|error| named(&error))?;
    let placeholder = Signing::placeholder();
    let mut definition = Definition::new(needed("name")?, topic, needed("url")?, placeholder);
    definition.origin = Origin::Config(place.to_owned());
    if let Some(name) = text(entries, "format")? {
        let words = Format::ALL.map(Format::as_str).join(", ");
        definition.format =
            Format::parse(name).ok_or_else(|| wrong("format", &format!("has to be one of {words}")))?;
    }
    for header in list(entries, "headers")?.unwrap_or_default() {
        let (name, value) = header.split_once(':').ok_or_else(|| {
            wrong("headers", "have to be a list of texts such as \"authorization: Bearer …\"")
        })?;
        definition.headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    for (name, field) in
        [("timeout", &mut definition.timeout), ("give_up_after", &mut definition.give_up_after)]
    {
        if let Some(text) = text(entries, name)? {
            *field = parse_duration(text).ok_or_else(|| wrong(name, "has to be a duration, such as 30s"))?;
        }
    }
    if let Some(text) = text(entries, "concurrency")? {
        let count = text.trim().parse();
        definition.concurrency = count.map_err(|_| wrong("concurrency", "has to be a whole number"))?;
    }
    definition.from_earliest = match text(entries, "start")? {
        None | Some("latest") => false,
        Some("earliest") => true,
        Some(_) => return Err(wrong("start", "has to be latest or earliest")),
    };
    definition.check().map_err(|error| named(&error))?;
    Ok(Endpoint { definition, secret_file: PathBuf::from(needed("secret_file")?) })
}

/// An error of the domain, about the entry that it names.
fn named(error: &Error) -> Wrong {
    let field = error.violations().first().map_or("name", |violation| violation.field.as_str());
    about(field, error)
}

/// What is wrong between webhooks that are each right.
pub fn contradictions(webhooks: &Webhooks, endpoints: &[Endpoint]) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    if webhooks.retry_initial > webhooks.retry_max {
        found.push(("webhooks.retry_initial", "is longer than webhooks.retry_max".to_owned()));
    }
    if endpoints.len() > WEBHOOKS_MAX {
        found.push(("endpoints", format!("there are more than {WEBHOOKS_MAX}")));
    }
    let mut names = BTreeSet::new();
    for Endpoint { definition, .. } in endpoints {
        if !names.insert((definition.topic.namespace(), definition.name.as_str())) {
            found.push(("endpoints", format!("there is a webhook {:?} already", definition.name)));
        }
    }
    found
}

/// A webhook as a table. The values of its headers and the query of its URL may be credentials and are not
/// printed.
pub fn print(endpoint: &Endpoint) -> String {
    let Endpoint { definition, secret_file } = endpoint;
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let headers = definition.headers.iter().map(|(name, _)| quoted(&format!("{name}: [hidden]")));
    let headers = headers.collect::<Vec<_>>().join(", ");
    format!(
        "\n[[endpoints]]\nname = {}\nnamespace = {}\ntopic = {}\nurl = {}\nsecret_file = {}\nformat = {}\n\
         headers = [{headers}]\ntimeout = {}\ngive_up_after = {}\nconcurrency = {}\nstart = {}\n",
        quoted(&definition.name),
        quoted(definition.topic.namespace().as_str()),
        quoted(definition.topic.topic()),
        quoted(&definition.shown_url()),
        quoted(&secret_file.to_string_lossy()),
        quoted(definition.format.as_str()),
        quoted(&format_duration(definition.timeout)),
        quoted(&format_duration(definition.give_up_after)),
        definition.concurrency,
        quoted(if definition.from_earliest { "earliest" } else { "latest" }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Raw;

    fn read(changes: &[(&str, &str)]) -> Result<Endpoint, Wrong> {
        let mut entries = vec![
            ("name", "billing"),
            ("topic", "orders"),
            ("url", "https://example.com/hook"),
            ("secret_file", "/s"),
        ];
        for (name, value) in changes {
            entries.retain(|(known, _)| known != name);
            entries.push((name, value));
        }
        let given = entries.into_iter().filter(|(_, value)| *value != "-");
        let entries: Vec<_> =
            given.map(|(name, value)| (name.to_owned(), Raw::Text(value.to_owned()))).collect();
        endpoint(&entries, "bugle.toml:1")
    }

    #[test]
    fn a_webhook_of_the_configuration_shows_no_values_of_headers() {
        let hook = read(&[("headers", "authorization: Bearer hunter2"), ("start", "earliest")]).unwrap();
        assert_eq!(hook.definition.headers, [("authorization".to_owned(), "Bearer hunter2".to_owned())]);
        assert!(hook.definition.from_earliest);
        let printed = print(&hook);
        assert!(printed.parse::<toml::Table>().is_ok() && !printed.contains("hunter2"), "{printed}");
    }

    #[test]
    fn what_a_webhook_cannot_be_is_told() {
        for (changes, entry, words) in [
            (&[("topics", "x")][..], Some("topics"), "did you mean topic?"),
            (&[("name", "-")], None, "has to have name"),
            (&[("secret_file", "-")], None, "has to have secret_file"),
            (&[("url", "ftp://a")], Some("url"), "https://"),
            (&[("format", "xml")], Some("format"), "cloudevents"),
            (&[("headers", "nothing")], Some("headers"), "authorization"),
            (&[("timeout", "soon")], Some("timeout"), "duration"),
            (&[("timeout", "1d")], Some("timeout"), "has to be from"),
            (&[("concurrency", "many")], Some("concurrency"), "whole number"),
            (&[("start", "middle")], Some("start"), "earliest"),
        ] {
            let (about, problem) = read(changes).unwrap_err();
            assert_eq!(about.as_deref(), entry, "{changes:?}: {problem}");
            assert!(problem.contains(words), "{changes:?}: {problem}");
        }
        let twice = [read(&[]).unwrap(), read(&[]).unwrap()];
        assert_eq!(contradictions(&Webhooks::default(), &twice).len(), 1);
    }
}
