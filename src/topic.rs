//! The domain's nouns: names, positions, messages, the log and who reads it.
//!
//! Nothing here knows gRPC, HTTP or any runtime; `store` and `broker` stand on it.

mod name;
mod position;
mod retention;

pub use name::{Namespace, TopicName};
pub use position::Position;
pub use retention::Retention;
