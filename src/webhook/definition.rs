//! What somebody says a webhook is: checked whole, wherever it comes from.

use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::secret::Signing;
use super::target::Target;
use crate::error::{Error, Result};
use crate::limits::{
    WEBHOOK_CONCURRENCY_MAX, WEBHOOK_GIVE_UP_DEFAULT, WEBHOOK_GIVE_UP_MAX, WEBHOOK_GIVE_UP_MIN,
    WEBHOOK_HEADER_BYTES_MAX, WEBHOOK_HEADERS_MAX, WEBHOOK_NAME_BYTES_MAX, WEBHOOK_TIMEOUT_DEFAULT,
    WEBHOOK_TIMEOUT_MAX, WEBHOOK_TIMEOUT_MIN,
};
use crate::topic::TopicName;

/// What a request looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// CloudEvents 1.0, binary mode: the payload is the body, what is said of it are headers.
    #[default]
    CloudEvents,
    /// CloudEvents 1.0, structured mode: one JSON object.
    CloudEventsJson,
    /// The payload is the body, and headers of Bugle's own say the rest.
    Raw,
}

impl Format {
    /// Every format, in the order of the declaration.
    pub const ALL: [Format; 3] = [Format::CloudEvents, Format::CloudEventsJson, Format::Raw];

    /// Its name in the configuration and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::CloudEvents => "cloudevents",
            Format::CloudEventsJson => "cloudevents-json",
            Format::Raw => "raw",
        }
    }

    /// The format of this name.
    pub fn parse(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.as_str() == name)
    }
}

/// Who defined a webhook, and so who may change it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Origin {
    /// Somebody, through the API.
    #[default]
    Api,
    /// The configuration, at this place.
    Config(String),
}

/// A webhook as it was defined.
#[derive(Clone, PartialEq)]
pub struct Definition {
    /// Its name, of its namespace's webhooks.
    pub name: String,
    /// Whose messages it sends.
    pub topic: TopicName,
    /// Where to.
    pub url: String,
    /// As what.
    pub format: Format,
    /// What the requests are signed with.
    pub secret: Signing,
    /// Sent with each request. The values may be credentials, and are not shown.
    pub headers: Vec<(String, String)>,
    /// From connecting to the head of the answer.
    pub timeout: Duration,
    /// A message that is not acknowledged for so long is passed over.
    pub give_up_after: Duration,
    /// Requests at once; with more than one, messages come in any order.
    pub concurrency: u64,
    /// Whether it begins with what is retained, and not with what comes.
    pub from_earliest: bool,
    /// Who defined it.
    pub origin: Origin,
}

/// Headers that are the server's to set, and beginnings of them.
const OURS: [&str; 9] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "te",
    "upgrade",
    "traceparent",
    "tracestate",
];
const OUR_PREFIXES: [&str; 4] = ["webhook-", "ce-", "bugle-", "proxy-"];

impl Definition {
    /// A webhook of this name that is like most.
    pub fn new(name: &str, topic: TopicName, url: &str, secret: Signing) -> Definition {
        Definition {
            name: name.to_owned(),
            topic,
            url: url.to_owned(),
            format: Format::default(),
            secret,
            headers: Vec::new(),
            timeout: WEBHOOK_TIMEOUT_DEFAULT,
            give_up_after: WEBHOOK_GIVE_UP_DEFAULT,
            concurrency: 1,
            from_earliest: false,
            origin: Origin::Api,
        }
    }

    /// Where its requests go. Errors: anything about it that cannot be, by the field.
    pub fn check(&self) -> Result<Target> {
        Definition::check_name(&self.name)?;
        within("timeout", self.timeout, WEBHOOK_TIMEOUT_MIN, WEBHOOK_TIMEOUT_MAX)?;
        within("give_up_after", self.give_up_after, WEBHOOK_GIVE_UP_MIN, WEBHOOK_GIVE_UP_MAX)?;
        if !(1..=WEBHOOK_CONCURRENCY_MAX).contains(&self.concurrency) {
            return Err(Error::field(
                "concurrency",
                format!("has to be from 1 to {WEBHOOK_CONCURRENCY_MAX}"),
            ));
        }
        if self.headers.len() > WEBHOOK_HEADERS_MAX {
            return Err(Error::field("headers", format!("are more than {WEBHOOK_HEADERS_MAX}")));
        }
        self.headers.iter().try_for_each(|(name, value)| header(name, value).map(|_| ()))?;
        Target::parse(&self.url)
    }

