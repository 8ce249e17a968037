//! What is told of a call that administers the bus, or looks at it: its span, and a line in the log
//! for each change, with who made it.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use http::{Request, Response};
use tonic::Status;

use super::{Caller, Native};
use crate::api::status::{own_code, status};
use crate::api::{Peer, audit};
use crate::auth::{Action, Identity, Resource};
use crate::store::unix_nanos;
use crate::topic::{Namespace, TopicName, TraceContext};
use crate::trace::{Operation, Recorder, Span, Value};

/// A call that is traced.
pub struct Administering {
    recorder: Arc<Recorder>,
    caller: Caller,
    path: String,
    subject: Subject,
    context: TraceContext,
    begun: u64,
}

/// What a call is about, which is known when its message has been read.
#[derive(Debug, Clone, Default)]
struct Subject(Arc<OnceLock<About>>);

#[derive(Debug)]
enum About {
    Topic(TopicName),
    Namespace(Namespace),
}

impl Administering {
    /// Decides whether a call is traced.
    pub fn begin<B>(native: &Native, request: &mut Request<B>) -> Option<Administering> {
        Administering::decide(native, request, |_| true)
    }

    /// The same for a call that only looks, as often as once a second: traced only where its caller's
    /// trace is recorded.
    pub fn look<B>(native: &Native, request: &mut Request<B>) -> Option<Administering> {
        Administering::decide(native, request, Caller::is_sampled)
    }

    fn decide<B>(
        native: &Native,
        request: &mut Request<B>,
        may: impl FnOnce(&Caller) -> bool,
    ) -> Option<Administering> {
        let (recorder, begun) = (native.broker.recorder(), unix_nanos());
        if !recorder.is_exporting() {
            return None;
        }
        let caller = Caller::of(request);
        if !may(&caller) {
            return None;
        }
        let context = recorder.begin(None, caller.context(), caller.is_sampled(), begun)?;
        let (recorder, subject) = (recorder.clone(), Subject::default());
        request.extensions_mut().insert(subject.clone());
        let path = request.uri().path().trim_start_matches('/').to_owned();
        Some(Administering { recorder, caller, path, subject, context, begun })
    }

    /// An answer, and the span of its call where it has one.
    pub async fn around<B, E>(
        span: Option<Administering>,
        answer: impl Future<Output = Result<Response<B>, E>>,
    ) -> Result<Response<B>, E> {
        let response = answer.await?;
        if let Some(span) = span {
            span.end(&response);
        }
        Ok(response)
    }

    /// The call was answered: its span.
    fn end<B>(self, response: &Response<B>) {
        let now = unix_nanos();
        if !self.recorder.admits(self.context.trace_id, now) {
            return;
        }
        let about = self.subject.0.get();
        let topic = about.and_then(|about| match about {
            About::Topic(name) => Some(name.clone()),
            About::Namespace(_) => None,
        });
        let mut span = Span::new(Operation::Admin, topic, self.context, self.begun, now)
            .called_by(self.caller.context())
            .with_method(&self.path)
            .with_peer(self.caller.address());
        if let Some(About::Namespace(name)) = about {
            span = span.with("bugle.namespace", Value::Text(name.to_string()));
        }
        self.recorder.record(match Status::from_header_map(response.headers()) {
            Some(status) if status.code() != tonic::Code::Ok => {
                span.failed(own_code(status.code()), status.message())
            }
            _ => span,
        });
    }
}

/// A call as its handler sees it.
pub struct Asked<'a> {
    native: &'a Native,
    identity: Option<Identity>,
    peer: Option<SocketAddr>,
    subject: Option<Subject>,
}

impl Asked<'_> {
    /// The call of this request.
    pub fn of<'a, T>(native: &'a Native, request: &tonic::Request<T>) -> Asked<'a> {
        Asked::by(native, request.extensions())
    }

    /// The call of a request with these extensions.
    pub fn by<'a>(native: &'a Native, extensions: &http::Extensions) -> Asked<'a> {
        Asked {
            native,
            identity: extensions.get().cloned(),
            peer: extensions.get::<Peer>().map(Peer::address),
            subject: extensions.get().cloned(),
        }
    }

    /// Who asks, where it had to say so.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// It is about this, and wants to do that to it. Errors: it may not.
    pub fn wants(&self, action: Action, resource: Resource<'_>) -> Result<(), Status> {
        self.check(action, resource).map_err(status)
    }

    /// The same for those who answer in another dialect.
    pub fn check(&self, action: Action, resource: Resource<'_>) -> crate::error::Result<()> {
        let about = match resource {
            Resource::Server => None,
            Resource::Topic(name) => Some(About::Topic(name.clone())),
            Resource::Namespace(name) | Resource::Within(name) => Some(About::Namespace(name.clone())),
        };
        if let Some((subject, about)) = self.subject.as_ref().zip(about) {
            let _ = subject.0.set(about);
        }
        self.native.rights.check(self.identity(), self.peer, action, resource)
    }

    /// Whether it may do this, without anybody being told.
    pub fn may(&self, action: Action, resource: Resource<'_>) -> bool {
        self.native.rights.allow(self.identity(), action, resource)
    }

    /// It has changed something: the line that says so.
    pub fn has(&self, event: &str, name: impl Display) {
        audit::done(self.identity(), self.peer, event, name);
    }
}
