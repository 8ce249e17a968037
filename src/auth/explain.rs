//! Why something is allowed or refused, for `bugle policy explain`: which rule decides and where it
//! stands, which roles count, and if no rule decides, what is wrong with the nearest ones.
//!
//! This takes its time and looks at every rule; deciding is [`Policies::decide`].

use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

use super::grant::Misfit;
use super::policy::{Policies, Rule};
use super::who::Who;
use super::{Action, Principal, Resource};
use crate::limits::NEAREST_RULES_MAX;

/// A decision and what led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Whether it is allowed.
    pub allowed: bool,
    /// The first rule that allows it.
    pub rule: Option<Cited>,
    /// The roles that the principal has.
    pub roles: Vec<Arc<str>>,
    /// Where no rule allows it: those that come nearest, the nearest first.
    pub nearest: Vec<Near>,
    /// What else there is to know.
    pub notes: Vec<String>,
}

/// A rule and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cited {
    /// Its place among the policies, counted from 0.
    pub index: usize,
    /// Where it was written, such as `bugle.toml:12`.
    pub place: String,
    /// What it says.
    pub text: String,
}

/// A rule that does not allow it, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Near {
    /// The rule.
    pub rule: Cited,
    /// What of it does not fit, in words.
    pub misfits: Vec<&'static str>,
}

impl Explanation {
    /// Where everybody may do everything.
    pub fn open() -> Explanation {
        let notes = vec!["authentication is off: everybody may do everything".to_owned()];
        Explanation { allowed: true, rule: None, roles: Vec::new(), nearest: Vec::new(), notes }
    }

    /// All but the rule that decides, a line each.
    pub fn lines(&self) -> Vec<String> {
        let roles: Vec<&str> = self.roles.iter().map(|name| &**name).collect();
        let roles = (!roles.is_empty()).then(|| format!("it has the roles {}", roles.join(", ")));
        let nearest = self.nearest.iter().map(ToString::to_string);
        roles.into_iter().chain(self.notes.iter().cloned()).chain(nearest).collect()
    }
}

impl fmt::Display for Cited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

impl fmt::Display for Near {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.rule, self.misfits.join(", "))
    }
}

impl Policies {
    /// Why this principal, whose credential gives it these roles, may do this or not.
    pub fn explain(
        &self,
        principal: &Principal,
        proved: &[Arc<str>],
        action: Action,
        resource: Resource<'_>,
    ) -> Explanation {
        let declared = self.roles().iter().filter(|role| role.members.iter().any(|who| who.names(principal)));
        let mut roles: Vec<Arc<str>> =
            declared.map(|role| role.name.clone()).chain(proved.iter().cloned()).collect();
        roles.sort();
        roles.dedup();
        let is_for = |rule: &Rule| match &rule.who {
            Who::Role(name) => roles.contains(name),
            who => who.names(principal),
        };
        let mut near = Vec::new();
        for (index, rule) in self.rules().iter().enumerate() {
            let mut misfits: Vec<&'static str> = rule
                .grant
                .misfits(action, resource)
                .into_iter()
                .map(|misfit| words(misfit, resource))
                .collect();
            let cited = Cited { index, place: rule.place.clone(), text: rule.to_string() };
            let is_for = is_for(rule);
            if !is_for {
                misfits.insert(0, "it is for other principals");
            }
            if misfits.is_empty() {
                let (rule, nearest, notes) = (Some(cited), Vec::new(), Vec::new());
                return Explanation { allowed: true, rule, roles, nearest, notes };
            }
            near.push((Reverse(is_for), misfits.len(), Near { rule: cited, misfits }));
        }
        // One thing wrong is nearer than two, and a rule for somebody else is further than one of its own.
        near.sort_by_key(|(is_for, count, near)| (*count, *is_for, near.rule.index));
        near.truncate(NEAREST_RULES_MAX);
        let nearest: Vec<Near> = near.into_iter().map(|(_, _, near)| near).collect();
        let notes = match nearest.is_empty() {
            true => vec!["there are no policies, so nobody may do anything".to_owned()],
            false => vec!["no policy allows it; the nearest are".to_owned()],
        };
        Explanation { allowed: false, rule: None, roles, nearest, notes }
    }
}

