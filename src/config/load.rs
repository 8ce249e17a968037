//! From the sources to a configuration: read all of them, collect every mistake, apply what is
//! right in order, later ones over earlier ones.
//!
//! Nothing here touches the process: the command line passes the environment and the flags in, so
//! tests can say what they are.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::config::Config;
use crate::config::loaded::Loaded;
use crate::config::mistake::{Mistake, Mistakes, Origin};
use crate::config::nearest::nearest;
use crate::config::standard;
use crate::config::table::{OPTIONS, option};
use crate::config::tables::{self, Table};
use crate::config::value::Raw;

/// Names the configuration file in the environment; the flag wins.
const FILE_VARIABLE: &str = "BUGLE_CONFIG";
/// Variables that belong to the command line's clients, not to the server.
const OTHER_VARIABLES: &[&str] = &[FILE_VARIABLE, "BUGLE_SERVER", "BUGLE_NAMESPACE", "BUGLE_CREDENTIAL"];
const PREFIX: &str = "BUGLE_";

/// One option as the command line says it.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The key, as the user wrote it.
    pub key: String,
    /// The value.
    pub raw: Raw,
    /// How it was written: `--listen`, `--set listen=…`.
    pub flag: String,
}

/// Everything a configuration is made of.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The configuration file.
    pub file: Option<PathBuf>,
    /// The environment; what begins with neither `BUGLE_` nor `OTEL_` is passed over.
    pub environment: Vec<(String, String)>,
    /// The flags, in order.
    pub flags: Vec<Setting>,
}

impl Sources {
    /// The configuration, or everything that is wrong with it.
    pub fn load(self) -> Result<Loaded, Mistakes> {
        let mut loading = Loading::default();
        let variable = self.environment.iter().find(|(name, _)| name == FILE_VARIABLE);
        match (self.file, variable) {
            (Some(path), _) => loading.file(&path, Origin::Flag("--config".to_owned())),
            (None, Some((name, path))) => loading.file(Path::new(path), Origin::Variable(name.clone())),
            (None, None) => {}
        }
        let mut environment = self.environment;
        environment.sort();
        for meaning in standard::meanings(&environment) {
            let origin = Origin::Variable(meaning.variable.to_owned());
            let outcome = match meaning.value {
                Ok(raw) => loading.set(meaning.key, &raw, origin),
                Err((value, problem)) => Err(Mistake { origin, key: format!("{value:?}"), problem }),
            };
            loading.warnings.extend(outcome.err());
        }
        for (name, value) in environment {
            loading.variable(name, value);
        }
        for setting in self.flags {
            loading.value(&setting.key, &setting.raw, Origin::Flag(setting.flag));
        }
        loading.finish()
    }
}

#[derive(Default)]
struct Loading {
    config: Config,
    origins: HashMap<&'static str, Origin>,
    unknown_variables: Vec<String>,
    warnings: Vec<Mistake>,
    mistakes: Vec<Mistake>,
}

