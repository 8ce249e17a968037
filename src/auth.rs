//! Who calls, and what they may do.
//!
//! A credential (an API key, a JWT, a certificate, a token that Bugle minted) proves an [`Identity`];
//! [`Access`] is the one door: it authenticates a call and decides whether it may go on. `api` asks it
//! before the broker is called, so a program that embeds the broker needs none of this. Where
//! authentication is off everybody is [`Principal::anonymous`] and may do everything.

mod access;
mod explain;
mod grant;
mod identity;
mod issuer;
mod issuers;
mod jwks;
mod jwt;
mod key;
mod policy;
mod principal;
mod refusal;
mod secret;
mod signature;
mod token;
mod vault;
mod who;

pub use access::{Access, Presented, Resource, Settings};
pub use explain::Explanation;
pub use grant::{Actions, Grant};
pub use identity::{Identity, Proof};
pub use issuer::{Issuer, KeysAt};
pub use issuers::Issuers;
pub use jwks::{KeySet, KeySource};
pub use key::{IssuedKey, Key, KeyId};
pub use policy::{Policies, Role, Rule};
pub use principal::{Kind, Principal};
pub use secret::Secret;
pub use token::MintedToken;
pub use vault::Vault;
pub use who::Who;

/// What is done to a topic, a namespace or the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Publishing messages.
    Publish,
    /// Subscribing to messages, and seeing that their topic exists.
    Subscribe,
    /// Everything else: creating, changing and deleting, keys and tokens, the log.
    Admin,
}

impl Action {
    /// Every action, in the order of the declaration.
    pub const ALL: [Action; 3] = [Action::Publish, Action::Subscribe, Action::Admin];

    /// Its name, as policies have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Publish => "publish",
            Action::Subscribe => "subscribe",
            Action::Admin => "admin",
        }
    }

    /// The action of this name.
    pub fn parse(name: &str) -> Option<Action> {
        Action::ALL.into_iter().find(|action| action.as_str() == name)
    }
}
