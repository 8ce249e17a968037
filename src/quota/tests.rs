//! The accounts and the rules they follow, without a server.

use std::sync::Arc;

use super::*;
use crate::auth::Kind;
use crate::error::Code;
use crate::topic::Budget;

fn rule(scope: Scope, pattern: &str, limits: &[(Limit, u64)]) -> Rule {
    let rule = Rule::new(scope, pattern).unwrap();
    limits.iter().fold(rule, |rule, (limit, value)| rule.with(*limit, *value).unwrap())
}

fn key(name: &str) -> Principal {
    Principal::new(Kind::Key, name).unwrap()
}

fn open(quotas: &Quotas, namespace: &Namespace) -> Arc<Account> {
    quotas.open(namespace, Weight::new(Budget::new(1 << 20)))
}

fn quotas(rules: Vec<Rule>) -> Arc<Quotas> {
    Quotas::new(rules).unwrap()
}

#[test]
fn what_is_held_is_limited_and_comes_back_when_it_is_dropped() {
    let quotas = quotas(vec![rule(Scope::Principal, "key:*", &[(Limit::Subscriptions, 2)])]);
    let (one, other) = (quotas.principal(&key("a")), quotas.principal(&key("b")));
    let held: Vec<_> = (0..2).map(|_| one.hold::<SUBSCRIPTIONS>().unwrap()).collect();
    let error = one.hold::<SUBSCRIPTIONS>().unwrap_err();
    assert_eq!((error.code(), error.reason_code()), (Code::ResourceExhausted, Some(EXCEEDED)));
    assert_eq!(error.exceeded().unwrap().field, "principal:key:a");
    assert!(error.retry_delay().is_some());
    assert!(error.message().contains("\"key:a\"") && error.message().contains("2"), "{error}");
    assert!(other.hold::<SUBSCRIPTIONS>().is_ok(), "each principal has its own");
    drop(held);
    assert_eq!(one.held(Limit::Subscriptions), 0);
    assert!(one.hold::<SUBSCRIPTIONS>().is_ok());
    let counted: Vec<_> = quotas.refusals().each().filter(|(_, _, count)| *count > 0).collect();
    assert_eq!(counted, [(Scope::Principal, Limit::Subscriptions, 1)]);
}

#[test]
fn a_batch_that_one_of_two_quotas_refuses_takes_nothing_from_the_other() {
    let quotas = quotas(vec![
        rule(Scope::Namespace, "eu", &[(Limit::PublishMessages, 100)]),
        rule(Scope::Principal, "*", &[(Limit::PublishBytes, 1_000)]),
    ]);
    let eu = Namespace::parse("eu").unwrap();
    open(&quotas, &eu);
    let account = quotas.principal(&key("a"));
    let publish = |messages, bytes| quotas.publish(&eu, &account, messages, || bytes);
    assert!(publish(1, 900).is_ok());
    for _ in 0..1_000 {
        assert_eq!(publish(1, 900).unwrap_err().exceeded().unwrap().field, "principal:key:a");
    }
    assert!(publish(99, 0).is_ok(), "a thousand refusals have taken nothing");
    let error = publish(100, 0).unwrap_err();
    assert_eq!(error.exceeded().unwrap().field, "namespace:eu");
    assert!(error.retry_delay().unwrap() <= Duration::from_secs(1));
}

#[test]
fn a_batch_that_no_waiting_makes_small_enough_is_told_how_large_it_may_be() {
    let quotas = quotas(vec![rule(Scope::Namespace, "*", &[(Limit::PublishMessages, 10)])]);
    let namespace = Namespace::default();
    open(&quotas, &namespace);
    let account = quotas.principal(&Principal::anonymous());
    let error = quotas.publish(&namespace, &account, 11, || 0).unwrap_err();
    assert_eq!((error.code(), error.reason_code()), (Code::InvalidArgument, Some(BATCH_TOO_LARGE)));
    assert_eq!(error.violations()[0].field, "messages");
    assert_eq!(error.metadata()["value"], "10");
    assert!(error.retry_delay().is_none());
}

#[test]
fn rules_that_change_find_what_was_there_before() {
    let quotas = quotas(Vec::new());
    let account = quotas.principal(&key("a"));
    let held: Vec<_> = (0..5).map(|_| account.hold::<CONNECTIONS>().unwrap()).collect();
    let most = |count| quotas.replace(vec![rule(Scope::Principal, "*", &[(Limit::Connections, count)])]);
    most(5).unwrap();
    assert!(account.hold::<CONNECTIONS>().is_err());
    most(6).unwrap();
    assert!(account.hold::<CONNECTIONS>().is_ok());
    drop(held);
    let wrong = vec![rule(Scope::Principal, "*", &[(Limit::Connections, 0)]); 2];
    assert!(quotas.replace(wrong).is_err());
    assert!(account.hold::<CONNECTIONS>().is_ok(), "the rules before the mistake still count");
    quotas.replace(Vec::new()).unwrap();
    assert!(quotas.publish(&Namespace::default(), &account, 1 << 40, || 1 << 40).is_ok());
}

#[test]
fn principals_that_use_nothing_are_forgotten_for_others() {
    let mut quotas = Quotas::holding(10);
    let known = |quotas: &Quotas| quotas.table.read().unwrap().principals.len();
    let busy = quotas.principal(&key("busy"));
    let held = busy.hold::<SUBSCRIPTIONS>().unwrap();
    drop(busy);
    for n in 0..1_000 {
        let account = quotas.principal(&key(&n.to_string()));
        assert!(account.hold::<SUBSCRIPTIONS>().is_ok());
        assert!(known(&quotas) <= 10);
    }
    // A second later there may be another look.
    quotas.begun = quotas.begun.checked_sub(Duration::from_secs(2)).unwrap();
    quotas.principal(&key("late"));
    assert_eq!(known(&quotas), 2);
    assert_eq!(quotas.principal(&key("busy")).held(Limit::Subscriptions), 1);
    drop(held);
    assert_eq!(quotas.principal(&key("busy")).held(Limit::Subscriptions), 0);
}

#[test]
fn a_namespace_that_was_deleted_begins_again() {
    let quotas = quotas(vec![rule(Scope::Namespace, "*", &[(Limit::Topics, 1)])]);
    let eu = Namespace::parse("eu").unwrap();
    let _held = open(&quotas, &eu).hold::<TOPICS>().unwrap();
    assert!(open(&quotas, &eu).hold::<TOPICS>().is_err());
    quotas.close(&eu);
    assert!(quotas.namespace(&eu).is_none());
    assert!(open(&quotas, &eu).hold::<TOPICS>().is_ok());
}

#[test]
fn whoever_is_refused_again_and_again_waits_for_its_turn() {
    let quotas = quotas(vec![rule(Scope::Principal, "*", &[(Limit::Topics, 0)])]);
    let (namespace, account) = (Namespace::default(), quotas.principal(&key("a")));
    let error = account.hold::<TOPICS>().unwrap_err();
    let turn = |error: &Error, account: &Account| quotas.turn(error, &namespace, account);
    let waits = (0..5_000).map(|_| turn(&error, &account)).max().unwrap();
    assert!(waits > Duration::ZERO && waits <= Duration::from_secs(1), "{waits:?}");
    assert_eq!(turn(&error, &quotas.principal(&key("b"))), Duration::ZERO, "others do not wait for it");
    assert_eq!(turn(&Error::new(Code::NotFound, "no"), &account), Duration::ZERO);
}
