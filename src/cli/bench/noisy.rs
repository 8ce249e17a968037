//! What one tenant notices of another that does not care about its quota: the delays of its messages,
//! alone, and beside a publisher of another namespace that is over its limit all the time and goes on
//! as fast as it is answered.
//!
//! In a round both are measured twice, the second time the other way round, so that what drifts on the
//! machine meets both alike.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use super::latency::Latency;
use super::load::{Load, on};
use super::outlet::Acks;
use super::peer::{Binaries, Server, Setting};
use super::plan::Plan;
use super::publisher::{Course, Publisher, Topic};
use super::row::{Row, Run, Scale};
use super::system::System;
use super::{bugle, subscriber};
use crate::error::{Code, Error, Result};

/// The namespace that is over its quota.
const NAMESPACE: &str = "noisy";
/// Messages a second that it may publish.
const QUOTA: u64 = 1_000;
/// Its publishes that may wait for their answers.
const WINDOW: u64 = 1_024;

/// The figures of the row.
pub const METRICS: [(&str, &str); 4] =
    [("p99 alone", "us"), ("p99 beside", "us"), ("ratio", "x"), ("refused", "/s")];

/// Runs the row's load alone and beside the other tenant: one round.
///
/// # Errors
/// Whatever ends a load or keeps a server from starting.
pub async fn run(binaries: &Binaries, row: Row, scale: Scale) -> Result<Run> {
    let file = File::write()?;
    let settings: [Setting; 2] =
        [("config", file.0.display().to_string()), ("namespaces", NAMESPACE.to_owned())];
    let server = binaries.start(System::Bugle, row.subscribers(scale), &settings).await?;
    let (mut p99, mut complaints, mut refused) = ([0.0; 2], Vec::new(), 0.0);
    for is_beside in [false, true, true, false] {
        let other = if is_beside { Some(Other::start(&server).await?) } else { None };
        let plan = row.plan(&server, scale);
        let seconds = (plan.warmup + plan.duration).as_secs_f64();
        let outcome = Load::open(plan).await?.measure(|_, _, _| {}).await?;
        if let Some(other) = other {
            let count = other.end();
            if count == 0 {
                complaints.push("the other tenant was never refused".to_owned());
            }
            refused += count as f64 / seconds / 2.0;
        }
        complaints.extend(outcome.complaints());
        let nothing = || Error::new(Code::Unavailable, "no message arrived in the measured window");
        p99[usize::from(is_beside)] += outcome.latency.ok_or_else(nothing)?.p99_us / 2.0;
    }
    let [alone, beside] = p99;
    Ok(Run { figures: vec![alone, beside, beside / alone, refused], complaints })
}

/// The configuration file with the quota; gone when dropped.
struct File(PathBuf);

impl File {
    fn write() -> Result<File> {
        let path = std::env::temp_dir().join(format!("bugle-bench-{}.toml", std::process::id()));
        let text =
            format!("[[quotas]]\nnamespace = \"{NAMESPACE}\"\npublish_messages_per_second = {QUOTA}\n");
        let failed = |e| {
            let message = format!("{} cannot be written; set TMPDIR to another directory", path.display());
            Error::new(Code::FailedPrecondition, message).because(e)
        };
        std::fs::write(&path, text).map_err(failed)?;
        Ok(File(path))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // What is left of it does no harm.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The other tenant's publisher, on a connection and a thread of its own.
struct Other {
    runtime: Runtime,
    acks: Arc<Acks>,
}

impl Other {
    async fn start(server: &Server) -> Result<Other> {
        let threads = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime =
            threads.map_err(|e| Error::new(Code::Internal, "no thread for the other tenant").because(e))?;
        let acks = Arc::new(Acks::new(Arc::new(Latency::new(1)?)));
        let topic = Plan::new(System::Bugle, server.address).prefix + "0000000";
        let course = Arc::new(Course {
            system: System::Bugle,
            template: bugle::template_within(NAMESPACE, &topic, 1, 128),
            window: WINDOW,
            interval: None,
            commands: None,
            stop: CancellationToken::new(),
        });
        let publisher = on(runtime.handle(), open(server.address, course, Arc::clone(&acks))).await?;
        runtime.spawn(publisher.run());
        Ok(Other { runtime, acks })
    }

    /// Ends it; how many of its publishes were refused.
    fn end(self) -> u64 {
        let (refused, _) = self.acks.refusals();
        self.runtime.shutdown_background();
        refused
    }
}

async fn open(address: SocketAddr, course: Arc<Course>, acks: Arc<Acks>) -> Result<Publisher> {
    let socket = subscriber::connect(address).await?;
    let topic = Topic { number: 0, published: AtomicU64::new(0), readers: Vec::new() };
    Publisher::open(socket, &address.to_string(), course, VecDeque::from([Arc::new(topic)]), acks).await
}
