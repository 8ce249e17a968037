//! Webhooks: topics that push their messages to HTTP endpoints. Those are of the client's namespace.

use std::time::Duration;

use super::connection::Client;
use super::subscription::Start;
use crate::error::{Error, Result};
use crate::limits::PAGE_SIZE_MAX;
use crate::proto::v1 as wire;
pub use wire::webhook::{Format, Health};
pub use wire::{TestWebhookResponse as Answer, Webhook};

/// The webhooks of a namespace; see [`Client::webhooks`].
#[derive(Debug, Clone)]
pub struct Webhooks {
    client: Client,
}

impl Webhooks {
    pub(super) fn new(client: Client) -> Self {
        Webhooks { client }
    }

    /// Makes a webhook. Without a secret the server makes one; the second part is the secret, which is
    /// shown only here. Errors: ALREADY_EXISTS.
    pub async fn create(&self, webhook: Webhook, secret: &str) -> Result<(Webhook, String)> {
        let (webhook, secret) = (Some(self.here(webhook)), secret.to_owned());
        let request = wire::CreateWebhookRequest { webhook, secret };
        let mut stub = self.client.administration();
        let response = self.client.answer(Duration::ZERO, stub.create_webhook(request)).await?;
        let wire::CreateWebhookResponse { webhook, secret } = response;
        Ok((webhook.unwrap_or_default(), secret))
    }

    /// A webhook's settings and how it is. Errors: NOT_FOUND.
    pub async fn get(&self, name: &str) -> Result<Webhook> {
        let (namespace, name) = self.names(name);
        let mut stub = self.client.administration();
        let request = wire::GetWebhookRequest { namespace, name };
        self.client.answer(Duration::ZERO, stub.get_webhook(request)).await
    }

    /// Replaces a webhook's settings; an empty secret, and empty values of headers, keep what is there.
    pub async fn update(&self, webhook: Webhook, secret: &str) -> Result<Webhook> {
        let (webhook, secret) = (Some(self.here(webhook)), secret.to_owned());
        let request = wire::UpdateWebhookRequest { webhook, secret };
        let mut stub = self.client.administration();
        self.client.answer(Duration::ZERO, stub.update_webhook(request)).await
    }

    /// Ends a webhook. Errors: NOT_FOUND.
    pub async fn delete(&self, name: &str) -> Result<()> {
        let (namespace, name) = self.names(name);
        let mut stub = self.client.administration();
        let request = wire::DeleteWebhookRequest { namespace, name };
        self.client.answer(Duration::ZERO, stub.delete_webhook(request)).await.map(|_| ())
    }

    /// All webhooks, by name.
    pub async fn list(&self) -> Result<Vec<Webhook>> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        loop {
            let (namespace, page_size) = (self.client.namespace().to_owned(), PAGE_SIZE_MAX as u32);
            let request = wire::ListWebhooksRequest { namespace, page_size, page_token };
            let mut stub = self.client.administration();
            let page = self.client.answer(Duration::ZERO, stub.list_webhooks(request)).await?;
            all.extend(page.webhooks);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(all);
            }
        }
    }

    /// Stops a webhook; it keeps its position.
    pub async fn pause(&self, name: &str) -> Result<Webhook> {
        let (namespace, name) = self.names(name);
        let mut stub = self.client.administration();
        let request = wire::PauseWebhookRequest { namespace, name };
        self.client.answer(Duration::ZERO, stub.pause_webhook(request)).await
    }

    /// Lets a webhook go on, whatever stopped it.
    pub async fn resume(&self, name: &str) -> Result<Webhook> {
        let (namespace, name) = self.names(name);
        let mut stub = self.client.administration();
        let request = wire::ResumeWebhookRequest { namespace, name };
        self.client.answer(Duration::ZERO, stub.resume_webhook(request)).await
    }

    /// Puts a webhook at the newest or oldest message, or behind a position.
    pub async fn seek(&self, name: &str, to: Start) -> Result<Webhook> {
        use wire::start_position::Start as Wire;
        let start = match to {
            Start::Latest => Wire::Latest(true),
            Start::Earliest => Wire::Earliest(true),
            Start::After(position) => {
                Wire::After(wire::Position { epoch: position.epoch, sequence: position.sequence })
            }
            _ => return Err(Error::field("to", "has to be latest, earliest or a position")),
        };
        let to = Some(wire::StartPosition { start: Some(start) });
        let (namespace, name) = self.names(name);
        let mut stub = self.client.administration();
        let request = wire::SeekWebhookRequest { namespace, name, to };
        self.client.answer(Duration::ZERO, stub.seek_webhook(request)).await
    }

    /// Has one signed event sent to the endpoint, and tells the answer.
    pub async fn test(&self, name: &str) -> Result<Answer> {
        let (namespace, name) = self.names(name);
        let mut stub = self.client.administration();
        let request = wire::TestWebhookRequest { namespace, name };
        self.client.answer(Duration::ZERO, stub.test_webhook(request)).await
    }

    fn names(&self, name: &str) -> (String, String) {
        (self.client.namespace().to_owned(), name.to_owned())
    }

    fn here(&self, webhook: Webhook) -> Webhook {
        Webhook { namespace: self.client.namespace().to_owned(), ..webhook }
    }
}
