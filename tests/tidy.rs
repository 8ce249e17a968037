//! The rules of the house, as tests: a rule that nobody checks is not a rule.
//!
//! Each test reads the sources and lists every place that breaks its rule, so that one run is
//! enough to put all of them right. What is allowed stands in the tables below.

mod survey;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::visit::Visit;

use survey::{Survey, banned};

const FILE_LINES_MAX: usize = 400;
/// `lib.rs` is the map of the crate and may take the room of one.
const FILE_DOC_LINES_MAX: usize = 15;
/// Lints that one file of `src` may switch off.
const ALLOWS_MAX: usize = 3;

/// Everything that stands at the top of the repository.
const TOP: [&str; 12] = [
    ".ci",
    ".gitignore",
    ".rustfmt.toml",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "deploy",
    "examples",
    "proto",
    "src",
    "tests",
];
/// What work in it leaves behind.
const LEFT_BEHIND: [&str; 3] = [".git", ".cache", "target"];

/// Who may import whom, besides itself.
const LAYERS: [(&str, &[&str]); 19] = [
    ("limits", &[]),
    ("sync", &[]),
    ("proto", &[]),
    ("error", &["limits"]),
    ("topic", &["error", "limits", "sync"]),
    ("store", &["error", "limits", "sync", "topic"]),
    ("trace", &["error", "limits", "topic"]),
    ("metrics", &["error", "limits", "quota", "topic", "trace"]),
    ("broker", &["error", "limits", "metrics", "quota", "store", "sync", "topic", "trace"]),
    ("webhook", &["auth", "broker", "error", "limits", "metrics", "store", "topic", "trace"]),
    ("auth", &["error", "limits", "topic"]),
    ("quota", &["auth", "error", "limits", "sync", "topic"]),
    ("config", &["auth", "error", "limits", "quota", "topic", "webhook"]),
    (
        "api",
        &[
            "auth", "broker", "error", "limits", "metrics", "proto", "quota", "store", "topic", "trace",
            "webhook",
        ],
    ),
    ("client", &["error", "limits", "proto", "topic"]),
    ("telemetry", &["config", "error", "limits", "metrics", "topic", "trace"]),
    (
        "server",
        &[
            "api",
            "auth",
            "broker",
            "config",
            "error",
            "limits",
            "metrics",
            "proto",
            "quota",
            "store",
            "telemetry",
            "topic",
            "trace",
            "webhook",
        ],
    ),
    ("cli", &["client", "config", "error", "limits", "metrics", "proto", "server", "telemetry", "topic"]),
    ("main", &["cli"]),
];

/// Crates that only some modules may name.
const CRATES: [(&str, &[&str]); 20] = [
    ("tonic", &["api", "client", "proto", "server"]),
    ("tonic_types", &["api", "client", "proto", "server"]),
    ("tonic_prost", &["api", "client", "proto", "server"]),
    ("prost", &["api", "cli", "client", "proto", "server"]),
    ("prost_types", &["api", "cli", "client", "proto", "server"]),
    ("http", &["api", "auth", "client", "config", "server", "telemetry", "webhook"]),
    ("http_body", &["api", "client", "server"]),
    ("hyper", &["api", "cli", "server"]),
    ("hyper_util", &["api", "cli", "client", "server", "webhook"]),
    ("jsonwebtoken", &["auth"]),
    ("tokio_tungstenite", &["api"]),
    ("ring", &["auth", "webhook"]),
    ("clap", &["cli", "main"]),
    ("crossterm", &["cli", "telemetry"]),
    ("unicode_width", &["cli"]),
    ("opentelemetry", &["client", "metrics", "telemetry"]),
    ("opentelemetry_sdk", &["metrics", "telemetry"]),
    ("opentelemetry_otlp", &["telemetry"]),
    ("opentelemetry_prometheus", &["metrics"]),
    ("prometheus", &["metrics"]),
];

struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// The path from the top of the repository.
    fn name(&self) -> String {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        self.path.strip_prefix(top).unwrap().display().to_string()
    }

    /// The module directly below the crate, for a file of `src`.
    fn module(&self) -> String {
        let name = self.name();
        name.trim_start_matches("src/").split(['/', '.']).next().unwrap().to_owned()
    }

    fn tokens(&self) -> TokenStream {
        self.text.parse().unwrap()
    }
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files below these directories, without what is generated.
fn sources(directories: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = directories.iter().map(|name| top().join(name)).collect();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !path.starts_with(top().join("src/proto"))
        {
            let text = fs::read_to_string(&path).unwrap();
            found.push(Source { path, text });
        }
    }
    assert!(!found.is_empty());
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn everything() -> Vec<Source> {
    sources(&["src", "tests", "examples"])
}

fn none(broken: Vec<String>) {
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn files_are_short() {
    let lines = |source: &Source| source.text.lines().count();
    let long = everything().into_iter().filter(|source| lines(source) > FILE_LINES_MAX);
    none(long.map(|file| format!("{} has {} lines", file.name(), lines(&file))).collect());
}

fn survey() -> Survey {
    let mut survey = Survey::default();
    for source in everything() {
        survey.file = source.name();
        survey.visit_file(&syn::parse_file(&source.text).unwrap());
    }
    survey
}

#[test]
fn functions_are_short() {
    none(survey().broken_lengths);
}

#[test]
fn names_say_what_a_thing_is() {
    let files = everything().into_iter().filter_map(|source| {
        let word = banned(source.path.file_stem().unwrap().to_str().unwrap())?;
        Some(format!("{} says \"{word}\"", source.name()))
    });
    none(files.chain(survey().broken_names).collect());
}

#[test]
fn modules_are_files_beside_their_directory() {
    let wrong = everything().into_iter().filter(|source| source.path.ends_with("mod.rs"));
    none(wrong.map(|source| source.name()).collect());
}

#[test]
fn every_file_says_what_it_is() {
    let mut broken = Vec::new();
    for source in everything() {
        let lines = source.text.lines().take_while(|line| line.starts_with("//!")).count();
        let is_map = source.path.ends_with("src/lib.rs");
        if lines == 0 || (lines > FILE_DOC_LINES_MAX && !is_map) {
            broken.push(format!("{} begins with {lines} lines of //!", source.name()));
        }
    }
    none(broken);
}

/// The tokens without what only tests see.
fn shipped(tokens: TokenStream) -> Vec<TokenTree> {
    let mut kept = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let is_hash = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '#');
        match tokens.peek() {
            Some(TokenTree::Group(group)) if is_hash && is_test(group.stream()) => {
                tokens.find(|token| match token {
                    TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                    TokenTree::Punct(punct) => punct.as_char() == ';',
                    _ => false,
                });
            }
            _ => kept.push(token),
        }
    }
    kept
}

/// Whether an attribute is `cfg(test)` or `cfg(all(test, …))`.
fn is_test(attribute: TokenStream) -> bool {
    let text = attribute.to_string().replace(' ', "");
    text.starts_with("cfg(test") || text.starts_with("cfg(all(test")
}

/// The first two names of each path: `("crate", "topic")`, `("tonic", "Status")`.
fn paths(tokens: TokenStream, found: &mut BTreeSet<(String, String)>) {
    let tokens = shipped(tokens);
    let colon = |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => paths(group.stream(), found),
            TokenTree::Ident(root) if colon(at + 1) && colon(at + 2) && !(at > 0 && colon(at - 1)) => {
                for name in heads(tokens.get(at + 3)) {
                    found.insert((root.to_string(), name));
                }
            }
            _ => {}
        }
    }
}

