//! The sections `auth` and `tls`, and the tables `[[policies]]` and `[[roles]]` of the configuration file: who calls,
//! and what they may do.

use super::tables::{Entries, Wrong, about, list, only, text};
use crate::auth::{Actions, Grant, Role, Rule, Who};
use crate::limits::{POLICIES_MAX, ROLE_MEMBERS_MAX};
use crate::topic::{Namespace, Pattern};

/// The section `auth`. An empty path is one that was not given.
#[derive(Debug, Clone, Default)]
pub struct Auth {
    /// Whether callers have to prove who they are.
    pub enabled: bool,
    /// Whether everybody who reaches the server may do everything, beyond this machine too.
    pub insecure: bool,
    /// Where API keys are kept.
    pub keys_file: String,
    /// What disposable tokens are signed with.
    pub token_secret_file: String,
}

/// The section `tls`. An empty path is one that was not given.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The certificate, and those between it and its authority.
    pub cert: String,
    /// Its private key.
    pub key: String,
    /// The authorities of clients.
    pub client_ca: String,
    /// Certificates that they have revoked.
    pub crl: String,
    /// `off`, `optional` or `required`.
    pub client_auth: &'static str,
}

impl Default for Tls {
    fn default() -> Self {
        let none = String::new;
        Tls { cert: none(), key: none(), client_ca: none(), crl: none(), client_auth: "off" }
    }
}

impl Tls {
    /// What is wrong between options that are each right.
    pub fn contradictions(&self) -> Vec<(&'static str, String)> {
        let (has_cert, asks) = (!self.cert.is_empty(), self.client_auth != "off");
        let found = [
            (
                has_cert && self.key.is_empty(),
                "tls.cert",
                "needs tls.key, the private key of the certificate",
            ),
            (!has_cert && !self.key.is_empty(), "tls.key", "needs tls.cert, the certificate of the key"),
            (asks && !has_cert, "tls.client_auth", "needs TLS: give tls.cert and tls.key"),
            (
                asks && self.client_ca.is_empty(),
                "tls.client_auth",
                "needs tls.client_ca, whose clients are trusted",
            ),
            (
                !asks && !self.client_ca.is_empty(),
                "tls.client_ca",
                "means nothing while tls.client_auth is off",
            ),
            (!asks && !self.crl.is_empty(), "tls.crl", "means nothing while tls.client_auth is off"),
        ];
        found
            .into_iter()
            .filter(|(is_wrong, ..)| *is_wrong)
            .map(|(_, key, text)| (key, text.to_owned()))
            .collect()
    }
}

/// What is said of policies where all options are listed.
pub const POLICIES_DOC: &str = "\
# Policies: what no policy allows is refused. A name ends in * where it is the beginning of names. They
# count where auth.enabled is true, and are read again on SIGHUP.
# [[policies]]
# principal = \"key:billing\"             # or jwt:ISSUER/SUBJECT, cert:NAME, role:NAME, *
# namespace = \"default\"
# topic = \"invoices.*\"                  # without it: every topic
# actions = [\"publish\", \"subscribe\"]    # and admin
";

/// What is said of roles there.
pub const ROLES_DOC: &str = "\
# Roles: names for principals, so that a policy can be for several.
# [[roles]]
# name = \"writers\"
# members = [\"key:billing\", \"jwt:corp/*\"]
";

/// The policy that a table with these entries is; `place` is where it stands.
pub fn policy(entries: &Entries, place: &str) -> Result<Rule, Wrong> {
    only(entries, &["principal", "namespace", "topic", "actions"], "a policy")?;
    let who = Who::parse("principal", text(entries, "principal")?.ok_or_else(|| missing("principal"))?);
    let namespace = text(entries, "namespace")?.unwrap_or(Namespace::DEFAULT);
    let actions = list(entries, "actions")?.ok_or_else(|| missing("actions"))?;
    Ok(Rule {
        who: who.map_err(|error| about("principal", &error))?,
        grant: Grant {
            namespace: Pattern::parse("namespace", namespace).map_err(|error| about("namespace", &error))?,
            topic: Pattern::parse("topic", text(entries, "topic")?.unwrap_or("*"))
                .map_err(|error| about("topic", &error))?,
            actions: Actions::parse(actions.iter().map(String::as_str))
                .map_err(|error| about("actions", &error))?,
        },
        place: place.to_owned(),
    })
}

/// The role that a table with these entries is.
pub fn role(entries: &Entries, place: &str) -> Result<Role, Wrong> {
    only(entries, &["name", "members"], "a role")?;
    let name = text(entries, "name")?.ok_or_else(|| missing("name"))?;
    // Those of an issuer's tokens have a slash, and only the issuer says who has them.
    let Ok(Who::Role(name)) = Who::parse("name", &format!("role:{name}")) else {
        return Err((Some("name".to_owned()), "has to be a name without white space and *".to_owned()));
    };
    if name.contains('/') {
        return Err((
            Some("name".to_owned()),
            "has a slash: such roles come with the JWTs of an issuer".to_owned(),
        ));
    }
    let members = list(entries, "members")?.ok_or_else(|| missing("members"))?;
    if members.len() > ROLE_MEMBERS_MAX {
        let problem = format!("are {}; at most {ROLE_MEMBERS_MAX} are allowed", members.len());
        return Err((Some("members".to_owned()), problem));
    }
    let members = members.iter().map(|member| match Who::parse("members", member) {
        Ok(Who::Role(_)) => Err((Some("members".to_owned()), "a role is no member of a role".to_owned())),
        Ok(who) => Ok(who),
        Err(error) => Err(about("members", &error)),
    });
    Ok(Role { name, members: members.collect::<Result<_, _>>()?, place: place.to_owned() })
}

/// What is wrong between policies and roles that are each right.
pub fn contradictions(policies: &[Rule], roles: &[Role]) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    if policies.len() > POLICIES_MAX || roles.len() > POLICIES_MAX {
        found.push(("policies", format!("there are more than {POLICIES_MAX}")));
    }
    for (at, role) in roles.iter().enumerate() {
        if roles[..at].iter().any(|other| other.name == role.name) {
            found.push(("roles", format!("{}: there is a role {:?} already", role.place, role.name)));
        }
    }
    for rule in policies {
        // A role with a slash is an issuer's, and nobody knows its roles in advance.
        if let Who::Role(name) = &rule.who
            && !name.contains('/')
            && !roles.iter().any(|role| role.name == *name)
        {
            found.push((
                "policies",
                format!("{}: there is no role {name:?}; define it in [[roles]]", rule.place),
            ));
        }
    }
    found
}

/// A policy as a table.
pub fn print_policy(rule: &Rule) -> String {
    let quoted = |text: String| toml::Value::from(text).to_string();
    let actions: Vec<String> =
        rule.grant.actions.iter().map(|action| quoted(action.as_str().to_owned())).collect();
    format!(
        "\n[[policies]]\nprincipal = {}\nnamespace = {}\ntopic = {}\nactions = [{}]\n",
        quoted(rule.who.to_string()),
        quoted(rule.grant.namespace.to_string()),
        quoted(rule.grant.topic.to_string()),
        actions.join(", ")
    )
}

/// A role as a table.
pub fn print_role(role: &Role) -> String {
    let quoted = |text: String| toml::Value::from(text).to_string();
    let members: Vec<String> = role.members.iter().map(|who| quoted(who.to_string())).collect();
    format!("\n[[roles]]\nname = {}\nmembers = [{}]\n", quoted(role.name.to_string()), members.join(", "))
}

fn missing(name: &str) -> Wrong {
    (None, format!("has to have {name}"))
}
