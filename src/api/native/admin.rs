//! The Admin service: namespaces and topics, and the calls about webhooks, whose work is in `webhooks`.

use http::Request;
use hyper::body::Incoming;
use tonic::codegen::Service;
use tonic::{Response, Status};

use super::administering::{Administering, Asked};
use super::{Caller, Intake, Native, convert, webhooks};
use crate::api::reply::Answer;
use crate::api::status::{readable, status};
use crate::auth::{Action, Resource};
use crate::error::{Error, Result};
use crate::proto::v1;
use crate::proto::v1::admin_server::{Admin, AdminServer};
use crate::proto::v1::{
    CreateNamespaceRequest, CreateTopicRequest, DeleteNamespaceRequest, DeleteNamespaceResponse,
    DeleteTopicRequest, DeleteTopicResponse, GetTopicRequest, ListNamespacesRequest, ListNamespacesResponse,
    ListTopicsRequest, ListTopicsResponse, Namespace as WireNamespace, Topic, UpdateTopicRequest,
};
use crate::topic::{Namespace, TopicName};

/// Answers a call of Admin.
pub fn answer(native: Native, mut request: Request<Incoming>) -> Answer {
    let (bytes_max, span) = (native.max_message_bytes, Administering::begin(&native, &mut request));
    let request = request.map(|body| Intake::single(body, &native));
    let answer = AdminServer::new(native).max_decoding_message_size(bytes_max).call(request);
    Answer::Generated(Box::pin(Administering::around(span, async move { answer.await.map(readable) })))
}

