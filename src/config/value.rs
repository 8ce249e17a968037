//! What an option can hold: its kind, with the range allowed, and its value.
//!
//! A kind reads a value from the text of any source and describes what it accepts in one sentence,
//! which is what a mistake is answered with. A value prints itself as TOML.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use http::Uri;

use crate::config::filter::Filter;
use crate::config::units::{format_bytes, format_duration, parse_bytes, parse_duration};
use crate::topic::Namespace;
use crate::webhook::Allow;

/// What a source says, before it is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// One value; in a list-valued option, the items with commas between.
    Text(String),
    /// Several values.
    List(Vec<String>),
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Raw::Text(text) => write!(f, "{text:?}"),
            Raw::List(items) => write!(f, "{items:?}"),
        }
    }
}

/// What an option accepts. Ranges include both ends.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// An IP address with a port.
    Address,
    /// A size in bytes.
    Bytes(u64, u64),
    /// A whole number.
    Count(u64, u64),
    /// A duration.
    Duration(Duration, Duration),
    /// Yes or no.
    Switch,
    /// Names of namespaces.
    Names,
    /// Origins of web pages.
    Origins,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// An IP address with a port, or `off`.
    AddressOrOff,
    /// A path, or nothing.
    Path,
    /// A URL of HTTP, or nothing.
    Url,
    /// A part of the whole, from 0 to 1.
    Ratio,
    /// Which lines are logged.
    Filter,
    /// Networks, addresses and names of hosts.
    Hosts,
}

/// The value of an option.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// An IP address with a port.
    Address(SocketAddr),
    /// A size in bytes.
    Bytes(u64),
    /// A whole number.
    Count(u64),
    /// A duration.
    Duration(Duration),
    /// Yes or no.
    Switch(bool),
    /// Names of namespaces.
    Names(Vec<Namespace>),
    /// Origins of web pages.
    Origins(Vec<String>),
    /// A word.
    Choice(&'static str),
    /// An IP address with a port, or `off`.
    AddressOrOff(Option<SocketAddr>),
    /// A URL, or a filter.
    Text(String),
    /// A part of the whole.
    Ratio(f64),
}

impl Kind {
    /// Reads a value; the error is what is wrong with it.
    pub fn parse(self, raw: &Raw) -> Result<Value, String> {
        match self {
            Kind::Names => return names(raw),
            Kind::Origins => return origins(raw),
            _ => {}
        }
        let Raw::Text(text) = raw else { return Err(format!("has to be {self}")) };
        let value = match self {
            Kind::Address => text.trim().parse().ok().map(Value::Address),
            Kind::Bytes(min, max) => parse_bytes(text).filter(|n| (min..=max).contains(n)).map(Value::Bytes),
            Kind::Count(min, max) => {
                text.trim().parse().ok().filter(|n| (min..=max).contains(n)).map(Value::Count)
            }
            Kind::Duration(min, max) => {
                parse_duration(text).filter(|d| (min..=max).contains(d)).map(Value::Duration)
            }
            Kind::Switch => text.trim().parse().ok().map(Value::Switch),
            Kind::Names | Kind::Origins => None,
            Kind::Choice(words) => words.iter().find(|word| **word == text.trim()).map(|w| Value::Choice(w)),
            Kind::AddressOrOff => match text.trim() {
                "off" => Some(Value::AddressOrOff(None)),
                text => text.parse().ok().map(|address| Value::AddressOrOff(Some(address))),
            },
            Kind::Url => url(text.trim()).map(Value::Text),
            Kind::Path => (!text.contains('\0')).then(|| Value::Text(text.clone())),
            Kind::Ratio => text.trim().parse().ok().filter(|n| (0.0..=1.0).contains(n)).map(Value::Ratio),
            Kind::Hosts => Allow::parse(text).is_ok().then(|| Value::Text(text.trim().to_owned())),
            Kind::Filter => Filter::parse(text).map(|filter| Value::Text(filter.to_string())),
        };
        value.ok_or_else(|| format!("has to be {self}"))
    }
}