/// The name at this place, or the first name of each entry where it is a `{…}`.
fn heads(token: Option<&TokenTree>) -> Vec<String> {
    let Some(TokenTree::Group(group)) = token else {
        return token.iter().map(ToString::to_string).collect();
    };
    let mut names = Vec::new();
    let mut is_head = true;
    for token in group.stream() {
        match token {
            TokenTree::Ident(name) if is_head => {
                names.push(name.to_string());
                is_head = false;
            }
            TokenTree::Punct(punct) => is_head = punct.as_char() == ',',
            _ => {}
        }
    }
    names
}

fn may(table: &[(&str, &[&'static str])], name: &str) -> Option<Vec<&'static str>> {
    table.iter().find(|(known, _)| *known == name).map(|(_, allowed)| allowed.to_vec())
}

#[test]
fn modules_import_only_what_lies_below_them() {
    let mut broken = Vec::new();
    for source in sources(&["src"]) {
        let (name, module) = (source.name(), source.module());
        let is_for_tests =
            ["tests", "testing"].iter().any(|part| name.split(['/', '.']).any(|found| found == *part));
        if is_for_tests || module == "lib" {
            continue;
        }
        let Some(allowed) = may(&LAYERS, &module) else {
            broken.push(format!("{name}: say in LAYERS what module {module} may import"));
            continue;
        };
        let mut found = BTreeSet::new();
        paths(source.tokens(), &mut found);
        for (root, next) in found {
            let is_ours = root == "crate" || (root == "bugle" && module == "main");
            if is_ours && next != module && !allowed.contains(&next.as_str()) {
                broken.push(format!("{name}: {module} imports {next}"));
            }
            if may(&CRATES, &root).is_some_and(|modules| !modules.contains(&module.as_str())) {
                broken.push(format!("{name}: {root} has no place in {module}"));
            }
        }
    }
    none(broken);
}

#[test]
fn the_domain_knows_no_runtime() {
    let mut broken = Vec::new();
    for source in sources(&["src/topic.rs", "src/topic", "src/error.rs", "src/limits.rs"]) {
        let mut found = BTreeSet::new();
        paths(source.tokens(), &mut found);
        let wrong = found.into_iter().filter(|(root, _)| root == "tokio" || root == "futures");
        broken.extend(wrong.map(|(root, _)| format!("{} uses {root}", source.name())));
    }
    none(broken);
}

#[test]
fn one_file_knows_the_engine_behind_the_cluster() {
    let knows = |source: &Source| source.text.contains("async_nats::");
    assert!(sources(&["src"]).iter().filter(|source| knows(source)).count() <= 1);
}

#[test]
fn lints_are_not_switched_off_by_the_dozen_and_unsafe_never_on() {
    let lints = fs::read_to_string(top().join("Cargo.toml")).unwrap();
    assert!(lints.contains("unsafe_code = \"forbid\""));
    let mut broken = Vec::new();
    for source in sources(&["src"]) {
        let allows = source.text.lines().filter(|line| line.contains("[allow(") || line.contains("[expect("));
        let count: usize = allows.filter(|line| !line.contains("cfg_attr(test")).count();
        if count > ALLOWS_MAX {
            broken.push(format!("{} switches lints off {count} times", source.name()));
        }
    }
    none(broken);
}

#[test]
fn every_limit_says_its_unit_and_its_reason() {
    let mut broken = Vec::new();
    for source in sources(&["src/limits.rs", "src/limits"]) {
        let file = syn::parse_file(&source.text).unwrap();
        let constants = file.items.iter().filter_map(|item| match item {
            syn::Item::Const(constant) => Some(constant),
            _ => None,
        });
        let bare =
            constants.filter(|item| !item.attrs.iter().any(|attribute| attribute.path().is_ident("doc")));
        broken.extend(bare.map(|item| format!("{} has no comment", item.ident)));
    }
    none(broken);
}

#[test]
fn the_top_of_the_repository_is_what_it_should_be() {
    let names = fs::read_dir(top()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut there: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    there.retain(|name| !LEFT_BEHIND.contains(&name.as_str()));
    there.sort();
    assert_eq!(there, TOP);
}
