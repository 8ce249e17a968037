//! Models of the broadcast channel and its fan-out: loom runs each under every interleaving that
//! its bound on preemptions allows. The bug they look for is the lost wake-up: a reader that
//! sleeps with something to read makes its model end in a deadlock, which loom reports.
//!
//! They are built alone, with `RUSTFLAGS="--cfg bugle_loom" cargo test --release
//! --no-default-features --test models`; `tests/run` does. In every other build this file is empty.
#![cfg(bugle_loom)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "models/traced.rs"]
mod traced;

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bugle::topic::record::headers;
use bugle::topic::{
    Batch, Broadcast, Budget, End, Fanout, Log, Message, Next, Pace, Reader, Refused, Retention, Start,
    Weight, Who,
};
use bytes::Bytes;
use loom::future::{AtomicWaker, block_on};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

/// Larger than the smallest chunk, so that each message has one of its own.
const LARGE: usize = 300;

fn batch(bytes: usize) -> Batch {
    Batch::encode(&[Message { payload: Bytes::from(vec![b'.'; bytes]), ..Default::default() }]).unwrap()
}

fn channel(retention: Retention) -> Arc<Broadcast> {
    Broadcast::new(Log::new(1, 1, retention, Weight::new(Budget::new(1 << 20))), Fanout::new())
}

fn join(channel: &Arc<Broadcast>, heartbeat: Duration) -> Reader {
    let pace = Pace { heartbeat_interval: heartbeat, stall_timeout: Duration::from_secs(60) };
    Reader::join(channel, Start::Latest, 1, &pace, Who::default()).unwrap().unwrap().0
}

fn patient(channel: &Arc<Broadcast>) -> Reader {
    join(channel, Duration::from_secs(600))
}

fn append(channel: &Arc<Broadcast>, batch: &Batch) {
    Broadcast::append(channel, batch, 1).unwrap();
}

fn next(reader: &mut Reader, from: u64) -> Next {
    block_on(poll_fn(|cx| reader.poll_next(cx, from, 1 << 16, false)))
}

/// Polls once, so that the reader waits, without a task that could be woken.
fn wait(reader: &mut Reader, from: u64) {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(reader.poll_next(&mut cx, from, 1 << 16, false).is_pending());
}

/// Counts how often it is rung.
#[derive(Default)]
struct Bell(std::sync::atomic::AtomicUsize);

impl std::task::Wake for Bell {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

/// Reads until `last`: each sequence comes once and in order, or lies in a gap that was announced.
fn follow(reader: &mut Reader, last: u64) {
    let mut from = 1;
    while from <= last {
        from = match next(reader, from) {
            Next::Run(run) => {
                for (_, header) in run.slices.iter().flat_map(|slice| headers(slice)) {
                    assert_eq!(header.sequence, from);
                    from += 1;
                }
                from
            }
            Next::Behind(oldest) => {
                assert!(oldest > from, "a gap is announced where nothing is missing");
                oldest
            }
            Next::Heartbeat(newest) => {
                assert!(newest + 1 >= from);
                from
            }
            other => panic!("{other:?}"),
        };
    }
}

/// The scheduler's task: works until so many readers said that they are done.
#[derive(Clone)]
struct Worker(Arc<(AtomicUsize, AtomicWaker)>);

impl Worker {
    fn spawn(channel: &Arc<Broadcast>, readers: usize) -> (Worker, thread::JoinHandle<()>) {
        let worker = Worker(Arc::new((AtomicUsize::new(readers), AtomicWaker::new())));
        let (fanout, done) = (channel.fanout().clone(), worker.clone());
        let poll = move |cx: &mut Context<'_>| {
            done.0.1.register_by_ref(cx.waker());
            let is_done = done.0.0.load(Ordering::Acquire) == 0;
            while fanout.poll_work(cx).is_ready() {}
            if is_done { Poll::Ready(()) } else { Poll::Pending }
        };
        (worker, thread::spawn(move || block_on(poll_fn(poll))))
    }

    fn done(&self) {
        if self.0.0.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.1.wake();
        }
    }
}

fn model(preemptions: usize, run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    builder.check(run);
}

#[test]
fn a_message_reaches_a_reader_that_registers_at_the_same_time() {
    let batch = batch(10);
    model(3, move || {
        let channel = channel(Retention::default());
        let mut reader = patient(&channel);
        let (publisher, batch) = (channel.clone(), batch.clone());
        let publisher = thread::spawn(move || {
            append(&publisher, &batch);
            append(&publisher, &batch);
        });
        follow(&mut reader, 2);
        publisher.join().unwrap();
    });
}

#[test]
fn two_publishers_at_once_lose_no_wake_up() {
    let batch = batch(10);
    model(3, move || {
        let channel = channel(Retention::default());
        let mut reader = patient(&channel);
        let publishers = [0, 1].map(|_| {
            let (publisher, batch) = (channel.clone(), batch.clone());
            thread::spawn(move || append(&publisher, &batch))
        });
        follow(&mut reader, 2);
        publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
    });
}