fn words(misfit: Misfit, resource: Resource<'_>) -> &'static str {
    match (misfit, resource) {
        (Misfit::Namespace, Resource::Server) => "it is not for all namespaces",
        (Misfit::Namespace, _) => "it is for other namespaces",
        (Misfit::Topic, Resource::Topic(_)) => "it is for other topics",
        (Misfit::Topic, _) => "it is not for all topics",
        (Misfit::Action, _) => "it is for other actions",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::grant::Grant;
    use crate::auth::policy::Role;
    use crate::topic::{Namespace, TopicName};

    fn policies() -> Policies {
        let rule = |line: usize, who: &str, topic: &str, actions: &[Action]| Rule {
            who: Who::parse("principal", who).unwrap(),
            grant: Grant::parse("", topic, actions).unwrap(),
            place: format!("bugle.toml:{line}"),
        };
        let rules = vec![
            rule(1, "key:billing", "invoices.*", &[Action::Publish]),
            rule(6, "role:writers", "orders", &[Action::Publish]),
            rule(11, "key:other", "orders", &[Action::Subscribe]),
        ];
        let members = vec![Who::parse("members", "key:b*").unwrap()];
        Policies::new(
            rules,
            vec![Role { name: "writers".into(), members, place: "bugle.toml:16".to_owned() }],
        )
    }

    #[test]
    fn the_rule_that_decides_is_cited_with_its_place_and_the_role_it_is_for() {
        let (principal, topic) =
            (Principal::parse("key:billing").unwrap(), TopicName::parse("", "orders").unwrap());
        let why = policies().explain(&principal, &[], Action::Publish, Resource::Topic(&topic));
        assert!(why.allowed && why.nearest.is_empty());
        assert_eq!(why.rule.unwrap().to_string(), "bugle.toml:6: role:writers may publish on default/orders");
        assert_eq!(why.roles, [Arc::from("writers")]);
    }

    #[test]
    fn where_no_rule_decides_the_nearest_say_what_does_not_fit() {
        let (principal, topic) =
            (Principal::parse("key:billing").unwrap(), TopicName::parse("", "orders").unwrap());
        let why = policies().explain(&principal, &[], Action::Subscribe, Resource::Topic(&topic));
        assert!(!why.allowed && why.rule.is_none());
        assert_eq!(
            why.lines(),
            [
                "it has the roles writers",
                "no policy allows it; the nearest are",
                "bugle.toml:6: role:writers may publish on default/orders (it is for other actions)",
                "bugle.toml:11: key:other may subscribe on default/orders (it is for other principals)",
                "bugle.toml:1: key:billing may publish on default/invoices.* (it is for other topics, it is for \
                 other actions)",
            ]
        );
        let whole = Namespace::default();
        let why = policies().explain(&principal, &[], Action::Publish, Resource::Namespace(&whole));
        assert_eq!(why.nearest[0].misfits, ["it is not for all topics"]);
        let none = Policies::default().explain(&principal, &[], Action::Publish, Resource::Server);
        assert_eq!(none.lines(), ["there are no policies, so nobody may do anything"]);
    }

    #[test]
    fn an_explanation_agrees_with_the_decision() {
        let policies = policies();
        for who in ["key:billing", "key:other", "key:nobody", "jwt:corp/key:billing", "cert:b"] {
            let principal = Principal::parse(who).unwrap();
            for topic in ["orders", "invoices.1", "invoices", "x"] {
                let topic = TopicName::parse("", topic).unwrap();
                for action in Action::ALL {
                    let resource = Resource::Topic(&topic);
                    let decided = policies.decide(&principal, &[], action, resource).is_some();
                    let explained = policies.explain(&principal, &[], action, resource);
                    assert_eq!(explained.allowed, decided, "{who} {topic} {action:?}");
                }
            }
        }
    }
}
