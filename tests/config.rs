//! The configuration: where values come from, which one wins, and how mistakes are told.

use std::process::Command;
use std::time::Duration;

use bugle::config::{Loaded, Mistakes, OPTIONS, Origin, Raw, Setting, Size, Sources};
use tempfile::NamedTempFile;

use crate::support::Process;

fn file(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn load(text: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Loaded, Mistakes> {
    let file = file(text);
    let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let flags = flags
        .iter()
        .map(|(key, value)| Setting {
            key: (*key).to_owned(),
            raw: Raw::Text((*value).to_owned()),
            flag: format!("--set {key}"),
        })
        .collect();
    Sources { file: Some(file.path().to_owned()), environment, flags }.load()
}

#[test]
fn later_sources_win_and_say_where_they_are() {
    let text = "drain_grace = \"1s\"\n[retention]\nage = \"2h\"\nbytes = \"1MiB\"\nmessages = 7\n";
    let loaded = load(
        text,
        &[("BUGLE_RETENTION_AGE", "3h"), ("BUGLE_RETENTION_BYTES", "2MiB"), ("HOME", "/root")],
        &[("retention.age", "4h")],
    )
    .unwrap();
    assert_eq!(loaded.config.drain_grace, Duration::from_secs(1));
    assert_eq!(loaded.config.retention.messages, 7);
    assert_eq!(loaded.config.retention.bytes, Size(2 << 20));
    assert_eq!(loaded.config.retention.age, Duration::from_secs(4 * 3600));
    assert!(matches!(loaded.origin("drain_grace"), Origin::File(_, 1)));
    assert!(matches!(loaded.origin("retention.messages"), Origin::File(_, 5)));
    assert_eq!(loaded.origin("retention.bytes"), Origin::Variable("BUGLE_RETENTION_BYTES".to_owned()));
    assert_eq!(loaded.origin("retention.age"), Origin::Flag("--set retention.age".to_owned()));
    assert_eq!(loaded.origin("listen"), Origin::Default);
}

#[test]
fn all_mistakes_are_reported_at_once_each_with_its_place() {
    let text = "listn = \"127.0.0.1:1\"\n[limits]\nmax_connections = 0\n[nowhere]\nx = 1\n";
    let mistakes = load(
        text,
        &[("BUGLE_LOG_LEVEL", "loud"), ("BUGLE_LISTNE", "127.0.0.1:1")],
        &[("topics.auto_create", "maybe"), ("memory_budget", "1KiB")],
    )
    .unwrap_err();
    let lines: Vec<String> = mistakes.0.iter().map(ToString::to_string).collect();
    let expected = [
        (":1: listn is no option", "did you mean listen?"),
        (":3: limits.max_connections = \"0\"", "a whole number from 1"),
        (":4: nowhere is no option", "--check"),
        ("BUGLE_LISTNE", "did you mean BUGLE_LISTEN?"),
        ("BUGLE_LOG_LEVEL: log.level = \"loud\"", "info,bugle::broker=debug"),
        ("--set topics.auto_create", "true or false"),
        ("--set memory_budget: memory_budget = \"1KiB\"", "a size from 4MiB"),
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, (place, advice)) in lines.iter().zip(expected) {
        assert!(line.contains(place) && line.contains(advice), "{line}");
    }
}

#[test]
fn quotas_are_tables_of_the_file_and_print_as_such() {
    let text = "\n[[quotas]]\nnamespace = \"eu.*\"\ntopics = 5\nretained_bytes = \"1MiB\"\n\n\
                [[quotas]]\nprincipal = \"key:*\"\nconnections = 3\n";
    let loaded = load(text, &[], &[]).unwrap();
    assert_eq!(loaded.config.quotas.len(), 2);
    let printed = loaded.to_toml();
    assert!(printed.ends_with(text), "{printed}");
    assert_eq!(load(&printed, &[], &[]).unwrap().config.quotas, loaded.config.quotas);
}

#[test]
fn quotas_with_mistakes_say_which_entry_of_which_table_it_is() {
    let text = "[[quotas]]\nnamespace = \"a\"\ntopics = 1\n[[quotas]]\nprincipal = \"b\"\nretained_bytes = 1\n\
                [[quotas]]\ntopics = 1\n";
    let mistakes = load(text, &[], &[]).unwrap_err();
    let lines: Vec<String> = mistakes.0.iter().map(ToString::to_string).collect();
    let expected = [
        (":6: quotas[1].retained_bytes", "is of a namespace"),
        (":8: quotas[2]", "either namespace or principal"),
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, (place, advice)) in lines.iter().zip(expected) {
        assert!(line.contains(place) && line.contains(advice), "{line}");
    }
    let text = "[[quotas]]\nnamespace = \"a\"\ntopics = 1\n[[quotas]]\nnamespace = \"a\"\ntopics = 2\n";
    let mistakes = load(text, &[], &[]).unwrap_err();
    assert!(mistakes.to_string().contains("quotas[1]: is a second rule for namespace a"), "{mistakes}");
    let mistakes = load("quotas = [1]\n", &[], &[]).unwrap_err();
    assert!(mistakes.to_string().contains("begin it with [[quotas]]"), "{mistakes}");
}

#[test]
fn a_file_that_is_not_toml_names_each_line_that_is_wrong() {
    let mistakes = load("a = \nlisten = \"127.0.0.1:1\"\nb = \"x\n", &[], &[]).unwrap_err();
    let lines: Vec<String> = mistakes.0.iter().map(ToString::to_string).collect();
    assert!(lines[0].contains(":1: is not TOML"), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains(":3: is not TOML")), "{lines:#?}");
}

#[test]
fn a_file_that_cannot_be_read_says_who_named_it() {
    let sources = Sources {
        environment: vec![("BUGLE_CONFIG".to_owned(), "/does/not/exist".to_owned())],
        ..Sources::default()
    };
    let mistakes = sources.load().unwrap_err();
    assert_eq!(mistakes.0[0].origin, Origin::Variable("BUGLE_CONFIG".to_owned()));
    assert!(mistakes.to_string().contains("/does/not/exist"), "{mistakes}");
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let text = "memory_budget = \"4MiB\"\n[limits]\nmax_message_bytes = \"8MiB\"\n";
    let mistakes = load(text, &[], &[("limits.stream_window", "64MiB")]).unwrap_err();
    let keys: Vec<&str> = mistakes.0.iter().map(|mistake| mistake.key.as_str()).collect();
    assert_eq!(keys, ["limits.max_message_bytes", "limits.stream_window"]);
}

#[test]
fn variables_of_others_are_not_refused() {
    // Kubernetes puts these into every pod beside a service named "bugle".
    let names = ["BUGLE_PORT", "BUGLE_SERVICE_HOST", "BUGLE_PORT_7600_TCP_ADDR"];
    let environment: Vec<(&str, &str)> = names.iter().map(|name| (*name, "x")).collect();
    let loaded = load("", &environment, &[]).unwrap();
    assert_eq!(loaded.unknown_variables.len(), names.len());
    let own = [("BUGLE_SERVER", "http://127.0.0.1:1"), ("PATH", "/bin")];
    assert!(load("", &own, &[]).unwrap().unknown_variables.is_empty());
}

#[test]
fn the_standard_variables_come_between_the_file_and_those_of_the_bus() {
    let text =
        "[otlp]\nendpoint = \"http://file:4317\"\nprotocol = \"grpc\"\n[metrics]\npush_interval = \"1s\"\n";
    let standard = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://standard:4317"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://standard:4317/traces"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "2500"),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", ""),
        ("OTEL_SERVICE_NAME", "bus"),
        ("BUGLE_OTLP_ENDPOINT", "http://own:4317"),
    ];
    let loaded = load(text, &standard, &[("traces.ratio", "0.25")]).unwrap();
    let (otlp, traces) = (&loaded.config.otlp, &loaded.config.traces);
    assert_eq!(otlp.endpoint, "http://own:4317");
    assert_eq!(
        (otlp.traces_endpoint.as_str(), otlp.metrics_endpoint.as_str()),
        ("http://standard:4317/traces", "")
    );
    assert_eq!((otlp.protocol, otlp.traces, otlp.metrics), ("http/protobuf", true, false));
    assert_eq!((traces.ratio, traces.parent_based), (0.25, false));
    assert_eq!(loaded.config.metrics.push_interval, Duration::from_millis(2500));
    assert!(loaded.unknown_variables.is_empty());
    let variable = |name: &str| Origin::Variable(name.to_owned());
    assert_eq!(loaded.origin("otlp.protocol"), variable("OTEL_EXPORTER_OTLP_PROTOCOL"));
    assert_eq!(loaded.origin("otlp.endpoint"), variable("BUGLE_OTLP_ENDPOINT"));
    assert_eq!(loaded.origin("traces.parent_based"), variable("OTEL_TRACES_SAMPLER"));
    assert!(loaded.to_toml().contains("from: environment variable OTEL_METRICS_EXPORTER"));
}

