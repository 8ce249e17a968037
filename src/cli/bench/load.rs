//! A load: open the subscriptions, publish, measure a window, and see that everything arrived.
//!
//! Its clients run on a runtime of their own with as many threads as planned, so that on a small
//! machine they leave the server its share. Dropping the load ends all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::arrivals::Arrivals;
use super::kernel;
use super::latency::Latency;
use super::momento;
use super::outcome::{Outcome, Sample};
use super::outlet::Acks;
use super::plan::{Plan, STREAM_WINDOW_BYTES};
use super::process::Process;
use super::publisher::{Course, Publisher, Topic};
use super::stalled;
use super::subscriber;
use super::system::System;
use super::tally::{Counts, Tally};
use super::template::topic_name;
use crate::error::{Code, Error, Result};

/// All subscriptions have to stand in this time.
const OPEN_DEADLINE: Duration = Duration::from_secs(60);
/// What was published has to arrive, and to be answered, in this time after the last publish.
const DRAIN_DEADLINE: Duration = Duration::from_secs(10);
/// How often progress is told.
const TICK: Duration = Duration::from_millis(250);

/// A load whose subscriptions stand.
pub struct Load {
    plan: Plan,
    topics: Vec<Arc<Topic>>,
    tallies: Vec<Arc<Tally>>,
    latency: Arc<Latency>,
    answers: Arc<Latency>,
    runtime: Clients,
}

/// The clients' runtime; dropping it ends their tasks, and may be done on any thread.
struct Clients(Option<Runtime>, Handle);

impl Drop for Clients {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A publisher at work.
type Working = oneshot::Receiver<Result<Publisher>>;

impl Load {
    /// Connects the subscribers and waits until the server has confirmed each subscription.
    ///
    /// # Errors
    /// Unavailable or DeadlineExceeded, when a subscription does not come to stand.
    pub async fn open(plan: Plan) -> Result<Load> {
        let runtime = Builder::new_multi_thread().worker_threads(plan.threads).enable_all().build();
        let runtime =
            runtime.map_err(|e| Error::new(Code::Internal, "no threads for the clients").because(e))?;
        let handle = runtime.handle().clone();
        let tallies: Vec<_> = (0..plan.subscribers).map(|_| Arc::new(Tally::new())).collect();
        let topic = |number| {
            let readers = tallies.iter().skip(number).step_by(plan.topics).cloned().collect();
            Arc::new(Topic { number, published: AtomicU64::new(0), readers })
        };
        let load = Load {
            topics: (0..plan.topics).map(topic).collect(),
            latency: Arc::new(Latency::new(plan.threads)?),
            answers: Arc::new(Latency::new(1)?),
            runtime: Clients(Some(runtime), handle),
            tallies,
            plan,
        };
        load.subscribe().await?;
        stalled::open(&load.plan, &load.runtime.1).await?;
        Ok(load)
    }

    async fn subscribe(&self) -> Result<()> {
        let Load { plan, tallies, .. } = self;
        for (connection, tallies) in tallies.chunks(plan.streams_per_connection).enumerate() {
            let first = connection * plan.streams_per_connection;
            let topics = (first..).zip(tallies).map(|(number, tally)| {
                let (tally, latency) = (Arc::clone(tally), Arc::clone(&self.latency));
                let arrivals = Arrivals::new(tally, latency, connection, plan.rate.is_some());
                (topic_name(&plan.prefix, number % plan.topics), arrivals)
            });
            let (authority, topics) = (&plan.authority, topics.collect());
            let opening = match plan.momento && plan.system == System::Bugle {
                true => momento::subscriber(authority, STREAM_WINDOW_BYTES, topics),
                false => plan.system.subscriber(authority, STREAM_WINDOW_BYTES, topics),
            };
            let socket = on(&self.runtime.1, subscriber::connect(plan.address)).await?;
            self.runtime.1.spawn(subscriber::follow(socket, opening));
        }
        let opened = async {
            for (number, tally) in tallies.iter().enumerate() {
                tally.opened().await;
                if tally.has_ended() {
                    let topic = topic_name(&plan.prefix, number % plan.topics);
                    return Err(refused(plan.system, &topic));
                }
            }
            Ok(())
        };
        timeout(OPEN_DEADLINE, opened).await.unwrap_or_else(|_| {
            let advice = "the server did not confirm all subscriptions in a minute; try fewer --subscribers";
            Err(Error::new(Code::DeadlineExceeded, advice))
        })
    }

