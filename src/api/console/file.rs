//! The files of the page, as they are in the binary.
//!
//! Each has a tag made of what is in it, so a browser asks every time and is sent a file again only
//! when the server has another one. The policy lets the page load nothing from elsewhere, run no
//! script that is not a file of its own, and be framed by nobody.

use std::hash::{DefaultHasher, Hash, Hasher};

use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, Method, Request, Response, StatusCode};

use super::set;
use crate::api::body::Body;

const POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";
const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! files {
    ($($path:literal $name:literal $media_type:expr;)*) => {
        /// Path, content and media type of each.
        const FILES: &[(&str, &str, &str)] = &[$(($path, include_str!(concat!("page/", $name)), $media_type),)*];
    };
}

files! {
    "/" "index.html" "text/html; charset=utf-8";
    "/console/console.css" "console.css" "text/css; charset=utf-8";
    "/console/mark.svg" "mark.svg" "image/svg+xml";
    "/console/theme.js" "theme.js" SCRIPT;
    "/console/main.js" "main.js" SCRIPT;
    "/console/api.js" "api.js" SCRIPT;
    "/console/element.js" "element.js" SCRIPT;
    "/console/format.js" "format.js" SCRIPT;
    "/console/history.js" "history.js" SCRIPT;
    "/console/plot.js" "plot.js" SCRIPT;
    "/console/overview.js" "overview.js" SCRIPT;
    "/console/topic.js" "topic.js" SCRIPT;
    "/console/tail.js" "tail.js" SCRIPT;
    "/console/publish.js" "publish.js" SCRIPT;
    "/console/subscriptions.js" "subscriptions.js" SCRIPT;
    "/console/webhooks.js" "webhooks.js" SCRIPT;
}

/// All files of the page.
pub struct Files(Vec<File>);

/// One of them.
pub struct File {
    path: &'static str,
    content: &'static str,
    media_type: &'static str,
    tag: HeaderValue,
}

impl Files {
    /// Those that are compiled in.
    pub fn new() -> Files {
        let file = |&(path, content, media_type): &(&'static str, &'static str, &'static str)| {
            let mut hasher = DefaultHasher::new();
            content.hash(&mut hasher);
            let tag = HeaderValue::from_str(&format!("\"{:016x}\"", hasher.finish()));
            File { path, content, media_type, tag: tag.unwrap_or(HeaderValue::from_static("\"\"")) }
        };
        Files(FILES.iter().map(file).collect())
    }

    /// The file of this path.
    pub fn find(&self, path: &str) -> Option<&File> {
        self.0.iter().find(|file| file.path == path)
    }
}

impl File {
    /// The file, or that it is the one that the browser has.
    pub fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        let is_known =
            request.headers().get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok()).is_some_and(|tags| {
                tags.split(',')
                    .any(|tag| tag.trim().trim_start_matches("W/").as_bytes() == self.tag.as_bytes())
            });
        let mut response = Response::new(match *request.method() {
            Method::GET if !is_known => Body::text(self.content),
            _ => Body::Empty,
        });
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            set(&mut response, [(CONTENT_TYPE, self.media_type)]);
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(self.content.len()));
        }
        response.headers_mut().insert(ETAG, self.tag.clone());
        let headers = [
            (CACHE_CONTROL, "no-cache"),
            (CONTENT_SECURITY_POLICY, POLICY),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        ];
        set(&mut response, headers);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_files_that_are_there_and_nothing_elsewhere() {
        let files = Files::new();
        for file in &files.0 {
            assert!(!file.content.is_empty(), "{}", file.path);
            for quote in ['"', '\''] {
                for text in file.content.split(quote).filter(|text| !text.contains(char::is_whitespace)) {
                    if text.starts_with("/console/") {
                        assert!(files.find(text).is_some(), "{} names {text}", file.path);
                    } else if let Some(name) = text.strip_prefix("./") {
                        assert!(
                            files.find(&format!("/console/{name}")).is_some(),
                            "{} names {text}",
                            file.path
                        );
                    }
                    let is_elsewhere = text.starts_with("//") || text.starts_with("http");
                    let is_name = text.starts_with("http://www.w3.org/");
                    assert!(!is_elsewhere || is_name, "{} goes to {text}", file.path);
                }
            }
        }
        let page = files.find("/").unwrap().content;
        for inline in ["<script>", "<style", " style=", " onclick=", " onload=", " onsubmit=", "javascript:"]
        {
            assert!(!page.contains(inline), "{inline}");
        }
    }

    #[test]
    fn a_file_that_is_known_is_not_sent_again() {
        let files = Files::new();
        let file = files.find("/console/main.js").unwrap();
        let first = file.answer(&Request::new(()));
        assert_eq!(first.status(), StatusCode::OK);
        let tag = first.headers()[ETAG].clone();
        for known in
            [tag.clone(), HeaderValue::from_str(&format!("\"x\", W/{}", tag.to_str().unwrap())).unwrap()]
        {
            let request = Request::builder().header(IF_NONE_MATCH, known).body(()).unwrap();
            assert_eq!(file.answer(&request).status(), StatusCode::NOT_MODIFIED);
        }
        let other = Request::builder().header(IF_NONE_MATCH, "\"x\"").body(()).unwrap();
        assert_eq!(file.answer(&other).status(), StatusCode::OK);
    }
}
