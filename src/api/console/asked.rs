//! What a request for JSON asks for: the names of its path, and the few words of its query.
//!
//! A name is written with `%` and two digits where it has a character that would end it, so a
//! namespace with a slash is written `%2F`; a topic is all the rest.

use std::borrow::Cow;

use http::Uri;
use percent_encoding::percent_decode_str;

use crate::api::http::Query;
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
    /// Reads a target below `/admin/v1/`. Errors: words that are unknown, twice there or not to be
    /// understood.
    pub fn read(target: &Uri) -> Result<Asked> {
        let path =
            target.path().trim_start_matches("/admin/v1/").split('/').map(name).collect::<Result<_>>()?;
        let query = Query::parse(target, &["prefix", "page_size", "page_token"])?;
        let word = |name| query.get(name).unwrap_or_default().to_owned();
        Ok(Asked {
            path,
            prefix: word("prefix"),
            page_size: query.read("page_size", "a number")?.unwrap_or(0),
            page_token: word("page_token"),
        })
    }
}

fn name(encoded: &str) -> Result<String> {
    let decoded = percent_decode_str(encoded).decode_utf8().map(Cow::into_owned);
    decoded.map_err(|_| Error::field("path", "has to be UTF-8, percent-encoded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(target: &str) -> Result<Asked> {
        Asked::read(&format!("/admin/v1/{target}").parse().unwrap())
    }

    #[test]
    fn names_and_words_are_read_as_they_were_meant() {
        let asked = read("topics/a%2Fb/c/d%20e?prefix=x%2By+z&page_size=7&page_token=").unwrap();
        assert_eq!(asked.path, ["topics", "a/b", "c", "d e"]);
        assert_eq!((asked.prefix.as_str(), asked.page_size, asked.page_token.as_str()), ("x+y z", 7, ""));
        assert_eq!(read("server").unwrap().path, ["server"]);
    }

    #[test]
    fn words_that_mean_nothing_are_refused_by_name() {
        for (target, field) in [
            ("topics/a?page_size=many", "page_size"),
            ("topics/a?page_size=-1", "page_size"),
            ("topics/a?size=1", "query"),
            ("topics/a?prefix=a&prefix=b", "prefix"),
            ("topics/%ff", "path"),
        ] {
            assert_eq!(read(target).unwrap_err().violations()[0].field, field, "{target}");
        }
    }
}
