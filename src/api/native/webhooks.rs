//! The part of Admin about webhooks: what its calls ask for, and who may.
//!
//! A webhook reads its topic for as long as it is there, so whoever makes or changes one has to be allowed
//! to subscribe to that topic as well as to administer it.

use std::sync::Arc;
use std::time::Duration;

use tonic::Status;

use super::Native;
use super::administering::Asked;
use super::convert;
use crate::api::status::status;
use crate::auth::{Action, Resource};
use crate::error::{Code, Error, Result};
use crate::proto::v1;
use crate::topic::{Namespace, Position, Start, TopicName};
use crate::webhook::{Definition, Format, Health, Info, Origin, Signing, Webhooks};

/// The webhooks of the server. Errors: it has none.
pub fn webhooks(native: &Native) -> Result<&Arc<Webhooks>, Status> {
    offered(native).map_err(status)
}

fn offered(native: &Native) -> Result<&Arc<Webhooks>> {
    native.webhooks.as_ref().ok_or_else(|| {
        let message = "this server has no webhooks, because another program embeds it";
        Error::new(Code::FailedPrecondition, message).reason("WEBHOOKS_NOT_OFFERED")
    })
}

/// Makes a webhook.
pub fn create(
    native: &Native,
    asked: &Asked<'_>,
    request: v1::CreateWebhookRequest,
) -> Result<v1::CreateWebhookResponse, Status> {
    let v1::CreateWebhookRequest { webhook, secret } = request;
    let secret = match secret.is_empty() {
        true => Signing::random(),
        false => Signing::parse(&secret),
    };
    let secret = secret.map_err(status)?;
    let definition = definition(webhook, secret.clone(), None).map_err(status)?;
    may_make(asked, &definition.topic)?;
    let described = described(&definition);
    let info = webhooks(native)?.create(definition).map_err(status)?;
    asked.has("webhook.created", described);
    Ok(v1::CreateWebhookResponse { webhook: Some(wire(info)), secret: secret.expose_text().to_string() })
}

/// Changes a webhook.
pub fn update(
    native: &Native,
    asked: &Asked<'_>,
    request: v1::UpdateWebhookRequest,
) -> Result<v1::Webhook, Status> {
    let v1::UpdateWebhookRequest { webhook, secret } = request;
    let (namespace, name) = match &webhook {
        Some(webhook) => (webhook.namespace.clone(), webhook.name.clone()),
        None => return Err(status(Error::field("webhook", "has to be given"))),
    };
    let (_, known) = found(native, asked, &namespace, &name, Action::Admin)?;
    let secret = match secret.is_empty() {
        true => Ok(known.definition.secret.clone()),
        false => Signing::parse(&secret),
    };
    let definition = definition(webhook, secret.map_err(status)?, Some(&known.definition)).map_err(status)?;
    may_make(asked, &definition.topic)?;
    let described = described(&definition);
    let info = webhooks(native)?.update(definition).map_err(status)?;
    asked.has("webhook.updated", described);
    Ok(wire(info))
}

/// The webhook of this name, whose topic the caller may do this to: to others it is not there.
pub fn found(
    native: &Native,
    asked: &Asked<'_>,
    namespace: &str,
    name: &str,
    action: Action,
) -> Result<(Namespace, Info), Status> {
    let namespace = Namespace::parse(namespace).map_err(status)?;
    let info = match webhooks(native)?.get(&namespace, name) {
        Ok(info) => info,
        Err(error) => {
            // Whether a name is taken is for those who may see the namespace.
            asked.wants(action, Resource::Within(&namespace))?;
            return Err(status(error));
        }
    };
    asked.wants(action, Resource::Topic(&info.definition.topic))?;
    Ok((namespace, info))
}

/// The webhooks of a namespace whose topics the caller may administer.
pub fn list(
    native: &Native,
    asked: &Asked<'_>,
    request: v1::ListWebhooksRequest,
) -> Result<v1::ListWebhooksResponse> {
    let v1::ListWebhooksRequest { namespace, page_size, page_token } = request;
    let namespace = Namespace::parse(&namespace)?;
    asked.check(Action::Admin, Resource::Within(&namespace))?;
    let (most, all) = (convert::page_size(page_size), offered(native)?);
    let may = |info: &Info| asked.may(Action::Admin, Resource::Topic(&info.definition.topic));
    let (mut after, mut kept) = (page_token, Vec::new());
    loop {
        let page = all.list(&namespace, &after, most);
        let is_last = page.len() < most;
        if let Some(last) = page.last() {
            after = last.definition.name.clone();
        }
        kept.extend(page.into_iter().filter(&may));
        if is_last || kept.len() > most {
            break;
        }
    }
    let has_more = kept.len() > most;
    kept.truncate(most);
    let last = kept.last().filter(|_| has_more).map(|info| info.definition.name.clone());
    let webhooks = kept.into_iter().map(wire).collect();
    Ok(v1::ListWebhooksResponse { webhooks, next_page_token: last.unwrap_or_default() })
}

