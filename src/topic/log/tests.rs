//! The log against a model that keeps everything in a plain vector.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::topic::message::Message;
use crate::topic::{Budget, Discontinuity, Position, Reason, Start};

const SECOND: u64 = 1_000_000_000;

/// What is done to a log.
#[derive(Debug, Clone)]
enum Act {
    /// Appends messages with payloads of these sizes.
    Append(Vec<usize>),
    /// Time goes on, seconds.
    Wait(u64),
    /// Reads from somewhere, in parts of at most so many bytes.
    Read { from: u64, bytes_max: usize },
    /// Looks for a time, in seconds since the beginning.
    AtTime(u64),
    /// Changes what is kept.
    Retain { bytes: u64, messages: u64, seconds: u64 },
    /// Makes room for others.
    DropOldest,
}

fn acts() -> impl Strategy<Value = Act> {
    let append = prop_oneof![
        4 => prop::collection::vec(0usize..300, 1..20),
        1 => prop::collection::vec(0usize..30_000, 1..4),
        1 => prop::collection::vec(100_000usize..300_000, 1..2),
    ];
    prop_oneof![
        6 => append.prop_map(Act::Append),
        1 => (0u64..5).prop_map(Act::Wait),
        4 => (any::<u64>(), 1usize..5_000).prop_map(|(from, bytes_max)| Act::Read { from, bytes_max }),
        2 => (any::<u64>(), 300_000usize..1_000_000).prop_map(|(from, bytes_max)| Act::Read { from, bytes_max }),
        2 => (0u64..60).prop_map(Act::AtTime),
        1 => (10_000u64..10_000_000, 1u64..500, 1u64..60)
            .prop_map(|(bytes, messages, seconds)| Act::Retain { bytes, messages, seconds }),
        1 => Just(Act::DropOldest),
    ]
}

struct Model {
    log: Log,
    /// Time and record of every message ever appended; the first has sequence 1.
    all: Vec<(u64, Vec<u8>)>,
    now: u64,
}

impl Model {
    fn new() -> Model {
        let log = Log::new(7, 1, Retention::default(), Weight::new(Budget::new(usize::MAX)));
        Model { log, all: Vec::new(), now: SECOND }
    }

    fn append(&mut self, sizes: &[usize]) {
        let start = self.all.len();
        let payload = |at: usize, size: usize| Bytes::from(vec![(start + at) as u8; size]);
        let message =
            |(at, size): (usize, &usize)| Message { payload: payload(at, *size), ..Default::default() };
        let messages: Vec<Message> = sizes.iter().enumerate().map(message).collect();
        let batch = Batch::encode(&messages).unwrap();
        let appended = self.log.append(&batch, self.now).unwrap();
        assert_eq!((appended.first, appended.last), (start as u64 + 1, (start + sizes.len()) as u64));
        for body in batch.bodies() {
            let mut record = Vec::new();
            crate::topic::record::put_header(&mut record, self.all.len() as u64 + 1, self.now, body.len());
            record.extend_from_slice(body);
            self.all.push((self.now, record));
        }
    }

    /// Reads everything from a sequence on, in parts.
    fn read(&mut self, from: u64, bytes_max: usize) {
        let mut from = from % (self.all.len() as u64 + 3) + 1;
        loop {
            match self.log.read(from, bytes_max) {
                Read::CaughtUp => return assert!(from > self.all.len() as u64),
                Read::Behind(next) => {
                    assert!(from < next && next == self.log.start());
                    from = next;
                }
                Read::Run(run) => {
                    let expected: Vec<u8> =
                        (run.first..=run.last).flat_map(|at| self.all[at as usize - 1].1.clone()).collect();
                    assert_eq!(run.first, from);
                    assert!(run.slices.concat() == expected && run.bytes == expected.len());
                    assert!(run.bytes <= bytes_max || run.last == run.first, "larger than asked for");
                    assert!(run.slices.len() <= SLICES_MAX);
                    from = run.last + 1;
                }
            }
        }
    }

    fn at_time(&mut self, time: u64) {
        let first = self.log.start();
        let found = self
            .all
            .iter()
            .position(|(at, _)| *at >= time)
            .map_or(self.all.len() as u64 + 1, |at| at as u64 + 1);
        assert_eq!(self.log.at_time(time), found.max(first));
    }

