//! `GET /openapi.json`: what is here over HTTP, as OpenAPI 3.1.
//!
//! The schemas are made from the types that are read and written, so they are what is meant by them; the
//! operations stand in one table. Made once.

use std::sync::OnceLock;

use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_TYPE, HeaderValue};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use super::json::{Message, Notice};
use super::message::Written;
use super::publish::Published;
use crate::api::Body;
use crate::api::console::shown;
use crate::api::status::Refusal;

/// The description.
pub fn answer() -> Response<Body> {
    static MADE: OnceLock<Bytes> = OnceLock::new();
    let text = MADE.get_or_init(|| serde_json::to_vec_pretty(&description()).unwrap_or_default().into());
    let mut response = Response::new(Body::text(text.clone()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn description() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    let mut schemas = settings.into_generator();
    let mut paths = json!({
        "/v1/{namespace}/{topic}": { "post": publish(&mut schemas), "get": subscribe(&mut schemas) },
        "/topics/{cache}/{topic}": { "post": momento_publish(&mut schemas), "get": momento_poll(&mut schemas) },
        "/openapi.json": { "get": {
            "operationId": "describe",
            "summary": "This description",
            "security": [{}],
            "responses": { "200": { "description": "OpenAPI 3.1", "content": { "application/json": { "schema": {} } } } },
        } },
    });
    for (path, id, summary, schema) in shown(&mut schemas) {
        paths[path]["get"] = looked_at(path, id, summary, schema, &mut schemas);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Bugle",
            "summary": "A topics event bus: publish, subscribe, and look at it",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "security": [{}, { "header": [] }, { "query": [] }],
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {
                "header": { "type": "http", "scheme": "bearer" },
                "query": { "type": "apiKey", "in": "query", "name": "token" },
            },
        },
    })
}