/// A URL that an exporter can use as it is. A name and password in it would end up in logs and in
/// the output of `--check`, and a query or a fragment would be lost where a path is appended.
fn url(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some(String::new());
    }
    let url: Uri = text.parse().ok()?;
    let (host, port) = (url.host().filter(|host| !host.is_empty())?, url.port());
    let authority = port.map_or_else(|| host.to_owned(), |port| format!("{host}:{}", port.as_str()));
    let is_plain = url.authority().is_some_and(|all| all.as_str() == authority);
    let is_http = matches!(url.scheme_str(), Some("http" | "https"));
    (is_http && is_plain && url.query().is_none() && !text.contains('#')).then(|| text.to_owned())
}

fn items(raw: &Raw) -> Vec<&str> {
    match raw {
        Raw::Text(text) => text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect(),
        Raw::List(items) => items.iter().map(String::as_str).collect(),
    }
}

/// Origins as browsers send them: a scheme, a host, and a port where it is not the usual one.
fn origins(raw: &Raw) -> Result<Value, String> {
    let origins = items(raw).into_iter().map(|item| {
        let is_origin =
            item == "*" || (!item.is_empty() && url(item).is_some_and(|_| item.matches('/').count() == 2));
        let wrong = || format!("{item:?} cannot be used: it has to be {}", Kind::Origins);
        is_origin.then(|| item.to_ascii_lowercase()).ok_or_else(wrong)
    });
    origins.collect::<Result<_, _>>().map(Value::Origins)
}

fn names(raw: &Raw) -> Result<Value, String> {
    let items = items(raw);
    let mut names = Vec::with_capacity(items.len());
    for item in items {
        match Namespace::parse(item) {
            Ok(name) if !item.is_empty() => names.push(name),
            Ok(_) => return Err("the name of a namespace has to be given".to_owned()),
            Err(error) => return Err(format!("{item:?} cannot be used: {error}")),
        }
    }
    names.sort();
    names.dedup();
    Ok(Value::Names(names))
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Address => f.write_str("an IP address and a port, such as 127.0.0.1:7600 or [::]:7600"),
            Kind::Bytes(min, max) => {
                write!(f, "a size from {} to {}, such as 64MiB", format_bytes(*min), format_bytes(*max))
            }
            Kind::Count(min, max) => write!(f, "a whole number from {min} to {max}"),
            Kind::Duration(min, max) => {
                let (min, max) = (format_duration(*min), format_duration(*max));
                write!(f, "a duration from {min} to {max}, such as 30s, 1h30m or 250ms")
            }
            Kind::Switch => f.write_str("true or false"),
            Kind::Names => f.write_str("a list of names, such as [\"orders\", \"billing\"]"),
            Kind::Origins => {
                f.write_str("a list of origins, such as [\"https://app.example\"], or [\"*\"] for all")
            }
            Kind::Choice(words) => write!(f, "one of {}", words.join(", ")),
            Kind::AddressOrOff => f.write_str("an IP address and a port, such as 127.0.0.1:7601, or off"),
            Kind::Path => f.write_str("a path, or empty"),
            Kind::Url => f.write_str("a URL such as http://127.0.0.1:4317 or https://host/path, or empty"),
            Kind::Ratio => f.write_str("a number from 0 to 1, such as 0.01"),
            Kind::Hosts => {
                f.write_str("a list with commas, such as \"10.0.0.0/8, ::1, hooks.internal\", or empty")
            }
            Kind::Filter => f.write_str(Filter::SHAPE),
        }
    }
}

