//! Subscribers that never read, to see that nobody else suffers from them.
//!
//! Half of them close HTTP/2's window and half leave TCP's full, because a server meets the two in
//! different places: one stops its streams, the other its sockets.

use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::runtime::Handle;

use super::arrivals::Arrivals;
use super::http2::WINDOW_BYTES_INITIAL;
use super::latency::Latency;
use super::plan::{Plan, STREAM_WINDOW_BYTES};
use super::tally::Tally;
use super::template::topic_name;
use super::{load, subscriber};
use crate::error::{Code, Error, Result};

/// Opens the planned subscriptions and reads no further than their confirmation. They are held
/// until the runtime ends.
///
/// # Errors
/// Unavailable, when one does not come to stand.
pub async fn open(plan: &Plan, handle: &Handle) -> Result<()> {
    let latency = Arc::new(Latency::new(1)?);
    for number in 0..plan.stalled {
        let window = if number % 2 == 0 { WINDOW_BYTES_INITIAL } else { STREAM_WINDOW_BYTES };
        let tally = Arc::new(Tally::new());
        let arrivals = Arrivals::new(Arc::clone(&tally), Arc::clone(&latency), 0, false);
        let topics = vec![(topic_name(&plan.prefix, number % plan.topics), arrivals)];
        let mut opening = plan.system.subscriber(&plan.authority, window, topics);
        let address = plan.address;
        let opened = load::on(handle, async move {
            let mut socket = subscriber::connect_to_stall(address).await?;
            let broke = |e| Error::new(Code::Unavailable, "the connection to the server broke").because(e);
            socket.write_all(&opening.greeting).await.map_err(broke)?;
            let mut out = Vec::new();
            while !tally.is_open() {
                subscriber::turn(&mut socket, opening.inbound.as_mut(), &mut out).await?;
            }
            socket.write_all(&out).await.map_err(broke)?;
            Ok((socket, opening))
        });
        let held = opened.await?;
        handle.spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
    }
    Ok(())
}
