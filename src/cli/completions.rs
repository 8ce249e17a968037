//! `bugle completions`: the completions for a shell, to standard output.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::error::Result;

/// The arguments of `bugle completions`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

const AFTER_HELP: &str = "\
Examples:
  source <(bugle completions bash)
  bugle completions zsh > ~/.zfunc/_bugle
  bugle completions fish > ~/.config/fish/completions/bugle.fish";

pub(super) fn run(args: CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "bugle", &mut script);
    super::output::print(&String::from_utf8_lossy(&script))
}