/// What the console shows: path, operation, what it is, and its schema.
fn shown(schemas: &mut SchemaGenerator) -> [(&'static str, &'static str, &'static str, Value); 6] {
    [
        ("/admin/v1/server", "getServer", "The server as a whole", of::<shown::Server>(schemas)),
        ("/admin/v1/namespaces", "listNamespaces", "The namespaces", of::<shown::Namespaces>(schemas)),
        ("/admin/v1/topics/{namespace}", "listTopics", "Topics of a namespace", of::<shown::Topics>(schemas)),
        ("/admin/v1/topics/{namespace}/{topic}", "getTopic", "A topic", of::<shown::Topic>(schemas)),
        (
            "/admin/v1/subscriptions/{namespace}/{topic}",
            "listSubscriptions",
            "The subscriptions of a topic, those furthest behind first",
            of::<shown::Subscriptions>(schemas),
        ),
        (
            "/admin/v1/webhooks/{namespace}",
            "listWebhooks",
            "The webhooks of a namespace",
            of::<shown::Webhooks>(schemas),
        ),
    ]
}

fn looked_at(path: &str, id: &str, summary: &str, schema: Value, schemas: &mut SchemaGenerator) -> Value {
    let mut parameters = named(path);
    if id.starts_with("list") {
        parameters.push(query("page_size", "At most so many", json!({ "type": "integer", "minimum": 0 })));
    }
    if matches!(id, "listNamespaces" | "listTopics" | "listWebhooks") {
        parameters.push(query("page_token", "What the page before said", text()));
    }
    if id == "listTopics" {
        parameters.push(query("prefix", "With what their names begin", text()));
    }
    json!({
        "operationId": id,
        "summary": summary,
        "parameters": parameters,
        "responses": responses("200", summary, "application/json", schema, schemas),
    })
}

fn publish(schemas: &mut SchemaGenerator) -> Value {
    let one = of::<Written>(schemas);
    let event = json!({ "type": "object", "description": "A CloudEvent 1.0 in structured mode" });
    let list = |items: &Value| json!({ "schema": { "type": "array", "items": items } });
    let mut parameters = named("/v1/{namespace}/{topic}");
    parameters.push(header("Bugle-Key", "Ordering or partition key, percent-encoded"));
    parameters.push(header("Bugle-Id", "A UUID; without it the server makes one"));
    let body = json!({
        "required": true,
        "description": "The payload of one message as it is, with the header Bugle-Attribute-NAME for each \
                        attribute, or a CloudEvent in binary mode; or messages in JSON",
        "content": {
            "*/*": { "schema": {} },
            "application/vnd.bugle.message+json": { "schema": one },
            "application/vnd.bugle.batch+json": list(&one),
            "application/cloudevents+json": { "schema": event },
            "application/cloudevents-batch+json": list(&event),
        },
    });
    let published = of::<Published>(schemas);
    let responses = responses("200", "Where it is", "application/json", published, schemas);
    json!({
        "operationId": "publish",
        "summary": "Publishes one message or a batch, whole or not at all",
        "parameters": parameters,
        "requestBody": body,
        "responses": responses,
    })
}

fn subscribe(schemas: &mut SchemaGenerator) -> Value {
    let (message, notice) = (of::<Message<'_>>(schemas), of::<Notice>(schemas));
    let mut parameters = named("/v1/{namespace}/{topic}");
    let whole = || json!({ "type": "integer", "minimum": 0 });
    parameters.extend([
        query("start", "Where to begin", json!({ "enum": ["latest", "earliest"] })),
        query("after", "Behind this position, EPOCH:SEQUENCE: resume", text()),
        query("last", "With the newest so many messages", whole()),
        query(
            "time",
            "With the first message accepted then or later",
            json!({ "type": "string", "format": "date-time" }),
        ),
        query("heartbeat", "Seconds between heartbeats", whole()),
        query("format", "What the data of events is", text()),
        header("Last-Event-ID", "The id of the last event that was seen: resume"),
    ]);
    let events = json!({
        "type": "string",
        "description": "Server-Sent Events; their data is JSON",
        "x-data": { "anyOf": [message, notice] },
    });
    let mut responses =
        responses("200", "Events, until the client leaves", "text/event-stream", events, schemas);
    responses["101"] = json!({ "description": "A WebSocket, where the request asks for one" });
    json!({
        "operationId": "subscribe",
        "summary": "Subscribes: Server-Sent Events, or a WebSocket",
        "parameters": parameters,
        "responses": responses,
    })
}

fn momento_publish(schemas: &mut SchemaGenerator) -> Value {
    json!({
        "operationId": "momentoPublish",
        "summary": "Publishes, as clients of Momento's HTTP do",
        "parameters": named("/topics/{cache}/{topic}"),
        "requestBody": { "required": true, "content": {
            "text/plain": { "schema": text() },
            "application/octet-stream": { "schema": {} },
        } },
        "responses": { "204": { "description": "It is published" }, "default": refusal(schemas) },
    })
}

fn momento_poll(schemas: &mut SchemaGenerator) -> Value {
    let mut parameters = named("/topics/{cache}/{topic}");
    let whole = || json!({ "type": "integer", "minimum": 0 });
    parameters.push(query("sequence_number", "The next message that is expected; 0 at first", whole()));
    parameters.push(query("sequence_page", "Its page; 0 at first", whole()));
    let items = json!({ "type": "object", "properties": { "items": { "type": "array", "items": { "type": "object" } } } });
    json!({
        "operationId": "momentoPoll",
        "summary": "Waits for messages or a discontinuity, as clients of Momento's HTTP do",
        "parameters": parameters,
        "responses": responses("200", "What there is", "application/json", items, schemas),
    })
}

/// A reference to the schema of a type.
fn of<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    schemas.subschema_for::<T>().to_value()
}

fn responses(code: &str, what: &str, media: &str, schema: Value, schemas: &mut SchemaGenerator) -> Value {
    json!({
        code: { "description": what, "content": { media: { "schema": schema } } },
        "default": refusal(schemas),
    })
}

fn refusal(schemas: &mut SchemaGenerator) -> Value {
    let schema = of::<Refusal>(schemas);
    json!({ "description": "It is refused", "content": { "application/json": { "schema": schema } } })
}

/// The names that stand in a path.
fn named(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": text() })).collect()
}

fn query(name: &str, what: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "query", "description": what, "schema": schema })
}

fn header(name: &str, what: &str) -> Value {
    json!({ "name": name, "in": "header", "description": what, "schema": text() })
}

fn text() -> Value {
    json!({ "type": "string" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::http::Resource;

    #[test]
    fn every_path_is_described_and_everything_that_is_referred_to_is_there() {
        let description = description();
        let paths = description["paths"].as_object().unwrap();
        for path in paths.keys() {
            let plain = path.replace(['{', '}'], "");
            assert!(Resource::at(&plain).is_some(), "{path} is not here");
        }
        for resource in [Resource::Topic, Resource::Momento, Resource::Description] {
            assert!(paths.contains_key(resource.pattern()), "{} is not described", resource.pattern());
        }
        assert!(paths.keys().any(|path| Resource::at(path) == Some(Resource::Shown)));
        let text = description.to_string();
        let referred =
            text.split("\"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next());
        for name in referred {
            assert!(description["components"]["schemas"][name].is_object(), "{name} is not there");
        }
    }

    #[test]
    fn schemas_say_what_is_written() {
        let schemas = &description()["components"]["schemas"];
        let message = schemas["Message"].to_string();
        for word in ["contentType", "base64", "traceparent", "text", "data"] {
            assert!(message.contains(word), "{message}");
        }
        assert!(schemas["Refusal"].is_object() && schemas["Written"].to_string().contains("attributes"));
    }
}
