//! An attack, and how it is seen that it took place.

use super::wire::{Attack, Tally};

pub struct Case {
    pub name: &'static str,
    pub expected: Expected,
    /// So many files the server may have open.
    pub files: Option<u64>,
    /// Whether it speaks TLS.
    pub tls: bool,
    pub attack: fn(&Attack),
}

/// What has to have become of an attack.
#[derive(Debug, Clone, Copy)]
pub enum Expected {
    /// So many pieces of it were sent.
    Sent(u64),
    /// Many were, and the server ended those that sent them, each of them or some.
    Ended(u64),
    /// Many were, and the server answered nearly every one, with a response or a reset.
    Answered(u64),
}

pub const fn case(name: &'static str, expected: Expected, attack: fn(&Attack)) -> Case {
    Case { name, expected, files: None, tls: false, attack }
}

/// The same against a server that speaks TLS.
pub const fn behind_tls(name: &'static str, expected: Expected, attack: fn(&Attack)) -> Case {
    Case { tls: true, ..case(name, expected, attack) }
}

impl Expected {
    /// What is missing.
    pub fn missing(self, tally: &Tally) -> Option<String> {
        let sent = Tally::get(&tally.sent);
        let goodbyes = Tally::get(&tally.goodbyes);
        let ended = Tally::get(&tally.ended) + goodbyes;
        let said = Tally::get(&tally.answers) + Tally::get(&tally.resets);
        let is_there = match self {
            Expected::Sent(least) => sent >= least,
            Expected::Ended(least) => {
                goodbyes >= least.min(20)
                    && sent >= least
                    && ended * 10 + 9 >= Tally::get(&tally.connections) * 9
            }
            Expected::Answered(least) => sent >= least && said * 10 >= sent * 9,
        };
        (!is_there).then(|| format!("{self:?} was expected of the attack, and there were {tally}"))
    }
}
