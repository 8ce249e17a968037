//! A webhook as a store keeps it: plain data with names of its own, so that what the code calls things can
//! change. It has the secret in it, for the store to protect.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::definition::{Definition, Format, Origin};
use super::secret::Signing;
use super::standing::Standing;
use crate::error::{Error, Result};
use crate::topic::{Position, TopicName};

/// A webhook, and where it is.
#[derive(Clone, Serialize, Deserialize)]
pub struct Snapshot {
    name: String,
    namespace: String,
    topic: String,
    url: String,
    format: String,
    secret: String,
    headers: Vec<(String, String)>,
    timeout_millis: u64,
    give_up_millis: u64,
    concurrency: u64,
    from_earliest: bool,
    /// The last message that it is done with, as `EPOCH:SEQUENCE`.
    position: Option<String>,
    is_paused: bool,
    is_disabled: bool,
}

impl Snapshot {
    /// This webhook, now.
    pub(super) fn of(definition: &Definition, standing: &Standing) -> Snapshot {
        let (is_paused, is_disabled) = standing.stopped();
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Snapshot {
            name: definition.name.clone(),
            namespace: definition.topic.namespace().to_string(),
            topic: definition.topic.topic().to_owned(),
            url: definition.url.clone(),
            format: definition.format.as_str().to_owned(),
            secret: definition.secret.expose_text().to_string(),
            headers: definition.headers.clone(),
            timeout_millis: millis(definition.timeout),
            give_up_millis: millis(definition.give_up_after),
            concurrency: definition.concurrency,
            from_earliest: definition.from_earliest,
            position: standing.position().map(|position| position.to_string()),
            is_paused,
            is_disabled,
        }
    }

    /// Its definition. Errors: what was kept is none.
    pub(super) fn definition(&self) -> Result<Definition> {
        Ok(Definition {
            name: self.name.clone(),
            topic: TopicName::parse(&self.namespace, &self.topic)?,
            url: self.url.clone(),
            format: Format::parse(&self.format).ok_or_else(|| Error::field("format", "is not known"))?,
            secret: Signing::parse(&self.secret)?,
            headers: self.headers.clone(),
            timeout: Duration::from_millis(self.timeout_millis),
            give_up_after: Duration::from_millis(self.give_up_millis),
            concurrency: self.concurrency,
            from_earliest: self.from_earliest,
            origin: Origin::Api,
        })
    }

    /// Where it is, and whether it was paused or disabled.
    pub(super) fn standing(&self) -> Result<(Option<Position>, bool, bool)> {
        Ok((self.position.as_deref().map(str::parse).transpose()?, self.is_paused, self.is_disabled))
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("name", &self.name)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
