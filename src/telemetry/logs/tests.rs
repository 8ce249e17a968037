//! Tests of the log: each with a subscriber of its own for its thread, and the lines in memory.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tracing::{debug, error, error_span, info, info_span, warn};

use super::*;
use crate::telemetry::TRACE_TARGET;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

/// What was written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The lines that the work logs under this filter.
fn lines(filter: &str, line: Line, work: impl FnOnce(&Logging)) -> Vec<String> {
    let written = Written::default();
    let target = written.clone();
    let (subscriber, logging) = subscriber(Filter::parse(filter).unwrap(), line, move || target.clone());
    tracing::subscriber::with_default(subscriber, || work(&logging));
    let bytes = written.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
}

/// The same as objects.
fn objects(filter: &str, work: impl FnOnce(&Logging)) -> Vec<Value> {
    lines(filter, Line::Json, work).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn messages(filter: &str, work: impl FnOnce(&Logging)) -> Vec<String> {
    let of = |object: &Value| object["message"].as_str().unwrap().to_owned();
    objects(filter, work).iter().map(of).collect()
}

#[test]
fn a_line_of_json_has_its_keys_in_their_order() {
    let line = lines("info", Line::Json, |_| {
        info!(target: "bugle::here", count = 7_u64, ratio = 0.5, on = true, name = "a", why = ?Some(1), "it is {}", "so");
    });
    let object: Value = serde_json::from_str(&line[0]).unwrap();
    let time = object["timestamp"].as_str().unwrap();
    assert!(
        time.parse::<jiff::Timestamp>().is_ok() && time.len() == "2026-01-01T00:00:00.000000Z".len(),
        "{time}"
    );
    let rest = line[0].split_once(time).unwrap().1;
    let expected = r#"","level":"info","target":"bugle::here","message":"it is so","count":7,"ratio":0.5,"on":true,"name":"a","why":"Some(1)"}"#;
    assert_eq!(rest, expected);
}

#[test]
fn no_field_breaks_a_line_or_passes_for_a_key_of_its_own() {
    let work = |_: &Logging| {
        let span = info_span!(target: TRACE_TARGET, "call", trace_id = TRACE, span_id = SPAN);
        span.in_scope(|| {
            info!(
                timestamp = "never",
                level = "none",
                target = "x",
                trace_id = "y",
                span_id = "z",
                level_ = "w",
                text = "a\"}\n{\"level\":\"error\"\u{1b}[31m",
                r#type = 1,
                not = f64::NAN,
                "first\nsecond"
            );
        });
    };
    let object = objects("info", work).pop().unwrap();
    assert_eq!((object["level"].as_str(), object["target"].as_str()), (Some("info"), Some(module_path!())));
    assert_eq!((object["trace_id"].as_str(), object["span_id"].as_str()), (Some(TRACE), Some(SPAN)));
    assert_eq!((object["message"].as_str(), object["type"].as_u64()), (Some("first\nsecond"), Some(1)));
    assert_eq!((object["level_"].as_str(), object["level__"].as_str()), (Some("none"), Some("w")));
    assert_eq!((object["trace_id_"].as_str(), object["not"].is_null()), (Some("y"), true));
    assert_eq!(lines("info", Line::Json, work).len(), 1);
    let pretty = lines("info", Line::Pretty { colours: false }, work);
    assert_eq!(pretty.len(), 1, "{pretty:?}");
    assert!(pretty[0].contains(r#"first\nsecond"#) && !pretty[0].contains('\u{1b}'), "{pretty:?}");
    assert!(pretty[0].ends_with(&format!(" trace_id={TRACE} span_id={SPAN}")), "{pretty:?}");
}

#[test]
fn lines_of_traced_work_say_which_trace_at_any_depth_and_others_say_nothing() {
    let found = objects("error", |_| {
        error!("before");
        info_span!(target: TRACE_TARGET, "call", trace_id = %TRACE, span_id = %SPAN).in_scope(|| {
            let wrong = || info_span!(target: TRACE_TARGET, "call", trace_id = "short", span_id = SPAN);
            error_span!("step", step = 1).in_scope(|| wrong().in_scope(|| error!("inside")));
        });
        let bare = info_span!(target: TRACE_TARGET, "call", trace_id = TRACE);
        bare.in_scope(|| error!("half of the ids"));
        error!("after");
    });
    let ids: Vec<_> = found.iter().map(|object| (object.get("trace_id"), object.get("span_id"))).collect();
    let inside = (Some(&Value::from(TRACE)), Some(&Value::from(SPAN)));
    assert_eq!(ids, [(None, None), inside, (None, None), (None, None)]);
}

#[test]
fn ids_that_are_known_later_can_be_recorded_later() {
    let found = objects("info", |_| {
        use tracing::field::Empty;
        let span = info_span!(target: TRACE_TARGET, "call", trace_id = Empty, span_id = Empty);
        span.in_scope(|| info!("unknown"));
        tracing::record_all!(span, trace_id = TRACE, span_id = SPAN);
        span.in_scope(|| info!("known"));
    });
    assert_eq!((found[0].get("trace_id"), found[1]["trace_id"].as_str()), (None, Some(TRACE)));
}

#[test]
fn the_filter_lets_spans_of_traces_through_and_lines_beside_them_not() {
    for filter in ["off", "error", "warn", "info,bugle::trace=off"] {
        let work = |_: &Logging| {
            let span = info_span!(target: TRACE_TARGET, "call", trace_id = TRACE, span_id = SPAN);
            assert!(!span.is_disabled(), "{filter}");
            assert!(info_span!("another").is_disabled() == (filter != "info,bugle::trace=off"), "{filter}");
            info!(target: TRACE_TARGET, "a line");
        };
        assert_eq!(lines(filter, Line::Json, work).len(), 0, "{filter}");
    }
}

#[test]
fn a_filter_is_about_bugle_and_of_libraries_only_what_goes_wrong_is_shown() {
    let work = |_: &Logging| {
        debug!(target: "bugle::broker", "broker");
        info!(target: "bugle::server", "server");
        warn!(target: "hyper::proto", "library warns");
        info!(target: "hyper::proto", "library tells");
        warn!(target: "h2::proto", "peer's fault");
        error!(target: "h2::proto", "library fails");
    };
    assert_eq!(messages("info", work), ["server", "library warns", "library fails"]);
    assert_eq!(messages("error", work), ["library fails"]);
    assert_eq!(messages("off", work), [""; 0]);
    assert_eq!(messages("off,bugle::broker=debug", work), ["broker"]);
    assert_eq!(
        messages("error,h2=warn,hyper=info", work),
        ["library warns", "library tells", "peer's fault", "library fails"]
    );
    assert_eq!(messages("debug,bugle::server=off", work), ["broker", "library warns", "library fails"]);
}

#[test]
fn the_filter_changes_while_lines_are_logged() {
    let found = messages("info", |logging| {
        let work = || debug!("in detail");
        work();
        logging.set_filter("debug").unwrap();
        work();
        assert!(logging.set_filter("loud").is_err());
        work();
        logging.set_filter("error").unwrap();
        work();
    });
    assert_eq!(found, ["the filter of the log was changed", "in detail", "in detail"]);
}

#[test]
fn colours_are_for_terminals() {
    let work = |_: &Logging| warn!(count = 1, "careful");
    let plain = lines("info", Line::Pretty { colours: false }, work).pop().unwrap();
    assert!(plain.ends_with(&format!("  WARN {}: careful count=1", module_path!())), "{plain}");
    let coloured = lines("info", Line::Pretty { colours: true }, work).pop().unwrap();
    assert!(coloured.contains('\u{1b}') && coloured.contains("careful count=1"), "{coloured}");
}
