//! Traces, as far as messages carry them: the W3C context, and which messages of a batch are traced.
//!
//! A traced message is listed beside its chunk, so whoever delivers it learns of it by one look, and
//! all others cost that look alone. Nothing here records anything: what becomes of a trace is decided
//! by the API, which hands in what is to be told.

use std::fmt;
use std::sync::Arc;

use super::position::Position;
use crate::limits::FANNING_OUT_MAX;

/// A W3C trace context: a trace, the span in it that is the parent, and its flags.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace; never 0.
    pub trace_id: u128,
    /// The span; never 0.
    pub span_id: u64,
    /// Bit 0: the trace is recorded.
    pub flags: u8,
}

/// Bytes of a `traceparent` of version 00.
const TRACEPARENT_BYTES: usize = 55;
const SAMPLED: u8 = 1;

impl TraceContext {
    /// A context whose trace is recorded; `None` where an id is 0.
    pub fn sampled(trace_id: u128, span_id: u64) -> Option<TraceContext> {
        (trace_id != 0 && span_id != 0).then_some(TraceContext { trace_id, span_id, flags: SAMPLED })
    }

    /// Reads a `traceparent`; `None` for what is none. Later versions may append to it.
    pub fn parse(traceparent: &str) -> Option<TraceContext> {
        let (head, rest) = traceparent.split_at_checked(TRACEPARENT_BYTES)?;
        let mut fields = head.split('-');
        let version = hex(fields.next()?, 2)?;
        let trace_id = hex(fields.next()?, 32)?;
        let span_id = hex(fields.next()?, 16)? as u64;
        let flags = hex(fields.next()?, 2)? as u8;
        let fits = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.is_empty() || rest.starts_with('-'),
        };
        let whole = fields.next().is_none() && trace_id != 0 && span_id != 0;
        (fits && whole).then_some(TraceContext { trace_id, span_id, flags })
    }

    /// Whether the trace is recorded.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The context of another span of the same trace.
    pub fn with_span(self, span_id: u64) -> TraceContext {
        TraceContext { span_id, ..self }
    }
}

/// A number of so many lower-case hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_hex.then(|| u128::from_str_radix(text, 16).ok())?
}

/// As a `traceparent` of version 00.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is to be done when a traced batch has been fanned out.
pub type Tell = dyn Fn(&Traced, FannedOut) + Send + Sync;

/// What is traced of a batch.
pub struct Traced {
    /// The span of the batch's fan-out, whose children its deliveries are.
    pub fan_out: TraceContext,
    /// The messages that are traced, by their places in the batch and in order.
    pub created: Vec<Created>,
    /// Called once, when every reader that waited for the batch has been woken.
    pub fanned_out: Box<Tell>,
}

/// Neighbours in a batch that were made in one context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Created {
    /// Place of the first one.
    pub first: u32,
    /// Place of the last one.
    pub last: u32,
    /// The context.
    pub context: TraceContext,
}

/// The end of a batch's fan-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FannedOut {
    /// Position of the batch's first message.
    pub first: Position,
    /// Sequence of its last message.
    pub last: u64,
    /// When it was ordered, unix nanoseconds.
    pub ordered: u64,
    /// How many readers waited and were woken; `None` where that was not followed.
    pub woken: Option<usize>,
}

/// A batch whose readers are being woken.
pub struct Fanning {
    /// What is to be told.
    pub traced: Arc<Traced>,
    /// The end, but for the readers.
    pub end: FannedOut,
}

impl Fanning {
    /// Tells that so many readers were woken.
    pub fn tell(&self, woken: usize) {
        (self.traced.fanned_out)(&self.traced, FannedOut { woken: Some(woken), ..self.end });
    }

    /// Tells that there are too many fan-outs at once to follow this one.
    pub fn give_up(&self) {
        (self.traced.fanned_out)(&self.traced, self.end);
    }
}

impl fmt::Debug for Traced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traced").field("fan_out", &self.fan_out).finish_non_exhaustive()
    }
}