#[test]
fn what_a_standard_variable_cannot_be_is_told_by_its_name_and_passed_over() {
    for (name, value, advice) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "one of auto, grpc, http/protobuf"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317", "a URL such as http://"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "one of auto, grpc, http/protobuf"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "of otlp, none"),
        ("OTEL_METRICS_EXPORTER", "console", "of otlp, none, prometheus"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote", "parentbased_traceidratio"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1m", "a whole number of milliseconds"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1", "a duration from 100ms"),
    ] {
        let loaded = load("", &[(name, value)], &[]).unwrap();
        let lines: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert!(lines[0].starts_with(&format!("environment variable {name}: ")), "{}", lines[0]);
        assert!(lines[0].contains(value) && lines[0].contains(advice), "{}", lines[0]);
        assert!(loaded.to_toml().contains(&format!("# Passed over: {}\n", lines[0])));
    }
    let sampler = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")];
    let loaded = load("", &sampler, &[]).unwrap();
    assert_eq!(loaded.warnings[0].origin, Origin::Variable("OTEL_TRACES_SAMPLER_ARG".to_owned()));
    // The same in a variable that speaks to the bus alone is a mistake.
    load("", &[("BUGLE_TRACES_RATIO", "2")], &[]).unwrap_err();
}

#[test]
fn a_switched_off_sdk_pushes_nothing_and_metrics_can_still_be_asked_for() {
    let loaded = load("", &[("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "otlp")], &[]).unwrap();
    assert!(!loaded.config.otlp.traces && !loaded.config.otlp.metrics);
    assert_eq!(loaded.config.metrics.listen, Some(([127, 0, 0, 1], 7601).into()));
    assert_eq!(loaded.origin("otlp.traces"), Origin::Variable("OTEL_SDK_DISABLED".to_owned()));
}

#[test]
fn metrics_have_a_port_of_their_own_or_none() {
    assert_eq!(load("metrics.listen = \"off\"", &[], &[]).unwrap().config.metrics.listen, None);
    for listen in ["127.0.0.1:7601", "0.0.0.0:7601"] {
        let open = ("auth.insecure", "true");
        let mistakes = load("", &[], &[("listen", listen), open]).unwrap_err();
        assert_eq!(mistakes.0[0].key, "metrics.listen");
        assert!(load("", &[], &[("listen", listen), ("metrics.listen", "off"), open]).is_ok());
    }
    assert!(load("", &[], &[("listen", "127.0.0.1:0"), ("metrics.listen", "127.0.0.1:0")]).is_ok());
    let mistakes = load("", &[], &[("traces.topic_floor", "101")]).unwrap_err();
    assert_eq!(mistakes.0[0].key, "traces.topic_floor");
}

#[test]
fn namespaces_are_a_list_in_the_file_and_commas_elsewhere() {
    let names = |loaded: Loaded| loaded.config.namespaces.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(load("namespaces = [\"b\", \"a\"]", &[], &[]).unwrap()), ["a", "b"]);
    assert_eq!(names(load("", &[("BUGLE_NAMESPACES", "x, y")], &[]).unwrap()), ["x", "y"]);
    assert!(load("namespaces = [\" x\"]", &[], &[]).is_err());
    assert!(load("namespaces = [\"\"]", &[], &[]).is_err());
    assert!(load("namespaces = [1]", &[], &[]).is_err());
}

#[test]
fn what_check_prints_is_a_configuration_file_that_means_the_same() {
    let first = load("namespaces = [\"a\"]\n[keepalive]\ninterval = \"1m30s\"\n", &[], &[]).unwrap();
    let second = load(&first.to_toml(), &[], &[]).unwrap();
    for option in OPTIONS {
        assert_eq!((option.get)(&first.config), (option.get)(&second.config), "{}", option.key);
        assert!(first.to_toml().contains(&option.variable()), "{}", option.key);
        assert_ne!(second.origin(option.key), Origin::Default, "{}", option.key);
    }
}

#[test]
fn serve_check_prints_the_effective_configuration_and_ends() {
    let file = file("[log]\nlevel = \"debug\"\n");
    let mut command = Command::new(Process::PATH);
    command.args(["serve", "--check", "--listen", "127.0.0.1:1", "--namespace", "a", "--namespace", "b"]);
    command.args(["--metrics", "off"]).arg("--config").arg(file.path());
    command.env("BUGLE_RETENTION_AGE", "9h").env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for line in [
        "listen = \"127.0.0.1:1\"",
        "namespaces = [\"a\", \"b\"]",
        "age = \"9h\"",
        "level = \"debug\"",
        "listen = \"off\"",
        "endpoint = \"http://collector:4317\"",
        "from: flag --listen",
        "from: flag --metrics",
        "from: environment variable OTEL_EXPORTER_OTLP_ENDPOINT",
        "from: environment variable BUGLE_RETENTION_AGE",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn serve_refuses_a_wrong_configuration_and_says_all_that_is_wrong() {
    let mut command = Command::new(Process::PATH);
    let output =
        command.args(["serve", "--listen", "here", "--set", "limits.max_stream=1"]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(text.contains("--listen") && text.contains("127.0.0.1:7600"), "{text}");
    assert!(text.contains("did you mean limits.max_streams_per_connection?"), "{text}");
}