/// As TOML.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Address(address) => write!(f, "\"{address}\""),
            Value::Bytes(bytes) => write!(f, "\"{}\"", format_bytes(*bytes)),
            Value::Count(count) => write!(f, "{count}"),
            Value::Duration(duration) => write!(f, "\"{}\"", format_duration(*duration)),
            Value::Switch(on) => write!(f, "{on}"),
            Value::Choice(word) => write!(f, "\"{word}\""),
            Value::AddressOrOff(Some(address)) => write!(f, "\"{address}\""),
            Value::AddressOrOff(None) => f.write_str("\"off\""),
            Value::Text(text) => write!(f, "{}", toml::Value::from(text.as_str())),
            Value::Ratio(ratio) => write!(f, "{ratio:?}"),
            Value::Names(names) => {
                let names = names.iter().map(|name| toml::Value::from(name.as_str())).collect();
                write!(f, "{}", toml::Value::Array(names))
            }
            Value::Origins(origins) => write!(f, "{}", toml::Value::from(origins.clone())),
        }
    }
}

/// A field of the configuration that an option can be kept in. `None` and `false` say that the
/// value is of another kind, which a test of the table rules out.
pub trait Field {
    /// The value of the field.
    fn get(&self) -> Value;
    /// Puts a value into the field; whether it fits.
    fn put(&mut self, value: Value) -> bool;
}

macro_rules! field {
    ($type:ty, $variant:ident, $get:expr, $put:expr) => {
        impl Field for $type {
            fn get(&self) -> Value {
                let get: fn(&$type) -> _ = $get;
                Value::$variant(get(self))
            }
            fn put(&mut self, value: Value) -> bool {
                let put: fn(&mut $type, _) = $put;
                let Value::$variant(value) = value else { return false };
                put(self, value);
                true
            }
        }
    };
}

/// A size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Size {
    /// The size as the number of bytes in memory.
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// The size for a field of 32 bits.
    pub fn bytes_u32(self) -> u32 {
        u32::try_from(self.0).unwrap_or(u32::MAX)
    }
}

field!(SocketAddr, Address, |own| *own, |own, value| *own = value);
field!(Size, Bytes, |own| own.0, |own, value| own.0 = value);
field!(u64, Count, |own| *own, |own, value| *own = value);
field!(Duration, Duration, |own| *own, |own, value| *own = value);
field!(bool, Switch, |own| *own, |own, value| *own = value);
field!(Vec<Namespace>, Names, |own| own.clone(), |own, value| *own = value);
field!(Vec<String>, Origins, |own| own.clone(), |own, value| *own = value);
field!(&'static str, Choice, |own| *own, |own, value| *own = value);
field!(Option<SocketAddr>, AddressOrOff, |own| *own, |own, value| *own = value);
field!(String, Text, |own| own.clone(), |own, value| *own = value);
field!(f64, Ratio, |own| *own, |own, value| *own = value);

#[cfg(test)]
mod tests {
    use super::*;

    fn is(kind: Kind, text: &str) -> bool {
        kind.parse(&Raw::Text(text.to_owned())).is_ok()
    }

    #[test]
    fn a_url_is_one_that_an_exporter_can_use_as_it_is() {
        for text in ["", "http://127.0.0.1:4317", "https://collector", "http://[::1]:4318/otlp/v1/traces"] {
            assert!(is(Kind::Url, text), "{text}");
        }
        for text in [
            "collector:4317",
            "localhost",
            "/v1/traces",
            "ftp://collector",
            "http://",
            "http://:4317",
            "http://collector:",
            "http://collector:65536",
            "http://name:password@collector",
            "http://collector/?key=1",
            "http://collector/#part",
            "http://two words",
        ] {
            assert!(!is(Kind::Url, text), "{text}");
        }
    }

    #[test]
    fn a_ratio_is_a_number_from_0_to_1() {
        for text in ["0", "1", "0.01", "1e-3", " 0.5 "] {
            assert!(is(Kind::Ratio, text), "{text}");
        }
        for text in ["", "-0.1", "1.1", "1%", "nan", "inf", "half"] {
            assert!(!is(Kind::Ratio, text), "{text}");
        }
    }

    #[test]
    fn an_address_can_be_off_where_an_option_says_so() {
        assert!(is(Kind::AddressOrOff, "off") && is(Kind::AddressOrOff, "[::]:7601"));
        assert!(!is(Kind::AddressOrOff, "") && !is(Kind::AddressOrOff, "none"));
        assert!(!is(Kind::Address, "off"));
    }
}