    /// Publishes as planned for the warm-up and the window; `tick` is told how far it is, with
    /// messages published and delivered so far.
    ///
    /// # Errors
    /// Unavailable, when a publisher's connection breaks.
    pub async fn measure(self, mut tick: impl FnMut(Duration, u64, u64)) -> Result<Outcome> {
        let (acks, course) = (self.acks(), self.course(None));
        let working = self.publish(&course, &acks).await?;
        let start = Instant::now();
        let (from, until) = (self.plan.warmup, self.plan.warmup + self.plan.duration);
        self.pass(start + from, &course, start, &mut tick).await;
        self.begin();
        let first = self.sample(&acks);
        self.pass(start + until, &course, start, &mut tick).await;
        let last = self.sample(&acks);
        self.end();
        course.stop.cancel();
        let publishers = finished(working).await?;
        let unanswered = timeout(DRAIN_DEADLINE, async {
            for publisher in &publishers {
                publisher.answered().await;
            }
        });
        let unanswered = unanswered.await.is_err();
        self.drain().await;
        // Before the publishers hang up, which their readers take for a refusal.
        let refusals: Vec<_> = acks.iter().map(|acks| acks.refusals()).collect();
        drop(publishers);
        let mut outcome = Outcome::between(&self.plan, first, last);
        outcome.refused = refusals.iter().map(|(count, _)| count).sum();
        outcome.refusal = refusals.into_iter().find_map(|(_, why)| why);
        outcome.unanswered = unanswered;
        self.conclude(&mut outcome);
        Ok(outcome)
    }

    /// Publishes `commands` commands in all, and returns when all are answered.
    ///
    /// # Errors
    /// Unavailable, when a publisher's connection breaks or a command is refused.
    pub async fn publish_all(&self, commands: u64) -> Result<()> {
        let (acks, course) = (self.acks(), self.course(Some(commands / self.plan.publishers as u64)));
        let working = self.publish(&course, &acks).await?;
        let publishers = finished(working).await?;
        for publisher in &publishers {
            publisher.answered().await;
        }
        match acks.iter().find_map(|acks| acks.refusals().1) {
            Some(why) => Err(Error::new(Code::Unavailable, format!("a publish was refused: {why}"))),
            None => Ok(()),
        }
    }

    fn acks(&self) -> Vec<Arc<Acks>> {
        (0..self.plan.publishers).map(|_| Arc::new(Acks::new(Arc::clone(&self.answers)))).collect()
    }

    fn course(&self, commands: Option<u64>) -> Arc<Course> {
        let Plan { system, ref prefix, batch, payload, .. } = self.plan;
        Arc::new(Course {
            system,
            template: system.template(&topic_name(prefix, 0), batch, payload),
            window: self.plan.window(),
            interval: self.plan.interval(),
            commands,
            stop: CancellationToken::new(),
        })
    }

    /// Starts the publishers: at a rate each on a thread, which sleeps better than a task.
    async fn publish(&self, course: &Arc<Course>, acks: &[Arc<Acks>]) -> Result<Vec<Working>> {
        let mut working = Vec::new();
        if self.plan.system == System::Kernel {
            return Ok(working);
        }
        for (number, acks) in acks.iter().enumerate() {
            let dealt = self.topics.iter().skip(number % self.topics.len()).step_by(strides(self));
            let topics = dealt.cloned().collect();
            let (course, acks, authority) =
                (Arc::clone(course), Arc::clone(acks), self.plan.authority.clone());
            let socket = on(&self.runtime.1, subscriber::connect(self.plan.address)).await?;
            let open = async move { Publisher::open(socket, &authority, course, topics, acks).await };
            let publisher = on(&self.runtime.1, open).await?;
            let (done, receiver) = oneshot::channel();
            let run = async move {
                // Nobody listens any more when the load was given up.
                let _ = done.send(publisher.run().await);
            };
            let handle = self.runtime.1.clone();
            match course_is_paced(&self.plan) {
                true => drop(std::thread::spawn(move || handle.block_on(run))),
                false => drop(handle.spawn(run)),
            }
            working.push(receiver);
        }
        Ok(working)
    }

