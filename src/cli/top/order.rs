//! What the topics of `bugle top` can be sorted by.

use std::cmp::Ordering;

use clap::ValueEnum;

use super::figures::Row;

/// What is sorted by: figures with the largest first, names from a to z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Sort {
    /// Messages in a second
    Rate,
    /// Messages given to subscribers in a second
    Out,
    /// Bytes in a second, in and out
    Bytes,
    /// Subscriptions
    Subscriptions,
    /// How long the slowest subscription is behind
    Lag,
    /// Bytes retained
    Memory,
    /// Namespace and name
    Name,
}

impl Sort {
    /// All, in the order of the help, with the key that chooses each.
    pub(super) const KEYS: [(char, Sort); 7] = [
        ('r', Sort::Rate),
        ('o', Sort::Out),
        ('b', Sort::Bytes),
        ('s', Sort::Subscriptions),
        ('l', Sort::Lag),
        ('m', Sort::Memory),
        ('n', Sort::Name),
    ];

    /// Its name on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Sort::Rate => "rate",
            Sort::Out => "out",
            Sort::Bytes => "bytes",
            Sort::Subscriptions => "subscriptions",
            Sort::Lag => "lag",
            Sort::Memory => "memory",
            Sort::Name => "name",
        }
    }

    /// Puts rows into this order, or into its reverse. Where figures are the same names decide, so
    /// that rows without traffic do not change places.
    pub(super) fn sort(self, rows: &mut [Row], reverse: bool) {
        rows.sort_by(|one, other| {
            let order = self.compare(one, other);
            if reverse { order.reverse() } else { order }.then_with(|| one.name.cmp(&other.name))
        });
    }

    fn compare(self, one: &Row, other: &Row) -> Ordering {
        // What is not known comes behind what is zero.
        let by_rate =
            |rate: fn(&Row) -> Option<f64>| rate(other).unwrap_or(-1.0).total_cmp(&rate(one).unwrap_or(-1.0));
        match self {
            Sort::Rate => by_rate(|row| row.rates.messages_in),
            Sort::Out => by_rate(|row| row.rates.messages_out),
            Sort::Bytes => by_rate(|row| {
                let rates = [row.rates.bytes_in, row.rates.bytes_out];
                rates.into_iter().flatten().reduce(|one, other| one + other)
            }),
            Sort::Subscriptions => other.subscriptions.cmp(&one.subscriptions),
            Sort::Lag => (other.lag, other.lag_messages).cmp(&(one.lag, one.lag_messages)),
            Sort::Memory => other.retained_bytes.cmp(&one.retained_bytes),
            Sort::Name => one.name.cmp(&other.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::figures::{Rates, rows, tests::info};
    use crate::cli::top::sample::{Listed, Topics};
    use std::time::{Duration, Instant};

    fn table() -> Vec<Row> {
        let listed = ["a", "b", "c", "d"].map(|name| Listed { at: Instant::now(), info: info(name, 5) });
        let mut rows = rows(None, &Topics { listed: listed.into(), more: false });
        rows[1].rates = Rates { messages_in: Some(5.0), bytes_in: Some(100.0), ..Rates::default() };
        rows[2].rates = Rates { messages_in: Some(0.0), messages_out: Some(9.0), ..Rates::default() };
        rows[3].rates.messages_in = Some(70.0);
        (rows[0].subscriptions, rows[0].retained_bytes) = (9, 1);
        (rows[2].lag, rows[3].lag) = (Some(Duration::from_secs(1)), Some(Duration::from_secs(9)));
        rows
    }

    fn sorted(sort: Sort, reverse: bool) -> String {
        let mut rows = table();
        sort.sort(&mut rows, reverse);
        rows.into_iter().map(|row| row.name.topic).collect()
    }

    #[test]
    fn the_largest_comes_first_and_what_is_not_known_last() {
        for (sort, order) in [
            (Sort::Rate, "dbca"),
            (Sort::Out, "cabd"),
            (Sort::Bytes, "bacd"),
            (Sort::Subscriptions, "abcd"),
            (Sort::Lag, "dcab"),
            (Sort::Memory, "bcda"),
            (Sort::Name, "abcd"),
        ] {
            assert_eq!(sorted(sort, false), order, "{}", sort.name());
        }
    }

    #[test]
    fn the_reverse_keeps_equals_in_the_order_of_their_names() {
        assert_eq!(sorted(Sort::Rate, true), "acbd");
        assert_eq!(sorted(Sort::Subscriptions, true), "bcda");
        assert_eq!(sorted(Sort::Name, true), "dcba");
    }

    #[test]
    fn every_key_chooses_another_order_and_names_are_those_of_the_command_line() {
        for (_, sort) in Sort::KEYS {
            assert_eq!(Sort::from_str(sort.name(), false), Ok(sort));
        }
    }
}
