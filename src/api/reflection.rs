//! Server reflection, v1 and v1alpha: a generic client can list and call everything.
//!
//! Both versions answer for all services there are, health and reflection themselves included. The
//! same descriptors tell the router which methods exist.

use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;
use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::codegen::Service;
use tonic_reflection::server::Builder;

use crate::api::reply::Generated;
use crate::error::{Code, Error, Result};

/// Every descriptor set that is served.
const SETS: [&[u8]; 5] = [
    crate::proto::DESCRIPTORS,
    crate::proto::MOMENTO_DESCRIPTORS,
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
];

/// Largest reflection request, bytes: the name of a file or a symbol.
const REQUEST_BYTES_MAX: usize = 4096;

type Call = Arc<dyn Fn(Request<Incoming>) -> Generated + Send + Sync>;

/// The two reflection services.
pub(super) struct Services {
    pub(super) v1: Call,
    pub(super) v1alpha: Call,
}

/// Makes the reflection services.
pub(super) fn services() -> Result<Services> {
    let v1 = builder().build_v1().map_err(unreadable)?.max_decoding_message_size(REQUEST_BYTES_MAX);
    let v1alpha = builder().build_v1alpha().map_err(unreadable)?.max_decoding_message_size(REQUEST_BYTES_MAX);
    Ok(Services {
        v1: Arc::new(move |request| v1.clone().call(request)),
        v1alpha: Arc::new(move |request| v1alpha.clone().call(request)),
    })
}

/// Every method there is: the full name of its service, and its path.
pub(super) fn methods() -> Result<Vec<(String, String)>> {
    let mut methods = Vec::new();
    for set in SETS {
        for file in FileDescriptorSet::decode(set).map_err(unreadable)?.file {
            for service in &file.service {
                let name = format!("{}.{}", file.package(), service.name());
                let paths = service.method.iter().map(|method| format!("/{name}/{}", method.name()));
                methods.extend(paths.map(|path| (name.clone(), path)));
            }
        }
    }
    Ok(methods)
}

fn builder() -> Builder<'static> {
    SETS.into_iter().fold(
        Builder::configure().include_reflection_service(false),
        Builder::register_encoded_file_descriptor_set,
    )
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(Code::Internal, "the descriptors compiled into this program cannot be read").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_of_the_contract_has_a_path() {
        let paths: Vec<String> = methods().unwrap().into_iter().map(|(_, path)| path).collect();
        for path in [
            "/bugle.v1.Bus/Publish",
            "/bugle.v1.Bus/PublishStream",
            "/bugle.v1.Bus/Subscribe",
            "/bugle.v1.Admin/ListTopics",
            "/grpc.health.v1.Health/Watch",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ] {
            assert!(paths.iter().any(|found| found == path), "{path}");
        }
    }
}
