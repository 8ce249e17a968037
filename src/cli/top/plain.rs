//! The figures once, as a table for people and as JSON for programs.

use serde_json::{Value, json};

use super::figures::{Rates, Row, Summary};
use super::sample::TOPICS_MAX;
use super::{header, topics};
use crate::cli::output::{rfc3339, table};

/// Two samples' worth of figures.
pub(super) struct Figures {
    pub(super) uri: String,
    pub(super) summary: Summary,
    pub(super) rows: Vec<Row>,
    /// Whether there are topics that were not fetched.
    pub(super) more: bool,
    /// Whether topics of several namespaces are listed.
    pub(super) several: bool,
}

/// The header and the table.
pub(super) fn text(figures: &Figures) -> String {
    let mut lines = vec![header::identity(&figures.summary, &figures.uri, None).text()];
    lines.extend(header::figures(&figures.summary).iter().map(|line| line.text()));
    lines.push(String::new());
    let rows: Vec<_> = figures.rows.iter().map(|row| topics::plain(row, figures.several)).collect();
    lines.push(table(&topics::plain_head(), &rows));
    if figures.more {
        lines.push(format!("There are more than {TOPICS_MAX} topics: give a prefix to choose some."));
    }
    lines.join("\n")
}

/// The same for programs: plain numbers, `null` where a figure is not known.
pub(super) fn object(figures: &Figures) -> Value {
    json!({
        "server": server(&figures.uri, &figures.summary),
        "topics": figures.rows.iter().map(topic).collect::<Vec<_>>(),
        "more_topics": figures.more,
    })
}

fn server(uri: &str, summary: &Summary) -> Value {
    let info = &summary.info;
    let mut value = json!({
        "uri": uri,
        "version": info.version,
        "start_time": rfc3339(info.start_time),
        "time": rfc3339(info.time),
        "draining": info.draining,
        "cpu_cores": summary.cores,
        "cpu_seconds": info.cpu_time.map(|time| time.as_secs_f64()),
        "memory_budget_bytes": info.memory_budget_bytes,
        "memory_used_bytes": info.memory_used_bytes,
        "memory_pinned_bytes": info.memory_pinned_bytes,
        "resident_bytes": info.resident_bytes,
        "connections": info.connections,
        "streams": info.streams,
        "subscriptions": info.subscriptions,
        "topics": info.topics,
        "namespaces": info.namespaces,
        "discontinuities": info.discontinuities,
        "stalls": info.stalls,
        "refusals": info.refusals,
        "spans_dropped": info.spans_dropped,
    });
    flow(&mut value, &summary.rates);
    value
}

fn topic(row: &Row) -> Value {
    let mut value = json!({
        "namespace": row.name.namespace,
        "topic": row.name.topic,
        "epoch": row.epoch,
        "next_sequence": row.next_sequence,
        "retained_bytes": row.retained_bytes,
        "subscriptions": row.subscriptions,
        "lag_messages": row.lag_messages,
        "lag_seconds": row.lag.map_or(0.0, |lag| lag.as_secs_f64()),
        "unread": row.unread,
    });
    flow(&mut value, &row.rates);
    value
}

fn flow(value: &mut Value, rates: &Rates) {
    let Rates { messages_in, bytes_in, messages_out, bytes_out } = rates;
    value["published_messages_per_second"] = json!(messages_in);
    value["published_bytes_per_second"] = json!(bytes_in);
    value["delivered_messages_per_second"] = json!(messages_out);
    value["delivered_bytes_per_second"] = json!(bytes_out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::figures::{rows, summary, tests::info, tests::server};
    use crate::cli::top::sample::{Listed, Topics};
    use std::time::Instant;

    fn figures(more: bool) -> Figures {
        let listed = ["a", "b\x1b[2J"].map(|name| Listed { at: Instant::now(), info: info(name, 5) });
        Figures {
            uri: "http://x".into(),
            summary: summary(Some(&server(1)), &server(2)),
            rows: rows(None, &Topics { listed: listed.into(), more }),
            more,
            several: true,
        }
    }

    #[test]
    fn the_table_can_be_read_and_cannot_command_a_terminal() {
        let text = text(&figures(true));
        assert!(text.starts_with("bugle 0.1.0 at http://x   up 2.0s   serving\ncpu 0.25 cores"), "{text}");
        assert!(text.contains("\nTOPIC ") && text.contains("\ndefault/b\u{fffd}[2J "), "{text}");
        assert!(text.ends_with("There are more than 10000 topics: give a prefix to choose some."), "{text}");
    }

    #[test]
    fn what_is_not_known_is_null_for_programs() {
        let object = object(&figures(false));
        assert_eq!(object["server"]["published_messages_per_second"], 1000.0);
        assert_eq!(object["topics"][0]["published_messages_per_second"], Value::Null);
        assert_eq!(
            (&object["topics"][1]["topic"], &object["more_topics"]),
            (&json!("b\x1b[2J"), &json!(false))
        );
    }
}
