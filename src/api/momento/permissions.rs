//! What permissions say, as grants. Those for keys and values and for functions grant nothing: Bugle has
//! neither.
//!
//! A name that ends in `*` would be the beginning of names in a grant, so none may have one.

use super::convert;
use crate::auth::{Action, Actions, Grant};
use crate::error::{Error, Result};
use crate::proto::momento::permission_messages::permissions::Kind;
use crate::proto::momento::permission_messages::permissions_type::{
    self, CacheSelector, TopicPermissions, TopicSelector, cache_selector, topic_permissions, topic_selector,
};
use crate::proto::momento::permission_messages::{ExplicitPermissions, Permissions, TopicRole};
use crate::topic::Pattern;

const FIELD: &str = "permissions";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// Everything.
    Everything,
    /// These.
    Grants(Vec<Grant>),
}

impl Asked {
    /// As grants.
    pub fn into_grants(self) -> Vec<Grant> {
        match self {
            Asked::Grants(grants) => grants,
            Asked::Everything => {
                let any = Pattern::any;
                vec![Grant { namespace: any(), topic: any(), actions: Actions::of(&Action::ALL) }]
            }
        }
    }
}

/// Reads permissions. Errors: there are none, or they contradict each other.
pub fn read(permissions: Option<Permissions>) -> Result<Asked> {
    let none = || Error::field(FIELD, "have to be given: a role on topics of a cache, at least");
    let explicit = match permissions.and_then(|permissions| permissions.kind).ok_or_else(none)? {
        Kind::SuperUser(_) => return Ok(Asked::Everything),
        Kind::Explicit(ExplicitPermissions { permissions }) => permissions,
    };
    let mut grants: Vec<Grant> = Vec::new();
    for (at, permission) in explicit.into_iter().enumerate() {
        let place = format!("{FIELD}[{at}]");
        let topics = match permission.kind {
            Some(permissions_type::Kind::TopicPermissions(topics)) => topics,
            Some(
                permissions_type::Kind::CachePermissions(_) | permissions_type::Kind::FunctionPermissions(_),
            ) => continue,
            None => return Err(Error::field(place, "has to be for topics, caches or functions")),
        };
        let Some(grant) = grant(topics, &place)? else { continue };
        let same =
            grants.iter().find(|other| other.namespace == grant.namespace && other.topic == grant.topic);
        match same {
            Some(same) if same.actions != grant.actions => {
                return Err(Error::field(place, "gives another role on the same topics; give one"));
            }
            Some(_) => {}
            None => grants.push(grant),
        }
    }
    if grants.is_empty() { Err(none()) } else { Ok(Asked::Grants(grants)) }
}

/// The grant of a role; nothing where that is none.
fn grant(permissions: TopicPermissions, place: &str) -> Result<Option<Grant>> {
    let TopicPermissions { role, cache, topic } = permissions;
    let wrong = |what: &str| Error::field(place, what);
    let actions = match TopicRole::try_from(role) {
        Ok(TopicRole::TopicPermitNone) => return Ok(None),
        Ok(TopicRole::TopicReadWrite) => &[Action::Publish, Action::Subscribe][..],
        Ok(TopicRole::TopicReadOnly) => &[Action::Subscribe],
        Ok(TopicRole::TopicWriteOnly) => &[Action::Publish],
        Err(_) => return Err(wrong("has a role that this server does not know")),
    };
    let namespace = match cache.ok_or_else(|| wrong("has to name a cache, or all"))? {
        topic_permissions::Cache::AllCaches(_) => Pattern::any(),
        topic_permissions::Cache::CacheSelector(CacheSelector { kind }) => {
            let cache_selector::Kind::CacheName(name) =
                kind.ok_or_else(|| wrong("has to name a cache, or all"))?;
            convert::cache(&name)?;
            exact(&name, place)?
        }
    };
    let topic = match topic.ok_or_else(|| wrong("has to name a topic, the beginning of some, or all"))? {
        topic_permissions::Topic::AllTopics(_) => Pattern::any(),
        topic_permissions::Topic::TopicSelector(TopicSelector { kind }) => match kind {
            Some(topic_selector::Kind::TopicName(name)) => exact(&name, place)?,
            Some(topic_selector::Kind::TopicNamePrefix(prefix)) if !prefix.is_empty() => {
                Pattern::parse(place, &format!("{prefix}*"))?
            }
            _ => return Err(wrong("has to name a topic, or the beginning of some")),
        },
    };
    Ok(Some(Grant { namespace, topic, actions: Actions::of(actions) }))
}