#[test]
fn the_scheduler_reaches_all_readers_of_a_large_fan_out() {
    let batch = batch(10);
    model(2, move || {
        let channel = channel(Retention::default());
        let readers = [patient(&channel), patient(&channel)];
        let (worker, scheduler) = Worker::spawn(&channel, 2);
        let readers = readers.map(|mut reader| {
            let worker = worker.clone();
            thread::spawn(move || {
                follow(&mut reader, 2);
                worker.done();
            })
        });
        append(&channel, &batch);
        append(&channel, &batch);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        scheduler.join().unwrap();
    });
}

#[test]
fn what_is_appended_during_a_pass_is_not_forgotten() {
    let batch = batch(10);
    model(2, move || {
        let channel = channel(Retention::default());
        // One reader waits at each place; the first reads, the second only makes the fan-out large.
        let (mut reader, mut other) = (patient(&channel), patient(&channel));
        wait(&mut other, 1);
        let (worker, scheduler) = Worker::spawn(&channel, 1);
        let (publisher, batch) = (channel.clone(), batch.clone());
        let publisher = thread::spawn(move || {
            append(&publisher, &batch);
            append(&publisher, &batch);
            append(&publisher, &batch);
        });
        follow(&mut reader, 3);
        publisher.join().unwrap();
        worker.done();
        scheduler.join().unwrap();
    });
}

#[test]
fn an_overtaken_reader_is_told_and_goes_on() {
    let batch = batch(LARGE);
    model(3, move || {
        let channel = channel(Retention { bytes: LARGE as u64, ..Retention::default() });
        let mut reader = patient(&channel);
        let (publisher, batch) = (channel.clone(), batch.clone());
        let publisher = thread::spawn(move || (0..3).for_each(|_| append(&publisher, &batch)));
        follow(&mut reader, 3);
        publisher.join().unwrap();
    });
}

#[test]
fn deleting_ends_a_reader_that_waits_or_is_about_to() {
    model(3, || {
        let channel = channel(Retention::default());
        let mut reader = patient(&channel);
        let other = channel.clone();
        let deleter = thread::spawn(move || Broadcast::end(&other, End::Deleted));
        assert!(matches!(next(&mut reader, 1), Next::Ended(End::Deleted)));
        deleter.join().unwrap();
    });
}

#[test]
fn a_drain_delivers_what_was_accepted_and_then_ends_every_reader() {
    let batch = batch(10);
    model(2, move || {
        let channel = channel(Retention::default());
        let readers = [patient(&channel), patient(&channel)];
        let (worker, scheduler) = Worker::spawn(&channel, 2);
        let readers = readers.map(|mut reader| {
            let worker = worker.clone();
            thread::spawn(move || {
                follow(&mut reader, 1);
                assert!(matches!(next(&mut reader, 2), Next::Ended(End::Draining(_))));
                worker.done();
            })
        });
        append(&channel, &batch);
        Broadcast::end(&channel, End::Draining(Duration::from_secs(1)));
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        scheduler.join().unwrap();
    });
}

#[test]
fn an_append_is_either_refused_or_delivered_before_the_drain_ends() {
    let batch = batch(10);
    model(3, move || {
        let channel = channel(Retention::default());
        let mut reader = patient(&channel);
        let (publisher, batch) = (channel.clone(), batch.clone());
        let publisher = thread::spawn(move || Broadcast::append(&publisher, &batch, 1).map(|_| ()));
        let other = channel.clone();
        let drain = thread::spawn(move || Broadcast::end(&other, End::Draining(Duration::ZERO)));
        let mut seen = false;
        loop {
            match next(&mut reader, 1 + u64::from(seen)) {
                Next::Run(_) => seen = true,
                Next::Ended(_) => break,
                other => panic!("{other:?}"),
            }
        }
        let published = publisher.join().unwrap();
        assert_eq!(published.is_ok(), seen, "{published:?}");
        drain.join().unwrap();
    });
}

#[test]
fn an_idle_channel_closes_or_is_used_but_not_both() {
    let batch = batch(10);
    model(3, move || {
        let channel = channel(Retention::default());
        let other = channel.clone();
        let sweep = thread::spawn(move || other.close_if_idle().is_some());
        let (other, batch) = (channel.clone(), batch.clone());
        let publisher = thread::spawn(move || Broadcast::append(&other, &batch, 1).map(|_| ()));
        let pace = Pace { heartbeat_interval: Duration::from_secs(9), stall_timeout: Duration::from_secs(9) };
        let joined =
            Reader::join(&channel, Start::Latest, 1, &pace, Who::default()).map(|joined| joined.is_ok());
        let (closed, published) = (sweep.join().unwrap(), publisher.join().unwrap());
        // What is done to it in between may be gone again by the time of the sweep: a reader that
        // left at once. What is kept may not.
        match closed {
            true => assert_eq!(published, Err(Refused::Ended(End::Closed))),
            false => assert!(published.is_ok() && joined == Ok(true)),
        }
        assert_eq!(channel.readers(), 0);
        assert_eq!(channel.fanout().watched(), 0);
    });
}

