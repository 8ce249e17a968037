//! The command line: one file a subcommand. A subcommand is its arguments and a `run` that gives
//! the crate's error; what the user sees of it, and the exit code, is decided here, once.

pub mod bench;
mod certs;
mod completions;
mod dialect;
mod exit;
mod health;
mod keys;
mod log;
mod namespaces;
mod output;
mod paint;
mod policy;
mod publish;
pub mod serve;
mod start;
mod subscribe;
mod target;
mod tokens;
mod top;
mod topics;
mod trace;
mod units;
mod webhooks;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A self-hosted, gRPC-native topics event bus: one bugle call, heard by the whole camp.
#[derive(Debug, Parser)]
#[command(name = "bugle", version, max_term_width = 100, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Begin with two terminals and a server:
  bugle serve
  bugle subscribe orders
  bugle publish orders 'hello, camp'

Exit codes:
  0    done
  1    refused by the server, or failed
  2    the command line is wrong
  3    nobody answers: the server is not running, or it is draining
  130  ended by a second signal before it had drained (serve)";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::ServeArgs),
    /// Publish a message, a file, or a message for each line of standard input
    Publish(publish::PublishArgs),
    /// Follow a topic
    Subscribe(subscribe::SubscribeArgs),
    /// List, create, describe, update and delete topics
    Topics(topics::TopicsArgs),
    /// List, create and delete namespaces
    Namespaces(namespaces::NamespacesArgs),
    /// Push the messages of topics to HTTP endpoints
    Webhooks(webhooks::WebhooksArgs),
    /// Create, list and delete API keys
    Keys(keys::KeysArgs),
    /// Create disposable tokens with narrowed rights
    Tokens(tokens::TokensArgs),
    /// Explain who may do what, and why
    Policy(policy::PolicyArgs),
    /// Make certificates to try TLS with
    Certs(certs::CertsArgs),
    /// Watch a running server: its load, its topics, their subscriptions
    Top(top::TopArgs),
    /// Send a probe through a topic and show when it was where
    Trace(trace::TraceArgs),
    /// Show which log lines a running server writes, or change that
    Log(log::LogArgs),
    /// Ask whether the server takes work
    Health(health::HealthArgs),
    /// Measure the bus, and compare it with others
    Bench(bench::BenchArgs),
    /// Print the completions for a shell
    Completions(completions::CompletionsArgs),
}

/// Runs a command line to its end and says how it went.
pub async fn run(cli: Cli) -> ExitCode {
    let outcome = match cli.command {
        Command::Serve(args) => serve::run(args).await,
        Command::Publish(args) => publish::run(args).await,
        Command::Subscribe(args) => subscribe::run(args).await,
        Command::Topics(args) => topics::run(args).await,
        Command::Namespaces(args) => namespaces::run(args).await,
        Command::Webhooks(args) => webhooks::run(args).await,
        Command::Keys(args) => keys::run(args).await,
        Command::Tokens(args) => tokens::run(args).await,
        Command::Policy(args) => policy::run(args).await,
        Command::Certs(args) => certs::run(args),
        Command::Top(args) => top::run(args).await,
        Command::Trace(args) => trace::run(args).await,
        Command::Log(args) => log::run(args).await,
        Command::Health(args) => health::run(args).await,
        Command::Bench(args) => bench::run(args).await,
        Command::Completions(args) => completions::run(args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
