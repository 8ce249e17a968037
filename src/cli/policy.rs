//! `bugle policy`: which rule decides.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::output;
use super::target::Target;
use crate::client::access::{Action, Explanation};
use crate::error::{Code, Error, Result};

/// The arguments of `bugle policy`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct PolicyArgs {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Policies are in the server's configuration ([[policies]] and [[roles]]), and are read again at SIGHUP.
What no rule allows is refused.

Example:
  bugle policy explain key:billing publish invoices";

#[derive(Debug, Subcommand)]
enum Command {
    /// Say whether a principal may do something, and by which rule; exits with 1 where it may not
    #[command(after_help = "Examples:\n  bugle policy explain key:billing publish invoices\n  \
                            bugle policy explain jwt:corp/alice subscribe orders.eu -n staging")]
    Explain {
        #[command(flatten)]
        target: Target,
        /// Who: key:NAME, jwt:ISSUER/SUBJECT, cert:NAME
        principal: String,
        /// Does what
        action: Wanted,
        /// To which topic
        topic: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Wanted {
    Publish,
    Subscribe,
    Admin,
}

pub(super) async fn run(args: PolicyArgs) -> Result<()> {
    let Command::Explain { target, principal, action, topic, json } = args.command;
    let action = match action {
        Wanted::Publish => Action::Publish,
        Wanted::Subscribe => Action::Subscribe,
        Wanted::Admin => Action::Admin,
    };
    let explanation = target.connect_for(&topic).await?.access().explain(&principal, action, &topic).await?;
    let Explanation { allowed, rule, place, notes } = &explanation;
    if json {
        let object = json!({"allowed": allowed, "rule": rule, "place": place, "notes": notes});
        output::print_json(&object)?;
    } else {
        output::print(&text(&explanation))?;
    }
    if *allowed {
        return Ok(());
    }
    // What is printed says it; the exit code is for scripts.
    Err(Error::new(Code::PermissionDenied, format!("{principal} may not do that")))
}

fn text(explanation: &Explanation) -> String {
    let Explanation { allowed, rule, place, notes } = explanation;
    let mut lines =
        vec![if *allowed { "allowed".to_owned() } else { "refused: no rule allows it".to_owned() }];
    if !rule.is_empty() {
        lines.push(format!("  by     {}", output::visible(rule)));
    }
    if !place.is_empty() {
        lines.push(format!("  at     {}", output::visible(place)));
    }
    lines.extend(notes.iter().map(|note| format!("  note   {}", output::visible(note))));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_is_a_verdict_and_its_reasons() {
        let explanation = Explanation {
            allowed: true,
            rule: "key:billing may publish to default/invoices".to_owned(),
            place: "bugle.toml:12".to_owned(),
            notes: vec!["by the role writers".to_owned()],
        };
        let expected = "allowed\n  by     key:billing may publish to default/invoices\n  at     bugle.toml:12\n  \
                        note   by the role writers";
        assert_eq!(text(&explanation), expected);
        assert_eq!(text(&Explanation::default()), "refused: no rule allows it");
    }
}
