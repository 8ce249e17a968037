//! The tables `[[issuers]]` of the configuration file: whose JWTs are taken, and by which keys.
//!
//! What an issuer has to be is checked by `auth`, where one that a program describes in Rust is checked too; the
//! files are read by whoever verifies.

use std::path::PathBuf;

use super::tables::{Entries, Wrong, list, only, text};
use super::units::{format_duration, parse_duration};
use crate::auth::{Issuer, KeysAt};
use crate::limits::LEEWAY_DEFAULT;

/// What is said of issuers where all options are listed.
pub const DOC: &str = "\
# Issuers: whose JWTs are taken. A JWT has to have iss, aud and exp, and names its caller jwt:NAME/SUBJECT.
# [[issuers]]
# name = \"corp\"
# issuer = \"https://id.corp\"             # its iss
# audience = \"bugle\"                     # its aud, or one of several: [\"bugle\", \"bus\"]
# algorithms = [\"RS256\"]                 # HS256…HS512, RS256…RS512, PS256…PS512, ES256, ES384, EdDSA
# jwks_url = \"https://id.corp/jwks\"      # or jwks_file, public_key_file (PEM), secret_file (HS256…)
# subject_claim = \"sub\"
# roles_claim = \"groups\"                 # who has role:NAME/GROUP; without it nobody
# leeway = \"30s\"                         # what the clocks may differ by
";

const KNOWN: [&str; 11] = [
    "name",
    "issuer",
    "audience",
    "algorithms",
    "jwks_url",
    "jwks_file",
    "public_key_file",
    "secret_file",
    "subject_claim",
    "roles_claim",
    "leeway",
];

/// The issuer that a table with these entries is; `place` is where it stands.
pub fn issuer(entries: &Entries, place: &str) -> Result<Issuer, Wrong> {
    only(entries, &KNOWN, "an issuer")?;
    let leeway = match text(entries, "leeway")? {
        None => LEEWAY_DEFAULT,
        Some(text) => {
            parse_duration(text).ok_or_else(|| about("leeway", "has to be a duration, such as 30s"))?
        }
    };
    let issuer = Issuer {
        name: needed(entries, "name")?.to_owned(),
        issuer: needed(entries, "issuer")?.to_owned(),
        audiences: list(entries, "audience")?.unwrap_or_default(),
        algorithms: list(entries, "algorithms")?.unwrap_or_default(),
        keys: keys(entries)?,
        subject_claim: text(entries, "subject_claim")?.unwrap_or("sub").to_owned(),
        roles_claim: text(entries, "roles_claim")?.map(str::to_owned),
        leeway,
        place: place.to_owned(),
    };
    issuer.check().map_err(|(entry, problem)| about(entry, &problem))?;
    Ok(issuer)
}

/// The one place where its keys are.
fn keys(entries: &Entries) -> Result<KeysAt, Wrong> {
    let mut found = Vec::new();
    for name in ["jwks_url", "jwks_file", "public_key_file", "secret_file"] {
        if let Some(text) = text(entries, name)? {
            let path = PathBuf::from(text);
            let keys = match name {
                "jwks_url" => KeysAt::Url(text.to_owned()),
                "jwks_file" => KeysAt::SetFile(path),
                "public_key_file" => KeysAt::PublicKeyFile(path),
                _ => KeysAt::SecretFile(path),
            };
            found.push(keys);
        }
    }
    match (found.pop(), found.is_empty()) {
        (Some(keys), true) => Ok(keys),
        (Some(keys), false) => Err(about(keys.entry(), "is one place of keys too many; give one alone")),
        (None, _) => Err((
            None,
            "has to have its keys: jwks_url, jwks_file, public_key_file or secret_file".to_owned(),
        )),
    }
}

/// What is wrong between issuers that are each right.
pub fn contradictions(issuers: &[Issuer]) -> Vec<(&'static str, String)> {
    Issuer::contradictions(issuers).into_iter().map(|problem| ("issuers", problem)).collect()
}

/// An issuer as a table.
pub fn print(issuer: &Issuer) -> String {
    let text = |text: &str| toml::Value::from(text).to_string();
    let list = |items: &[String]| items.iter().map(|item| text(item)).collect::<Vec<_>>().join(", ");
    let path = |path: &PathBuf| text(&path.to_string_lossy());
    let keys = match &issuer.keys {
        KeysAt::Url(url) => text(url),
        KeysAt::SetFile(at) | KeysAt::PublicKeyFile(at) | KeysAt::SecretFile(at) => path(at),
    };
    let keys = format!("{} = {keys}", issuer.keys.entry());
    let roles = issuer.roles_claim.as_deref().map(|claim| format!("roles_claim = {}\n", text(claim)));
    format!(
        "\n[[issuers]]\nname = {}\nissuer = {}\naudience = [{}]\nalgorithms = [{}]\n{keys}\nsubject_claim = {}\n\
         {}leeway = {}\n",
        text(&issuer.name),
        text(&issuer.issuer),
        list(&issuer.audiences),
        list(&issuer.algorithms),
        text(&issuer.subject_claim),
        roles.unwrap_or_default(),
        text(&format_duration(issuer.leeway)),
    )
}

