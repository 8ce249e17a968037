//! Traced batches: whoever wakes their readers, and in however many passes, the end of each fan-out
//! is told, and once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use bugle::topic::{Batch, FannedOut, Retention, TraceContext, Traced};
use loom::thread;

use super::{Worker, append, batch, channel, model, patient, wait};

#[test]
fn the_end_of_a_traced_fan_out_is_told_once_whoever_wakes_the_readers() {
    model(2, || {
        let channel = channel(Retention::default());
        let told = Arc::new(AtomicUsize::new(0));
        let (worker, work) = Worker::spawn(&channel, 1);
        // Two that wait are many here, so the scheduler wakes them, in runs of one.
        let mut readers = [patient(&channel), patient(&channel)];
        readers.iter_mut().for_each(|reader| wait(reader, 1));
        let batches = [0, 1].map(|_| traced(&told));
        let publishers = batches.map(|batch| {
            let publisher = channel.clone();
            thread::spawn(move || append(&publisher, &batch))
        });
        publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
        worker.done();
        work.join().unwrap();
        assert_eq!(told.load(SeqCst), 2);
    });
}

/// A batch that counts how often its fan-out has ended.
fn traced(told: &Arc<AtomicUsize>) -> Batch {
    let told = told.clone();
    let fanned_out = Box::new(move |_: &Traced, _: FannedOut| {
        told.fetch_add(1, SeqCst);
    });
    let fan_out = TraceContext::sampled(1, 1).unwrap();
    batch(10).traced_by(Some(Traced { fan_out, created: Vec::new(), fanned_out }))
}
