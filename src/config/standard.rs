//! The environment variables that OpenTelemetry has standardized, as options of this bus.
//!
//! They say what every program of a deployment should do, so they come before the `BUGLE_`
//! variables, which speak to this one alone. An empty value counts as unset, and one that cannot be
//! used is warned of and passed over, as the specification has it: it may well be meant for others.
//! Those that are not here are left alone: headers, time limits and resource attributes are read by
//! the exporter.

use crate::config::value::Raw;
use crate::limits::TOPIC_TRACES_MAX;

/// What all of them begin with.
pub const PREFIX: &str = "OTEL_";

/// One variable and what it makes of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meaning {
    /// The variable.
    pub variable: &'static str,
    /// The option.
    pub key: &'static str,
    /// Its value; an error is the variable's value, and what is wrong with it, which is to be warned of.
    pub value: Result<Raw, (String, String)>,
}

/// Variables whose value is the value of an option.
const SAME: [(&str, &str); 6] = [
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "otlp.endpoint"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "otlp.traces_endpoint"),
    ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "otlp.metrics_endpoint"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "otlp.protocol"),
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "otlp.traces_protocol"),
    ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "otlp.metrics_protocol"),
];

/// What the standard variables of this environment say, in the order in which it counts.
pub fn meanings(environment: &[(String, String)]) -> Vec<Meaning> {
    let value = |name: &str| {
        let found = environment.iter().find(|(variable, _)| variable == name);
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    };
    let mut found = Vec::new();
    let mut say = |variable, key, value| found.push(Meaning { variable, key, value });
    for (variable, key) in SAME {
        if let Some(text) = value(variable) {
            say(variable, key, Ok(Raw::Text(text.to_owned())));
        }
    }
    if let Some(text) = value("OTEL_TRACES_EXPORTER") {
        exporters(text, &[]).into_iter().for_each(|raw| say("OTEL_TRACES_EXPORTER", "otlp.traces", raw));
    }
    if let Some(text) = value("OTEL_METRICS_EXPORTER") {
        // A scraper asks for them, at metrics.listen, so they are not pushed.
        exporters(text, &["prometheus"])
            .into_iter()
            .for_each(|raw| say("OTEL_METRICS_EXPORTER", "otlp.metrics", raw));
    }
    if let Some(text) = value("OTEL_TRACES_SAMPLER") {
        match sampler(text, value("OTEL_TRACES_SAMPLER_ARG")) {
            Ok(options) => {
                options.into_iter().for_each(|(variable, key, raw)| say(variable, key, Ok(raw)));
            }
            Err(problem) => say("OTEL_TRACES_SAMPLER", "traces.ratio", Err((text.to_owned(), problem))),
        }
    }
    if let Some(text) = value("OTEL_METRIC_EXPORT_INTERVAL") {
        say("OTEL_METRIC_EXPORT_INTERVAL", "metrics.push_interval", interval(text));
    }
    // The standard knows one value of this one, and counts all others as false.
    if value("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        say("OTEL_SDK_DISABLED", "otlp.traces", Ok(switch(false)));
        say("OTEL_SDK_DISABLED", "otlp.metrics", Ok(switch(false)));
    }
    found
}

fn switch(on: bool) -> Raw {
    Raw::Text(on.to_string())
}

/// Whether this list of exporters has the one that pushes; and what of it is not known here.
fn exporters(text: &str, others: &[&str]) -> Vec<Result<Raw, (String, String)>> {
    let names: Vec<&str> = text.split(',').map(str::trim).collect();
    let is_known = |name: &&str| matches!(*name, "otlp" | "none") || others.contains(name);
    let mut said = vec![Ok(switch(names.contains(&"otlp")))];
    if !names.iter().all(is_known) {
        let known: Vec<&str> = ["otlp", "none"].into_iter().chain(others.iter().copied()).collect();
        said.push(Err((text.to_owned(), format!("has to be of {}", known.join(", ")))));
    }
    said
}

type Options = Vec<(&'static str, &'static str, Raw)>;

