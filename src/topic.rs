//! The domain's nouns: names, positions, messages, the log and who reads it.
//!
//! Nothing here knows gRPC, HTTP or any runtime; `store` and `broker` stand on it. Clients use the
//! names and positions alone.

mod batch;
mod broadcast;
mod budget;
mod chunk;
#[cfg(feature = "server")]
pub mod cloudevent;
mod discontinuity;
mod fanout;
mod log;
pub mod media;
mod message;
mod name;
mod pattern;
mod position;
mod progress;
mod reader;
mod readers;
pub mod record;
mod retention;
mod start;
mod trace;
mod weight;
mod wheel;

pub use batch::{Batch, Inherited};
pub use broadcast::{Broadcast, End, Lag, Next, Refused, State};
pub use budget::{Budget, Charge};
pub use discontinuity::{Discontinuity, Reason};
pub use fanout::{Channel, Fanout};
pub use log::{Appended, Log, NoRoom, Past, Read, Run, Slices};
pub use message::Message;
pub use name::{Namespace, TopicName};
pub use pattern::Pattern;
pub use position::Position;
pub use progress::{Eject, Pace, Progress, Who};
pub use reader::Reader;
pub use retention::Retention;
pub use start::{Found, Start};
pub use trace::{Created, FannedOut, Trace, TraceContext, Traced};
pub use weight::Weight;
