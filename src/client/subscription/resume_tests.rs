//! Every way a subscription can be lost, without a network.

use super::*;
use wire::start_position::Start as Wire;

fn opened(epoch: u64, next_sequence: u64) -> wire::SubscribeResponse {
    let opened = wire::Opened { epoch, next_sequence, ..Default::default() };
    wire::SubscribeResponse { opened: Some(opened), ..Default::default() }
}

fn reset(epoch: u64, sequence: u64) -> wire::SubscribeResponse {
    let discontinuity = wire::Discontinuity {
        reason: wire::discontinuity::Reason::Reset as i32,
        last_delivered: None,
        next: Some(wire::Position { epoch, sequence }),
    };
    wire::SubscribeResponse { discontinuity: Some(discontinuity), ..Default::default() }
}

fn hear(resume: &mut Resume, response: wire::SubscribeResponse) -> Vec<Event> {
    let mut notices = VecDeque::new();
    resume.heard(&response, false, &mut notices);
    notices.into()
}

fn asks_for(resume: &Resume) -> Wire {
    resume.start().start.unwrap()
}

fn after(epoch: u64, sequence: u64) -> Wire {
    Wire::After(wire::Position { epoch, sequence })
}

fn lose(resume: &mut Resume, code: Code) -> Next {
    resume.lost(Error::new(code, "lost"), false)
}

#[test]
fn a_relative_start_is_asked_for_once_and_never_jumps() {
    for (start, first) in [
        (Start::Latest, Wire::Latest(true)),
        (Start::Earliest, Wire::Earliest(true)),
        (Start::Last(5), Wire::Last(5)),
    ] {
        let mut resume = Resume::new(start, Backoff::default());
        assert_eq!(asks_for(&resume), first);
        hear(&mut resume, opened(7, 40));
        assert!(matches!(lose(&mut resume, Code::Unavailable), Next::Retry { .. }));
        assert_eq!(asks_for(&resume), after(7, 39), "before the first message it resumes where it opened");
        hear(&mut resume, opened(7, 45));
        assert_eq!(asks_for(&resume), after(7, 39), "a later opening does not move it");
    }
}

#[test]
fn a_lost_subscription_resumes_behind_the_last_message() {
    let mut resume = Resume::new(Start::Latest, Backoff::default());
    hear(&mut resume, opened(7, 40));
    assert_eq!(resume.delivered(40), Position::new(7, 40));
    resume.delivered(41);
    lose(&mut resume, Code::Unavailable);
    assert_eq!(asks_for(&resume), after(7, 41));
}

#[test]
fn a_new_epoch_is_entered_by_its_discontinuity_and_not_by_its_opening() {
    let mut resume = Resume::new(Start::After(Position::new(7, 41)), Backoff::default());
    hear(&mut resume, opened(8, 1));
    assert_eq!(asks_for(&resume), after(7, 41), "lost now, it has to hear of the reset again");
    let notices = hear(&mut resume, reset(8, 1));
    assert!(matches!(notices[0], Event::Discontinuity { reason: Reason::Reset, .. }));
    assert_eq!(asks_for(&resume), after(8, 0));
    assert_eq!(resume.delivered(1), Position::new(8, 1));
}

#[test]
fn what_can_never_succeed_is_not_tried_again() {
    for code in [Code::InvalidArgument, Code::NotFound, Code::PermissionDenied, Code::Unauthenticated] {
        let mut resume = Resume::new(Start::Latest, Backoff::default());
        assert!(matches!(lose(&mut resume, code), Next::Fail(_)), "{code:?}");
    }
    for code in [Code::Unavailable, Code::ResourceExhausted] {
        let mut resume = Resume::new(Start::Latest, Backoff::default());
        assert!(matches!(lose(&mut resume, code), Next::Retry { attempt: 1, .. }), "{code:?}");
    }
}

#[test]
fn a_credential_that_counts_no_more_is_followed_by_the_one_that_is_there_by_now() {
    let mut resume = Resume::new(Start::Latest, Backoff::default());
    let revoked = || Error::new(Code::Unauthenticated, "deleted");
    assert!(matches!(resume.lost(revoked(), true), Next::Retry { attempt: 1, .. }));
    assert!(matches!(resume.lost(Error::new(Code::PermissionDenied, "no"), true), Next::Fail(_)));
    assert!(matches!(resume.lost(revoked(), false), Next::Fail(_)));
}

#[test]
fn attempts_count_until_the_server_says_something_of_use() {
    let mut resume = Resume::new(Start::Latest, Backoff::default());
    lose(&mut resume, Code::Unavailable);
    hear(&mut resume, opened(7, 1));
    assert!(matches!(lose(&mut resume, Code::Unavailable), Next::Retry { attempt: 2, .. }));
    let heartbeat =
        wire::SubscribeResponse { heartbeat: Some(wire::Heartbeat::default()), ..Default::default() };
    hear(&mut resume, heartbeat);
    assert!(matches!(lose(&mut resume, Code::Unavailable), Next::Retry { attempt: 1, .. }));
}

#[test]
fn the_server_can_ask_for_a_longer_wait() {
    let mut resume = Resume::new(Start::Latest, Backoff::default());
    let cause = Error::new(Code::ResourceExhausted, "quota").retry_after(Duration::from_secs(60));
    assert!(
        matches!(resume.lost(cause, false), Next::Retry { delay, .. } if delay == Duration::from_secs(60))
    );
}

#[test]
fn a_policy_without_attempts_fails_with_the_cause() {
    let mut resume = Resume::new(Start::Latest, Backoff::never());
    match lose(&mut resume, Code::Unavailable) {
        Next::Fail(error) => assert_eq!(error.message(), "lost"),
        Next::Retry { .. } => panic!("it tries again"),
    }
}
