//! The table of metrics: one row each, with its name, unit, help and where its value is read.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundHistogram, Meter};

use super::{BOUNDS, Durations, Pushes, State, Traffic, WebhookOutcome, process};
use crate::trace::Recorder;

/// Reports a value under some labels.
type Report<'a, T> = &'a dyn Fn(T, &[KeyValue]);

struct Table<'a> {
    meter: &'a Meter,
    state: &'a Arc<State>,
}

impl Table<'_> {
    /// A number that only grows.
    fn counter(
        &self,
        (name, unit, help): (&'static str, &'static str, &'static str),
        read: impl Fn(&State, Report<'_, u64>) + Send + Sync + 'static,
    ) {
        let (state, builder) = (self.state.clone(), self.meter.u64_observable_counter(name));
        let callback = move |to: &dyn opentelemetry::metrics::AsyncInstrument<u64>| {
            read(&state, &|value, labels| to.observe(value, labels));
        };
        builder.with_unit(unit).with_description(help).with_callback(callback).build();
    }

    /// A number that goes up and down.
    fn gauge(
        &self,
        (name, unit, help): (&'static str, &'static str, &'static str),
        read: impl Fn(&State, Report<'_, f64>) + Send + Sync + 'static,
    ) {
        let (state, builder) = (self.state.clone(), self.meter.f64_observable_gauge(name));
        let callback = move |to: &dyn opentelemetry::metrics::AsyncInstrument<f64>| {
            read(&state, &|value, labels| to.observe(value, labels));
        };
        builder.with_unit(unit).with_description(help).with_callback(callback).build();
    }

    /// A counter of each topic.
    fn traffic(&self, row: (&'static str, &'static str, &'static str), read: fn(&Traffic) -> u64) {
        self.counter(row, move |state, report| {
            state.topics().iter().for_each(|topic| report(read(topic), &labels(topic)));
        });
    }

    /// A gauge of each topic.
    fn standing(&self, row: (&'static str, &'static str, &'static str), read: fn(&Traffic) -> f64) {
        self.gauge(row, move |state, report| {
            state.topics().iter().for_each(|topic| report(read(topic), &labels(topic)));
        });
    }
}

/// `namespace` and `topic`; the topics without a name are `other` of no namespace.
fn labels(topic: &Traffic) -> [KeyValue; 2] {
    let (namespace, topic) = match topic.name() {
        Some(name) => (name.namespace().to_string(), name.topic().to_owned()),
        None => (String::new(), "other".to_owned()),
    };
    [KeyValue::new("namespace", namespace), KeyValue::new("topic", topic)]
}

/// Makes all counters and gauges.
pub fn build(meter: &Meter, state: &Arc<State>, recorder: &Arc<Recorder>) {
    let table = Table { meter, state };
    messages(&table);
    trouble(&table);
    memory_and_connections(&table);
    webhooks(&table);
    spans(&table, recorder);
    certificate(&table);
    this_process(&table);
}

fn messages(table: &Table<'_>) {
    table.traffic(("bugle.published.messages", "{message}", "Messages accepted."), |topic| {
        topic.counted().published_messages
    });
    table.traffic(("bugle.published", "By", "Messages accepted, in bytes as they are kept."), |topic| {
        topic.counted().published_bytes
    });
    table.traffic(
        ("bugle.delivered.messages", "{message}", "Messages given to subscribers, counted for each one."),
        |topic| topic.counted().delivered_messages,
    );
    table.traffic(("bugle.delivered", "By", "Messages given to subscribers, in bytes."), |topic| {
        topic.counted().delivered_bytes
    });
    table.standing(("bugle.subscriptions", "{subscription}", "Open subscriptions."), |topic| {
        topic.subscriptions.get() as f64
    });
    table.standing(("bugle.retained", "By", "Messages retained, in bytes."), |topic| {
        topic.retained_bytes.get() as f64
    });
    table.standing(
        ("bugle.lag.messages", "{message}", "Messages that the slowest subscription has not been given."),
        |topic| topic.lag_messages.get() as f64,
    );
    table.standing(
        ("bugle.lag", "s", "Age of the first message that the slowest subscription has not been given."),
        |topic| topic.lag_nanos.get() as f64 / 1e9,
    );
}

fn trouble(table: &Table<'_>) {
    let row = ("bugle.discontinuities", "{notice}", "Notices of missing messages to subscriptions.");
    table.counter(row, |state, report| {
        state.discontinuities().for_each(|(reason, notices, _)| {
            report(notices, &[KeyValue::new("reason", reason.as_str())]);
        });
    });
    let row = (
        "bugle.skipped.messages",
        "{message}",
        "Messages that notices of missing messages were about, where the number is known.",
    );
    table.counter(row, |state, report| {
        state.discontinuities().for_each(|(reason, _, messages)| {
            report(messages, &[KeyValue::new("reason", reason.as_str())]);
        });
    });
    let row = ("bugle.stalls", "{subscription}", "Subscriptions cut because they made no progress.");
    table.counter(row, |state, report| report(state.stalls.get(), &[]));
    let row = ("bugle.refusals", "{refusal}", "Calls and batches refused.");
    table.counter(row, |state, report| {
        state.refusals().for_each(|(code, count)| report(count, &[KeyValue::new("code", code.as_str())]));
    });
    let row = ("bugle.quota.refusals", "{refusal}", "Requests over a quota, by whose it is and which limit.");
    table.counter(row, |state, report| {
        for (scope, limit, count) in state.quotas().into_iter().flat_map(|quotas| quotas.refusals().each()) {
            let labels = [KeyValue::new("scope", scope.as_str()), KeyValue::new("limit", limit.as_str())];
            report(count, &labels);
        }
    });
    let help = "Messages dropped for want of memory before retention wanted it, in bytes.";
    table.counter(("bugle.evicted", "By", help), |state, report| report(state.evicted_bytes.get(), &[]));
    let row = ("bugle.draining", "", "1 while the server drains.");
    table.gauge(row, |state, report| report(f64::from(u8::from(state.is_draining())), &[]));
}

fn memory_and_connections(table: &Table<'_>) {
    let gauge = |name, unit, help, read: fn(&State) -> u64| {
        table.gauge((name, unit, help), move |state, report| report(read(state) as f64, &[]));
    };
    gauge("bugle.memory.budget", "By", "Memory that messages, topics and subscriptions may take.", |state| {
        state.memory_budget.get()
    });
    gauge("bugle.memory.used", "By", "Memory of the budget that is used.", |state| state.memory_used.get());
    let help = "Memory of the budget that slow readers keep after retention let it go.";
    gauge("bugle.memory.pinned", "By", help, |state| state.memory_pinned.get());
    gauge("bugle.connections", "{connection}", "Open connections.", |state| state.connections.get());
    gauge("bugle.streams", "{stream}", "Open calls.", State::streams);
    gauge("bugle.topics", "{topic}", "Open topics.", |state| state.open_topics.get());
    gauge("bugle.namespaces", "{namespace}", "Namespaces.", |state| state.namespaces.get());
    let row = ("bugle.subscriptions.opened", "{subscription}", "Subscriptions that were opened.");
    table.counter(row, |state, report| report(state.subscriptions_opened.get(), &[]));
    let row = ("bugle.connections.accepted", "{connection}", "Connections that were accepted.");
    table.counter(row, |state, report| report(state.connections_accepted.get(), &[]));
    let help = "Connections refused because as many as the limit allows were open, or came at once.";
    table.counter(("bugle.connections.refused", "{connection}", help), |state, report| {
        let limit = |name| [KeyValue::new("limit", name)];
        report(state.refused_connections.get(), &limit("max_connections"));
        report(state.refused_address.get(), &limit("max_connections_per_address"));
        report(state.refused_rate.get(), &limit("connections_per_second_per_address"));
    });
}

/// Of each webhook.
fn webhooks(table: &Table<'_>) {
    let labels = |pushes: &Pushes| {
        let topic = &pushes.topic;
        [
            KeyValue::new("namespace", topic.namespace().to_string()),
            KeyValue::new("webhook", pushes.name.clone()),
        ]
    };
    let row =
        ("bugle.webhook.attempts", "{request}", "Requests to endpoints of webhooks, by what became of them.");
    table.counter(row, move |state, report| {
        for pushes in state.webhooks.all() {
            for outcome in WebhookOutcome::ALL {
                let [namespace, webhook] = labels(&pushes);
                let labels = [namespace, webhook, KeyValue::new("outcome", outcome.as_str())];
                report(pushes.attempts[outcome as usize].get(), &labels);
            }
        }
    });
    let counter = |name, help, read: fn(&Pushes) -> u64| {
        table.counter((name, "{message}", help), move |state, report| {
            state.webhooks.all().iter().for_each(|pushes| report(read(pushes), &labels(pushes)));
        });
    };
    let help =
        "Messages that a webhook passed over because its endpoint did not acknowledge them for too long.";
    counter("bugle.webhook.dropped.messages", help, |pushes| pushes.dropped.get());
    let help = "Messages that retention took away before a webhook had delivered them.";
    counter("bugle.webhook.missed.messages", help, |pushes| pushes.missed.get());
    let gauge = |row, read: fn(&Pushes) -> u64| {
        table.gauge(row, move |state, report| {
            state.webhooks.all().iter().for_each(|pushes| report(read(pushes) as f64, &labels(pushes)));
        });
    };
    let help = "Messages that the endpoint of a webhook has not acknowledged.";
    gauge(("bugle.webhook.lag.messages", "{message}", help), |pushes| pushes.lag_messages.get());
    let help = "Whether the endpoint of a webhook has failed so often that it is only probed.";
    gauge(("bugle.webhook.dead", "", help), |pushes| pushes.dead.get());
}

fn spans(table: &Table<'_>, recorder: &Arc<Recorder>) {
    let own = recorder.clone();
    let row = ("bugle.spans", "{span}", "Spans recorded.");
    table.counter(row, move |_, report| report(own.counts().recorded.load(Relaxed), &[]));
    let own = recorder.clone();
    let help = "Spans not exported: too many in a second, too many waiting, or the exporter failed.";
    table.counter(("bugle.spans.dropped", "{span}", help), move |_, report| {
        let counts = own.counts();
        for (reason, count) in [
            ("limit", &counts.dropped_limit),
            ("queue", &counts.dropped_queue),
            ("export", &counts.dropped_export),
        ] {
            report(count.load(Relaxed), &[KeyValue::new("reason", reason)]);
        }
    });
}

fn certificate(table: &Table<'_>) {
    let row = (
        "bugle.tls.certificate.expiry",
        "s",
        "When the certificate of the listener expires, Unix time; only with TLS.",
    );
    table.gauge(row, |state, report| {
        if let expiry @ 1.. = state.tls_certificate_expiry.get() {
            report(expiry as f64, &[]);
        }
    });
}

fn this_process(table: &Table<'_>) {
    let row = ("bugle.build.info", "", "What is running.");
    table.gauge(row, |_, report| report(1.0, &[KeyValue::new("version", env!("CARGO_PKG_VERSION"))]));
    let cpu = table.meter.f64_observable_counter("process.cpu").with_unit("s");
    cpu.with_description("User and system time of the process.")
        .with_callback(|to| {
            if let Some(time) = process::cpu("self") {
                to.observe(time.as_secs_f64(), &[]);
            }
        })
        .build();
    let optional = |name, unit, help, read: fn() -> Option<u64>| {
        table.gauge((name, unit, help), move |_, report| {
            if let Some(value) = read() {
                report(value as f64, &[]);
            }
        });
    };
    optional("process.resident.memory", "By", "Resident memory of the process.", || {
        process::resident_bytes("self")
    });
    optional("process.open_fds", "", "Files that the process has open.", process::open_files);
    optional("process.max_fds", "", "Files that the process may have open.", process::open_files_max);
    let row = ("process.start_time", "s", "When the server was started, since the Unix epoch.");
    table.gauge(row, |state, report| report(state.started_unix_nanos() as f64 / 1e9, &[]));
}

/// Makes the histograms.
pub fn durations(meter: &Meter) -> Durations {
    let bound = |name, help| -> BoundHistogram<f64> {
        let builder = meter.f64_histogram(name).with_unit("s").with_description(help);
        builder.with_boundaries(BOUNDS.to_vec()).build().bind(&[])
    };
    Durations {
        publish: bound("bugle.publish.duration", "From a publish request that is accepted to its answer."),
        fan_out: bound(
            "bugle.fanout.duration",
            "From a message's being ordered to its being handed to the connection of a live subscriber; \
             for the oldest message of each response.",
        ),
        delivery: bound(
            "bugle.delivery.duration",
            "From a message's acceptance to its being handed to the connection of a live subscriber; for \
             the oldest message of each response.",
        ),
        webhook: bound(
            "bugle.webhook.duration",
            "From the beginning of a request of a webhook to its answer.",
        ),
    }
}
