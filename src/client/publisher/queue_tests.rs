//! Batching, without a network.

use super::*;
use tokio::sync::Semaphore;

struct Fixture {
    queue: Queue,
    room: Arc<Semaphore>,
}

const LINGER: Duration = Duration::from_millis(5);

fn queue(linger: Duration) -> Fixture {
    let shape = Shape {
        linger,
        batch_bytes_max: 100,
        batch_messages_max: 4,
        batches_in_flight_max: 3,
        ends_with_refusal: false,
    };
    Fixture { queue: Queue::new(shape), room: Arc::new(Semaphore::new(10_000)) }
}

impl Fixture {
    fn push(&mut self, topic: &str, bytes: usize) -> (Awaited, u64) {
        let room = Arc::clone(&self.room).try_acquire_many_owned(bytes as u32).unwrap();
        self.queue.push(topic, wire::Message::default(), bytes, room, None)
    }

    /// Topic and number of messages of the next batch.
    fn take(&mut self, now: Instant) -> Option<(String, usize)> {
        match self.queue.take(now) {
            Take::Batch { topic, messages } => Some((topic.to_string(), messages.len())),
            Take::Wait(_) => None,
        }
    }
}

fn batch(topic: &str, messages: usize) -> Option<(String, usize)> {
    Some((topic.to_owned(), messages))
}

#[test]
fn without_linger_a_batch_is_whatever_is_there_when_the_line_is_free() {
    let mut queue = queue(Duration::ZERO);
    let _ = queue.push("a", 10);
    let (_, place) = queue.push("a", 10);
    assert_eq!(place, 1);
    assert_eq!(queue.take(Instant::now()), batch("a", 2));
    let _ = queue.push("a", 10);
    assert_eq!(queue.take(Instant::now()), batch("a", 1));
    assert_eq!(queue.take(Instant::now()), None);
}

#[test]
fn a_lingering_batch_goes_out_when_its_time_is_over() {
    let mut queue = queue(LINGER);
    let now = Instant::now();
    let _ = queue.push("a", 10);
    assert!(matches!(queue.queue.take(now), Take::Wait(Some(due)) if due >= now + LINGER));
    assert_eq!(queue.take(now + 2 * LINGER), batch("a", 1));
}

#[test]
fn a_full_batch_does_not_linger() {
    let mut queue = queue(LINGER);
    (0..4).for_each(|_| drop(queue.push("many", 1)));
    (0..2).for_each(|_| drop(queue.push("large", 60)));
    assert_eq!(queue.take(Instant::now()), batch("many", 4));
    assert_eq!(queue.take(Instant::now()), batch("large", 1));
    assert_eq!(queue.take(Instant::now()), None, "the second large one can still grow");
}

#[test]
fn batches_of_a_topic_keep_their_order_and_a_busy_topic_starves_none() {
    let mut queue = queue(Duration::ZERO);
    let _ = queue.push("busy", 100);
    let _ = queue.push("quiet", 1);
    let _ = queue.push("busy", 100);
    let now = Instant::now();
    let order: Vec<_> = std::iter::from_fn(|| queue.take(now)).map(|(topic, _)| topic).collect();
    assert_eq!(order, ["busy", "quiet", "busy"]);
}

#[test]
fn no_more_batches_are_in_flight_than_allowed_and_more_coalesce() {
    let mut queue = queue(Duration::ZERO);
    for _ in 0..3 {
        let _ = queue.push("a", 1);
        assert!(queue.take(Instant::now()).is_some());
    }
    let _ = queue.push("a", 1);
    let _ = queue.push("a", 1);
    assert_eq!(queue.take(Instant::now()), None);
    assert!(queue.queue.answer(Ok(First { epoch: 1, sequence: 1 })));
    assert_eq!(queue.take(Instant::now()), batch("a", 2));
}

#[tokio::test]
async fn answers_go_to_batches_in_order_and_give_the_room_back() {
    let mut queue = queue(Duration::ZERO);
    let (first, _) = queue.push("a", 100);
    let (second, _) = queue.push("a", 100);
    while queue.take(Instant::now()).is_some() {}
    queue.queue.answer(Err(Error::new(Code::InvalidArgument, "no")));
    queue.queue.answer(Ok(First { epoch: 7, sequence: 40 }));
    assert_eq!(first.await.unwrap().unwrap_err().message(), "no");
    assert_eq!(second.await.unwrap().unwrap().sequence, 40);
    assert_eq!(queue.room.available_permits(), 10_000);
    assert!(queue.queue.is_empty());
    assert!(!queue.queue.answer(Err(Error::new(Code::Internal, "an answer to nothing"))));
}

#[tokio::test]
async fn what_was_not_sent_survives_the_loss_of_the_stream() {
    let mut queue = queue(Duration::ZERO);
    let (sent, _) = queue.push("a", 100);
    assert!(queue.take(Instant::now()).is_some());
    let _ = queue.push("a", 100);
    let _ = queue.push("b", 1);
    queue.queue.fail_in_flight(&Error::new(Code::Unavailable, "lost"));
    assert!(sent.await.unwrap().is_err());
    assert_eq!(queue.take(Instant::now()), batch("a", 1));
    assert_eq!(queue.take(Instant::now()), batch("b", 1));
}

#[tokio::test]
async fn an_abandoned_queue_leaves_nobody_waiting() {
    let mut queue = queue(LINGER);
    let receipts = [queue.push("a", 100).0, queue.push("a", 1).0, queue.push("b", 1).0];
    assert!(queue.take(Instant::now()).is_some());
    queue.queue.abandon();
    for receipt in receipts {
        assert_eq!(receipt.await.unwrap().unwrap_err().code(), Code::Cancelled);
    }
    assert_eq!(queue.room.available_permits(), 10_000);
}

#[test]
fn a_refusal_takes_those_behind_it_along_where_it_is_to_end_the_publisher() {
    let mut queue = queue(Duration::ZERO);
    queue.queue.shape.ends_with_refusal = true;
    let all: Vec<_> = (0..9).map(|_| queue.push("a", 10)).collect();
    assert_eq!(queue.take(Instant::now()), batch("a", 4));
    let refused = Error::new(Code::ResourceExhausted, "not now");
    assert!(queue.queue.answer(Err(refused)));
    for (awaited, _) in all {
        let error = awaited.now_or_never().unwrap().unwrap().unwrap_err();
        assert_eq!(error.message(), "not now");
    }
    assert!(queue.queue.is_empty() && queue.queue.refusal().is_some());
    assert_eq!(queue.room.available_permits(), 10_000);
}
