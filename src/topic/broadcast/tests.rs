//! Who is woken when, and what a reader finds.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Wake;

use bytes::Bytes;

use super::*;
use crate::limits::{FANOUT_INLINE_MAX, FANOUT_RUN};
use crate::topic::{Budget, Message, Pace, Reader, Retention, Weight, Who};

/// Counts how often a reader is woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Bell {
    fn rung(&self) -> usize {
        self.0.load(SeqCst)
    }
}

/// A reader, where it stands and its bell.
struct Member {
    reader: Reader,
    from: u64,
    bell: Arc<Bell>,
}

impl Member {
    fn new(channel: &Arc<Broadcast>) -> Member {
        Member::with(channel, Duration::from_secs(1), Duration::from_secs(30))
    }

    fn with(channel: &Arc<Broadcast>, heartbeat_interval: Duration, stall_timeout: Duration) -> Member {
        let pace = Pace { heartbeat_interval, stall_timeout };
        let (reader, found) =
            Reader::join(channel, Start::Latest, 1, &pace, Who::default()).unwrap().unwrap();
        Member { reader, from: found.sequence, bell: Arc::default() }
    }

    fn poll(&mut self, tell: bool) -> Poll<Next> {
        let waker = Waker::from(self.bell.clone());
        self.reader.poll_next(&mut Context::from_waker(&waker), self.from, 1 << 20, tell)
    }

    fn waits(&mut self) -> bool {
        self.poll(false).is_pending()
    }

    /// The last sequence of the run that is there.
    fn reads(&mut self) -> u64 {
        let Poll::Ready(Next::Run(run)) = self.poll(false) else { panic!("nothing to read") };
        self.from = run.last + 1;
        run.last
    }

    fn end(&mut self) -> End {
        let Poll::Ready(Next::Ended(end)) = self.poll(false) else { panic!("it goes on") };
        end
    }
}

fn channel() -> Arc<Broadcast> {
    Broadcast::new(Log::new(7, 1, Retention::default(), Weight::new(Budget::new(1 << 30))), Fanout::new())
}

fn append(channel: &Arc<Broadcast>, bytes: usize) -> Result<(u64, Appended), Refused> {
    let message = Message { payload: Bytes::from(vec![b'.'; bytes]), ..Default::default() };
    Broadcast::append(channel, &Batch::encode(&[message]).unwrap(), 1)
}

/// One poll of the scheduler; whether there may be more to do.
fn work(channel: &Arc<Broadcast>) -> bool {
    channel.fanout().poll_work(&mut Context::from_waker(Waker::noop())).is_ready()
}

fn work_all(channel: &Arc<Broadcast>) {
    while work(channel) {}
}

fn tick(channel: &Arc<Broadcast>, ticks: usize) -> usize {
    (0..ticks).map(|_| channel.fanout().tick(false).len()).sum()
}

#[test]
fn a_reader_is_woken_once_however_much_comes_before_it_reads() {
    let channel = channel();
    let mut member = Member::new(&channel);
    assert!(member.waits());
    for _ in 0..3 {
        append(&channel, 10).unwrap();
    }
    assert_eq!(member.bell.rung(), 1);
    assert_eq!(member.reads(), 3);
    assert!(member.waits());
    append(&channel, 10).unwrap();
    assert_eq!(member.bell.rung(), 2);
}

#[test]
fn a_reader_that_does_not_wait_is_not_woken() {
    let channel = channel();
    let mut member = Member::new(&channel);
    append(&channel, 10).unwrap();
    assert_eq!(member.reads(), 1);
    assert_eq!(member.bell.rung(), 0);
}

#[test]
fn a_poll_with_another_waker_is_woken_by_that_one() {
    let channel = channel();
    let mut member = Member::new(&channel);
    assert!(member.waits());
    let first = std::mem::take(&mut member.bell);
    assert!(member.waits());
    append(&channel, 10).unwrap();
    assert_eq!((first.rung(), member.bell.rung()), (0, 1));
}

#[test]
fn a_publisher_wakes_few_readers_itself_and_leaves_many_to_the_scheduler() {
    for (readers, rung) in [(FANOUT_INLINE_MAX, 1), (FANOUT_INLINE_MAX + 1, 0)] {
        let channel = channel();
        let mut members: Vec<_> = (0..readers).map(|_| Member::new(&channel)).collect();
        assert!(members.iter_mut().all(Member::waits));
        append(&channel, 10).unwrap();
        assert!(members.iter().all(|member| member.bell.rung() == rung), "{readers} readers");
        work_all(&channel);
        assert!(members.iter().all(|member| member.bell.rung() == 1), "{readers} readers");
    }
}

#[test]
fn one_pass_serves_all_that_was_appended_before_it() {
    let channel = channel();
    let mut members: Vec<_> = (0..FANOUT_RUN * 3).map(|_| Member::new(&channel)).collect();
    assert!(members.iter_mut().all(Member::waits));
    for _ in 0..5 {
        append(&channel, 10).unwrap();
    }
    work_all(&channel);
    assert!(members.iter().all(|member| member.bell.rung() == 1));
    assert!(members.iter_mut().all(|member| member.reads() == 5));
}

#[test]
fn a_large_topic_does_not_keep_a_small_one_waiting() {
    let large = channel();
    let small = Broadcast::new(
        Log::new(7, 1, Retention::default(), Weight::new(Budget::new(1 << 30))),
        large.fanout().clone(),
    );
    let mut many: Vec<_> = (0..FANOUT_RUN * 32).map(|_| Member::new(&large)).collect();
    let mut few: Vec<_> = (0..FANOUT_INLINE_MAX + 1).map(|_| Member::new(&small)).collect();
    assert!(many.iter_mut().chain(&mut few).all(Member::waits));
    append(&large, 10).unwrap();
    append(&small, 10).unwrap();
    assert!(work(&large), "one poll is bounded");
    assert!(few.iter().all(|member| member.bell.rung() == 1));
    assert!(many.iter().any(|member| member.bell.rung() == 0));
    work_all(&large);
    assert!(many.iter().all(|member| member.bell.rung() == 1));
}