#[test]
fn a_reader_that_leaves_during_a_pass_takes_no_wake_up_with_it() {
    let batch = batch(10);
    model(2, move || {
        let channel = channel(Retention::default());
        let mut leaver = patient(&channel);
        let mut reader = patient(&channel);
        wait(&mut leaver, 1);
        let (worker, scheduler) = Worker::spawn(&channel, 1);
        let (publisher, batch) = (channel.clone(), batch.clone());
        let publisher = thread::spawn(move || append(&publisher, &batch));
        let leaving = thread::spawn(move || drop(leaver));
        follow(&mut reader, 1);
        publisher.join().unwrap();
        worker.done();
        leaving.join().unwrap();
        scheduler.join().unwrap();
        assert_eq!(channel.readers(), 1);
        assert_eq!(channel.fanout().watched(), 1);
    });
}

#[test]
fn a_place_that_is_taken_again_during_a_pass_is_woken_for_its_new_reader() {
    let batch = batch(10);
    model(2, move || {
        let channel = channel(Retention::default());
        let (mut leaver, mut other) = (patient(&channel), patient(&channel));
        wait(&mut leaver, 1);
        wait(&mut other, 1);
        let (worker, scheduler) = Worker::spawn(&channel, 1);
        let (publisher, batch) = (channel.clone(), batch.clone());
        let publisher = thread::spawn(move || (0..2).for_each(|_| append(&publisher, &batch)));
        drop(leaver);
        let pace = Pace { heartbeat_interval: Duration::from_secs(9), stall_timeout: Duration::from_secs(9) };
        let (mut reader, _) =
            Reader::join(&channel, Start::Earliest, 1, &pace, Who::default()).unwrap().unwrap();
        follow(&mut reader, 2);
        publisher.join().unwrap();
        worker.done();
        scheduler.join().unwrap();
    });
}

#[test]
fn a_waiting_reader_is_woken_by_a_heartbeat_and_a_message_at_once() {
    let batch = batch(10);
    model(3, move || {
        let channel = channel(Retention::default());
        let mut reader = join(&channel, Duration::from_millis(100));
        let bell = std::sync::Arc::new(Bell::default());
        let waker = Waker::from(bell.clone());
        assert!(reader.poll_next(&mut Context::from_waker(&waker), 1, 1 << 16, false).is_pending());
        let ticker = channel.fanout().clone();
        let ticker = thread::spawn(move || ticker.tick(false).len());
        let (publisher, batch) = (channel.clone(), batch.clone());
        let publisher = thread::spawn(move || append(&publisher, &batch));
        publisher.join().unwrap();
        assert_eq!(ticker.join().unwrap(), 0);
        assert_eq!(bell.0.load(std::sync::atomic::Ordering::SeqCst), 1);
        follow(&mut reader, 1);
    });
}

#[test]
fn a_heartbeat_takes_no_wake_up_from_a_message() {
    let batch = batch(10);
    model(2, move || {
        let channel = channel(Retention::default());
        let mut reader = join(&channel, Duration::from_millis(100));
        let ticker = channel.fanout().clone();
        let ticker = thread::spawn(move || (0..2).map(|_| ticker.tick(false).len()).sum::<usize>());
        let (publisher, batch) = (channel.clone(), batch.clone());
        let publisher = thread::spawn(move || append(&publisher, &batch));
        follow(&mut reader, 1);
        publisher.join().unwrap();
        assert_eq!(ticker.join().unwrap(), 0);
    });
}

#[test]
fn the_sweep_cuts_a_reader_that_is_stalled_and_forgets_one_that_left() {
    let batch = batch(10);
    model(3, move || {
        let channel = channel(Retention::default());
        let pace =
            Pace { heartbeat_interval: Duration::from_secs(9), stall_timeout: Duration::from_millis(100) };
        let (mut reader, _) =
            Reader::join(&channel, Start::Latest, 1, &pace, Who::default()).unwrap().unwrap();
        append(&channel, &batch);
        let ticker = channel.fanout().clone();
        let ticker = thread::spawn(move || ticker.tick(false).len());
        match next(&mut reader, 1) {
            Next::Run(_) | Next::Ended(End::Stalled) => {}
            other => panic!("{other:?}"),
        }
        drop(reader);
        ticker.join().unwrap();
        assert_eq!(channel.readers(), 0);
        assert_eq!(channel.fanout().watched(), 0);
    });
}
