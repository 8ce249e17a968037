//! The Monitor service: the server as a whole, who is behind, one message's way, the log.

use http::Request;
use hyper::body::Incoming;
use tonic::codegen::Service;
use tonic::{Response, Status};

use super::administering::{Administering, Asked};
use super::{Caller, Intake, Native, probe};
use crate::api::reply::Answer;
use crate::api::status::{readable, status};
use crate::auth::{Action, Resource};
use crate::error::{Code, Error, Result};
use crate::proto::v1::monitor_server::{Monitor, MonitorServer};
use crate::proto::v1::{
    GetLoggingRequest, GetServerRequest, ListSubscriptionsRequest, ListSubscriptionsResponse, Logging,
    Server, TraceTopicRequest, TraceTopicResponse, UpdateLoggingRequest,
};
use crate::store::unix_nanos;

/// Answers a call of Monitor.
pub fn answer(native: Native, mut request: Request<Incoming>) -> Answer {
    let (bytes_max, span) = (native.max_message_bytes, Administering::look(&native, &mut request));
    let request = request.map(|body| Intake::single(body, &native));
    let answer = MonitorServer::new(native).max_decoding_message_size(bytes_max).call(request);
    Answer::Generated(Box::pin(Administering::around(span, async move { answer.await.map(readable) })))
}

type Answered<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Monitor for Native {
    async fn get_server(&self, request: tonic::Request<GetServerRequest>) -> Answered<Server> {
        let asked = Asked::of(self, &request);
        let GetServerRequest {} = request.into_inner();
        self.server(&asked).map(Response::new).map_err(status)
    }

    async fn list_subscriptions(
        &self,
        request: tonic::Request<ListSubscriptionsRequest>,
    ) -> Answered<ListSubscriptionsResponse> {
        let asked = Asked::of(self, &request);
        self.subscriptions(&asked, request.into_inner()).map(Response::new).map_err(status)
    }

    async fn trace_topic(&self, request: tonic::Request<TraceTopicRequest>) -> Answered<TraceTopicResponse> {
        let (accepted, caller) = (unix_nanos(), Caller::known(request.extensions()));
        Ok(Response::new(probe::run(self, request.into_inner(), &caller, accepted).await.map_err(status)?))
    }

    async fn get_logging(&self, request: tonic::Request<GetLoggingRequest>) -> Answered<Logging> {
        Asked::of(self, &request).wants(Action::Admin, Resource::Server)?;
        let GetLoggingRequest {} = request.into_inner();
        Ok(Response::new(Logging { filter: self.logging().map_err(status)?.filter() }))
    }

    async fn update_logging(&self, request: tonic::Request<UpdateLoggingRequest>) -> Answered<Logging> {
        let asked = Asked::of(self, &request);
        let UpdateLoggingRequest { logging } = request.into_inner();
        let missing = || status(Error::field("logging", "has to be given"));
        let Logging { filter } = logging.ok_or_else(missing)?;
        asked.wants(Action::Admin, Resource::Server)?;
        let own = self.logging().map_err(status)?;
        // Before it is changed: afterwards the line may not pass any more.
        asked.has("logging.updated", &filter);
        own.set_filter(&filter).map_err(|error| status(error.under("logging")))?;
        Ok(Response::new(Logging { filter: own.filter() }))
    }
}

impl Native {
    fn logging(&self) -> Result<&dyn crate::api::Logging> {
        let message = "the log is not this server's: the program that embeds it decides what is logged";
        let missing = || Error::new(Code::FailedPrecondition, message).reason("LOGGING_NOT_OWNED");
        self.logging.as_deref().ok_or_else(missing)
    }
}
