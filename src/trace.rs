//! What is recorded of a message's way through the bus: which traces are, and their spans.
//!
//! `api` and `broker` ask the [`Recorder`] whether to trace and hand it finished spans; `telemetry`
//! takes them out on a thread of its own and exports them. So a span costs its caller a short lock
//! and no more, whatever becomes of the exporter: what does not fit is dropped, and counted. Nothing
//! here knows OpenTelemetry's libraries.

mod limiter;
mod probes;
mod queue;
mod sampler;
mod span;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

pub use limiter::Limiter;
pub use probes::Probe;
pub use queue::Waiting;
pub use sampler::Sampling;
pub use span::{Attribute, Operation, Span, Value, cut};

use crate::limits::{
    EVENT_SPANS_PER_SECOND_MAX, SPANS_EXPORTED_MAX, SPANS_PER_SECOND_DEFAULT, SPANS_QUEUED_BYTES_MAX,
    SPANS_QUEUED_MAX,
};
use crate::topic::{TopicName, TraceContext};
use probes::Probes;
use queue::Queue;
use sampler::Sampler;

/// The target of spans of `tracing` that say of which trace the work inside them is part: those have
/// the fields `trace_id` (32 hex digits) and `span_id` (16), and the lines that are logged inside
/// carry both.
///
/// Such spans are there whatever the filter says of lines, as long as their level is `info` or
/// above: `tracing::info_span!(target: TRACE_TARGET, "call", trace_id = …, span_id = …)`. Where
/// nothing is traced, make none; then the log costs nothing for it.
pub const TRACE_TARGET: &str = "bugle::trace";

/// Decides what is traced and takes the spans.
pub struct Recorder {
    /// Spans go to an exporter; otherwise only probes see them.
    is_exporting: bool,
    sampler: Sampler,
    queue: Queue,
    probes: Probes,
    spans: Limiter,
    spans_per_second: u64,
    /// For spans that no trace asks for, by operation.
    events: [Limiter; Operation::COUNT],
    counts: Counts,
}

/// How many spans there were.
#[derive(Debug, Default)]
pub struct Counts {
    /// Recorded, whatever became of them.
    pub recorded: AtomicU64,
    /// Dropped because there were too many in a second.
    pub dropped_limit: AtomicU64,
    /// Dropped because too many were waiting to be exported.
    pub dropped_queue: AtomicU64,
    /// Dropped because the exporter failed.
    pub dropped_export: AtomicU64,
}

impl Counts {
    /// All that were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped_limit.load(Relaxed)
            + self.dropped_queue.load(Relaxed)
            + self.dropped_export.load(Relaxed)
    }
}

impl Recorder {
    /// A recorder whose spans nobody exports: only probes are traced.
    pub fn off() -> Arc<Recorder> {
        Arc::new(Recorder::new(false, Sampling::default(), SPANS_PER_SECOND_DEFAULT))
    }

    /// A recorder whose spans an exporter takes out, at most so many a second.
    pub fn exporting(sampling: Sampling, spans_per_second: u64) -> Arc<Recorder> {
        Arc::new(Recorder::new(true, sampling, spans_per_second))
    }

    fn new(is_exporting: bool, sampling: Sampling, spans_per_second: u64) -> Recorder {
        let sampler = Sampler::new(sampling);
        Recorder {
            is_exporting,
            sampler: if is_exporting { sampler.with_topics() } else { sampler },
            queue: Queue::new(SPANS_QUEUED_MAX, SPANS_QUEUED_BYTES_MAX, SPANS_EXPORTED_MAX),
            probes: Probes::default(),
            spans: Limiter::default(),
            spans_per_second,
            events: Default::default(),
            counts: Counts::default(),
        }
    }

    /// Whether anything but probes is traced.
    pub fn is_exporting(&self) -> bool {
        self.is_exporting
    }

    /// Whether work on this topic (or on none), which came with this context, is traced; and the context of the
    /// span for it, whose parent is the given one. `time` is now, unix nanoseconds.
    pub fn begin(
        &self,
        topic: Option<&TopicName>,
        parent: Option<TraceContext>,
        is_sampled: bool,
        time: u64,
    ) -> Option<TraceContext> {
        if !self.is_exporting || !self.sampler.decide(topic, parent, is_sampled, time) {
            return None;
        }
        match parent {
            Some(parent) => TraceContext::sampled(parent.trace_id, random_id()),
            None => new_trace(),
        }
    }

    /// The context of a span that stands for itself: a stall, a refusal. `None` where spans are not
    /// exported, or where there were too many of this operation lately.
    pub fn event(&self, operation: Operation, time: u64) -> Option<TraceContext> {
        if !self.is_exporting {
            return None;
        }
        if !self.events[operation as usize].admit(time, EVENT_SPANS_PER_SECOND_MAX) {
            self.counts.dropped_limit.fetch_add(1, Relaxed);
            return None;
        }
        new_trace()
    }

    /// Whether a span that ends now would be kept; it is counted as dropped otherwise. To be asked
    /// before the work of making it.
    pub fn admits(&self, trace_id: u128, time: u64) -> bool {
        if self.probes.has(trace_id) {
            return true;
        }
        if !self.is_exporting {
            return false;
        }
        if !self.spans.admit(time, self.spans_per_second) {
            self.counts.dropped_limit.fetch_add(1, Relaxed);
            return false;
        }
        if self.queue.is_full() {
            self.counts.dropped_queue.fetch_add(1, Relaxed);
            return false;
        }
        true
    }

