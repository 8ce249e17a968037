//! The broadcast channel in one process: from publish until the last receiver has everything.
//!
//! Bugle's channel beside `tokio::sync::broadcast` and `splaycast`, each with one task per receiver
//! on a runtime of as many threads as there are cores. A message is 128 bytes; all three hand out
//! references to the same memory. A step publishes one message, or a hundred in a row, and ends
//! when every receiver has them. Run it with `cargo bench --bench broadcast`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bugle::topic::{
    Batch, Broadcast, Budget, Fanout, Log, Message, Next, Pace, Reader, Retention, Start, Weight, Who,
};
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures::StreamExt;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, broadcast};

const RECEIVERS: [usize; 4] = [1, 128, 1_024, 16_384];
const BATCHES: [usize; 2] = [1, 100];
const PAYLOAD: [u8; 128] = [b'.'; 128];
/// Messages each channel keeps for its receivers; none of them falls behind in a step.
const KEPT: usize = 256;

/// A channel to measure. Made inside the runtime, so that it can spawn what it needs.
trait Channel: Sized + Send {
    const NAME: &'static str;
    type Receiver: Receive;
    /// A channel whose publishes are `batch` messages.
    fn new(batch: usize) -> Self;
    fn subscribe(&self) -> Self::Receiver;
    fn publish(&self);
}

/// Waits for messages; how many came.
trait Receive: Send + 'static {
    fn receive(&mut self) -> impl Future<Output = usize> + Send;
}

struct Tokio(broadcast::Sender<Bytes>, usize);

impl Channel for Tokio {
    const NAME: &'static str = "tokio";
    type Receiver = broadcast::Receiver<Bytes>;

    fn new(batch: usize) -> Self {
        Tokio(broadcast::channel(KEPT).0, batch)
    }

    fn subscribe(&self) -> Self::Receiver {
        self.0.subscribe()
    }

    fn publish(&self) {
        for _ in 0..self.1 {
            self.0.send(Bytes::from_static(&PAYLOAD)).unwrap();
        }
    }
}

impl Receive for broadcast::Receiver<Bytes> {
    async fn receive(&mut self) -> usize {
        black_box(self.recv().await.unwrap());
        1
    }
}

struct Splaycast(splaycast::Sender<Bytes>, splaycast::Splaycast<Bytes>, usize);

impl Channel for Splaycast {
    const NAME: &'static str = "splaycast";
    type Receiver = splaycast::Receiver<Bytes>;

    fn new(batch: usize) -> Self {
        let (sender, engine, splaycast) = splaycast::channel(KEPT);
        tokio::spawn(engine);
        Splaycast(sender, splaycast, batch)
    }

    fn subscribe(&self) -> Self::Receiver {
        self.1.subscribe()
    }

    fn publish(&self) {
        for _ in 0..self.2 {
            self.0.send(Bytes::from_static(&PAYLOAD)).unwrap();
        }
    }
}

impl Receive for splaycast::Receiver<Bytes> {
    async fn receive(&mut self) -> usize {
        match black_box(self.next().await.unwrap()) {
            splaycast::Message::Entry { .. } => 1,
            splaycast::Message::Lagged { count } => panic!("{count} messages were dropped"),
        }
    }
}

struct Bugle(Arc<Broadcast>, Batch);

impl Channel for Bugle {
    const NAME: &'static str = "bugle";
    type Receiver = Cursor;

    fn new(batch: usize) -> Self {
        let message = Message { payload: Bytes::from_static(&PAYLOAD), ..Default::default() };
        let fanout = Fanout::new();
        let worker = Arc::clone(&fanout);
        tokio::spawn(async move {
            loop {
                poll_fn(|cx| worker.poll_work(cx)).await;
                tokio::task::yield_now().await;
            }
        });
        let retention = Retention { messages: KEPT as u64, ..Default::default() };
        let log = Log::new(1, 1, retention, Weight::new(Budget::new(1 << 30)));
        Bugle(Broadcast::new(log, fanout), Batch::encode(&vec![message; batch]).unwrap())
    }

    fn subscribe(&self) -> Cursor {
        let pace =
            Pace { heartbeat_interval: Duration::from_secs(600), stall_timeout: Duration::from_secs(600) };
        let (reader, found) =
            Reader::join(&self.0, Start::Latest, 0, &pace, Who::default()).unwrap().unwrap();
        Cursor { reader, from: found.sequence }
    }

    fn publish(&self) {
        Broadcast::append(&self.0, &self.1, 1).unwrap();
    }
}

struct Cursor {
    reader: Reader,
    from: u64,
}

impl Receive for Cursor {
    async fn receive(&mut self) -> usize {
        match poll_fn(|cx| self.reader.poll_next(cx, self.from, 256 * 1024, false)).await {
            Next::Run(run) => {
                let count = run.last + 1 - self.from;
                self.from = run.last + 1;
                black_box(run);
                count as usize
            }
            next => panic!("{next:?} is no message"),
        }
    }
}

/// Receivers that have not everything yet.
struct Countdown(AtomicUsize, Notify);

/// Publishes `steps` times to `receivers` tasks and waits each time until all have all of it.
async fn run<C: Channel + 'static>(receivers: usize, batch: usize, steps: u64) -> Duration {
    let channel = C::new(batch);
    let countdown = Arc::new(Countdown(AtomicUsize::new(0), Notify::new()));
    let tasks: Vec<_> = (0..receivers)
        .map(|_| {
            let (mut receiver, countdown) = (channel.subscribe(), Arc::clone(&countdown));
            tokio::spawn(async move {
                loop {
                    let mut missing = batch;
                    while missing > 0 {
                        missing -= receiver.receive().await;
                    }
                    if countdown.0.fetch_sub(1, Ordering::AcqRel) == 1 {
                        countdown.1.notify_one();
                    }
                }
            })
        })
        .collect();
    // One step that does not count, after which all receivers wait.
    let mut start = Instant::now();
    for step in 0..=steps {
        countdown.0.store(receivers, Ordering::Release);
        channel.publish();
        countdown.1.notified().await;
        if step == 0 {
            start = Instant::now();
        }
    }
    let taken = start.elapsed();
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    taken
}

fn measure<C: Channel + 'static>(criterion: &mut Criterion, runtime: &Runtime, batch: usize) {
    let mut group = criterion.benchmark_group(format!("batch-{batch}"));
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    for receivers in RECEIVERS {
        group.throughput(Throughput::Elements((receivers * batch) as u64));
        group.bench_function(BenchmarkId::new(C::NAME, receivers), |bencher| {
            bencher.iter_custom(|steps| {
                // Spawned, so that the publisher is a task like the others.
                let run = runtime.spawn(run::<C>(receivers, batch, steps));
                runtime.block_on(run).unwrap()
            });
        });
    }
    group.finish();
}

fn broadcasts(criterion: &mut Criterion) {
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    for batch in BATCHES {
        measure::<Tokio>(criterion, &runtime, batch);
        measure::<Splaycast>(criterion, &runtime, batch);
        measure::<Bugle>(criterion, &runtime, batch);
    }
}

criterion_group!(benches, broadcasts);
criterion_main!(benches);