/// The pattern that is this name alone.
fn exact(name: &str, place: &str) -> Result<Pattern> {
    match name.contains('*') {
        true => Err(Error::field(place, "has a name with a *, which cannot be told from a prefix")),
        false => Pattern::parse(place, name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::momento::permission_messages::PermissionsType;
    use permissions_type::All;

    fn topics(role: TopicRole, cache: &str, selector: topic_selector::Kind) -> PermissionsType {
        let selected = CacheSelector { kind: Some(cache_selector::Kind::CacheName(cache.into())) };
        let selector = TopicSelector { kind: Some(selector) };
        PermissionsType {
            kind: Some(permissions_type::Kind::TopicPermissions(TopicPermissions {
                role: role as i32,
                cache: Some(topic_permissions::Cache::CacheSelector(selected)),
                topic: Some(topic_permissions::Topic::TopicSelector(selector)),
            })),
        }
    }

    fn explicit(permissions: Vec<PermissionsType>) -> Result<Asked> {
        read(Some(Permissions { kind: Some(Kind::Explicit(ExplicitPermissions { permissions })) }))
    }

    fn name(name: &str) -> topic_selector::Kind {
        topic_selector::Kind::TopicName(name.into())
    }

    fn prefix(prefix: &str) -> topic_selector::Kind {
        topic_selector::Kind::TopicNamePrefix(prefix.into())
    }

    #[test]
    fn a_role_on_names_or_their_beginnings_is_a_grant() {
        for (role, selector, expected) in [
            (TopicRole::TopicReadWrite, name("t"), "publish, subscribe on c/t"),
            (TopicRole::TopicReadOnly, prefix("t"), "subscribe on c/t*"),
            (TopicRole::TopicWriteOnly, name("t"), "publish on c/t"),
        ] {
            let Asked::Grants(grants) = explicit(vec![topics(role, "c", selector)]).unwrap() else {
                panic!("everything")
            };
            assert_eq!(grants.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
        }
    }

    #[test]
    fn all_caches_and_topics_are_every_name() {
        let topics = TopicPermissions {
            role: TopicRole::TopicReadOnly as i32,
            cache: Some(topic_permissions::Cache::AllCaches(All {})),
            topic: Some(topic_permissions::Topic::AllTopics(All {})),
        };
        assert_eq!(grant(topics, "p").unwrap().unwrap().to_string(), "subscribe on */*");
    }

    #[test]
    fn a_star_in_a_name_never_widens_a_grant() {
        for (cache, selector) in
            [("c", name("t*")), ("c*", name("t")), ("c", prefix("t*")), ("c", prefix(""))]
        {
            assert!(explicit(vec![topics(TopicRole::TopicReadOnly, cache, selector)]).is_err());
        }
    }

    #[test]
    fn permissions_that_are_none_or_contradict_each_other_are_refused() {
        let (read_only, write_only) = (TopicRole::TopicReadOnly, TopicRole::TopicWriteOnly);
        let contradicting = vec![topics(read_only, "c", name("t")), topics(write_only, "c", name("t"))];
        for permissions in [vec![], vec![topics(TopicRole::TopicPermitNone, "c", name("t"))], contradicting] {
            assert!(explicit(permissions).is_err());
        }
        assert!(read(None).is_err());
    }
}