    /// Takes a finished span.
    pub fn record(&self, span: Span) {
        self.counts.recorded.fetch_add(1, Relaxed);
        self.probes.pass(&span);
        if self.is_exporting && !self.queue.push(span) {
            self.counts.dropped_queue.fetch_add(1, Relaxed);
        }
    }

    /// Sees the spans of a new trace, exported or not, as long as the probe lives; its context. `None`
    /// where there are too many probes.
    pub fn probe(&self) -> Option<(TraceContext, Probe)> {
        let context = new_trace()?;
        Some((context, self.probes.add(context.trace_id)?))
    }

    /// The spans that wait for an exporter.
    pub fn waiting(&self) -> &Waiting {
        self.queue.waiting()
    }

    /// Whether more than half of the room for waiting spans is used.
    pub fn is_crowded(&self) -> bool {
        self.queue.is_crowded()
    }

    /// So many spans were not even made: there was too much in one piece of work.
    pub fn note_dropped(&self, count: usize) {
        self.counts.dropped_limit.fetch_add(count as u64, Relaxed);
    }

    /// How many spans there were.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }
}

/// A span id; never 0.
pub fn random_id() -> u64 {
    rand::random::<u64>() | 1
}

fn new_trace() -> Option<TraceContext> {
    TraceContext::sampled(rand::random::<u128>(), random_id())
}

/// The time of a span in the standard library's type.
pub fn system_time(unix_nanos: u64) -> SystemTime {
    UNIX_EPOCH + std::time::Duration::from_nanos(unix_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn topic() -> TopicName {
        TopicName::parse("", "orders").unwrap()
    }

    fn span(context: TraceContext) -> Span {
        Span::new(Operation::Publish, Some(topic()), context, 1, 2)
    }

    fn waiting(recorder: &Recorder) -> usize {
        recorder.waiting().take(usize::MAX).len()
    }

    #[test]
    fn a_traced_call_goes_on_in_its_callers_trace() {
        let recorder = Recorder::exporting(Sampling { ratio: 1.0, ..Sampling::default() }, 1000);
        let parent = new_trace().unwrap();
        let own = recorder.begin(Some(&topic()), Some(parent), true, SECOND).unwrap();
        assert_eq!(own.trace_id, parent.trace_id);
        assert_ne!(own.span_id, parent.span_id);
        let root = recorder.begin(Some(&topic()), None, false, SECOND).unwrap();
        assert_ne!(root.trace_id, parent.trace_id);
    }

    #[test]
    fn without_an_exporter_only_probes_see_spans() {
        let recorder = Recorder::off();
        assert_eq!(recorder.begin(None, new_trace(), true, SECOND), None);
        assert_eq!(recorder.event(Operation::Stall, SECOND), None);
        let (context, mut probe) = recorder.probe().unwrap();
        assert!(recorder.admits(context.trace_id, SECOND) && !recorder.admits(1, SECOND));
        recorder.record(span(context));
        recorder.record(span(new_trace().unwrap()));
        assert_eq!(probe.try_next().unwrap().context, context);
        assert!(probe.try_next().is_none());
        assert_eq!(waiting(&recorder), 0);
        drop(probe);
        assert!(!recorder.admits(context.trace_id, SECOND));
    }

    #[test]
    fn too_many_spans_are_dropped_and_counted() {
        let recorder = Recorder::exporting(Sampling::default(), 10);
        let context = new_trace().unwrap();
        let admitted = (0..20).filter(|_| recorder.admits(context.trace_id, SECOND)).count();
        assert_eq!((admitted, recorder.counts().dropped_limit.load(Relaxed)), (10, 10));
        (0..SPANS_QUEUED_MAX + 5).for_each(|_| recorder.record(span(context)));
        let dropped = recorder.counts().dropped_queue.load(Relaxed) as usize;
        assert!(dropped >= 5 && recorder.is_crowded(), "{dropped}");
        assert_eq!(waiting(&recorder), SPANS_QUEUED_MAX + 5 - dropped);
        assert!(recorder.admits(context.trace_id, 2 * SECOND));
    }

    #[test]
    fn large_spans_find_less_room() {
        let recorder = Recorder::exporting(Sampling::default(), 1000);
        let context = new_trace().unwrap();
        // A clone, because clones have no spare capacity and those below are to be as large.
        let large = span(context).linked_to((0..1000).map(|nth| context.with_span(nth))).clone();
        assert!(large.bytes() > 4096);
        (0..SPANS_QUEUED_MAX).for_each(|_| recorder.record(large.clone()));
        let kept = SPANS_QUEUED_MAX - recorder.counts().dropped_queue.load(Relaxed) as usize;
        assert!(kept * large.bytes() <= SPANS_QUEUED_BYTES_MAX, "{kept}");
        assert_eq!(waiting(&recorder), kept);
        recorder.record(large);
        assert_eq!(waiting(&recorder), 1);
    }

    #[test]
    fn events_are_rare_whatever_happens() {
        let recorder = Recorder::exporting(Sampling::default(), 1000);
        let passed = (0..100).filter(|_| recorder.event(Operation::Refusal, SECOND).is_some()).count();
        assert_eq!(passed as u64, EVENT_SPANS_PER_SECOND_MAX);
        assert!(recorder.event(Operation::Stall, SECOND).is_some());
    }
}
