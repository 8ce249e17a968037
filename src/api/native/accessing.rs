//! The Access service: keys, tokens, and why something is allowed or refused.

use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use tonic::codegen::Service;
use tonic::{Response, Status};

use super::administering::{Administering, Asked};
use super::{Intake, Native, convert};
use crate::api::reply::Answer;
use crate::api::status::{readable, status};
use crate::auth::{self, Action, Grant, Identity, Principal, Resource};
use crate::error::{Code, Error, Result};
use crate::limits::TOKEN_TTL_DEFAULT;
use crate::proto::v1::access_server::{Access, AccessServer};
use crate::proto::v1::{
    Action as WireAction, CreateKeyRequest, CreateKeyResponse, CreateTokenRequest, CreateTokenResponse,
    DeleteKeyRequest, DeleteKeyResponse, ExplainAccessRequest, ExplainAccessResponse, Grant as WireGrant,
    Key, ListKeysRequest, ListKeysResponse,
};
use crate::store::unix_nanos;
use crate::topic::TopicName;

/// Answers a call of Access.
pub fn answer(native: Native, mut request: Request<Incoming>) -> Answer {
    let (bytes_max, span) = (native.max_message_bytes, Administering::begin(&native, &mut request));
    let request = request.map(|body| Intake::single(body, &native));
    let answer = AccessServer::new(native).max_decoding_message_size(bytes_max).call(request);
    Answer::Generated(Box::pin(Administering::around(span, async move { answer.await.map(readable) })))
}

type Answered<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Access for Native {
    async fn create_token(
        &self,
        request: tonic::Request<CreateTokenRequest>,
    ) -> Answered<CreateTokenResponse> {
        let asked = Asked::of(self, &request);
        let CreateTokenRequest { grants, ttl, id } = request.into_inner();
        let ttl = ttl.map_or(Ok(TOKEN_TTL_DEFAULT), span).map_err(status)?;
        let grants: Result<Vec<Grant>> = grants.into_iter().enumerate().map(grant).collect();
        let grants = grants.map_err(status)?;
        let id = (!id.is_empty()).then_some(id.as_str());
        let anonymous = Identity::anonymous();
        let minter = asked.identity().unwrap_or(&anonymous);
        let minted = self.rights.access().mint(minter, &grants, ttl, id, unix_nanos()).map_err(status)?;
        asked.has("token.created", &minted.principal);
        Ok(Response::new(CreateTokenResponse {
            token: minted.credential.expose_text().to_owned(),
            principal: minted.principal.to_string(),
            expire_time_unix_nano: minted.expires,
        }))
    }

    async fn create_key(&self, request: tonic::Request<CreateKeyRequest>) -> Answered<CreateKeyResponse> {
        let asked = Asked::of(self, &request);
        asked.wants(Action::Admin, Resource::Server)?;
        let CreateKeyRequest { name, ttl } = request.into_inner();
        let ttl = ttl.map(span).transpose().map_err(status)?;
        // Keys are written to a disk, which calls of others shall not wait for.
        let access = self.rights.access().clone();
        let issued = blocking(move || access.create_key(&name, ttl, unix_nanos())).await?;
        asked.has("key.created", described(&issued.key));
        let credential = issued.credential.expose_text().to_owned();
        Ok(Response::new(CreateKeyResponse { key: Some(key(&issued.key)), credential }))
    }

    async fn list_keys(&self, request: tonic::Request<ListKeysRequest>) -> Answered<ListKeysResponse> {
        Asked::of(self, &request).wants(Action::Admin, Resource::Server)?;
        let ListKeysRequest { page_size, page_token } = request.into_inner();
        let most = convert::page_size(page_size);
        let all = self.rights.access().keys().map_err(status)?;
        let mut keys: Vec<Key> =
            all.iter().map(key).filter(|key| key.id > page_token).take(most + 1).collect();
        let has_more = keys.len() > most;
        keys.truncate(most);
        let next_page_token = keys.last().filter(|_| has_more).map(|key| key.id.clone()).unwrap_or_default();
        Ok(Response::new(ListKeysResponse { keys, next_page_token }))
    }

    async fn delete_key(&self, request: tonic::Request<DeleteKeyRequest>) -> Answered<DeleteKeyResponse> {
        let asked = Asked::of(self, &request);
        asked.wants(Action::Admin, Resource::Server)?;
        let DeleteKeyRequest { id } = request.into_inner();
        let access = self.rights.access().clone();
        let deleted = blocking(move || access.delete_key(&id)).await?;
        asked.has("key.deleted", described(&deleted));
        Ok(Response::new(DeleteKeyResponse {}))
    }

    async fn explain_access(
        &self,
        request: tonic::Request<ExplainAccessRequest>,
    ) -> Answered<ExplainAccessResponse> {
        Asked::of(self, &request).wants(Action::Admin, Resource::Server)?;
        let request = request.into_inner();
        let action = action(request.action).map_err(status)?;
        let ExplainAccessRequest { principal, action: _, namespace, topic } = request;
        let principal = Principal::parse(&principal).map_err(status)?;
        let name = TopicName::parse(&namespace, &topic).map_err(status)?;
        let explanation = self.rights.access().explain(&principal, action, Resource::Topic(&name));
        let notes = explanation.lines();
        let (rule, place) = explanation.rule.map(|rule| (rule.text, rule.place)).unwrap_or_default();
        Ok(Response::new(ExplainAccessResponse { allowed: explanation.allowed, rule, place, notes }))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T, Status> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome.map_err(status),
        Err(_) => Err(status(Error::new(Code::Unavailable, "the server is about to end; ask the next one"))),
    }
}

fn described(key: &auth::Key) -> String {
    format!("{} ({})", key.principal, key.id)
}

fn key(key: &auth::Key) -> Key {
    Key {
        id: key.id.to_string(),
        name: key.principal.name().to_owned(),
        create_time_unix_nano: key.created,
        expire_time_unix_nano: key.expires.unwrap_or(0),
    }
}

fn grant((at, grant): (usize, WireGrant)) -> Result<Grant> {
    let under = |error: Error| error.under(&format!("grants[{at}]"));
    let WireGrant { namespace, topic, actions } = grant;
    let actions: Result<Vec<Action>> = actions.into_iter().map(action).collect();
    Grant::parse(&namespace, &topic, &actions.map_err(under)?).map_err(under)
}

fn action(wire: i32) -> Result<Action> {
    match WireAction::try_from(wire) {
        Ok(WireAction::Publish) => Ok(Action::Publish),
        Ok(WireAction::Subscribe) => Ok(Action::Subscribe),
        Ok(WireAction::Admin) => Ok(Action::Admin),
        Ok(WireAction::Unspecified) | Err(_) => {
            Err(Error::field("action", "has to be ACTION_PUBLISH, ACTION_SUBSCRIBE or ACTION_ADMIN"))
        }
    }
}

fn span(ttl: prost_types::Duration) -> Result<Duration> {
    let description = "has to be a duration above 0; leave it out for the usual one";
    convert::span(ttl).filter(|ttl| !ttl.is_zero()).ok_or_else(|| Error::field("ttl", description))
}