/// Traced messages of a log that follow each other and were made in one context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// Sequence of the first one.
    pub first: u64,
    /// Sequence of the last one.
    pub last: u64,
    /// The context in which they were made.
    pub created: TraceContext,
    /// The span of its batch's fan-out.
    pub fan_out: TraceContext,
}

/// Batches whose readers are being woken, each to be told when the last one is.
#[derive(Default)]
pub struct FanningOut {
    /// Those that the pass under way is for.
    current: Vec<Fanning>,
    /// Those that came behind its back: the next pass is for them.
    later: Vec<Fanning>,
    woken: usize,
}

impl FanningOut {
    /// Waits for a batch; gives it back where too many are waited for.
    pub fn add(&mut self, batch: Fanning, is_running: bool) -> Option<Fanning> {
        if self.current.len() + self.later.len() >= FANNING_OUT_MAX {
            return Some(batch);
        }
        let list = if is_running { &mut self.later } else { &mut self.current };
        list.push(batch);
        None
    }

    /// So many more readers were woken.
    pub fn note_woken(&mut self, count: usize) {
        self.woken += count;
    }

    /// A pass is over: the batches it was for, and how many readers it has woken.
    pub fn pass(&mut self) -> (Vec<Fanning>, usize) {
        let done = std::mem::replace(&mut self.current, std::mem::take(&mut self.later));
        (done, std::mem::take(&mut self.woken))
    }

    /// Whether no batch is waited for.
    pub fn is_empty(&self) -> bool {
        self.current.is_empty() && self.later.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_context_is_read_as_it_was_written() {
        let context = TraceContext::parse(GOOD).unwrap();
        assert_eq!(context.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!((context.span_id, context.is_sampled()), (0x00f0_67aa_0ba9_02b7, true));
        assert_eq!(context.to_string(), GOOD);
        let unsampled = TraceContext::parse(&GOOD.replace("-01", "-00")).unwrap();
        assert!(!unsampled.is_sampled());
    }

    #[test]
    fn a_later_version_may_append_and_the_present_one_may_not() {
        assert!(TraceContext::parse(&GOOD.replacen("00", "cc", 1)).is_some());
        assert!(TraceContext::parse(&format!("cc{}-more", &GOOD[2..])).is_some());
        assert!(TraceContext::parse(&format!("cc{}more", &GOOD[2..])).is_none());
        assert!(TraceContext::parse(&format!("{GOOD}-more")).is_none());
    }

    #[test]
    fn what_is_no_context_is_none() {
        let zeros = "0".repeat(32);
        for wrong in [
            "",
            "00",
            &GOOD[1..],
            &GOOD[..54],
            &GOOD.to_uppercase(),
            &GOOD.replacen("00", "ff", 1),
            &GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &zeros),
            &GOOD.replace("00f067aa0ba902b7", &zeros[..16]),
            &GOOD.replace('-', "_"),
            &"é".repeat(28),
        ] {
            assert_eq!(TraceContext::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_batch_that_comes_during_a_pass_waits_for_the_next_one() {
        let context = TraceContext::parse(GOOD).unwrap();
        let batch = || {
            let fanned_out = Box::new(|_: &Traced, _: FannedOut| ());
            let traced = Arc::new(Traced { fan_out: context, created: Vec::new(), fanned_out });
            let end = FannedOut { first: Position::new(1, 1), last: 1, ordered: 1, woken: None };
            Fanning { traced, end }
        };
        let mut fanning = FanningOut::default();
        assert!(fanning.add(batch(), false).is_none() && fanning.add(batch(), true).is_none());
        fanning.note_woken(3);
        let (done, woken) = fanning.pass();
        assert_eq!((done.len(), woken, fanning.is_empty()), (1, 3, false));
        assert_eq!((fanning.pass().0.len(), fanning.is_empty()), (1, true));
        assert!((0..FANNING_OUT_MAX).all(|_| fanning.add(batch(), true).is_none()));
        assert!(fanning.add(batch(), true).is_some());
    }
}