#[test]
fn caught_up_is_said_once_asked_and_not_while_there_is_more() {
    let channel = channel();
    let mut member = Member::new(&channel);
    append(&channel, 10).unwrap();
    assert!(matches!(member.poll(true), Poll::Ready(Next::Run(_))));
    member.from = 2;
    assert!(matches!(member.poll(true), Poll::Ready(Next::CaughtUp(1))));
    assert!(member.waits());
}

#[test]
fn a_drain_delivers_what_is_there_and_takes_nothing_more() {
    let channel = channel();
    let mut member = Member::new(&channel);
    append(&channel, 10).unwrap();
    let drain = End::Draining(Duration::from_secs(1));
    Broadcast::end(&channel, drain);
    assert_eq!(append(&channel, 10), Err(Refused::Ended(drain)));
    assert_eq!(member.reads(), 1);
    assert_eq!(member.end(), drain);
}

#[test]
fn a_deleted_topic_ends_at_once_and_even_while_draining() {
    let channel = channel();
    let mut member = Member::new(&channel);
    append(&channel, 10).unwrap();
    Broadcast::end(&channel, End::Draining(Duration::from_secs(1)));
    Broadcast::end(&channel, End::Deleted);
    assert_eq!(member.end(), End::Deleted);
    Broadcast::end(&channel, End::Closed);
    assert_eq!(member.end(), End::Deleted);
    assert_eq!(channel.with_log(|log| log.bytes()), 0);
}

#[test]
fn an_end_wakes_every_reader_that_waits() {
    for readers in [1, FANOUT_INLINE_MAX + 1] {
        let channel = channel();
        let mut members: Vec<_> = (0..readers).map(|_| Member::new(&channel)).collect();
        assert!(members.iter_mut().all(Member::waits));
        Broadcast::end(&channel, End::Deleted);
        work_all(&channel);
        assert!(members.iter_mut().all(|member| member.bell.rung() == 1 && member.end() == End::Deleted));
    }
}

#[test]
fn only_a_channel_without_readers_and_messages_closes() {
    let channel = channel();
    let member = Member::new(&channel);
    assert_eq!(channel.close_if_idle(), None);
    drop(member);
    append(&channel, 10).unwrap();
    assert_eq!(channel.close_if_idle(), None);
    channel.with_log(Log::clear);
    assert_eq!(channel.close_if_idle().map(|past| past.next), Some(crate::topic::Position::new(7, 2)));
    assert_eq!(channel.close_if_idle(), None);
    assert_eq!(append(&channel, 10), Err(Refused::Ended(End::Closed)));
}

#[test]
fn a_quiet_reader_hears_a_heartbeat_at_its_interval() {
    let channel = channel();
    let mut short = Member::with(&channel, Duration::from_millis(300), Duration::from_secs(30));
    let mut long = Member::with(&channel, Duration::from_secs(2), Duration::from_secs(30));
    assert!(short.waits() && long.waits());
    let mut heard = (Vec::new(), Vec::new());
    for now in 1..=60 {
        assert_eq!(tick(&channel, 1), 0);
        for (member, heard) in [(&mut short, &mut heard.0), (&mut long, &mut heard.1)] {
            if matches!(member.poll(false), Poll::Ready(Next::Heartbeat(0))) {
                heard.push(now);
                assert!(member.waits());
            }
        }
    }
    assert_eq!(heard.1, [20, 40, 60]);
    assert_eq!(heard.0, (1..=20).map(|beat| beat * 3).collect::<Vec<_>>());
}

#[test]
fn a_reader_with_something_to_read_that_never_does_is_cut_after_the_stall_timeout() {
    let channel = channel();
    let mut member = Member::with(&channel, Duration::from_secs(1), Duration::from_secs(3));
    append(&channel, 10).unwrap();
    assert_eq!(member.reads(), 1);
    assert_eq!(tick(&channel, 29), 0);
    assert_eq!(tick(&channel, 11), 1);
    append(&channel, 10).unwrap();
    assert_eq!(member.end(), End::Stalled);
}

#[test]
fn leaving_is_dropping() {
    let channel = channel();
    let mut members: Vec<_> = (0..100).map(|_| Member::new(&channel)).collect();
    assert!(members.iter_mut().step_by(2).all(Member::waits));
    assert_eq!((channel.readers(), channel.fanout().watched()), (100, 100));
    members.truncate(1);
    append(&channel, 10).unwrap();
    work_all(&channel);
    assert_eq!(members[0].bell.rung(), 1);
    members.clear();
    assert_eq!((channel.readers(), channel.fanout().watched()), (0, 0));
    assert_eq!(tick(&channel, 100), 0);
}

#[test]
fn an_overtaken_reader_is_told_where_to_go_on() {
    let retention = Retention { bytes: 1_000, ..Retention::default() };
    let channel = Broadcast::new(Log::new(7, 1, retention, Weight::new(Budget::new(1 << 30))), Fanout::new());
    let mut member = Member::new(&channel);
    for _ in 0..10 {
        append(&channel, 400).unwrap();
    }
    let Poll::Ready(Next::Behind(oldest)) = member.poll(false) else { panic!("nothing was dropped") };
    assert!(oldest > 1 && oldest <= 10);
    member.from = oldest;
    while member.reads() < 10 {}
}
