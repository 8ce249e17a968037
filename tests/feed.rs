//! One subscription, whose history is checked while it is read: sequences follow each other without
//! a hole, and a hole is inside a discontinuity that begins where the last message was.

use bugle::proto::v1::bus_client::BusClient;
use bugle::proto::v1::discontinuity::Reason;
use bugle::proto::v1::start_position::Start;
use bugle::proto::v1::{
    Discontinuity, Heartbeat, Message, Opened, Position, SubscribeRequest, SubscribeResponse,
};
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use crate::support::soon;

/// What one response says.
#[derive(Debug)]
pub enum Heard {
    Messages(Vec<Message>),
    Gap(Discontinuity),
    CaughtUp(Position),
    Heartbeat(Heartbeat),
    Draining,
}

/// A subscription that was opened.
pub struct Feed {
    stream: Streaming<SubscribeResponse>,
    pub opened: Opened,
    /// The epoch of the next message.
    pub epoch: u64,
    /// The sequence of the next message.
    pub next: u64,
    /// The last message delivered, or where it resumed.
    pub last: Option<Position>,
    /// Messages heard.
    pub count: u64,
}

impl Feed {
    /// Subscribes on this connection. The first thing said has to be `Opened`.
    pub async fn open(channel: &Channel, request: SubscribeRequest) -> Result<Feed, Status> {
        let last = match request.start.as_ref().and_then(|start| start.start) {
            Some(Start::After(position)) => Some(position),
            _ => None,
        };
        let mut client = BusClient::new(channel.clone());
        let mut stream = soon(client.subscribe(request)).await?.into_inner();
        let first = soon(stream.message()).await?.expect("a subscription begins with Opened");
        let opened = first.opened.clone().expect("the first response is Opened");
        assert_eq!(first, SubscribeResponse { opened: Some(opened.clone()), ..Default::default() });
        assert_eq!(opened.subscription_id.len(), 16);
        let (epoch, next) = (opened.epoch, opened.next_sequence);
        Ok(Feed { stream, opened, epoch, next, last, count: 0 })
    }

    /// The next response, checked; the status where the stream ends.
    pub async fn hear(&mut self) -> Result<Heard, Status> {
        let response = soon(self.stream.message()).await?.expect("a subscription ends with its reason");
        let SubscribeResponse { messages, topic, opened, discontinuity, heartbeat, caught_up, draining } =
            response;
        assert!(topic.is_empty() && opened.is_none());
        let mut heard = Vec::new();
        if !messages.is_empty() {
            self.check_messages(&messages);
            heard.push(Heard::Messages(messages));
        }
        if let Some(gap) = discontinuity {
            self.check_gap(&gap);
            heard.push(Heard::Gap(gap));
        }
        heard.extend(heartbeat.map(Heard::Heartbeat));
        heard.extend(caught_up.map(|caught_up| {
            let newest = caught_up.newest.unwrap();
            assert_eq!((newest.epoch, newest.sequence + 1), (self.epoch, self.next), "caught up too early");
            Heard::CaughtUp(newest)
        }));
        heard.extend(draining.map(|_| Heard::Draining));
        assert_eq!(heard.len(), 1, "a response says one thing: {heard:?}");
        Ok(heard.remove(0))
    }

    fn check_messages(&mut self, messages: &[Message]) {
        for message in messages {
            assert_eq!(message.sequence, self.next, "a message is missing, doubled or out of order");
            self.next += 1;
            self.count += 1;
        }
        self.last = Some(Position { epoch: self.epoch, sequence: self.next - 1 });
    }

    fn check_gap(&mut self, gap: &Discontinuity) {
        let next = gap.next.expect("a discontinuity says where delivery goes on");
        assert_eq!(gap.last_delivered, self.last, "a discontinuity begins behind the last message");
        match gap.reason() {
            Reason::Slow => {
                assert_eq!(next.epoch, self.epoch);
                assert!(next.sequence > self.next, "nothing is missing in {gap:?}");
            }
            Reason::Expired => {
                let missing = gap.last_delivered.is_none_or(|last| last.sequence + 1 < next.sequence);
                assert!(self.count == 0 && missing, "nothing is missing in {gap:?}");
                assert_eq!((next.epoch, next.sequence), (self.epoch, self.next));
            }
            Reason::Reset => {
                assert!(self.count == 0 && self.last.is_some_and(|last| last.epoch != next.epoch));
                assert_eq!((next.epoch, next.sequence), (self.epoch, self.next));
            }
            Reason::Unspecified | Reason::Store => panic!("{gap:?}"),
        }
        self.next = next.sequence;
    }

    /// Messages until there are so many; nothing may be missing.
    pub async fn take(&mut self, count: usize) -> Vec<Message> {
        soon(self.take_in_time(count)).await
    }

    async fn take_in_time(&mut self, count: usize) -> Vec<Message> {
        let mut taken = Vec::new();
        while taken.len() < count {
            match self.hear().await.unwrap() {
                Heard::Messages(messages) => taken.extend(messages),
                Heard::CaughtUp(_) | Heard::Heartbeat(_) => {}
                other => panic!("{other:?}"),
            }
        }
        taken
    }

    /// Messages until the newest; nothing may be missing.
    pub async fn take_all(&mut self) -> Vec<Message> {
        soon(self.take_all_in_time()).await
    }

    async fn take_all_in_time(&mut self) -> Vec<Message> {
        let mut taken = Vec::new();
        loop {
            match self.hear().await.unwrap() {
                Heard::Messages(messages) => taken.extend(messages),
                Heard::CaughtUp(_) => return taken,
                Heard::Heartbeat(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next discontinuity, and the messages before it.
    pub async fn gap(&mut self) -> (Discontinuity, Vec<Message>) {
        soon(self.gap_in_time()).await
    }

    async fn gap_in_time(&mut self) -> (Discontinuity, Vec<Message>) {
        let mut taken = Vec::new();
        loop {
            match self.hear().await.unwrap() {
                Heard::Gap(gap) => return (gap, taken),
                Heard::Messages(messages) => taken.extend(messages),
                Heard::CaughtUp(_) | Heard::Heartbeat(_) => {}
                Heard::Draining => panic!("draining"),
            }
        }
    }

    /// Reads until the end; what was said before it, and the reason.
    pub async fn end(&mut self) -> (Vec<Heard>, Status) {
        soon(self.end_in_time()).await
    }

    async fn end_in_time(&mut self) -> (Vec<Heard>, Status) {
        let mut said = Vec::new();
        loop {
            match self.hear().await {
                Ok(heard) => said.push(heard),
                Err(status) => return (said, status),
            }
        }
    }

    /// The position to resume from.
    pub fn position(&self) -> Position {
        self.last.expect("something was delivered")
    }
}