type Answered<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Admin for Native {
    async fn create_namespace(
        &self,
        request: tonic::Request<CreateNamespaceRequest>,
    ) -> Answered<WireNamespace> {
        let asked = Asked::of(self, &request);
        let CreateNamespaceRequest { namespace } = request.into_inner();
        let WireNamespace { namespace, topics: _ } =
            namespace.ok_or_else(|| status(Error::field("namespace", "has to be given")))?;
        let name = named(&namespace).map_err(|error| status(error.under("namespace")))?;
        asked.wants(Action::Admin, Resource::Namespace(&name))?;
        self.broker.create_namespace(&name).map_err(status)?;
        asked.has("namespace.created", &name);
        Ok(Response::new(WireNamespace { namespace: name.to_string(), topics: 0 }))
    }

    async fn delete_namespace(
        &self,
        request: tonic::Request<DeleteNamespaceRequest>,
    ) -> Answered<DeleteNamespaceResponse> {
        let asked = Asked::of(self, &request);
        let DeleteNamespaceRequest { namespace } = request.into_inner();
        let name = named(&namespace).map_err(status)?;
        asked.wants(Action::Admin, Resource::Namespace(&name))?;
        self.broker.delete_namespace(&name).map_err(status)?;
        asked.has("namespace.deleted", &name);
        Ok(Response::new(DeleteNamespaceResponse {}))
    }

    async fn list_namespaces(
        &self,
        request: tonic::Request<ListNamespacesRequest>,
    ) -> Answered<ListNamespacesResponse> {
        let asked = Asked::of(self, &request);
        self.namespaces(&asked, request.into_inner()).map(Response::new).map_err(status)
    }

    async fn create_topic(&self, request: tonic::Request<CreateTopicRequest>) -> Answered<Topic> {
        let asked = Asked::of(self, &request);
        let account = self.account(&Caller::known(request.extensions()));
        let CreateTopicRequest { topic } = request.into_inner();
        let (name, change) = convert::topic_change(topic).map_err(status)?;
        asked.wants(Action::Admin, Resource::Topic(&name))?;
        let info = match self.broker.create_topic(&name, change, Some(&account)).await {
            Ok(info) => info,
            Err(error) => {
                return Err(status(self.admission.in_turn(error, name.namespace(), &account).await));
            }
        };
        asked.has("topic.created", &name);
        Ok(Response::new(convert::topic(info)))
    }

    async fn get_topic(&self, request: tonic::Request<GetTopicRequest>) -> Answered<Topic> {
        let asked = Asked::of(self, &request);
        self.topic(&asked, request.into_inner()).map(Response::new).map_err(status)
    }

    async fn update_topic(&self, request: tonic::Request<UpdateTopicRequest>) -> Answered<Topic> {
        let asked = Asked::of(self, &request);
        let UpdateTopicRequest { topic } = request.into_inner();
        let (name, change) = convert::topic_change(topic).map_err(status)?;
        asked.wants(Action::Admin, Resource::Topic(&name))?;
        let info = self.broker.update_topic(&name, change).map_err(status)?;
        asked.has("topic.updated", &name);
        Ok(Response::new(convert::topic(info)))
    }

    async fn delete_topic(
        &self,
        request: tonic::Request<DeleteTopicRequest>,
    ) -> Answered<DeleteTopicResponse> {
        let asked = Asked::of(self, &request);
        let DeleteTopicRequest { namespace, topic } = request.into_inner();
        let name = TopicName::parse(&namespace, &topic).map_err(status)?;
        asked.wants(Action::Admin, Resource::Topic(&name))?;
        self.broker.delete_topic(&name).map_err(status)?;
        asked.has("topic.deleted", &name);
        Ok(Response::new(DeleteTopicResponse {}))
    }

    async fn list_topics(&self, request: tonic::Request<ListTopicsRequest>) -> Answered<ListTopicsResponse> {
        let asked = Asked::of(self, &request);
        self.topics(&asked, request.into_inner()).map(Response::new).map_err(status)
    }

    async fn create_webhook(
        &self,
        request: tonic::Request<v1::CreateWebhookRequest>,
    ) -> Answered<v1::CreateWebhookResponse> {
        let asked = Asked::of(self, &request);
        webhooks::create(self, &asked, request.into_inner()).map(Response::new)
    }

    async fn update_webhook(
        &self,
        request: tonic::Request<v1::UpdateWebhookRequest>,
    ) -> Answered<v1::Webhook> {
        let asked = Asked::of(self, &request);
        webhooks::update(self, &asked, request.into_inner()).map(Response::new)
    }

    async fn list_webhooks(
        &self,
        request: tonic::Request<v1::ListWebhooksRequest>,
    ) -> Answered<v1::ListWebhooksResponse> {
        let asked = Asked::of(self, &request);
        webhooks::list(self, &asked, request.into_inner()).map(Response::new).map_err(status)
    }

    async fn get_webhook(&self, request: tonic::Request<v1::GetWebhookRequest>) -> Answered<v1::Webhook> {
        let asked = Asked::of(self, &request);
        let v1::GetWebhookRequest { namespace, name } = request.into_inner();
        let (_, info) = webhooks::found(self, &asked, &namespace, &name, Action::Admin)?;
        Ok(Response::new(webhooks::wire(info)))
    }

    async fn delete_webhook(
        &self,
        request: tonic::Request<v1::DeleteWebhookRequest>,
    ) -> Answered<v1::DeleteWebhookResponse> {
        let asked = Asked::of(self, &request);
        let v1::DeleteWebhookRequest { namespace, name } = request.into_inner();
        let (namespace, _) = webhooks::found(self, &asked, &namespace, &name, Action::Admin)?;
        webhooks::webhooks(self)?.delete(&namespace, &name).map_err(status)?;
        asked.has("webhook.deleted", format!("{namespace}/{name}"));
        Ok(Response::new(v1::DeleteWebhookResponse {}))
    }

    async fn pause_webhook(&self, request: tonic::Request<v1::PauseWebhookRequest>) -> Answered<v1::Webhook> {
        let asked = Asked::of(self, &request);
        let v1::PauseWebhookRequest { namespace, name } = request.into_inner();
        let (namespace, _) = webhooks::found(self, &asked, &namespace, &name, Action::Admin)?;
        let info = webhooks::webhooks(self)?.pause(&namespace, &name, true).map_err(status)?;
        asked.has("webhook.paused", format!("{namespace}/{name}"));
        Ok(Response::new(webhooks::wire(info)))
    }

    async fn resume_webhook(
        &self,
        request: tonic::Request<v1::ResumeWebhookRequest>,
    ) -> Answered<v1::Webhook> {
        let asked = Asked::of(self, &request);
        let v1::ResumeWebhookRequest { namespace, name } = request.into_inner();
        let (namespace, _) = webhooks::found(self, &asked, &namespace, &name, Action::Admin)?;
        let info = webhooks::webhooks(self)?.pause(&namespace, &name, false).map_err(status)?;
        asked.has("webhook.resumed", format!("{namespace}/{name}"));
        Ok(Response::new(webhooks::wire(info)))
    }

    async fn seek_webhook(&self, request: tonic::Request<v1::SeekWebhookRequest>) -> Answered<v1::Webhook> {
        let asked = Asked::of(self, &request);
        let v1::SeekWebhookRequest { namespace, name, to } = request.into_inner();
        let to = webhooks::start(to).map_err(status)?;
        let (namespace, _) = webhooks::found(self, &asked, &namespace, &name, Action::Admin)?;
        let info = webhooks::webhooks(self)?.seek(&namespace, &name, to).map_err(status)?;
        asked.has("webhook.moved", format!("{namespace}/{name}"));
        Ok(Response::new(webhooks::wire(info)))
    }

    async fn test_webhook(
        &self,
        request: tonic::Request<v1::TestWebhookRequest>,
    ) -> Answered<v1::TestWebhookResponse> {
        let asked = Asked::of(self, &request);
        let v1::TestWebhookRequest { namespace, name } = request.into_inner();
        let (namespace, _) = webhooks::found(self, &asked, &namespace, &name, Action::Admin)?;
        let answered = webhooks::webhooks(self)?.test(&namespace, &name).await.map_err(status)?;
        let status = u32::from(answered.status.unwrap_or_default());
        let acknowledged = answered.why.is_empty();
        Ok(Response::new(v1::TestWebhookResponse { acknowledged, status, error: answered.why }))
    }
}

/// A namespace that has to be named: the empty name does not mean the default one here.
fn named(namespace: &str) -> Result<Namespace> {
    if namespace.is_empty() {
        return Err(Error::field("namespace", "has to be given"));
    }
    Namespace::parse(namespace)
}