/// Where a webhook is to be put.
pub fn start(to: Option<v1::StartPosition>) -> Result<Start> {
    use v1::start_position::Start as Wire;
    match to.and_then(|to| to.start) {
        Some(Wire::Latest(true)) => Ok(Start::Latest),
        Some(Wire::Earliest(true)) => Ok(Start::Earliest),
        Some(Wire::After(v1::Position { epoch, sequence })) if epoch > 0 => {
            Ok(Start::After(Position { epoch, sequence }))
        }
        _ => Err(Error::field("to", "has to be latest, earliest or after a position")),
    }
}

fn may_make(asked: &Asked<'_>, topic: &TopicName) -> Result<(), Status> {
    asked.wants(Action::Admin, Resource::Topic(topic))?;
    asked.wants(Action::Subscribe, Resource::Topic(topic))
}

fn described(definition: &Definition) -> String {
    format!("{}/{} of {}", definition.topic.namespace(), definition.name, definition.topic.topic())
}

/// The definition that a caller gives, which replaces this one.
fn definition(
    webhook: Option<v1::Webhook>,
    secret: Signing,
    known: Option<&Definition>,
) -> Result<Definition> {
    let webhook = webhook.ok_or_else(|| Error::field("webhook", "has to be given"))?;
    let under = |error: Error| error.under("webhook");
    let topic = TopicName::parse(&webhook.namespace, &webhook.topic).map_err(under)?;
    let usual = Definition::new(&webhook.name, topic, &webhook.url, secret);
    let span = |field: &str, span: Option<prost_types::Duration>, usual: Duration| match span {
        None => Ok(usual),
        Some(given) => convert::span(given).ok_or_else(|| Error::field(field, "has to be a duration")),
    };
    let format = match v1::webhook::Format::try_from(webhook.format) {
        Ok(v1::webhook::Format::Unspecified | v1::webhook::Format::Cloudevents) => Format::CloudEvents,
        Ok(v1::webhook::Format::CloudeventsJson) => Format::CloudEventsJson,
        Ok(v1::webhook::Format::Raw) => Format::Raw,
        Err(_) => return Err(Error::field("webhook.format", "is none that is known")),
    };
    let kept = |name: &str| {
        let headers = known.map(|known| known.headers.iter()).into_iter().flatten();
        headers.clone().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
    };
    let headers = webhook.headers.into_iter().map(|(name, value)| match value.is_empty() {
        true => (name.clone(), kept(&name).unwrap_or_default()),
        false => (name, value),
    });
    let definition = Definition {
        format,
        headers: headers.collect(),
        timeout: span("timeout", webhook.timeout, usual.timeout).map_err(under)?,
        give_up_after: span("give_up_after", webhook.give_up_after, usual.give_up_after).map_err(under)?,
        concurrency: u64::from(webhook.concurrency.max(1)),
        from_earliest: webhook.from_earliest,
        ..usual
    };
    definition.check().map_err(under)?;
    Ok(definition)
}

/// A webhook as Admin answers it: without its secret, and without the values of its headers.
pub fn wire(info: Info) -> v1::Webhook {
    let Info {
        definition,
        health,
        position,
        lag_messages,
        failures,
        last_error,
        last_success,
        delivered,
        dropped,
        missed,
    } = info;
    let format = match definition.format {
        Format::CloudEvents => v1::webhook::Format::Cloudevents,
        Format::CloudEventsJson => v1::webhook::Format::CloudeventsJson,
        Format::Raw => v1::webhook::Format::Raw,
    };
    let health = match health {
        Health::Active => v1::webhook::Health::Active,
        Health::Retrying => v1::webhook::Health::Retrying,
        Health::Dead => v1::webhook::Health::Dead,
        Health::Paused => v1::webhook::Health::Paused,
        Health::Disabled => v1::webhook::Health::Disabled,
    };
    v1::Webhook {
        namespace: definition.topic.namespace().to_string(),
        name: definition.name.clone(),
        topic: definition.topic.topic().to_owned(),
        url: definition.url.clone(),
        format: format.into(),
        headers: definition.headers.iter().map(|(name, _)| (name.clone(), String::new())).collect(),
        timeout: Some(convert::duration(definition.timeout)),
        give_up_after: Some(convert::duration(definition.give_up_after)),
        concurrency: u32::try_from(definition.concurrency).unwrap_or(u32::MAX),
        from_earliest: definition.from_earliest,
        health: health.into(),
        position: position.map(|Position { epoch, sequence }| v1::Position { epoch, sequence }),
        lag_messages,
        failures,
        last_error: last_error.unwrap_or_default(),
        last_success_unix_nano: last_success,
        delivered_messages: delivered,
        dropped_messages: dropped,
        missed_messages: missed,
        configured_at: match &definition.origin {
            Origin::Api => String::new(),
            Origin::Config(place) => place.clone(),
        },
    }
}
