//! Progress on standard error while a bench runs: a bar on a terminal, else a line now and then.

use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Without a terminal, a line this often.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// The bar counts this many parts of a load's time.
const PARTS: u64 = 1000;

/// See the module.
pub struct Display {
    bar: Option<ProgressBar>,
    last_line: Cell<Option<Instant>>,
}

impl Display {
    /// For a number of steps.
    pub fn steps(steps: u64) -> Self {
        Display::new(steps, "{bar:30} {pos}/{len} {msg}")
    }

    /// For one load.
    pub fn load() -> Self {
        Display::new(PARTS, "{bar:30} {msg}")
    }

    fn new(length: u64, template: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(template);
            ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Display { bar, last_line: Cell::new(None) }
    }

    /// The next step begins.
    pub fn step(&self, what: &str) {
        match &self.bar {
            Some(bar) => {
                bar.set_message(what.to_owned());
                bar.inc(1);
            }
            None => line(what),
        }
    }

    /// A load is `part` (0 to 1) through.
    pub fn passed(&self, part: f64, what: &str) {
        match &self.bar {
            Some(bar) => {
                bar.set_position((part * PARTS as f64) as u64);
                bar.set_message(what.to_owned());
            }
            None if self.last_line.get().is_none_or(|at| at.elapsed() >= LINE_EVERY) => {
                self.last_line.set(Some(Instant::now()));
                line(what);
            }
            None => {}
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn line(text: &str) {
    // Progress that cannot be written is nobody's loss.
    let _ = writeln!(std::io::stderr(), "{text}");
}
