//! The webhooks of a server by namespace and name: made, changed, looked at, paused and ended. Each that is on
//! has one task, which ends with it, and all end with this.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

use super::address::Allow;
use super::attempt::Answered;
use super::backoff::Backoff;
use super::connect::Connecting;
use super::definition::{Definition, Origin};
use super::delivery::{Delivery, Shared};
use super::snapshot::Snapshot;
use super::standing::{Info, Standing};
use super::target::Target;
use crate::broker::Broker;
use crate::error::{Code, Error, Result};
use crate::limits::{
    WEBHOOK_RETRY_INITIAL_DEFAULT, WEBHOOK_RETRY_MAX_DEFAULT, WEBHOOKS_CONCURRENT_DEFAULT, WEBHOOKS_MAX,
};
use crate::topic::{Namespace, Position};

/// How webhooks behave.
#[derive(Debug, Clone)]
pub struct Options {
    /// Requests of all of them at once.
    pub max_concurrent: usize,
    /// What may be talked to beside the public internet.
    pub allow: Allow,
    /// Authorities to trust beside those of the system, in PEM.
    pub authorities: Option<PathBuf>,
    /// Upper bound of the wait behind the first failure.
    pub retry_initial: Duration,
    /// Upper bound of all waits, while an endpoint is not dead.
    pub retry_max: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            max_concurrent: WEBHOOKS_CONCURRENT_DEFAULT as usize,
            allow: Allow::default(),
            authorities: None,
            retry_initial: WEBHOOK_RETRY_INITIAL_DEFAULT,
            retry_max: WEBHOOK_RETRY_MAX_DEFAULT,
        }
    }
}

type Key = (Namespace, String);

/// The webhooks of a server.
pub struct Webhooks {
    shared: Arc<Shared>,
    allow: Arc<Allow>,
    entries: Mutex<BTreeMap<Key, Entry>>,
}

struct Entry {
    definition: Arc<Definition>,
    target: Target,
    standing: Arc<Standing>,
    /// Nothing while it is off.
    task: Option<AbortOnDropHandle<()>>,
}

impl Webhooks {
    /// None yet. Errors: the file of authorities cannot be used.
    pub fn new(broker: Arc<Broker>, options: Options) -> Result<Arc<Webhooks>> {
        let allow = Arc::new(options.allow);
        let connecting = Connecting::new(allow.clone(), options.authorities.as_deref())?;
        let backoff =
            Backoff { initial: options.retry_initial, max: options.retry_max.max(options.retry_initial) };
        let permits = Semaphore::new(options.max_concurrent.clamp(1, Semaphore::MAX_PERMITS));
        let shared = Arc::new(Shared { broker, connecting, permits, backoff });
        Ok(Arc::new(Webhooks { shared, allow, entries: Mutex::default() }))
    }

    /// Makes a webhook, which begins to deliver.
    pub fn create(&self, definition: Definition) -> Result<Info> {
        self.add(definition, (None, false, false))
    }

    fn add(&self, definition: Definition, at: (Option<Position>, bool, bool)) -> Result<Info> {
        let (target, key) = (self.check(&definition)?, key(&definition));
        let mut entries = self.lock();
        if entries.contains_key(&key) {
            let message = format!("webhook {:?} exists already; update it instead", definition.name);
            return Err(Error::new(Code::AlreadyExists, message).reason("WEBHOOK_EXISTS"));
        }
        if entries.len() >= WEBHOOKS_MAX {
            let message = format!("there are {WEBHOOKS_MAX} webhooks, and no more may be; delete some");
            return Err(Error::new(Code::ResourceExhausted, message).reason("WEBHOOKS_MAX"));
        }
        let entry = entries.entry(key).or_insert(self.entry(definition, target, at));
        self.start(entry);
        Ok(self.info(entry))
    }

    /// Changes a webhook; it goes on from its position, unless the topic is another one.
    pub fn update(&self, definition: Definition) -> Result<Info> {
        let target = self.check(&definition)?;
        let mut entries = self.lock();
        let entry = find(&mut entries, &key(&definition))?;
        own(entry)?;
        self.replace(entry, definition, target);
        Ok(self.info(entry))
    }

