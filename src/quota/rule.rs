//! A rule: which namespaces or principals it is for, and what it allows them.
//!
//! A namespace is limited as a whole, whoever publishes to it; of principals each has its own. Of
//! several rules for the same one the most exact that says something about a limit counts for that
//! limit, so that `*` says what everybody has and a longer pattern who has something else.

use super::limit::{Limit, Scope};
use crate::error::{Error, Result};
use crate::limits::QUOTA_RULES_MAX;
use crate::topic::Pattern;

/// What some namespaces or principals may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What kind of thing it is for.
    pub scope: Scope,
    /// Which of them; a principal is written `kind:name`.
    pub pattern: Pattern,
    /// What each may use, by limit; `None` is said by another rule, or by none.
    pub limits: [Option<u64>; Limit::ALL.len()],
}

impl Rule {
    /// A rule without limits, for those whom a pattern names that is written so: `orders`, `orders.*`, `*`.
    /// Errors: an empty one, or a `*` that is not the last character.
    pub fn new(scope: Scope, pattern: &str) -> Result<Rule> {
        let pattern = Pattern::read(pattern).ok_or_else(|| {
            let description =
                "has to be a name, or the beginning of names with a * behind it, such as orders.*";
            Error::field("pattern", description)
        })?;
        Ok(Rule { scope, pattern, limits: [None; Limit::ALL.len()] })
    }

    /// The same rule, with so much of this. Errors: a limit that this scope does not have, and a rate
    /// of zero, which would never let anything through.
    pub fn with(mut self, limit: Limit, value: u64) -> Result<Rule> {
        if !limit.is_of(self.scope) {
            let description = match limit {
                Limit::RetainedBytes => "is of a namespace: messages belong to it, whoever published them",
                _ => "is of a principal: a connection belongs to no namespace",
            };
            return Err(Error::field(limit.as_str(), description));
        }
        if limit.is_rate() && value == 0 {
            let description = "has to be at least 1 a second; a policy can forbid publishing altogether";
            return Err(Error::field(limit.as_str(), description));
        }
        self.limits[limit as usize] = Some(value);
        Ok(self)
    }
}

/// Whether these rules can be used together. Errors: one that says nothing, two for the same pattern,
/// too many.
pub fn check(rules: &[Rule]) -> Result<()> {
    if rules.len() > QUOTA_RULES_MAX {
        let description = format!("are {}; at most {QUOTA_RULES_MAX} are allowed", rules.len());
        return Err(Error::field("quotas", description));
    }
    for (place, rule) in rules.iter().enumerate() {
        let field = || format!("quotas[{place}]");
        if rule.limits.iter().all(Option::is_none) {
            let all: Vec<&str> = Limit::ALL.into_iter().map(Limit::as_str).collect();
            return Err(Error::field(field(), format!("limits nothing; give one of {}", all.join(", "))));
        }
        let is_same = |other: &&Rule| other.scope == rule.scope && other.pattern == rule.pattern;
        if rules[..place].iter().any(|other| is_same(&other)) {
            let description = format!("is a second rule for {} {}; make them one", rule.scope, rule.pattern);
            return Err(Error::field(field(), description));
        }
    }
    Ok(())
}

/// What the rules allow whoever has this name.
pub fn limits_of(rules: &[Rule], scope: Scope, name: &str) -> [Option<u64>; Limit::ALL.len()] {
    let mut best = [(0, None); Limit::ALL.len()];
    for rule in rules.iter().filter(|rule| rule.scope == scope) {
        let Some(exactness) = rule.pattern.exactness(name) else { continue };
        for (best, limit) in best.iter_mut().zip(rule.limits) {
            if limit.is_some() && (best.1.is_none() || exactness > best.0) {
                *best = (exactness, limit);
            }
        }
    }
    best.map(|(_, limit)| limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(scope: Scope, pattern: &str, limits: &[(Limit, u64)]) -> Rule {
        let rule = Rule::new(scope, pattern).unwrap();
        limits.iter().fold(rule, |rule, (limit, value)| rule.with(*limit, *value).unwrap())
    }

    #[test]
    fn the_most_exact_rule_counts_for_each_limit_by_itself() {
        let rules = [
            rule(Scope::Namespace, "eu.orders", &[(Limit::Topics, 3)]),
            rule(Scope::Namespace, "*", &[(Limit::Topics, 1), (Limit::Subscriptions, 10)]),
            rule(Scope::Namespace, "eu.*", &[(Limit::Topics, 2)]),
            rule(Scope::Principal, "*", &[(Limit::Topics, 9)]),
        ];
        let topics = |name| limits_of(&rules, Scope::Namespace, name)[Limit::Topics as usize];
        assert_eq!((topics("us"), topics("eu.x"), topics("eu.orders")), (Some(1), Some(2), Some(3)));
        let all = limits_of(&rules, Scope::Namespace, "eu.orders");
        assert_eq!(all[Limit::Subscriptions as usize], Some(10));
        assert_eq!(all[Limit::PublishBytes as usize], None);
        assert_eq!(limits_of(&rules, Scope::Principal, "key:a")[Limit::Topics as usize], Some(9));
    }

    #[test]
    fn a_pattern_is_a_name_or_the_beginning_of_names() {
        for text in ["orders", "orders.*", "*", "key:*"] {
            assert_eq!(Rule::new(Scope::Namespace, text).unwrap().pattern.to_string(), text);
        }
        for text in ["", "a*b", "**", "*a"] {
            let error = Rule::new(Scope::Namespace, text).unwrap_err();
            let violation = &error.violations()[0];
            assert_eq!(violation.field, "pattern", "{text:?}");
            assert!(violation.description.starts_with("has to be a name, or the beginning"), "{violation:?}");
        }
    }

    #[test]
    fn rules_that_mean_nothing_are_mistakes() {
        let all = |scope| Rule::new(scope, "*").unwrap();
        assert!(all(Scope::Principal).with(Limit::RetainedBytes, 1).is_err());
        assert!(all(Scope::Namespace).with(Limit::Connections, 1).is_err());
        assert!(all(Scope::Namespace).with(Limit::PublishMessages, 0).is_err());
        let empty = check(&[all(Scope::Namespace)]).unwrap_err();
        assert!(empty.message().contains("publish_messages_per_second"), "{empty}");
        let one = rule(Scope::Namespace, "a*", &[(Limit::Topics, 1)]);
        let twice = check(&[one.clone(), one.clone()]).unwrap_err();
        assert_eq!(twice.violations()[0].field, "quotas[1]");
        assert!(check(&[one, rule(Scope::Principal, "a*", &[(Limit::Topics, 1)])]).is_ok());
    }
}