    /// What always holds, after whatever was done.
    fn check(&mut self, retention: Retention) {
        let (first, next) = (self.log.first(self.now), self.log.next());
        assert_eq!(next, self.all.len() as u64 + 1);
        assert!(next - first <= retention.messages, "too many messages are kept");
        for (time, _) in &self.all[first as usize - 1..] {
            assert!(self.now - time <= retention.age_nanos(), "a message that is too old is kept");
        }
        let kept = &self.all[self.log.start() as usize - 1..];
        assert_eq!(self.log.bytes(), kept.iter().map(|(_, record)| record.len() as u64).sum::<u64>());
        let newest_chunk = self.log.chunks.back().map_or(0, |chunk| chunk.bytes as u64);
        assert!(self.log.bytes() <= retention.bytes.max(newest_chunk), "too many bytes are kept");
    }
}

proptest! {
    #[test]
    fn the_log_gives_back_what_was_appended_in_order(acts in prop::collection::vec(acts(), 1..60)) {
        let mut model = Model::new();
        let mut retention = Retention::default();
        for act in acts {
            match act {
                Act::Append(sizes) => model.append(&sizes),
                Act::Wait(seconds) => model.now += seconds * SECOND,
                Act::Read { from, bytes_max } => model.read(from, bytes_max),
                Act::AtTime(seconds) => model.at_time(seconds * SECOND),
                Act::Retain { bytes, messages, seconds } => {
                    retention = Retention { bytes, messages, age: Duration::from_secs(seconds) };
                    model.log.retain(retention, model.now);
                }
                Act::DropOldest => drop(model.log.drop_oldest()),
            }
            model.log.trim(model.now);
            model.check(retention);
        }
        model.read(0, 1000);
    }
}

#[test]
fn appending_without_room_changes_nothing() {
    let mut log = Log::new(7, 1, Retention::default(), Weight::new(Budget::new(1 << 20)));
    let batch = Batch::encode(&[Message { payload: vec![1; 1000].into(), ..Default::default() }]).unwrap();
    while log.append(&batch, 1).is_ok() {}
    let (next, bytes) = (log.next(), log.bytes());
    assert!(log.append(&batch, 1).is_err());
    assert_eq!((log.next(), log.bytes()), (next, bytes));
    // The oldest chunks are the smallest: it takes a few to make room for one of the newest.
    while log.append(&batch, 1).is_err() {
        assert!(log.drop_oldest());
    }
    assert_eq!(log.next(), next + 1);
}

#[test]
fn memory_is_counted_until_its_last_slice_is_gone() {
    let budget = Budget::new(1 << 20);
    let mut log = Log::new(7, 1, Retention::default(), Weight::new(budget.clone()));
    let batch = Batch::encode(&[Message { payload: vec![1; 1000].into(), ..Default::default() }]).unwrap();
    log.append(&batch, 1).unwrap();
    let Read::Run(run) = log.read(1, 10_000) else { panic!("there is something to read") };
    log.clear();
    assert!(budget.used() > 1000);
    drop(run);
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_start_says_what_is_missing_in_front_of_it() {
    let mut model = Model::new();
    let retention = Retention { messages: 3, ..Retention::default() };
    model.log.retain(retention, model.now);
    for _ in 0..10 {
        model.now += SECOND;
        model.append(&[10]);
    }
    // Sequences 8, 9 and 10 are kept; message n is from second n + 1.
    let (log, now) = (&mut model.log, model.now);
    let mut find =
        |start: Start| start.find(log, now).map(|found| (found.sequence, found.gap.map(|gap| gap.reason)));
    let at = |sequence| Position::new(7, sequence);
    assert_eq!(find(Start::Latest).unwrap(), (11, None));
    assert_eq!(find(Start::Earliest).unwrap(), (8, None));
    assert_eq!(find(Start::Last(2)).unwrap(), (9, None));
    assert_eq!(find(Start::Last(0)).unwrap(), (11, None));
    assert_eq!(find(Start::Last(99)).unwrap(), (8, None));
    assert_eq!(find(Start::After(at(10))).unwrap(), (11, None));
    assert_eq!(find(Start::After(at(7))).unwrap(), (8, None));
    assert_eq!(find(Start::After(at(6))).unwrap(), (8, Some(Reason::Expired)));
    assert_eq!(find(Start::After(Position::new(6, 99))).unwrap(), (8, Some(Reason::Reset)));
    assert_eq!(find(Start::Time(9 * SECOND)).unwrap(), (8, None));
    assert_eq!(find(Start::Time(10 * SECOND)).unwrap(), (9, None));
    assert_eq!(find(Start::Time(99 * SECOND)).unwrap(), (11, None));
    assert_eq!(find(Start::Time(8 * SECOND)).unwrap(), (8, Some(Reason::Expired)));
    assert!(find(Start::After(at(11))).is_err());
    let gap = Start::After(at(2)).find(log, now).unwrap().gap.unwrap();
    let expected = Discontinuity { reason: Reason::Expired, last_delivered: Some(at(2)), next: at(8) };
    assert_eq!(gap, expected);
}