impl Loading {
    fn file(&mut self, path: &Path, named_by: Origin) {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                let problem = format!("cannot be read: {error}; check the path and its permissions");
                return self.mistake(named_by, path.display().to_string(), problem);
            }
        };
        let place = |offset: usize| {
            let before = text.get(..offset).unwrap_or(&text);
            Origin::File(path.to_owned(), before.matches('\n').count() + 1)
        };
        let (table, errors) = DeTable::parse_recoverable(&text);
        if !errors.is_empty() {
            for error in errors {
                let offset = error.span().map_or(0, |span| span.start);
                self.mistake(
                    place(offset),
                    String::new(),
                    format!("is not TOML: {}", error.message().trim()),
                );
            }
            return;
        }
        self.section("", table.get_ref(), &place);
    }

    fn section(&mut self, prefix: &str, table: &DeTable<'_>, place: &dyn Fn(usize) -> Origin) {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (name, value) in entries {
            let (origin, key) = (place(name.span().start), format!("{prefix}{}", name.get_ref()));
            match value.get_ref() {
                DeValue::Table(inner) if option(&key).is_none() => {
                    let prefix = format!("{key}.");
                    if OPTIONS.iter().any(|option| option.key.starts_with(&prefix)) {
                        self.section(&prefix, inner, place);
                    } else {
                        self.mistakes.push(unknown(&key, origin));
                    }
                }
                value => match (value, tables::table(&key), raw(value)) {
                    (DeValue::Array(all), Some(kind), _) => self.tables(kind, all, &origin, place),
                    (_, _, Some(raw)) => self.value(&key, &raw, origin),
                    (_, _, None) => match option(&key) {
                        Some(option) => {
                            self.mistake(origin, key, format!("has to be {}", option.kind));
                        }
                        None => self.mistakes.push(unknown(&key, origin)),
                    },
                },
            }
        }
    }

    /// The tables of a kind, which this array is to have and nothing else.
    fn tables(
        &mut self,
        kind: &Table,
        tables: &[Spanned<DeValue<'_>>],
        origin: &Origin,
        place: &dyn Fn(usize) -> Origin,
    ) {
        for (number, table) in tables.iter().enumerate() {
            let key = format!("{}[{number}]", kind.key);
            let DeValue::Table(table) = table.get_ref() else {
                let problem = format!("has to be a table: begin it with [[{}]]", kind.key);
                self.mistake(origin.clone(), key, problem);
                continue;
            };
            let line = table.keys().map(|name| name.span().start).min().map_or(origin.clone(), place);
            let entry = |(name, value): (&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| {
                let value = raw(value.get_ref()).unwrap_or(Raw::List(Vec::new()));
                (name.get_ref().to_string(), value)
            };
            let entries: Vec<_> = table.iter().map(entry).collect();
            if let Err((entry, problem)) = (kind.add)(&mut self.config, &entries, &line.to_string()) {
                let named =
                    entry.as_deref().and_then(|entry| table.keys().find(|name| name.get_ref() == entry));
                let line = named.map_or(line, |name| place(name.span().start));
                let key = entry.map_or(key.clone(), |entry| format!("{key}.{entry}"));
                self.mistake(line, key, problem);
            }
        }
        self.origins.insert(kind.key, origin.clone());
    }

    fn variable(&mut self, name: String, value: String) {
        if !name.starts_with(PREFIX) || OTHER_VARIABLES.contains(&name.as_str()) {
            return;
        }
        let variables: Vec<(String, &str)> =
            OPTIONS.iter().map(|option| (option.variable(), option.key)).collect();
        if let Some((_, key)) = variables.iter().find(|(variable, _)| *variable == name) {
            return self.value(key, &Raw::Text(value), Origin::Variable(name));
        }
        match nearest(&name[PREFIX.len()..], variables.iter().map(|(variable, _)| &variable[PREFIX.len()..]))
        {
            Some(meant) => {
                let problem = format!("is no option; did you mean {PREFIX}{meant}?");
                self.mistake(Origin::Variable(name), String::new(), problem);
            }
            None => self.unknown_variables.push(name),
        }
    }

    fn value(&mut self, key: &str, raw: &Raw, origin: Origin) {
        let outcome = self.set(key, raw, origin);
        self.mistakes.extend(outcome.err());
    }

    fn set(&mut self, key: &str, raw: &Raw, origin: Origin) -> Result<(), Mistake> {
        let Some(option) = option(key) else { return Err(unknown(key, origin)) };
        match option.kind.parse(raw) {
            Ok(value) => {
                (option.put)(&mut self.config, value);
                self.origins.insert(option.key, origin);
                Ok(())
            }
            Err(problem) => Err(Mistake { origin, key: format!("{key} = {raw}"), problem }),
        }
    }

    fn mistake(&mut self, origin: Origin, key: String, problem: String) {
        self.mistakes.push(Mistake { origin, key, problem });
    }

    fn finish(mut self) -> Result<Loaded, Mistakes> {
        if self.mistakes.is_empty() {
            for (key, problem) in self.config.contradictions() {
                let origin = self.origins.get(key).cloned().unwrap_or(Origin::Default);
                self.mistake(origin, key.to_owned(), problem);
            }
        }
        if !self.mistakes.is_empty() {
            return Err(Mistakes(self.mistakes));
        }
        let Loading { config, origins, unknown_variables, warnings, .. } = self;
        Ok(Loaded { config, unknown_variables, warnings, origins })
    }
}

fn unknown(key: &str, origin: Origin) -> Mistake {
    let problem = match nearest(key, OPTIONS.iter().map(|option| option.key)) {
        Some(meant) => format!("is no option; did you mean {meant}?"),
        None => "is no option; `bugle serve --check` prints all there are".to_owned(),
    };
    Mistake { origin, key: key.to_owned(), problem }
}

/// A scalar or a list of strings, as text; `None` for what no option can be.
fn raw(value: &DeValue<'_>) -> Option<Raw> {
    match value {
        DeValue::String(text) => Some(Raw::Text(text.to_string())),
        DeValue::Integer(number) if number.radix() == 10 => Some(Raw::Text(number.as_str().to_owned())),
        DeValue::Integer(number) => {
            u64::from_str_radix(number.as_str(), number.radix()).ok().map(|n| Raw::Text(n.to_string()))
        }
        DeValue::Float(number) => Some(Raw::Text(number.as_str().to_owned())),
        DeValue::Boolean(on) => Some(Raw::Text(on.to_string())),
        DeValue::Array(items) => items
            .iter()
            .map(|item| item.get_ref().as_str().map(str::to_owned))
            .collect::<Option<Vec<String>>>()
            .map(Raw::List),
        DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}
