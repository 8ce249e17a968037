//! What content types say of a body that is published.

use crate::topic::media::media_type;

/// How the body of a publish is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The body is the payload.
    Payload,
    /// One message in JSON.
    Message,
    /// A list of messages in JSON.
    Messages,
    /// One CloudEvent in JSON.
    Event,
    /// A list of CloudEvents in JSON.
    Events,
    /// CloudEvents in a form that is not understood.
    Unknown,
}

impl Form {
    /// What this content type says.
    pub fn of(content_type: &str) -> Form {
        match media_type(content_type).to_ascii_lowercase().as_str() {
            "application/vnd.bugle.message+json" => Form::Message,
            "application/vnd.bugle.batch+json" => Form::Messages,
            "application/cloudevents+json" => Form::Event,
            "application/cloudevents-batch+json" => Form::Events,
            other if other.starts_with("application/cloudevents") => Form::Unknown,
            _ => Form::Payload,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_told_apart_whatever_stands_behind_them() {
        for (content_type, form) in [
            ("", Form::Payload),
            ("application/json", Form::Payload),
            ("application/vnd.bugle.batch+json", Form::Messages),
            ("Application/CloudEvents+JSON; charset=utf-8", Form::Event),
            ("application/cloudevents-batch+json", Form::Events),
            ("application/cloudevents+avro", Form::Unknown),
        ] {
            assert_eq!(Form::of(content_type), form, "{content_type}");
        }
    }
}