fn needed<'a>(entries: &'a Entries, name: &str) -> Result<&'a str, Wrong> {
    text(entries, name)?.filter(|text| !text.is_empty()).ok_or_else(|| (None, format!("has to have {name}")))
}

fn about(name: &str, problem: &str) -> Wrong {
    (Some(name.to_owned()), problem.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Raw;

    fn read(changes: &[(&str, &str)]) -> Result<Issuer, Wrong> {
        let mut entries = vec![
            ("name", "corp"),
            ("issuer", "https://id.corp"),
            ("audience", "bugle"),
            ("algorithms", "RS256"),
            ("jwks_url", "https://id.corp/jwks"),
        ];
        for (name, value) in changes {
            entries.retain(|(known, _)| known != name);
            entries.push((name, value));
        }
        let given = entries.into_iter().filter(|(_, value)| *value != "-");
        let entries: Vec<_> =
            given.map(|(name, value)| (name.to_owned(), Raw::Text(value.to_owned()))).collect();
        issuer(&entries, "bugle.toml:1")
    }

    #[test]
    fn an_issuer_reads_as_it_is_printed() {
        for changes in [
            &[][..],
            &[("jwks_url", "http://127.0.0.1:1/jwks"), ("leeway", "1m"), ("roles_claim", "groups")],
            &[("jwks_url", "-"), ("jwks_file", "/a \"b\"/jwks.json"), ("algorithms", "EdDSA")],
            &[
                ("jwks_url", "-"),
                ("secret_file", "/secret"),
                ("algorithms", "HS512"),
                ("subject_claim", "email"),
            ],
        ] {
            let first = read(changes).unwrap();
            let printed: toml::Table = print(&first).parse().unwrap();
            let table = printed["issuers"][0].as_table().unwrap();
            let raw = |value: &toml::Value| match value {
                toml::Value::Array(items) => {
                    Raw::List(items.iter().map(|it| it.as_str().unwrap().to_owned()).collect())
                }
                value => Raw::Text(value.as_str().unwrap().to_owned()),
            };
            let entries: Vec<_> = table.iter().map(|(name, value)| (name.clone(), raw(value))).collect();
            assert_eq!(issuer(&entries, "bugle.toml:1").unwrap(), first);
        }
    }

    #[test]
    fn what_an_issuer_cannot_be_is_told() {
        for (changes, entry, words) in [
            (&[("audiance", "x")][..], Some("audiance"), "did you mean audience?"),
            (&[("name", "-")], None, "has to have name"),
            (&[("name", "a/b")], Some("name"), "without white space"),
            (&[("name", "a*")], Some("name"), "without white space"),
            (&[("name", "a b")], Some("name"), "without white space"),
            (&[("issuer", "")], None, "has to have issuer"),
            (&[("audience", "-")], Some("audience"), "made for others"),
            (&[("audience", "")], Some("audience"), "made for others"),
            (&[("algorithms", "-")], Some("algorithms"), "one at least"),
            (&[("algorithms", "none")], Some("algorithms"), "none that can be used"),
            (&[("algorithms", "HS256")], Some("algorithms"), "needs a secret_file"),
            (&[("jwks_url", "-"), ("secret_file", "/s")], Some("algorithms"), "needs a public key"),
            (&[("jwks_url", "-")], None, "has to have its keys"),
            (&[("jwks_file", "/a")], Some("jwks_file"), "one alone"),
            (&[("jwks_url", "http://id.corp/jwks")], Some("jwks_url"), "https://"),
            (&[("jwks_url", "http://127.0.0.1.evil/jwks")], Some("jwks_url"), "https://"),
            (&[("jwks_url", "http://localhost@evil/jwks")], Some("jwks_url"), "https://"),
            (&[("jwks_url", "file:///etc/passwd")], Some("jwks_url"), "https://"),
            (&[("leeway", "1h")], Some("leeway"), "5 minutes at most"),
            (&[("leeway", "soon")], Some("leeway"), "has to be a duration"),
            (&[("subject_claim", "")], Some("subject_claim"), "name of a claim"),
        ] {
            let (about, problem) = read(changes).unwrap_err();
            assert_eq!(about.as_deref(), entry, "{changes:?}: {problem}");
            assert!(problem.contains(words), "{changes:?}: {problem}");
        }
        let twice = [read(&[]).unwrap(), read(&[("name", "other")]).unwrap()];
        assert!(contradictions(&twice)[0].1.contains("already") && contradictions(&twice[..1]).is_empty());
    }
}