    async fn pass(
        &self,
        until: Instant,
        course: &Course,
        start: Instant,
        tick: &mut impl FnMut(Duration, u64, u64),
    ) {
        while Instant::now() < until && !course.stop.is_cancelled() {
            tick(start.elapsed(), self.published(), self.counts().received);
            tokio::time::sleep(TICK.min(until.saturating_duration_since(Instant::now()))).await;
        }
    }

    fn begin(&self) {
        let now = super::clock::now();
        self.latency.begin(now);
        self.answers.begin(now);
    }

    fn end(&self) {
        let now = super::clock::now();
        self.latency.end(now);
        self.answers.end(now);
    }

    fn sample(&self, acks: &[Arc<Acks>]) -> Sample {
        let mut counts = self.counts();
        if self.plan.system == System::Kernel {
            counts.received = counts.bytes / (self.plan.payload + kernel::OVERHEAD_BYTES) as u64;
        }
        Sample {
            at: Instant::now(),
            counts,
            published: self.published(),
            answers: acks.iter().map(|acks| acks.answered.reached()).sum(),
            server_cpu: self.plan.process.and_then(Process::cpu),
            client_cpu: Process::own().cpu(),
            rss: self.plan.process.and_then(Process::rss),
        }
    }

    fn counts(&self) -> Counts {
        self.tallies.iter().fold(Counts::default(), |sum, tally| sum.plus(tally.counts()))
    }

    fn published(&self) -> u64 {
        self.topics.iter().map(|topic| topic.published.load(Ordering::Relaxed)).sum()
    }

    /// Waits until every subscriber has everything, or is not going to.
    async fn drain(&self) {
        let all = async {
            for topic in self.topics.iter().filter(|_| self.plan.system != System::Kernel) {
                for reader in &topic.readers {
                    reader.passed.wait_for(topic.published.load(Ordering::Relaxed)).await;
                }
            }
        };
        // What is missing then is counted.
        let _ = timeout(DRAIN_DEADLINE, all).await;
    }

    /// Adds what is known only at the end: losses over the whole run, and the delays.
    fn conclude(&self, outcome: &mut Outcome) {
        outcome.total = self.counts();
        for topic in self.topics.iter().filter(|_| self.plan.system != System::Kernel) {
            let published = topic.published.load(Ordering::Relaxed);
            let passed = topic.readers.iter().map(|reader| reader.passed.reached());
            outcome.undelivered += passed.map(|passed| published.saturating_sub(passed)).sum::<u64>();
        }
        outcome.ended = self.tallies.iter().filter(|tally| tally.has_ended()).count();
        outcome.latency = self.latency.summary();
        outcome.answer_latency = self.answers.summary();
    }
}

/// Every so many topics belong to one publisher; more publishers than topics share them.
fn strides(load: &Load) -> usize {
    load.plan.publishers.min(load.topics.len())
}

fn course_is_paced(plan: &Plan) -> bool {
    plan.interval().is_some()
}

async fn finished(working: Vec<Working>) -> Result<Vec<Publisher>> {
    let mut publishers = Vec::new();
    for receiver in working {
        let gone = |_| Error::new(Code::Internal, "a publisher's task ended before it was done");
        publishers.push(receiver.await.map_err(gone)??);
    }
    Ok(publishers)
}

/// Runs `work` on the clients' runtime, where its sockets have to live.
pub async fn on<T: Send + 'static>(
    handle: &Handle,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let lost = |e| Error::new(Code::Internal, "a client's task ended before it was done").because(e);
    handle.spawn(work).await.map_err(lost)?
}

fn refused(system: System, topic: &str) -> Error {
    let why = format!("{system} ended the subscription to {topic} at once");
    let advice = format!("{why}; `bugle subscribe {topic}` shows its reason");
    Error::new(Code::Unavailable, if system == System::Bugle { advice } else { why })
}
