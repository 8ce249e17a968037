//! Clients that mean well, beside those who do not: one publishes all the time, two subscribe, and what each
//! message took is written down.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bugle::client::{Client, Event};

use super::server::Server;

/// Messages a second.
const RATE: u64 = 400;

/// The clients, until they are dropped.
pub struct Healthy {
    began: Instant,
    delays: Arc<Mutex<Vec<(Duration, Duration)>>>,
    problem: Arc<Mutex<Option<String>>>,
    stop: Arc<AtomicBool>,
}

impl Healthy {
    pub async fn start(server: &Server) -> Healthy {
        let healthy = Healthy {
            began: Instant::now(),
            delays: Arc::default(),
            problem: Arc::default(),
            stop: Arc::default(),
        };
        for _ in 0..2 {
            let client = server.client().connect().await.unwrap();
            let subscription = client.subscribe("healthy").open().await.unwrap();
            tokio::spawn(healthy.listen(subscription));
        }
        let client = server.client().connect().await.unwrap();
        tokio::spawn(healthy.publish(client));
        healthy
    }

    fn publish(&self, client: Client) -> impl Future<Output = ()> + Send + 'static {
        let (began, stop, problem) = (self.began, self.stop.clone(), self.problem.clone());
        async move {
            let mut tick = tokio::time::interval(Duration::from_micros(1_000_000 / RATE));
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
            let mut n: u64 = 0;
            while !stop.load(Ordering::Relaxed) {
                // When it was meant to be sent: a server that stalls cannot hide it.
                let meant = tick.tick().await.into_std().duration_since(began);
                let payload = [n.to_be_bytes(), (meant.as_nanos() as u64).to_be_bytes()].concat();
                match client.publish("healthy", payload).await {
                    Ok(_) => n += 1,
                    Err(error) => {
                        problem.lock().unwrap().get_or_insert(format!("a publish failed: {error}"));
                    }
                }
            }
        }
    }

    fn listen(
        &self,
        mut subscription: bugle::client::Subscription,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (began, delays, problem) = (self.began, self.delays.clone(), self.problem.clone());
        async move {
            let mut next = 0;
            while let Some(event) = subscription.next().await {
                let told = match event {
                    Ok(Event::Message(message)) => {
                        let at = |place: usize| {
                            let bytes = message.payload().get(place..place + 8).unwrap();
                            u64::from_be_bytes(bytes.try_into().unwrap())
                        };
                        let (n, meant) = (at(0), Duration::from_nanos(at(8)));
                        let now = began.elapsed();
                        delays.lock().unwrap().push((now, now.saturating_sub(meant)));
                        let expected = std::mem::replace(&mut next, n + 1);
                        (n != expected).then(|| format!("message {n} came where {expected} was to come"))
                    }
                    Ok(Event::Discontinuity { .. }) => Some("messages are missing".to_owned()),
                    Ok(_) => None,
                    Err(error) => Some(format!("a subscription ended: {error}")),
                };
                if let Some(told) = told {
                    problem.lock().unwrap().get_or_insert(told);
                }
            }
        }
    }

    /// Now, as the delays know it.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// The 99th percentile of the delays of what came between these times, and how many there were.
    pub fn p99(&self, from: Duration, to: Duration) -> (Duration, usize) {
        let delays = self.delays.lock().unwrap();
        let mut found: Vec<Duration> =
            delays.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, delay)| *delay).collect();
        found.sort();
        let count = found.len();
        (found.get(count.saturating_sub(1) * 99 / 100).copied().unwrap_or(Duration::MAX), count)
    }

    /// What went wrong since this was asked last.
    pub fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap().take()
    }
}

impl Drop for Healthy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
