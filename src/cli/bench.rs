//! `bugle bench`: stands here until its own part of the work is merged.

use crate::error::{Code, Error, Result};

/// The arguments of `bugle bench`.
#[derive(Debug, clap::Args)]
pub struct BenchArgs {}

/// Runs `bugle bench`.
pub async fn run(_: BenchArgs) -> Result<()> {
    Err(Error::new(Code::Unimplemented, "`bugle bench` is not built yet"))
}
