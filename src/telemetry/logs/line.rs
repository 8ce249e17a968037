//! One line of the log.
//!
//! JSON: `timestamp` (RFC 3339, UTC, microseconds), `level` in lower case, `target` (the module),
//! `message`, the fields of the event, and in traced work `trace_id` and `span_id`. Pretty is the
//! same for people. Whatever is in a field, it is one line.

use std::fmt;

use crossterm::style::Stylize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use super::fields::Fields;

const TRACE_DIGITS: usize = 32;
const SPAN_DIGITS: usize = 16;

/// How a line looks.
#[derive(Debug, Clone, Copy)]
pub enum Line {
    /// An object of JSON.
    Json,
    /// For people.
    Pretty {
        /// With the colours of a terminal.
        colours: bool,
    },
}

impl<S> FormatEvent<S, Ids> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, Ids>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let ids = context.event_scope().and_then(|mut spans| {
            spans.find_map(|span| {
                let kept = span.extensions().get::<FormattedFields<Ids>>().map(|kept| kept.fields.clone());
                kept.filter(|kept| !kept.is_empty())
            })
        });
        let ids = ids.as_deref().and_then(|ids| ids.split_once(' '));
        match self {
            Line::Json => {
                let line = json(event, &time, &fields, ids).map_err(|_| fmt::Error)?;
                writer.write_str(&String::from_utf8(line).map_err(|_| fmt::Error)?)?;
            }
            Line::Pretty { colours } => pretty(&mut writer, *colours, event, &time, &fields, ids)?,
        }
        writer.write_char('\n')
    }
}

fn json(
    event: &Event<'_>,
    time: &str,
    fields: &Fields,
    ids: Option<(&str, &str)>,
) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::Serializer::new(Vec::with_capacity(256));
    let mut object = line.serialize_map(None)?;
    object.serialize_entry("timestamp", time)?;
    object.serialize_entry("level", &event.metadata().level().as_str().to_ascii_lowercase())?;
    object.serialize_entry("target", event.metadata().target())?;
    object.serialize_entry("message", &fields.message)?;
    for (name, value) in &fields.named {
        object.serialize_entry(name, value)?;
    }
    if let Some((trace, span)) = ids {
        object.serialize_entry("trace_id", trace)?;
        object.serialize_entry("span_id", span)?;
    }
    object.end()?;
    Ok(line.into_inner())
}

fn pretty(
    writer: &mut Writer<'_>,
    colours: bool,
    event: &Event<'_>,
    time: &str,
    fields: &Fields,
    ids: Option<(&str, &str)>,
) -> fmt::Result {
    let (level, target) = (event.metadata().level(), event.metadata().target());
    if colours {
        let word = format!("{level:>5}");
        let word = match *level {
            Level::ERROR => word.red(),
            Level::WARN => word.yellow(),
            Level::INFO => word.green(),
            Level::DEBUG => word.blue(),
            Level::TRACE => word.magenta(),
        };
        write!(writer, "{} {word} {} ", time.dim(), format!("{target}:").dim())?;
    } else {
        write!(writer, "{time} {level:>5} {target}: ")?;
    }
    visible(writer, &fields.message)?;
    for (name, value) in &fields.named {
        write!(writer, " {name}=")?;
        match value {
            Value::String(text) => visible(writer, text)?,
            other => write!(writer, "{other}")?,
        }
    }
    let Some((trace, span)) = ids else { return Ok(()) };
    let ids = format!("trace_id={trace} span_id={span}");
    if colours { write!(writer, " {}", ids.dim()) } else { write!(writer, " {ids}") }
}

/// Text without what a terminal would obey.
fn visible(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    for part in text.split_inclusive(char::is_control) {
        match part.chars().next_back().filter(|last| last.is_control()) {
            Some(control) => {
                writer.write_str(&part[..part.len() - control.len_utf8()])?;
                write!(writer, "{}", control.escape_default())?;
            }
            None => writer.write_str(part)?,
        }
    }
    Ok(())
}

/// Keeps of a span which trace it belongs to, as `trace_id span_id`, and nothing else: a line does
/// not repeat the other fields of the spans it is in.
pub struct Ids;

impl<'writer> FormatFields<'writer> for Ids {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut found = Found::default();
        fields.record(&mut found);
        match (found.trace, found.span) {
            (Some(trace), Some(span)) => write!(writer, "{trace} {span}"),
            _ => Ok(()),
        }
    }

    fn add_fields(&self, kept: &'writer mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        if kept.fields.is_empty() { self.format_fields(kept.as_writer(), fields) } else { Ok(()) }
    }
}

#[derive(Default)]
struct Found {
    trace: Option<String>,
    span: Option<String>,
}

impl Visit for Found {
    fn record_str(&mut self, field: &Field, value: &str) {
        let (place, digits) = match field.name() {
            "trace_id" => (&mut self.trace, TRACE_DIGITS),
            "span_id" => (&mut self.span, SPAN_DIGITS),
            _ => return,
        };
        if value.len() == digits && value.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            *place = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if matches!(field.name(), "trace_id" | "span_id") {
            self.record_str(field, &format!("{value:?}"));
        }
    }
}