/// The options that a sampler is. Its argument counts for those alone that take one, and is 1 when
/// it is not given.
fn sampler(name: &str, argument: Option<&str>) -> Result<Options, String> {
    const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
    let (is_parent_based, root) = match name.strip_prefix("parentbased_") {
        Some(root) => (true, root),
        None => (false, name),
    };
    let (variable, ratio) = match (root, argument) {
        ("always_on", _) | ("traceidratio", None) => (SAMPLER, "1"),
        ("always_off", _) => (SAMPLER, "0"),
        ("traceidratio", Some(ratio)) => ("OTEL_TRACES_SAMPLER_ARG", ratio),
        _ => {
            return Err("has to be one of always_on, always_off, traceidratio, parentbased_always_on, \
                        parentbased_always_off, parentbased_traceidratio"
                .to_owned());
        }
    };
    let mut options = vec![
        (variable, "traces.ratio", Raw::Text(ratio.to_owned())),
        (SAMPLER, "traces.parent_based", switch(is_parent_based)),
    ];
    // These samplers know of no topics: their part of all, neither more of quiet ones nor less of busy ones.
    let without = [("traces.topic_floor", 0), ("traces.topic_cap", TOPIC_TRACES_MAX)];
    options.extend(without.map(|(key, count)| (SAMPLER, key, Raw::Text(count.to_string()))));
    Ok(options)
}

fn interval(text: &str) -> Result<Raw, (String, String)> {
    match text.parse::<u64>() {
        Ok(millis) => Ok(Raw::Text(format!("{millis}ms"))),
        Err(_) => Err((text.to_owned(), "has to be a whole number of milliseconds".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(environment: &[(&str, &str)]) -> Vec<(&'static str, String)> {
        let environment: Vec<_> =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let text = |value| match value {
            Ok(Raw::Text(text)) => text,
            other => format!("{other:?}"),
        };
        meanings(&environment).into_iter().map(|meaning| (meaning.key, text(meaning.value))).collect()
    }

    #[test]
    fn a_sampler_is_a_ratio_and_whether_a_parent_decides() {
        for (name, argument, ratio, is_parent_based) in [
            ("always_on", "0.5", "1", "false"),
            ("parentbased_always_on", "", "1", "true"),
            ("traceidratio", "0.25", "0.25", "false"),
            ("traceidratio", "", "1", "false"),
            ("parentbased_traceidratio", "0.25", "0.25", "true"),
            ("parentbased_always_off", "0.25", "0", "true"),
        ] {
            let found = options(&[("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", argument)]);
            let expected = [
                ("traces.ratio", ratio),
                ("traces.parent_based", is_parent_based),
                ("traces.topic_floor", "0"),
                ("traces.topic_cap", "1000000"),
            ];
            assert_eq!(found, expected.map(|(key, text)| (key, text.to_owned())), "{name} {argument}");
        }
        assert_eq!(options(&[("OTEL_TRACES_SAMPLER_ARG", "0.5")]), [], "an argument of nothing");
    }

    #[test]
    fn empty_and_foreign_variables_mean_nothing() {
        let names = SAME.map(|(variable, _)| variable);
        let others = ["OTEL_TRACES_SAMPLER", "OTEL_SDK_DISABLED", "OTEL_METRIC_EXPORT_INTERVAL"];
        let empty: Vec<_> = names.into_iter().chain(others).map(|name| (name, " ")).collect();
        assert_eq!(options(&empty), []);
        let foreign = [("OTEL_SERVICE_NAME", "bus"), ("OTEL_EXPORTER_OTLP_HEADERS", "a=b")];
        assert_eq!(options(&foreign), []);
        assert_eq!(options(&[("OTEL_SDK_DISABLED", "yes")]), []);
    }

    #[test]
    fn a_list_of_exporters_pushes_when_the_one_that_pushes_is_in_it() {
        for (list, pushes) in
            [("otlp", "true"), ("none", "false"), ("prometheus", "false"), ("prometheus, otlp", "true")]
        {
            let found = options(&[("OTEL_METRICS_EXPORTER", list)]);
            assert_eq!(found, [("otlp.metrics", pushes.to_owned())], "{list}");
        }
        let found = options(&[("OTEL_TRACES_EXPORTER", "console,otlp")]);
        assert_eq!(found[0], ("otlp.traces", "true".to_owned()));
        assert!(found[1].1.contains("has to be of otlp, none"), "{found:?}");
    }

    #[test]
    fn the_switch_for_everything_is_the_last_word() {
        let found = options(&[("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_TRACES_EXPORTER", "otlp")]);
        assert_eq!(found.last(), Some(&("otlp.metrics", "false".to_owned())));
        assert_eq!(found[..2], [("otlp.traces", "true".to_owned()), ("otlp.traces", "false".to_owned())]);
    }
}
