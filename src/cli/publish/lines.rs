//! A message for each line of standard input, in their order, whatever the server says in between.
//!
//! Where a quota or the memory is used up, the lines that were not taken are published again when the
//! server says, and larger batches than a quota ever lets through are made smaller.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::{PublishArgs, unreadable};
use crate::cli::output::Output;
use crate::cli::units;
use crate::client::{Client, PendingReceipt, Publisher, Receipt};
use crate::error::{Code, Error, Result};
use crate::limits::BATCH_MESSAGES_MAX;

/// Reason of a refusal that no waiting changes: see [`most_at_once`].
const BATCH_TOO_LARGE: &str = "QUOTA_BATCH_TOO_LARGE";
/// Receipts awaited at once; their memory is the reason for a limit.
const RECEIPTS_MAX: usize = 100_000;
/// Bytes of a batch, as long as no quota asks for less.
const BATCH_BYTES_MAX: usize = 256 * 1024;
/// The server counts what is around a payload too, and a little differently.
const BATCH_BYTES_SLACK: usize = 2;

/// A line that is on its way; without a receipt as long as it waits to be sent again.
struct Line {
    payload: Bytes,
    receipt: Option<PendingReceipt>,
}

/// The lines that are on their way, and what they go through.
struct Lines<'a> {
    client: &'a Client,
    args: &'a PublishArgs,
    publisher: Publisher,
    /// What has ended it, where that was told when a line was to be sent.
    refusal: Option<Error>,
    pending: VecDeque<Line>,
    batch_messages_max: usize,
    batch_bytes_max: usize,
}

/// Publishes line by line, and prints the positions in order while more lines come.
pub async fn publish_lines(client: &Client, args: &PublishArgs) -> Result<()> {
    let mut lines = Lines::new(client, args)?;
    let mut input = BufReader::new(tokio::io::stdin()).split(b'\n');
    let mut output = Output::new();
    let mut more = true;
    while more || !lines.pending.is_empty() {
        let answered = tokio::select! {
            biased;
            Some(answer) = lines.first() => Some(answer),
            line = input.next_segment(), if more && lines.pending.len() < RECEIPTS_MAX => {
                match line.map_err(|error| unreadable("standard input", error))? {
                    Some(mut line) => {
                        if line.last() == Some(&b'\r') {
                            line.pop();
                        }
                        lines.push(line.into()).await?;
                    }
                    None => more = false,
                }
                None
            }
        };
        match answered {
            Some(Ok(receipt)) => {
                lines.pending.pop_front();
                args.print(&mut output, receipt)?;
                if lines.pending.is_empty() {
                    output.flush()?;
                }
            }
            Some(Err(error)) => {
                output.flush()?;
                lines.again(error).await?;
            }
            None => {}
        }
    }
    output.flush()?;
    lines.publisher.close().await
}

impl<'a> Lines<'a> {
    fn new(client: &'a Client, args: &'a PublishArgs) -> Result<Self> {
        let (batch_messages_max, batch_bytes_max) = (BATCH_MESSAGES_MAX, BATCH_BYTES_MAX);
        let publisher = publisher(client, batch_messages_max, batch_bytes_max)?;
        let (refusal, pending) = (None, VecDeque::new());
        Ok(Lines { client, args, publisher, refusal, pending, batch_messages_max, batch_bytes_max })
    }

    /// The outcome of the oldest; `None`, and the other branch is waited for, when there is none.
    async fn first(&mut self) -> Option<Result<Receipt>> {
        match &mut self.pending.front_mut()?.receipt {
            Some(receipt) => Some(receipt.await),
            None => Some(Err(self.refusal.clone()?)),
        }
    }

    async fn push(&mut self, payload: Bytes) -> Result<()> {
        let receipt = self.send(&payload).await?;
        self.pending.push_back(Line { payload, receipt });
        Ok(())
    }

    /// Sends a line; `None` where a refusal that need not be the last word has ended the publisher.
    async fn send(&mut self, payload: &Bytes) -> Result<Option<PendingReceipt>> {
        match self.publisher.publish(&self.args.topic, self.args.message(payload.to_vec())).await {
            Ok(receipt) => Ok(Some(receipt)),
            Err(error) if is_passing(&error) || most_at_once(&error).is_some() => {
                self.refusal = Some(error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// All that is pending was refused for this reason: publishes it again when that helps.
    async fn again(&mut self, error: Error) -> Result<()> {
        if let Some((most, is_bytes)) = most_at_once(&error) {
            let place = if is_bytes { &mut self.batch_bytes_max } else { &mut self.batch_messages_max };
            let most = if is_bytes { most / BATCH_BYTES_SLACK } else { most };
            if most == 0 || most >= *place {
                return Err(error);
            }
            *place = most;
        } else if is_passing(&error) {
            let millis = error.retry_delay().unwrap_or_default().as_millis() + 1;
            let delay = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
            eprintln!("# {error}; going on in {}", units::duration(delay));
            tokio::time::sleep(delay).await;
        } else {
            return Err(error);
        }
        self.publisher = publisher(self.client, self.batch_messages_max, self.batch_bytes_max)?;
        let mut pending = std::mem::take(&mut self.pending);
        pending.iter_mut().for_each(|line| line.receipt = None);
        for line in &mut pending {
            line.receipt = self.send(&line.payload).await?;
            if line.receipt.is_none() {
                break;
            }
        }
        self.pending = pending;
        Ok(())
    }
}

fn publisher(client: &Client, batch_messages_max: usize, batch_bytes_max: usize) -> Result<Publisher> {
    let builder = client.publisher().ends_with_refusal();
    builder.max_batch_messages(batch_messages_max).max_batch_bytes(batch_bytes_max).build()
}

/// Whether the same lines may be taken later.
fn is_passing(error: &Error) -> bool {
    error.code() == Code::ResourceExhausted && error.retry_delay().is_some()
}

/// How much a quota lets through at once, where the batch was larger; and whether that is bytes.
fn most_at_once(error: &Error) -> Option<(usize, bool)> {
    if error.reason_code() != Some(BATCH_TOO_LARGE) {
        return None;
    }
    let fact = |name| error.metadata().get(name).map(String::as_str);
    Some((fact("value")?.parse().ok()?, fact("limit")?.contains("bytes")))
}