    /// That this can be the name of a webhook.
    pub fn check_name(name: &str) -> Result<()> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > WEBHOOK_NAME_BYTES_MAX || !name.chars().all(is_plain) {
            let description = format!(
                "has to be 1 to {WEBHOOK_NAME_BYTES_MAX} letters, digits, hyphens, dots and underscores"
            );
            return Err(Error::field("name", description));
        }
        Ok(())
    }

    /// Its URL without the query, which may be a credential.
    pub fn shown_url(&self) -> String {
        match self.url.split_once('?') {
            Some((url, _)) => format!("{url}?[hidden]"),
            None => self.url.clone(),
        }
    }

    /// Its headers as they are sent.
    pub fn sent_headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> + '_ {
        self.headers.iter().filter_map(|(name, value)| header(name, value).ok())
    }
}

/// Without what may be a credential: the values of its headers, and what is behind the path of its URL.
impl std::fmt::Debug for Definition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Definition")
            .field("name", &self.name)
            .field("topic", &self.topic)
            .field("url", &self.shown_url())
            .field("format", &self.format)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue)> {
    let wrong = |problem: &str| Error::field("headers", format!("{:.40}: {problem}", name.escape_debug()));
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong("is no name of a header"))?;
    let is_ours =
        OURS.contains(&name.as_str()) || OUR_PREFIXES.iter().any(|it| name.as_str().starts_with(it));
    if is_ours {
        return Err(wrong("is set by the server"));
    }
    if value.len() > WEBHOOK_HEADER_BYTES_MAX {
        return Err(wrong(&format!("has more than {WEBHOOK_HEADER_BYTES_MAX} bytes")));
    }
    let mut value =
        HeaderValue::from_str(value).map_err(|_| wrong("has a value that is none of a header"))?;
    value.set_sensitive(true);
    Ok((name, value))
}

fn within(field: &str, found: Duration, min: Duration, max: Duration) -> Result<()> {
    if (min..=max).contains(&found) {
        return Ok(());
    }
    Err(Error::field(field, format!("has to be from {min:?} to {max:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook() -> Definition {
        let topic = TopicName::parse("", "orders").unwrap();
        Definition::new("billing", topic, "https://example.com/hook", Signing::random().unwrap())
    }

    #[test]
    fn what_cannot_be_is_told_by_its_field() {
        assert!(hook().check().is_ok());
        let headers = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        let long = Duration::from_secs(100 * 24 * 60 * 60);
        for (field, wrong) in [
            ("name", Definition { name: String::new(), ..hook() }),
            ("name", Definition { name: "a b".into(), ..hook() }),
            ("url", Definition { url: "example.com".into(), ..hook() }),
            ("timeout", Definition { timeout: Duration::ZERO, ..hook() }),
            ("timeout", Definition { timeout: long, ..hook() }),
            ("give_up_after", Definition { give_up_after: long, ..hook() }),
            ("concurrency", Definition { concurrency: 0, ..hook() }),
            ("concurrency", Definition { concurrency: 17, ..hook() }),
            ("headers", Definition { headers: headers("a b", "c"), ..hook() }),
            ("headers", Definition { headers: headers("Host", "c"), ..hook() }),
            ("headers", Definition { headers: headers("Webhook-Id", "c"), ..hook() }),
            ("headers", Definition { headers: headers("a", "b\r\nc: d"), ..hook() }),
            ("headers", Definition { headers: headers("a", &"b".repeat(2000)), ..hook() }),
            ("headers", Definition { headers: vec![("a".into(), "b".into()); 17], ..hook() }),
        ] {
            assert_eq!(wrong.check().unwrap_err().violations()[0].field, field, "{wrong:?}");
        }
        let fine = Definition { headers: headers("Authorization", "Bearer hunter2"), ..hook() };
        assert!(fine.check().is_ok());
        let shown = Definition { url: "https://a/?key=hunter2".into(), ..fine.clone() };
        assert!(!format!("{shown:?}").contains("hunter2"));
        assert!(!format!("{:?}", fine.sent_headers().collect::<Vec<_>>()).contains("hunter2"));
    }
}
