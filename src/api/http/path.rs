//! What stands in the target of a request: the names in its path, and its query.

use std::borrow::Cow;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};
use crate::topic::TopicName;

/// The topic of a path: behind its first segment a namespace, and the rest is the topic. Errors: names
/// that are none.
pub fn topic_name(path: &str) -> Result<TopicName> {
    let mut segments = path.trim_start_matches('/').splitn(3, '/').skip(1);
    let mut name = |field| {
        let text = segments.next().unwrap_or_default();
        let decoded = percent_decode_str(text).decode_utf8();
        decoded.map_err(|_| Error::field(field, "has to be UTF-8, percent-encoded in the path"))
    };
    let (namespace, topic) = (name("namespace")?, name("topic")?);
    TopicName::parse(&namespace, &topic)
}

/// The query of a request. Each name at most once.
pub struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// The query of this target, of which nothing but these names is understood. Errors: another name, or
    /// one twice. What is wrong is told without the value, which may be a credential.
    pub fn parse(uri: &'a http::Uri, known: &[&str]) -> Result<Query<'a>> {
        let mut pairs: Vec<(Cow<'a, str>, Cow<'a, str>)> = Vec::new();
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            // The credential was read before.
            if name == TOKEN {
                continue;
            }
            if !known.contains(&&*name) {
                let known = known.join(", ");
                return Err(Error::field(
                    "query",
                    format!("{name:.40?} is not known here; there are {known}"),
                ));
            }
            if pairs.iter().any(|(before, _)| *before == name) {
                return Err(Error::field(name, "is there twice; give it once"));
            }
            pairs.push((name, value));
        }
        Ok(Query(pairs))
    }

    /// The value of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// The value of this name, read as what it has to be. Errors: it cannot be that.
    pub fn read<T: FromStr>(&self, name: &str, what: &str) -> Result<Option<T>> {
        let read = |text: &str| text.parse().map_err(|_| Error::field(name, format!("has to be {what}")));
        self.get(name).map(read).transpose()
    }
}

/// The name of a credential in a query, for browsers that cannot send it any other way.
const TOKEN: &str = "token";

/// The credential in the query of this target. Errors: there are two.
pub fn token(uri: &http::Uri) -> Result<Option<String>> {
    let mut found = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .filter(|(name, value)| name == TOKEN && !value.is_empty())
        .map(|(_, value)| value.into_owned());
    let token = found.next();
    match found.next() {
        None => Ok(token),
        Some(_) => Err(Error::field(TOKEN, "is there twice; give it once")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_the_rest_of_the_path_and_names_are_decoded() {
        for (path, namespace, topic) in [
            ("/v1/default/orders", "default", "orders"),
            ("/v1/a%2Fb/orders/eu", "a/b", "orders/eu"),
            ("/v1//orders", "default", "orders"),
            ("/v1/eu/caf%C3%A9%20x", "eu", "café x"),
        ] {
            let name = topic_name(path).unwrap();
            assert_eq!((name.namespace().as_str(), name.topic()), (namespace, topic));
        }
        for (path, field) in
            [("/v1/eu/%FF", "topic"), ("/v1/%FF/x", "namespace"), ("/v1/eu", "topic"), ("/v1/eu/", "topic")]
        {
            assert_eq!(topic_name(path).unwrap_err().violations()[0].field, field, "{path}");
        }
    }

    #[test]
    fn a_query_says_what_is_known_and_says_it_once() {
        let uri: http::Uri = "/v1/a/b?last=3&token=secret".parse().unwrap();
        let query = Query::parse(&uri, &["last", "after"]).unwrap();
        assert_eq!(query.read::<u64>("last", "a number").unwrap(), Some(3));
        assert_eq!(query.get("after"), None);
        assert_eq!(token(&uri).unwrap().as_deref(), Some("secret"));
        for wrong in ["/v1/a/b?lats=3", "/v1/a/b?last=3&last=4"] {
            assert!(Query::parse(&wrong.parse().unwrap(), &["last"]).is_err(), "{wrong}");
        }
        let uri: http::Uri = "/v1/a/b?last=three".parse().unwrap();
        let error = Query::parse(&uri, &["last"]).unwrap().read::<u64>("last", "a number").unwrap_err();
        assert_eq!(error.message(), "last: has to be a number");
        assert!(token(&"/?token=a&token=b".parse().unwrap()).is_err());
        assert_eq!(token(&"/?token=".parse().unwrap()).unwrap(), None);
    }
}
