//! The policies of a server: who may do what, where. Whatever no rule allows is refused.
//!
//! There are only rules that allow, so their order means nothing and adding one never takes anything
//! away. They are kept by whom they are for: a decision looks at the rules of one principal, and
//! allocates nothing.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::grant::Grant;
use super::who::Who;
use super::{Action, Identity, Kind, Principal, Resource};
use crate::topic::Pattern;

/// One policy: these principals may do this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Who.
    pub who: Who,
    /// What, and where.
    pub grant: Grant,
    /// Where it was written, such as `bugle.toml:12`.
    pub place: String,
}

/// A named set of principals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: Arc<str>,
    /// Those who have it, beside those whose credential says so.
    pub members: Vec<Who>,
    /// Where it was written.
    pub place: String,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} may {}", self.who, self.grant)
    }
}

/// All rules, kept by whom they are for.
#[derive(Debug, Default)]
pub struct Policies {
    rules: Vec<Rule>,
    roles: Vec<Role>,
    /// By kind: those for one name.
    exact: [HashMap<Box<str>, Vec<Held>>; Kind::ALL.len()],
    /// By kind: those for all names that begin so.
    prefixes: [Vec<(Pattern, Held)>; Kind::ALL.len()],
    anyone: Vec<Held>,
    /// The rules for each role.
    by_role: HashMap<Arc<str>, Vec<u32>>,
}

/// What somebody has: a rule, or a role.
#[derive(Debug, Clone)]
enum Held {
    Rule(u32),
    Role(Arc<str>),
}

impl Policies {
    /// These rules, with these roles.
    pub fn new(rules: Vec<Rule>, roles: Vec<Role>) -> Policies {
        let mut all = Policies::default();
        for (at, rule) in rules.iter().enumerate() {
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            match &rule.who {
                Who::Role(name) => all.by_role.entry(name.clone()).or_default().push(at),
                who => all.hold(who, Held::Rule(at)),
            }
        }
        for role in &roles {
            role.members.iter().for_each(|who| all.hold(who, Held::Role(role.name.clone())));
        }
        Policies { rules, roles, ..all }
    }

    fn hold(&mut self, who: &Who, held: Held) {
        match who {
            Who::Anyone => self.anyone.push(held),
            // A role has no roles as members, which the configuration says.
            Who::Role(_) => {}
            Who::Named(kind, pattern) => match pattern.exact() {
                Some(name) => self.exact[*kind as usize].entry(name.into()).or_default().push(held),
                None => self.prefixes[*kind as usize].push((pattern.clone(), held)),
            },
        }
    }

    /// The rules, in the order in which they were written.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The roles.
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// A rule that lets this principal, which its credential gives these roles too, do this.
    pub fn decide(
        &self,
        principal: &Principal,
        proved: &[Arc<str>],
        action: Action,
        resource: Resource<'_>,
    ) -> Option<usize> {
        self.find(principal, proved, |rule| rule.grant.allows(action, resource))
    }

    /// A rule that lets it do all that a grant says of this action.
    pub fn covering(
        &self,
        principal: &Principal,
        proved: &[Arc<str>],
        action: Action,
        grant: &Grant,
    ) -> Option<usize> {
        self.find(principal, proved, |rule| rule.grant.covers(grant, action))
    }

    /// A rule for this principal that the closure wants.
    fn find(
        &self,
        principal: &Principal,
        proved: &[Arc<str>],
        wanted: impl Fn(&Rule) -> bool,
    ) -> Option<usize> {
        let at = |at: &u32| {
            let at = *at as usize;
            self.rules.get(at).is_some_and(&wanted).then_some(at)
        };
        let role = |name: &str| self.by_role.get(name)?.iter().find_map(at);
        let held = |held: &Held| match held {
            Held::Rule(rule) => at(rule),
            Held::Role(name) => role(name),
        };
        let (kind, name) = (principal.kind() as usize, principal.name());
        let exact = self.exact[kind].get(name).into_iter().flatten().find_map(held);
        exact
            .or_else(|| proved.iter().find_map(|name| role(name)))
            .or_else(|| {
                let prefixes = self.prefixes[kind].iter().filter(|(pattern, _)| pattern.matches(name));
                prefixes.map(|(_, held)| held).find_map(held)
            })
            .or_else(|| self.anyone.iter().find_map(held))
    }

