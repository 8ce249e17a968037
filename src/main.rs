//! The `bugle` binary.

use std::process::ExitCode;

use bugle::cli::{bench, serve};
use bugle::error::Code;
use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
enum Command {
    Serve(serve::ServeArgs),
    Bench(bench::BenchArgs),
}

fn main() -> ExitCode {
    let Ok(runtime) = tokio::runtime::Runtime::new() else { return ExitCode::FAILURE };
    let outcome = runtime.block_on(async {
        match Command::parse() {
            Command::Serve(args) => serve::run(args).await,
            Command::Bench(args) => bench::run(args).await,
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bugle: {error}");
            ExitCode::from(if error.code() == Code::Cancelled { 130 } else { 1 })
        }
    }
}
