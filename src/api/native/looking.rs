//! What a caller may see: the server, namespaces, topics, subscriptions. Decided and gathered here for all
//! who show it: the services Admin and Monitor, and the console's JSON.

use super::administering::Asked;
use super::{Native, convert, webhooks};
use crate::auth::{Action, Resource};
use crate::broker::TopicInfo;
use crate::error::Result;
use crate::metrics::process;
use crate::proto::v1::{
    GetTopicRequest, ListNamespacesRequest, ListNamespacesResponse, ListSubscriptionsRequest,
    ListSubscriptionsResponse, ListTopicsRequest, ListTopicsResponse, ListWebhooksRequest,
    ListWebhooksResponse, Namespace as WireNamespace, Server, Topic,
};
use crate::store::unix_nanos;
use crate::topic::{Namespace, TopicName};

impl Native {
    /// The server as a whole. Errors: PERMISSION_DENIED.
    pub fn server(&self, asked: &Asked<'_>) -> Result<Server> {
        asked.check(Action::Admin, Resource::Server)?;
        Ok(self.state())
    }

    /// The namespaces in which a caller may see something.
    pub fn namespaces(
        &self,
        asked: &Asked<'_>,
        request: ListNamespacesRequest,
    ) -> Result<ListNamespacesResponse> {
        let ListNamespacesRequest { page_size, page_token } = request;
        let most = convert::page_size(page_size);
        let page = |after: &str| Ok(self.broker.list_namespaces(after, most));
        let may = |(name, _): &(Namespace, usize)| asked.may(Action::Subscribe, Resource::Within(name));
        let found = permitted(page_token, most, page, |(name, _)| name.to_string(), may)?;
        let next_page_token = next_page(&found, most, |(name, _)| name.to_string());
        let namespaces = found
            .into_iter()
            .map(|(name, topics)| WireNamespace { namespace: name.to_string(), topics: topics as u64 });
        Ok(ListNamespacesResponse { namespaces: namespaces.collect(), next_page_token })
    }

    /// One topic. Errors: PERMISSION_DENIED, or there is none.
    pub fn topic(&self, asked: &Asked<'_>, request: GetTopicRequest) -> Result<Topic> {
        let GetTopicRequest { namespace, topic } = request;
        let name = TopicName::parse(&namespace, &topic)?;
        asked.check(Action::Subscribe, Resource::Topic(&name))?;
        self.broker.describe_topic(&name).map(convert::topic)
    }

    /// The topics of a namespace that a caller may see.
    pub fn topics(&self, asked: &Asked<'_>, request: ListTopicsRequest) -> Result<ListTopicsResponse> {
        let ListTopicsRequest { namespace, prefix, page_size, page_token } = request;
        let namespace = Namespace::parse(&namespace)?;
        asked.check(Action::Subscribe, Resource::Within(&namespace))?;
        let most = convert::page_size(page_size);
        let page = |after: &str| self.broker.list_topics(&namespace, &prefix, after, most);
        let may = |info: &TopicInfo| asked.may(Action::Subscribe, Resource::Topic(&info.name));
        let found = permitted(page_token, most, page, |info| info.name.topic().to_owned(), may)?;
        let next_page_token = next_page(&found, most, |info| info.name.topic().to_owned());
        Ok(ListTopicsResponse { topics: found.into_iter().map(convert::topic).collect(), next_page_token })
    }

    /// The webhooks of a namespace whose topics a caller may administer. Errors: PERMISSION_DENIED.
    pub fn webhooks(&self, asked: &Asked<'_>, request: ListWebhooksRequest) -> Result<ListWebhooksResponse> {
        webhooks::list(self, asked, request)
    }

    /// Who reads a topic, those furthest behind first. Errors: PERMISSION_DENIED, or there is none.
    pub fn subscriptions(
        &self,
        asked: &Asked<'_>,
        request: ListSubscriptionsRequest,
    ) -> Result<ListSubscriptionsResponse> {
        let ListSubscriptionsRequest { namespace, topic, page_size } = request;
        let name = TopicName::parse(&namespace, &topic)?;
        asked.check(Action::Admin, Resource::Topic(&name))?;
        let (listed, total) = self.broker.list_subscriptions(&name, convert::page_size(page_size))?;
        let subscriptions = listed.into_iter().map(convert::subscription).collect();
        Ok(ListSubscriptionsResponse { subscriptions, total: total as u64 })
    }

    fn state(&self) -> Server {
        let (state, budget) = (self.broker.metrics().state(), self.broker.budget());
        Server {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            start_time_unix_nano: state.started_unix_nanos(),
            time_unix_nano: unix_nanos(),
            draining: state.is_draining(),
            memory_budget_bytes: budget.limit() as u64,
            memory_used_bytes: budget.used() as u64,
            memory_pinned_bytes: budget.pinned() as u64,
            resident_bytes: process::resident_bytes("self").unwrap_or(0),
            cpu_time: process::cpu("self").map(convert::duration),
            connections: state.connections.get(),
            streams: state.streams(),
            subscriptions: self.broker.subscriptions() as u64,
            topics: self.broker.topics() as u64,
            namespaces: self.broker.namespaces() as u64,
            traffic: Some(convert::traffic(state.total())),
            discontinuities: state.discontinuities().map(|(_, notices, _)| notices).sum(),
            stalls: state.stalls.get(),
            refusals: state.refusals().map(|(_, count)| count).sum(),
            spans_dropped: self.broker.recorder().counts().dropped(),
        }
    }
}

/// The next entries that a caller may see, at most so many: as if there were no others.
fn permitted<T>(
    mut after: String,
    most: usize,
    page: impl Fn(&str) -> Result<Vec<T>>,
    name: impl Fn(&T) -> String,
    may: impl Fn(&T) -> bool,
) -> Result<Vec<T>> {
    let mut permitted = Vec::new();
    loop {
        let found = page(&after)?;
        let is_last = found.len() < most;
        if let Some(last) = found.last() {
            after = name(last);
        }
        permitted.extend(found.into_iter().filter(&may));
        if is_last || permitted.len() >= most {
            permitted.truncate(most);
            return Ok(permitted);
        }
    }
}

/// The token of the page behind a full one; pages are ordered by name, so the last name is it.
fn next_page<T>(page: &[T], most: usize, name: impl Fn(&T) -> String) -> String {
    if page.len() < most { String::new() } else { page.last().map(name).unwrap_or_default() }
}
