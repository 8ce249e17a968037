//! What may be done where: the part that a policy and a disposable token have in common.

use std::fmt;

use super::{Action, Resource};
use crate::error::{Error, Result};
use crate::topic::{Namespace, Pattern};

/// A set of actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Actions(u8);

impl Actions {
    /// These ones.
    pub fn of(actions: &[Action]) -> Actions {
        Actions(actions.iter().fold(0, |set, action| set | 1 << *action as u8))
    }

    /// Reads their names; at least one.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Actions> {
        let mut set = Actions::default();
        for name in names {
            let Some(action) = Action::parse(name) else {
                let known = Action::ALL.map(Action::as_str).join(", ");
                return Err(Error::field("actions", format!("{name:?} is none; there are {known}")));
            };
            set.0 |= Actions::of(&[action]).0;
        }
        if set.0 == 0 {
            return Err(Error::field("actions", "has to name one at least: publish, subscribe, admin"));
        }
        Ok(set)
    }

    /// Whether this one is among them.
    pub fn has(self, action: Action) -> bool {
        self.0 & (1 << action as u8) != 0
    }

    /// They, in the order of [`Action::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL.into_iter().filter(move |action| self.has(*action))
    }
}

impl fmt::Display for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Action::as_str).collect();
        f.write_str(&names.join(", "))
    }
}

/// Actions on the topics of some names, in the namespaces of some names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Where.
    pub namespace: Pattern,
    /// On which topics there.
    pub topic: Pattern,
    /// What.
    pub actions: Actions,
}

/// What of a grant does not fit something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// It is of other namespaces.
    Namespace,
    /// It is of other topics.
    Topic,
    /// It is of other actions.
    Action,
}

impl Grant {
    /// Reads a grant; an empty namespace means the default one, as in every request.
    pub fn parse(namespace: &str, topic: &str, actions: &[Action]) -> Result<Grant> {
        let namespace = if namespace.is_empty() { Namespace::DEFAULT } else { namespace };
        let names = actions.iter().map(|action| action.as_str());
        Ok(Grant {
            namespace: Pattern::parse("namespace", namespace)?,
            topic: Pattern::parse("topic", topic)?,
            actions: Actions::parse(names)?,
        })
    }

    /// Whether it says that this may be done. A namespace is all of its topics, and the server is all
    /// namespaces, so that nobody gets more than was written down.
    pub fn allows(&self, action: Action, resource: Resource<'_>) -> bool {
        self.actions.has(action) && self.reaches_namespace(resource) && self.reaches_topic(resource)
    }

    fn reaches_namespace(&self, resource: Resource<'_>) -> bool {
        match resource {
            Resource::Server => self.namespace.is_any(),
            Resource::Namespace(name) | Resource::Within(name) => self.namespace.matches(name.as_str()),
            Resource::Topic(name) => self.namespace.matches(name.namespace().as_str()),
        }
    }

    fn reaches_topic(&self, resource: Resource<'_>) -> bool {
        match resource {
            Resource::Server | Resource::Namespace(_) => self.topic.is_any(),
            Resource::Within(_) => true,
            Resource::Topic(name) => self.topic.matches(name.topic()),
        }
    }

    /// Why it does not say that this may be done; nothing where it does.
    pub fn misfits(&self, action: Action, resource: Resource<'_>) -> Vec<Misfit> {
        [
            (Misfit::Namespace, self.reaches_namespace(resource)),
            (Misfit::Topic, self.reaches_topic(resource)),
            (Misfit::Action, self.actions.has(action)),
        ]
        .into_iter()
        .filter_map(|(misfit, fits)| (!fits).then_some(misfit))
        .collect()
    }

    /// Whether it says all that the other says of this action.
    pub fn covers(&self, other: &Grant, action: Action) -> bool {
        self.actions.has(action) && self.namespace.covers(&other.namespace) && self.topic.covers(&other.topic)
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}/{}", self.actions, self.namespace, self.topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::TopicName;

    fn grant(namespace: &str, topic: &str) -> Grant {
        Grant::parse(namespace, topic, &[Action::Publish, Action::Admin]).unwrap()
    }

    #[test]
    fn a_namespace_is_all_of_its_topics_and_the_server_all_namespaces() {
        let default = Namespace::default();
        let topic = TopicName::parse("", "orders").unwrap();
        for (grant, on_topic, within, on_namespace, on_server) in [
            (grant("", "orders"), true, true, false, false),
            (grant("default", "*"), true, true, true, false),
            (grant("def*", "*"), true, true, true, false),
            (grant("*", "*"), true, true, true, true),
            (grant("*", "orders"), true, true, false, false),
            (grant("eu", "*"), false, false, false, false),
            (grant("", "Orders"), false, true, false, false),
        ] {
            let allows = |resource| grant.allows(Action::Publish, resource);
            assert_eq!(allows(Resource::Topic(&topic)), on_topic, "{grant}");
            assert_eq!(allows(Resource::Within(&default)), within, "{grant}");
            assert_eq!(allows(Resource::Namespace(&default)), on_namespace, "{grant}");
            assert_eq!(allows(Resource::Server), on_server, "{grant}");
            assert!(!grant.allows(Action::Subscribe, Resource::Topic(&topic)), "{grant}");
        }
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let topic = TopicName::parse("eu", "orders").unwrap();
        let misfits = grant("us", "order.*").misfits(Action::Subscribe, Resource::Topic(&topic));
        assert_eq!(misfits, [Misfit::Namespace, Misfit::Topic, Misfit::Action]);
        assert_eq!(grant("eu", "*").misfits(Action::Admin, Resource::Topic(&topic)), []);
    }

    #[test]
    fn actions_are_named_and_one_at_least() {
        assert_eq!(Actions::parse(["admin", "publish", "admin"]).unwrap().to_string(), "publish, admin");
        for names in [&[][..], &["read"], &["Publish"], &["publish", ""]] {
            assert!(Actions::parse(names.iter().copied()).is_err(), "{names:?}");
        }
    }
}
