//! `bugle health`: whether the server takes work, for people, scripts and the health checks of
//! containers. What it says goes to standard output, and the exit code says the same.

use std::time::Duration;

use clap::Args;

use super::target::Server;
use super::{output, units};
use crate::client::{Health, UNREACHABLE};
use crate::error::{Code, Error, Result};

/// The arguments of `bugle health`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct HealthArgs {
    #[command(flatten)]
    server: Server,
    /// A service of the server, such as bugle.v1.Bus [default: the whole server]
    #[arg(default_value = "", hide_default_value = true)]
    service: String,
    /// Wait for an answer at most this long
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = units::parse_duration)]
    timeout: Duration,
}

const AFTER_HELP: &str = "\
Prints SERVING, NOT_SERVING (it starts, or it is about to end) or SERVICE_UNKNOWN.
Any server that offers grpc.health.v1 can be asked. A bugle server that drains says NOT_SERVING to
whoever is connected, and takes no new connection: to this command nobody answers.

Exit codes:
  0    SERVING
  1    anything else that a server answers
  3    nobody answers

Examples:
  bugle health
  bugle health bugle.v1.Bus --timeout 1s
  bugle health --server http://10.0.0.7:7600 || echo 'do not send work there'";

pub(super) async fn run(args: HealthArgs) -> Result<()> {
    let HealthArgs { server, service, timeout } = args;
    let client = server.builder()?.connect_timeout(timeout).connect().await?;
    let health = client.health(&service).await.map_err(unanswered)?;
    output::print(&health.to_string())?;
    let uri = client.uri();
    let whose = if service.is_empty() { uri.to_owned() } else { format!("{service} at {uri}") };
    let told = match health {
        Health::Serving => return Ok(()),
        Health::NotServing => format!("{whose} takes no work"),
        Health::ServiceUnknown => format!("{uri} has no service {service:?}"),
        Health::Unknown => format!("{whose} does not say whether it takes work"),
    };
    Err(Error::new(Code::FailedPrecondition, told))
}

/// A server that says nothing, and a proxy that finds none, are as good as no server.
fn unanswered(error: Error) -> Error {
    if error.code() == Code::Unavailable { error.reason(UNREACHABLE) } else { error }
}
