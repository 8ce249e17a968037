//! The `bugle` binary.
use clap::Parser;
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}
#[derive(clap::Subcommand)]
enum Command {
    Bench(bugle::cli::bench::BenchArgs),
}
#[tokio::main]
async fn main() -> std::process::ExitCode {
    let Cli { command: Command::Bench(args) } = Cli::parse();
    match bugle::cli::bench::run(args).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:?}");
            std::process::ExitCode::FAILURE
        }
    }
}
