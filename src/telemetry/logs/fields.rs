//! The fields of one line, as JSON values under names that are free.
//!
//! Every line has some keys of its own. A field that is called like one of them, or like a field
//! before it, gets an underscore behind its name, so that nothing a program writes into a field can
//! pass for something else. Nor can a value break a line: it is escaped where it is written.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use serde_json::Value;
use tracing::field::{Field, Visit};

/// The keys every line has of its own.
const OWN: [&str; 6] = ["timestamp", "level", "target", "message", "trace_id", "span_id"];

/// What an event says.
#[derive(Default)]
pub struct Fields {
    /// The sentence.
    pub message: String,
    /// Everything else, in its order, under unique names.
    pub named: Vec<(Cow<'static, str>, Value)>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        // A raw identifier is a name that happens to be a word of Rust.
        let name = field.name().trim_start_matches("r#");
        let mut name = Cow::Borrowed(name);
        while OWN.contains(&&*name) || self.named.iter().any(|(taken, _)| *taken == name) {
            name.to_mut().push('_');
        }
        self.named.push((name, value));
    }

    fn text(&mut self, field: &Field, text: String) {
        if field.name() == "message" && self.message.is_empty() {
            self.message = text;
        } else {
            self.put(field, Value::String(text));
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::from(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        self.text(field, text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format!("{value:?}"));
    }
}
