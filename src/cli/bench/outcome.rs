//! What a load has shown: the difference of two samples, and what was known at its end.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::latency::Summary;
use super::plan::Plan;
use super::tally::Counts;

/// All counters at one instant.
pub struct Sample {
    /// When.
    pub at: Instant,
    /// Of all subscribers.
    pub counts: Counts,
    /// Messages published.
    pub published: u64,
    /// Answers to publishes.
    pub answers: u64,
    /// CPU time of the server so far, when it is on this machine.
    pub server_cpu: Option<Duration>,
    /// CPU time of this process so far.
    pub client_cpu: Option<Duration>,
    /// Memory of the server, bytes.
    pub rss: Option<u64>,
}

/// See the module. Rates and CPU are those of the measured window, losses those of the whole run.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Length of the window.
    pub seconds: f64,
    /// Messages published per second.
    pub published_per_second: f64,
    /// Answers of the server to publishes, per second; Redis answers each message, Bugle each batch.
    pub answers_per_second: f64,
    /// Messages delivered per second, to all subscribers together.
    pub delivered_per_second: f64,
    /// The same in bytes, as the server framed them.
    pub delivered_bytes_per_second: f64,
    /// Server CPU of a delivered message (of a published one, without subscribers), nanoseconds.
    pub server_cpu_ns: Option<f64>,
    /// Cores the server used.
    pub server_cores: Option<f64>,
    /// Cores this process used.
    pub client_cores: Option<f64>,
    /// Memory of the server at the end of the window, bytes.
    pub server_rss_bytes: Option<u64>,
    /// From the intended send time to the delivery.
    pub latency: Option<Summary>,
    /// From the intended send time to the server's answer.
    pub answer_latency: Option<Summary>,
    /// Everything received, with what was missing or repeated on the way.
    pub total: Counts,
    /// Messages that had not come ten seconds after the last publish.
    pub undelivered: u64,
    /// Subscriptions that ended before the load did.
    pub ended: usize,
    /// Publish commands that were refused.
    pub refused: u64,
    /// Why the first was.
    pub refusal: Option<String>,
    /// Whether answers were still missing ten seconds after the last publish.
    pub unanswered: bool,
}

impl Outcome {
    /// What happened between two samples.
    pub fn between(plan: &Plan, first: Sample, last: Sample) -> Self {
        let seconds = (last.at - first.at).as_secs_f64().max(1e-9);
        let counts = last.counts.since(first.counts);
        let published = last.published - first.published;
        let used = |from: Option<Duration>, to: Option<Duration>| Some((to? - from?).as_secs_f64());
        let server = used(first.server_cpu, last.server_cpu);
        let work = if plan.subscribers == 0 { published } else { counts.received };
        Outcome {
            seconds,
            published_per_second: published as f64 / seconds,
            answers_per_second: (last.answers - first.answers) as f64 / seconds,
            delivered_per_second: counts.received as f64 / seconds,
            delivered_bytes_per_second: counts.bytes as f64 / seconds,
            server_cpu_ns: server.map(|cpu| cpu * 1e9 / work.max(1) as f64),
            server_cores: server.map(|cpu| cpu / seconds),
            client_cores: used(first.client_cpu, last.client_cpu).map(|cpu| cpu / seconds),
            server_rss_bytes: last.rss,
            latency: None,
            answer_latency: None,
            total: last.counts,
            undelivered: 0,
            ended: 0,
            refused: 0,
            refusal: None,
            unanswered: false,
        }
    }

    /// What a user has to know before believing the figures; empty when all is well.
    pub fn complaints(&self) -> Vec<String> {
        let Counts { lost, repeated, discontinuities, skipped, .. } = self.total;
        let mut complaints = Vec::new();
        let mut complain = |count: u64, what: &str| {
            if count > 0 {
                complaints.push(format!("{count} {what}"));
            }
        };
        complain(lost, "messages were lost without a word from the server");
        complain(self.undelivered, "messages did not arrive");
        complain(repeated, "messages came twice or out of order");
        complain(discontinuities, &format!("discontinuities were told, {skipped} messages long in all"));
        complain(self.ended as u64, "subscriptions ended early");
        complain(self.refused, &format!("publishes were refused: {}", self.refusal.as_deref().unwrap_or("")));
        if self.unanswered {
            complaints.push("publishes were still not answered ten seconds after the last one".into());
        }
        complaints
    }
}
