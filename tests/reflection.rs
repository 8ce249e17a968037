//! Server reflection, v1 and v1alpha: a generic client finds every service and every type.

use std::collections::BTreeSet;

use prost::Message;
use prost_types::FileDescriptorProto;
use tonic_reflection::pb::{v1, v1alpha};

use crate::support::{Running, config};

const SERVICES: [&str; 12] = [
    "auth.Auth",
    "bugle.v1.Access",
    "bugle.v1.Admin",
    "bugle.v1.Bus",
    "bugle.v1.Monitor",
    "cache_client.Ping",
    "cache_client.pubsub.Pubsub",
    "control_client.ScsControl",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "token.Token",
];

/// A test for one version of the protocol; the two differ in their package only.
macro_rules! version {
    ($name:ident, $pb:ident) => {
        #[tokio::test]
        async fn $name() {
            use $pb::server_reflection_client::ServerReflectionClient;
            use $pb::server_reflection_request::MessageRequest;
            use $pb::server_reflection_response::MessageResponse;

            let server = Running::start(config()).await;
            let mut client = ServerReflectionClient::new(server.channel().await);
            let mut ask = async |question: MessageRequest| {
                let request =
                    $pb::ServerReflectionRequest { host: String::new(), message_request: Some(question) };
                let mut answers =
                    client.server_reflection_info(tokio_stream::iter([request])).await.unwrap().into_inner();
                answers.message().await.unwrap().unwrap().message_response.unwrap()
            };
            let MessageResponse::ListServicesResponse(list) =
                ask(MessageRequest::ListServices(String::new())).await
            else {
                panic!("no list of services");
            };
            let names: BTreeSet<String> = list.service.into_iter().map(|service| service.name).collect();
            assert_eq!(names, BTreeSet::from(SERVICES.map(str::to_owned)));

            // As a generic client does: the file of each service, then whatever it imports.
            let mut questions: Vec<MessageRequest> =
                names.into_iter().map(MessageRequest::FileContainingSymbol).collect();
            let mut seen = BTreeSet::new();
            while let Some(question) = questions.pop() {
                let MessageResponse::FileDescriptorResponse(files) = ask(question.clone()).await else {
                    panic!("no file for {question:?}");
                };
                for file in files.file_descriptor_proto {
                    let file = FileDescriptorProto::decode(file.as_slice()).unwrap();
                    if seen.insert(file.name().to_owned()) {
                        questions.extend(file.dependency.into_iter().map(MessageRequest::FileByFilename));
                    }
                }
            }
            assert!(seen.contains("google/rpc/status.proto"), "{seen:?}");
        }
    };
}

version!(version_1_lists_every_service_and_serves_every_file, v1);
version!(version_1_alpha_lists_every_service_and_serves_every_file, v1alpha);
