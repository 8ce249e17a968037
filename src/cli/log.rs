//! `bugle log`: which log lines a running server writes, and changing that.

use clap::Args;

use super::output;
use super::target::Server;
use crate::error::Result;

/// The arguments of `bugle log`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct LogArgs {
    #[command(flatten)]
    server: Server,
    /// What is to be written from now on [default: change nothing]
    filter: Option<String>,
}

const AFTER_HELP: &str = "\
Prints the filter in effect. A filter is a level (error, warn, info, debug or trace), or a level
and others for some modules, the longest name winning. It holds until it is changed again or the
server starts anew: `log.level` in its configuration is what it starts with.

Examples:
  bugle log                                  # what is in effect
  bugle log debug                            # everything the bus says
  bugle log info,bugle::broker=debug         # more of what happens to topics and subscriptions
  bugle log warn,bugle::server::connection=trace
  bugle log info                             # back again";

pub(super) async fn run(args: LogArgs) -> Result<()> {
    let monitor = args.server.connect().await?.monitor();
    let filter = match &args.filter {
        Some(filter) => monitor.set_log_filter(filter).await?,
        None => monitor.log_filter().await?,
    };
    output::print(&output::visible(&filter))
}
