//! Whether the server takes work: grpc.health.v1, which any gRPC server may offer.
//!
//! The two messages are written by hand: they are two fields, and the client needs no other part of
//! that protocol.

use std::time::Duration;

use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use super::connection::Client;
use crate::error::{Code, Result};

const CHECK: &str = "/grpc.health.v1.Health/Check";

/// What a server says of itself, or of one of its services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It did not say what it is.
    Unknown,
    /// It takes work.
    Serving,
    /// It is there, and takes no work: it starts, or it is about to end.
    NotServing,
    /// It has no service of that name.
    ServiceUnknown,
}

#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckResponse {
    #[prost(enumeration = "ServingStatus", tag = "1")]
    status: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
enum ServingStatus {
    Unknown = 0,
    Serving = 1,
    NotServing = 2,
    ServiceUnknown = 3,
}

impl Client {
    /// The health of a service such as `bugle.v1.Bus`; the empty name asks for the whole server.
    pub async fn health(&self, service: &str) -> Result<Health> {
        let request = HealthCheckRequest { service: service.to_owned() };
        let mut line = Grpc::new(self.channel());
        let call = async {
            line.ready().await.map_err(|error| Status::from_error(error.into()))?;
            let codec = ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
            line.unary(Request::new(request), PathAndQuery::from_static(CHECK), codec).await
        };
        match self.answer(Duration::ZERO, call).await {
            Ok(response) => Ok(match response.status() {
                ServingStatus::Unknown => Health::Unknown,
                ServingStatus::Serving => Health::Serving,
                ServingStatus::NotServing => Health::NotServing,
                ServingStatus::ServiceUnknown => Health::ServiceUnknown,
            }),
            // How Check, as the protocol has it, says what Watch says with a status of its own.
            Err(error) if error.code() == Code::NotFound => Ok(Health::ServiceUnknown),
            Err(error) => Err(error),
        }
    }
}

/// As grpc.health.v1 writes it.
impl std::fmt::Display for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Health::Unknown => "UNKNOWN",
            Health::Serving => "SERVING",
            Health::NotServing => "NOT_SERVING",
            Health::ServiceUnknown => "SERVICE_UNKNOWN",
        })
    }
}