    fn replace(&self, entry: &mut Entry, definition: Definition, target: Target) {
        entry.task = None;
        if entry.definition.topic == definition.topic {
            (entry.definition, entry.target) = (Arc::new(definition), target);
        } else {
            let (is_paused, is_disabled) = entry.standing.stopped();
            *entry = self.entry(definition, target, (None, is_paused, is_disabled));
        }
        self.start(entry);
    }

    /// Ends a webhook.
    pub fn delete(&self, namespace: &Namespace, name: &str) -> Result<()> {
        let (mut entries, key) = (self.lock(), (namespace.clone(), name.to_owned()));
        own(find(&mut entries, &key)?)?;
        entries.remove(&key);
        Ok(())
    }

    /// How a webhook is.
    pub fn get(&self, namespace: &Namespace, name: &str) -> Result<Info> {
        self.with(namespace, name, |entry| self.info(entry))
    }

    /// Up to `most` webhooks of a namespace behind a name.
    pub fn list(&self, namespace: &Namespace, after: &str, most: usize) -> Vec<Info> {
        let entries = self.lock();
        let of_it = entries.range((namespace.clone(), after.to_owned())..);
        of_it
            .take_while(|((of, _), _)| of == namespace)
            .filter(|((_, name), _)| name.as_str() > after || after.is_empty())
            .take(most)
            .map(|(_, entry)| self.info(entry))
            .collect()
    }

    /// Stops a webhook, or lets it go on, whatever stopped it; it keeps its position.
    pub fn pause(&self, namespace: &Namespace, name: &str, is_paused: bool) -> Result<Info> {
        self.with(namespace, name, |entry| {
            entry.standing.pause(is_paused);
            self.start(entry);
            self.info(entry)
        })
    }

    /// Puts a webhook behind this position, or to the newest or the oldest message.
    pub fn seek(&self, namespace: &Namespace, name: &str, to: crate::topic::Start) -> Result<Info> {
        use crate::topic::Start;
        self.with(namespace, name, |entry| {
            let topic = self.shared.broker.describe_topic(&entry.definition.topic);
            let at = |sequence: u64, epoch| Position::new(epoch, sequence.saturating_sub(1));
            let position = match (to, topic) {
                (Start::After(position), Ok(topic))
                    if position.epoch == topic.epoch && position.sequence >= topic.next =>
                {
                    let newest = Position::new(topic.epoch, topic.next.saturating_sub(1));
                    let problem = format!("{position} lies in the future; the newest message is {newest}");
                    return Err(Error::field("to", problem));
                }
                (Start::After(position), _) => Some(position),
                (Start::Earliest, Ok(topic)) => Some(at(topic.first, topic.epoch)),
                (Start::Latest, Ok(topic)) => Some(at(topic.next, topic.epoch)),
                (Start::Earliest | Start::Latest, Err(_)) => None,
                _ => return Err(Error::field("position", "has to be latest, earliest or a position")),
            };
            entry.task = None;
            entry.standing.put(position);
            self.start(entry);
            Ok(self.info(entry))
        })?
    }

    /// Sends one signed event to the endpoint of a webhook; what it answers.
    pub async fn test(&self, namespace: &Namespace, name: &str) -> Result<Answered> {
        let delivery = self.with(namespace, name, |entry| self.delivery(entry, 0))?;
        delivery.test().await
    }

    /// Follows the configuration: makes, changes and ends those that it defines. Of others with the same name
    /// the configuration's is the one that is there. Errors: one that cannot be, and then nothing changes.
    pub fn follow(&self, defined: Vec<Definition>) -> Result<()> {
        let checked: Vec<(Definition, Target)> = defined
            .into_iter()
            .map(|definition| self.check(&definition).map(|target| (definition, target)))
            .collect::<Result<_>>()?;
        let mut entries = self.lock();
        let is_kept = |at: &Key| checked.iter().any(|(definition, _)| key(definition) == *at);
        entries.retain(|at, entry| entry.definition.origin == Origin::Api || is_kept(at));
        for (definition, target) in checked {
            let key = key(&definition);
            match entries.get_mut(&key) {
                // Where it stands in the file is no change.
                Some(entry) if is_same(&entry.definition, &definition) => {}
                Some(entry) => self.replace(entry, definition, target),
                None => {
                    let entry =
                        entries.entry(key).or_insert(self.entry(definition, target, (None, false, false)));
                    self.start(entry);
                }
            }
        }
        Ok(())
    }

