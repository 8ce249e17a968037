//! `bugle serve`: stands here until its own part of the work is merged.

use crate::error::{Code, Error, Result};

/// The arguments of `bugle serve`.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {}

/// Runs `bugle serve`.
pub async fn run(_: ServeArgs) -> Result<()> {
    Err(Error::new(Code::Unimplemented, "`bugle serve` is not built yet"))
}
