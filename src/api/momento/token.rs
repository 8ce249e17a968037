//! Tokens and keys: the bus's own, asked for in the words of Momento.
//!
//! Some clients say who they are in the request alone, and not in the metadata, so both are looked at.

use std::time::Duration;

use super::permissions::{self, Asked};
use super::unary::Call;
use super::{Caller, Momento};
use crate::api::audit;
use crate::auth::{Action, Identity, MintedToken, Presented, Resource};
use crate::error::{Code, Error, Result};
use crate::limits::TOKEN_TTL_MAX;
use crate::proto::momento::auth::generate_api_token_request::{self as generate_api, Expiry};
use crate::proto::momento::auth::{
    GenerateApiTokenRequest, GenerateApiTokenResponse, RefreshApiTokenRequest, RefreshApiTokenResponse,
};
use crate::proto::momento::permission_messages::Permissions;
use crate::proto::momento::token::generate_disposable_token_request::Expires;
use crate::proto::momento::token::{GenerateDisposableTokenRequest, GenerateDisposableTokenResponse};

/// What Momento's clients put in front of the endpoint that a token names.
const SERVICES: [&str; 3] = ["token.", "control.", "cache."];

/// A disposable token.
pub async fn disposable(
    momento: Momento,
    call: Call,
    request: GenerateDisposableTokenRequest,
) -> Result<GenerateDisposableTokenResponse> {
    let GenerateDisposableTokenRequest { expires, auth_token, permissions, token_id } = request;
    let minter = identity(&momento, &call.caller, &auth_token, call.begun)?;
    let seconds = expires.map(|Expires { valid_for_seconds }| valid_for_seconds);
    let seconds = seconds.ok_or_else(|| Error::field("expires", "has to be given"))?;
    let asked = Wanted { permissions, seconds, id: &token_id };
    let minted = mint(&momento, &call, &minter, asked)?;
    Ok(GenerateDisposableTokenResponse {
        api_key: minted.credential.expose_text().to_owned(),
        endpoint: endpoint(&momento, &call),
        valid_until: seconds_of(minted.expires),
    })
}

/// A key: one that ends is a token, and one that does not is an API key, whose name the policies know.
pub async fn api(
    momento: Momento,
    call: Call,
    request: GenerateApiTokenRequest,
) -> Result<GenerateApiTokenResponse> {
    let GenerateApiTokenRequest { auth_token, permissions, token_id, description: _, expiry } = request;
    let caller = identity(&momento, &call.caller, &auth_token, call.begun)?;
    let (api_key, valid_until) = match expiry.ok_or_else(|| Error::field("expiry", "has to be given"))? {
        Expiry::Expires(generate_api::Expires { valid_for_seconds: seconds }) => {
            let minted = mint(&momento, &call, &caller, Wanted { permissions, seconds, id: &token_id })?;
            (minted.credential.expose_text().to_owned(), seconds_of(minted.expires))
        }
        Expiry::Never(_) => (lasting(&momento, &call, &caller, permissions, token_id).await?, 0),
    };
    let endpoint = endpoint(&momento, &call);
    Ok(GenerateApiTokenResponse { api_key, refresh_token: String::new(), endpoint, valid_until })
}

/// A key that is made again cannot be told from one that somebody else has found, so there is none.
pub async fn refresh(_: Momento, _: Call, _: RefreshApiTokenRequest) -> Result<RefreshApiTokenResponse> {
    let message = "keys are not refreshed here; generate a new one, or make one that does not end \
                   (`bugle keys create`)";
    Err(Error::new(Code::Unimplemented, message))
}

/// A token that is wanted.
struct Wanted<'a> {
    permissions: Option<Permissions>,
    seconds: u32,
    id: &'a str,
}

fn mint(momento: &Momento, call: &Call, minter: &Identity, wanted: Wanted<'_>) -> Result<MintedToken> {
    let Wanted { permissions, seconds, id } = wanted;
    let ttl = Duration::from_secs(seconds.into());
    if ttl.is_zero() || ttl > TOKEN_TTL_MAX {
        let most = TOKEN_TTL_MAX.as_secs();
        return Err(Error::field("expires.valid_for_seconds", format!("has to be from 1 to {most}")));
    }
    let grants = permissions::read(permissions)?.into_grants();
    let id = (!id.is_empty()).then_some(id);
    let minted = momento.host.rights.access().mint(minter, &grants, ttl, id, call.begun)?;
    audit::done(Some(minter), call.caller.address(), "token.created", &minted.principal);
    Ok(minted)
}

/// An API key. What it may do stands in the policies, so it is made only where those give its name what
/// is asked for.
async fn lasting(
    momento: &Momento,
    call: &Call,
    caller: &Identity,
    permissions: Option<Permissions>,
    name: String,
) -> Result<String> {
    let host = &momento.host;
    host.rights.check(Some(caller), call.caller.address(), Action::Admin, Resource::Server)?;
    let name = if name.is_empty() { "momento".to_owned() } else { name };
    let access = host.rights.access().clone();
    let is_covered = match permissions::read(permissions)? {
        Asked::Everything => access.covers_everything(&name)?,
        Asked::Grants(_) => false,
    };
    if !is_covered {
        let message = format!(
            "a key that does not expire has the permissions that the server's policies give its name, and \
             they do not give key:{name} these; let it expire, or write a policy and `bugle keys create`"
        );
        return Err(Error::new(Code::FailedPrecondition, message).reason("POLICY"));
    }
    let begun = call.begun;
    // Keys are written to a disk, which calls of others shall not wait for.
    let issued = tokio::task::spawn_blocking(move || access.create_key(&name, None, begun)).await;
    let issued =
        issued.map_err(|error| Error::new(Code::Internal, "a key was not made").because(error))??;
    audit::done(Some(caller), call.caller.address(), "key.created", &issued.key.principal);
    Ok(issued.credential.expose_text().to_owned())
}

/// Who calls: as the metadata say, or the request.
fn identity(momento: &Momento, caller: &Caller, credential: &str, now: u64) -> Result<Identity> {
    let access = momento.host.rights.access();
    if let Some(identity) = caller.identity() {
        return Ok(identity.clone());
    }
    let certificate = caller.peer().and_then(|peer| peer.certificate());
    let credential = Some(credential).filter(|credential| !credential.is_empty());
    let identity = access
        .authenticate(Presented { credential, certificate }, now)
        .inspect_err(|error| momento.host.rights.unknown(caller.address(), error))?;
    Ok(identity)
}

/// Where clients that are given a token find the server.
fn endpoint(momento: &Momento, call: &Call) -> String {
    if !momento.options.endpoint.is_empty() {
        return momento.options.endpoint.clone();
    }
    let asked = call.authority.as_str();
    let stripped = SERVICES.iter().find_map(|service| asked.strip_prefix(service));
    stripped.unwrap_or(asked).trim_end_matches(":443").to_owned()
}

fn seconds_of(nanos: u64) -> u64 {
    nanos / 1_000_000_000
}