    /// The webhooks that no configuration defines, as a store keeps them.
    pub fn snapshot(&self) -> Vec<Snapshot> {
        let entries = self.lock();
        let kept = entries.values().filter(|entry| entry.definition.origin == Origin::Api);
        kept.map(|entry| Snapshot::of(&entry.definition, &entry.standing)).collect()
    }

    /// Makes a webhook that was kept, which goes on where it was.
    pub fn restore(&self, kept: &Snapshot) -> Result<Info> {
        self.add(kept.definition()?, kept.standing()?)
    }

    /// Notes how far each is behind, for the metrics.
    pub fn look(&self) {
        let entries = self.lock();
        entries.values().for_each(|entry| {
            entry.standing.counted.lag_messages.set(self.info(entry).lag_messages);
        });
    }

    fn check(&self, definition: &Definition) -> Result<Target> {
        let target = definition.check()?;
        target.check(&self.allow)?;
        Ok(target)
    }

    fn entry(&self, definition: Definition, target: Target, at: (Option<Position>, bool, bool)) -> Entry {
        let counted = self.shared.broker.metrics().state().webhooks.open(&definition.name, &definition.topic);
        let (position, is_paused, is_disabled) = at;
        let standing = Arc::new(Standing::new(counted, position, is_paused, is_disabled));
        Entry { definition: Arc::new(definition), target, standing, task: None }
    }

    /// Has it delivered by a new task, or by none while it is off.
    fn start(&self, entry: &mut Entry) {
        entry.task = None;
        if entry.standing.is_on() {
            let delivery = self.delivery(entry, entry.standing.next_task());
            entry.task = Some(AbortOnDropHandle::new(tokio::spawn(delivery.run())));
        }
    }

    fn delivery(&self, entry: &Entry, task: u64) -> Delivery {
        Delivery {
            shared: self.shared.clone(),
            definition: entry.definition.clone(),
            target: entry.target.clone(),
            standing: entry.standing.clone(),
            task,
        }
    }

    fn info(&self, entry: &Entry) -> Info {
        let topic = self.shared.broker.describe_topic(&entry.definition.topic).ok();
        let newest = topic.map(|topic| Position::new(topic.epoch, topic.next.saturating_sub(1)));
        entry.standing.info(&entry.definition, newest)
    }

    fn with<T>(&self, namespace: &Namespace, name: &str, work: impl FnOnce(&mut Entry) -> T) -> Result<T> {
        let mut entries = self.lock();
        Ok(work(find(&mut entries, &(namespace.clone(), name.to_owned()))?))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(definition: &Definition) -> Key {
    (definition.topic.namespace().clone(), definition.name.clone())
}

fn is_same(one: &Definition, other: &Definition) -> bool {
    one.origin != Origin::Api && *one == Definition { origin: one.origin.clone(), ..other.clone() }
}

fn find<'a>(entries: &'a mut BTreeMap<Key, Entry>, key: &Key) -> Result<&'a mut Entry> {
    entries.get_mut(key).ok_or_else(|| {
        let message = format!("webhook {:?} does not exist in namespace {:?}", key.1, key.0.as_str());
        Error::new(Code::NotFound, message).reason("WEBHOOK_NOT_FOUND")
    })
}

/// That a webhook is not the configuration's.
fn own(entry: &mut Entry) -> Result<()> {
    match &entry.definition.origin {
        Origin::Api => Ok(()),
        Origin::Config(place) => {
            let message = format!("this webhook is defined in the configuration ({place}); change it there");
            Err(Error::new(Code::FailedPrecondition, message).reason("WEBHOOK_CONFIGURED"))
        }
    }
}
