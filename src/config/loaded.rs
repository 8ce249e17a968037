//! The outcome of loading: a configuration that knows where each of its values came from, and can
//! print itself as a configuration file for `serve --check`.

use std::collections::HashMap;

use crate::config::Config;
use crate::config::mistake::{Mistake, Origin};
use crate::config::table::OPTIONS;
use crate::config::tables::TABLES;

/// A configuration and where its values came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Variables that begin with `BUGLE_` and are no option: to be warned of, not refused, because
    /// a Kubernetes service named "bugle" makes some in every pod.
    pub unknown_variables: Vec<String>,
    /// What standard variables say that cannot be used here and was passed over: they may be there for
    /// every program of a deployment.
    pub warnings: Vec<Mistake>,
    pub(super) origins: HashMap<&'static str, Origin>,
}

impl Loaded {
    /// Where the value of an option came from.
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// The effective configuration as a valid configuration file: each option under its
    /// documentation, with what it accepts and where its value came from.
    pub fn to_toml(&self) -> String {
        let mut text = String::from("# The configuration in effect, as a configuration file.\n");
        for warning in &self.warnings {
            text.push_str(&format!("# Passed over: {warning}\n"));
        }
        let mut section = "";
        for option in OPTIONS {
            let (of, name) = option.key.split_once('.').unwrap_or(("", option.key));
            if of != section {
                text.push_str(&format!("\n[{of}]\n"));
                section = of;
            }
            let value = (option.get)(&self.config);
            text.push('\n');
            for line in wrapped(&format!("{} It is {}.", option.doc, option.kind), 98) {
                text.push_str(&format!("# {line}\n"));
            }
            text.push_str(&format!("# {}; from: {}\n", option.variable(), self.origin(option.key)));
            text.push_str(&format!("{name} = {value}\n"));
        }
        for table in TABLES {
            text.push_str(&format!("\n{}{}", table.doc, (table.print)(&self.config)));
        }
        text
    }
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
