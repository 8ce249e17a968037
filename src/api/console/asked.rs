//! What a request for JSON asks for: the names of its path, and the few words of its query.
//!
//! A name is written with `%` and two digits where it has a character that would end it, so a
//! namespace with a slash is written `%2F`; a topic is all the rest.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};

/// See the module.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The names between the slashes.
    pub path: Vec<String>,
    /// With what a name begins.
    pub prefix: String,
    /// How many; 0 is as many as are usual.
    pub page_size: u32,
    /// Behind what.
    pub page_token: String,
}

impl Asked {
    /// Reads the rest of a path, and a query. Errors: words that are unknown, twice there or not to be
    /// understood.
    pub fn read(path: &str, query: Option<&str>) -> Result<Asked> {
        let names = path.split('/').map(|name| text("path", name)).collect::<Result<_>>()?;
        let mut asked = Asked { path: names, ..Asked::default() };
        let mut seen = Vec::new();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if seen.contains(&name) {
                return Err(Error::field(name, "is there twice; say it once"));
            }
            seen.push(name);
            // Forms write a space as a plus.
            let value = text(name, &value.replace('+', "%20"))?;
            match name {
                "prefix" => asked.prefix = value,
                "page_size" => {
                    asked.page_size = value.parse().map_err(|_| {
                        Error::field("page_size", format!("has to be a number and not {value:?}"))
                    })?
                }
                "page_token" => asked.page_token = value,
                _ => {
                    let description = "is not known here; there are prefix, page_size and page_token";
                    return Err(Error::field(name, description));
                }
            }
        }
        Ok(asked)
    }
}

fn text(field: &str, encoded: &str) -> Result<String> {
    let decoded = percent_decode_str(encoded).decode_utf8().map(Cow::into_owned);
    decoded.map_err(|_| Error::field(field, "has to be UTF-8 behind its percent signs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_words_are_read_as_they_were_meant() {
        let asked =
            Asked::read("topics/a%2Fb/c/d%20e", Some("prefix=x%2By+z&page_size=7&page_token=")).unwrap();
        assert_eq!(asked.path, ["topics", "a/b", "c", "d e"]);
        assert_eq!((asked.prefix.as_str(), asked.page_size, asked.page_token.as_str()), ("x+y z", 7, ""));
        assert_eq!(Asked::read("server", None).unwrap().path, ["server"]);
    }

    #[test]
    fn words_that_mean_nothing_are_refused_by_name() {
        for (query, field) in [
            ("page_size=many", "page_size"),
            ("page_size=-1", "page_size"),
            ("size=1", "size"),
            ("prefix=a&prefix=b", "prefix"),
            ("prefix=%ff", "prefix"),
        ] {
            let error = Asked::read("topics/default", Some(query)).unwrap_err();
            assert_eq!(error.violations()[0].field, field, "{query}");
        }
        assert_eq!(Asked::read("topics/%ff", None).unwrap_err().violations()[0].field, "path");
    }
}
