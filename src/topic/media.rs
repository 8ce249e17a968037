//! What a content type says: its media type, and whether that is JSON.
//!
//! Asked by everybody who writes a payload in a form of its own: HTTP, Momento's clients, webhooks.

/// The media type, without parameters and as it was written.
pub fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Whether a payload of this content type is JSON.
pub fn is_json(content_type: &str) -> bool {
    let media = media_type(content_type).to_ascii_lowercase();
    media == "application/json" || media == "text/json" || media.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_what_stands_before_its_parameters() {
        assert_eq!(media_type(" text/plain ; charset=utf-8"), "text/plain");
        assert_eq!((media_type(""), media_type(";x=y")), ("", ""));
        assert!(is_json("application/problem+json; x=y") && is_json("Text/JSON"));
        assert!(!is_json("text/plain") && !is_json(""));
    }
}
