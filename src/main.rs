//! The `bugle` binary.

use std::process::ExitCode;

use bugle::cli::serve;
use bugle::error::Code;
use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
enum Command {
    Serve(serve::ServeArgs),
}

fn main() -> ExitCode {
    let Command::Serve(args) = Command::parse();
    let Ok(runtime) = tokio::runtime::Runtime::new() else { return ExitCode::FAILURE };
    match runtime.block_on(serve::run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bugle: {error}");
            ExitCode::from(if error.code() == Code::Cancelled { 130 } else { 1 })
        }
    }
}