    /// Whether this identity may do this: by a rule, or by a token's grants and a rule for its minter.
    pub fn allows(&self, identity: &Identity, action: Action, resource: Resource<'_>) -> bool {
        let (holder, is_granted) = match identity.grants() {
            None => (identity, true),
            Some((grants, minter)) => (minter, grants.iter().any(|grant| grant.allows(action, resource))),
        };
        is_granted && self.decide(holder.principal(), holder.roles(), action, resource).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::grant::Actions;
    use crate::topic::TopicName;

    fn rule(who: &str, namespace: &str, topic: &str, actions: &[Action]) -> Rule {
        let grant = Grant::parse(namespace, topic, actions).unwrap();
        Rule { who: Who::parse("principal", who).unwrap(), grant, place: String::new() }
    }

    fn role(name: &str, members: &[&str]) -> Role {
        let members = members.iter().map(|who| Who::parse("members", who).unwrap()).collect();
        Role { name: name.into(), members, place: String::new() }
    }

    fn decide(policies: &Policies, who: &str, roles: &[&str], action: Action, topic: &str) -> Option<usize> {
        let roles: Vec<Arc<str>> = roles.iter().map(|name| Arc::from(*name)).collect();
        let (namespace, topic) = topic.split_once('/').unwrap();
        let topic = TopicName::parse(namespace, topic).unwrap();
        policies.decide(&Principal::parse(who).unwrap(), &roles, action, Resource::Topic(&topic))
    }

    #[test]
    fn whatever_no_rule_allows_is_refused() {
        use Action::{Admin, Publish, Subscribe};
        let policies = Policies::new(
            vec![
                rule("key:billing", "", "invoices.*", &[Publish]),
                rule("jwt:corp/*", "eu*", "*", &[Subscribe]),
                rule("role:writers", "eu", "orders", &[Publish, Subscribe]),
                rule("role:corp/ops", "*", "*", &[Admin]),
                rule("*", "", "news", &[Subscribe]),
                rule("role:all", "", "chat", &[Publish]),
            ],
            vec![role("writers", &["key:w*", "cert:writer.example"]), role("all", &["*"])],
        );
        for (who, roles, action, topic, expected) in [
            ("key:billing", &[][..], Publish, "default/invoices.1", Some(0)),
            ("key:billing", &[], Publish, "default/invoices", None),
            ("key:billing", &[], Publish, "default/invoicesX", None),
            ("key:billing", &[], Publish, "eu/invoices.1", None),
            ("key:billing", &[], Subscribe, "default/invoices.1", None),
            ("key:billing2", &[], Publish, "default/invoices.1", None),
            ("jwt:key:billing/x", &[], Publish, "default/invoices.1", None),
            ("jwt:corp/alice", &[], Subscribe, "europe/x", Some(1)),
            ("jwt:corporate/alice", &[], Subscribe, "europe/x", None),
            ("key:corp/alice", &[], Subscribe, "europe/x", None),
            ("key:writer", &[], Publish, "eu/orders", Some(2)),
            ("cert:writer.example", &[], Subscribe, "eu/orders", Some(2)),
            ("cert:other.example", &["writers"], Subscribe, "eu/orders", Some(2)),
            ("cert:other.example", &["corp/writers"], Subscribe, "eu/orders", None),
            ("jwt:corp/op", &["corp/ops"], Admin, "any/thing", Some(3)),
            ("jwt:corp/op", &["ops"], Admin, "any/thing", None),
            ("key:role:corp/ops", &[], Admin, "any/thing", None),
            ("key:nobody", &[], Subscribe, "default/news", Some(4)),
            ("key:nobody", &[], Publish, "default/news", None),
            ("key:nobody", &[], Publish, "default/chat", Some(5)),
        ] {
            assert_eq!(
                decide(&policies, who, roles, action, topic),
                expected,
                "{who} {roles:?} {action:?} {topic}"
            );
        }
        assert_eq!(decide(&Policies::default(), "key:a", &["all"], Publish, "default/chat"), None);
    }

    #[test]
    fn a_grant_is_covered_by_a_rule_that_says_all_of_it() {
        let policies = Policies::new(vec![rule("key:a", "eu", "orders.*", &[Action::Publish])], Vec::new());
        let principal = Principal::parse("key:a").unwrap();
        for (namespace, topic, action, is_covered) in [
            ("eu", "orders.*", Action::Publish, true),
            ("eu", "orders.1", Action::Publish, true),
            ("eu", "orders.*", Action::Subscribe, false),
            ("eu", "orders*", Action::Publish, false),
            ("eu*", "orders.1", Action::Publish, false),
            ("*", "*", Action::Publish, false),
        ] {
            let grant =
                Grant::parse(namespace, topic, &Actions::of(&[action]).iter().collect::<Vec<_>>()).unwrap();
            let covering = policies.covering(&principal, &[], action, &grant);
            assert_eq!(covering.is_some(), is_covered, "{grant}");
        }
    }
}
