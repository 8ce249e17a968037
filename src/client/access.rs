//! Keys and tokens, and why something is allowed or refused.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::connection::Client;
use crate::error::Result;
use crate::limits::PAGE_SIZE_MAX;
use crate::proto::v1 as wire;
pub use wire::{Action, ExplainAccessResponse as Explanation, Grant};

/// Who may do what on a server; see [`Client::access`].
#[derive(Debug, Clone)]
pub struct Access {
    client: Client,
}

/// An API key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its id: part of the credential, and no secret.
    pub id: String,
    /// Whom it names: `key:NAME`.
    pub name: String,
    /// When it was made.
    pub created: SystemTime,
    /// When it expires, if it does.
    pub expires: Option<SystemTime>,
}

/// A disposable token. `token` is the credential: whoever has it may do what its grants say.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The credential.
    pub token: String,
    /// Whom it names: `token:ID`.
    pub principal: String,
    /// When it expires.
    pub expires: SystemTime,
}

impl Access {
    pub(super) fn new(client: Client) -> Self {
        Access { client }
    }

    /// Makes a token that may do what these grants say, for so long (default one hour). `id` is whom it
    /// names; the server makes one where it is empty. Errors: PERMISSION_DENIED for more than the caller
    /// may do itself.
    pub async fn create_token(&self, grants: Vec<Grant>, ttl: Option<Duration>, id: &str) -> Result<Token> {
        let request = wire::CreateTokenRequest { grants, ttl: ttl.map(duration), id: id.to_owned() };
        let mut access = self.client.accessing();
        let response = self.client.answer(Duration::ZERO, access.create_token(request)).await?;
        let wire::CreateTokenResponse { token, principal, expire_time_unix_nano } = response;
        Ok(Token { token, principal, expires: time(expire_time_unix_nano) })
    }

    /// Makes an API key of this name, for so long (default: until it is deleted). The second part is
    /// the credential, which the server shows only here.
    pub async fn create_key(&self, name: &str, ttl: Option<Duration>) -> Result<(KeyInfo, String)> {
        let request = wire::CreateKeyRequest { name: name.to_owned(), ttl: ttl.map(duration) };
        let mut access = self.client.accessing();
        let response = self.client.answer(Duration::ZERO, access.create_key(request)).await?;
        let wire::CreateKeyResponse { key, credential } = response;
        Ok((info(key.unwrap_or_default()), credential))
    }

    /// All API keys.
    pub async fn keys(&self) -> Result<Vec<KeyInfo>> {
        let (mut keys, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = wire::ListKeysRequest { page_size: PAGE_SIZE_MAX as u32, page_token };
            let mut access = self.client.accessing();
            let response = self.client.answer(Duration::ZERO, access.list_keys(request)).await?;
            keys.extend(response.keys.into_iter().map(info));
            if response.next_page_token.is_empty() {
                return Ok(keys);
            }
            page_token = response.next_page_token;
        }
    }

    /// Deletes a key: from now on it proves nothing. Errors: NOT_FOUND.
    pub async fn delete_key(&self, id: &str) -> Result<()> {
        let request = wire::DeleteKeyRequest { id: id.to_owned() };
        let mut access = self.client.accessing();
        self.client.answer(Duration::ZERO, access.delete_key(request)).await.map(|_| ())
    }

    /// Which rule decides whether a principal may do something to a topic of the client's namespace.
    pub async fn explain(&self, principal: &str, action: Action, topic: &str) -> Result<Explanation> {
        let request = wire::ExplainAccessRequest {
            principal: principal.to_owned(),
            action: action.into(),
            namespace: self.client.namespace().to_owned(),
            topic: topic.to_owned(),
        };
        let mut access = self.client.accessing();
        self.client.answer(Duration::ZERO, access.explain_access(request)).await
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("principal", &self.principal).finish_non_exhaustive()
    }
}

fn info(key: wire::Key) -> KeyInfo {
    let wire::Key { id, name, create_time_unix_nano, expire_time_unix_nano } = key;
    let expires = (expire_time_unix_nano > 0).then(|| time(expire_time_unix_nano));
    KeyInfo { id, name, created: time(create_time_unix_nano), expires }
}

fn time(unix_nanos: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(unix_nanos)
}

fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or_default(),
    }
}
