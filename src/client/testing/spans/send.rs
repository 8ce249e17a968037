//! `send` spans: of one message, of a batch, of a publisher, and what ends them.

use std::sync::OnceLock;

use super::*;

#[tokio::test]
async fn a_message_is_sent_in_a_span_below_the_current_one_and_carries_its_context() {
    let traced = traced(Stage::default()).await;
    let (application, id) = (traced.application(), Uuid::now_v7());
    let publish = traced.client.publish("orders", Message::new("a").with_id(id));
    publish.with_context(application.clone()).await.unwrap();
    let [span] = traced.spans().try_into().unwrap();
    assert_says(&span, "send orders", SpanKind::Producer, traced.client.uri());
    assert_eq!(span.span_context.trace_id(), span_context(&application).trace_id());
    assert_eq!(span.parent_span_id, span_context(&application).span_id());
    assert_eq!((links(&span), &span.status), (vec![], &SpanStatus::Unset));
    assert_eq!(attribute(&span, "messaging.message.id"), Some(id.to_string().into()));
    assert_eq!(attribute(&span, "messaging.batch.message_count"), None);
    assert_eq!(place(&span), [7, 1, 1].map(|number: i64| Some(number.into())));
    assert_eq!(traced.arrived()[0].traceparent, traceparent(&span.span_context));
    assert_eq!(traced.header(0, "traceparent"), traceparent(&span.span_context));
}

#[tokio::test]
async fn a_batch_is_one_span_with_links_to_the_contexts_its_messages_bring() {
    let traced = traced(Stage::default()).await;
    let own = |n: u64| Message::new("own").with_trace(GIVEN.replace("203331", &format!("{n:06x}")), "");
    let bare = [Message::new("bare"), Message::new("bare").with_trace("", "vendor=1")];
    traced.client.publish_batch("orders", bare.into_iter().chain((0..200).map(own))).await.unwrap();
    let [span] = traced.spans().try_into().unwrap();
    assert_says(&span, "send orders", SpanKind::Producer, traced.client.uri());
    assert_eq!(attribute(&span, "messaging.batch.message_count"), Some(202.into()));
    assert_eq!(place(&span), [7, 1, 202].map(|number: i64| Some(number.into())));
    assert_eq!(attribute(&span, "messaging.message.id"), None);
    assert_eq!(links(&span).len(), 128);
    let arrived = traced.arrived();
    assert_eq!(links(&span)[0], arrived[2].traceparent);
    for bare in &arrived[..2] {
        assert_eq!((&bare.traceparent, bare.tracestate.as_str()), (&traceparent(&span.span_context), ""));
    }
}

#[tokio::test]
async fn a_context_of_its_own_is_kept_unchanged_and_linked_to() {
    let traced = traced(Stage::default()).await;
    let application = traced.application();
    for given in [GIVEN, "not a traceparent"] {
        let message = Message::new("a").with_trace(given, "vendor=1");
        let publish = traced.client.publish("orders", message);
        publish.with_context(application.clone()).await.unwrap();
    }
    let [readable, malformed] = traced.spans().try_into().unwrap();
    assert_eq!(links(&readable), [GIVEN]);
    assert_eq!(readable.links[0].span_context.trace_state().get("vendor"), Some("1"));
    assert_eq!(links(&malformed), [""; 0]);
    assert_eq!(readable.parent_span_id, span_context(&application).span_id());
    let arrived = traced.arrived().into_iter().map(|it| (it.traceparent, it.tracestate)).collect::<Vec<_>>();
    let expected = [GIVEN, "not a traceparent"].map(|given| (given.to_owned(), "vendor=1".to_owned()));
    assert_eq!(arrived, expected);
    assert_eq!(traced.header(0, "traceparent"), traceparent(&readable.span_context));
}

#[tokio::test]
async fn a_tracestate_goes_with_the_context() {
    let traced = traced(Stage::default()).await;
    let remote = crate::client::trace::read(GIVEN, "vendor=1,other=2").unwrap();
    let publish = traced.client.publish("orders", "a");
    publish.with_context(Context::new().with_remote_span_context(remote)).await.unwrap();
    assert_eq!(traced.arrived()[0].tracestate, "vendor=1,other=2");
    assert_eq!(traced.header(0, "tracestate"), "vendor=1,other=2");
}

#[tokio::test]
async fn a_failure_marks_the_span_wherever_it_comes_from() {
    let traced = traced(Stage::default()).await;
    traced.client.publish("refused", "a").await.unwrap_err();
    traced.client.publish_batch(" ", [Message::new("a")]).await.unwrap_err();
    let mut given_up = Box::pin(traced.client.publish("orders", "a"));
    assert!(futures::poll!(given_up.as_mut()).is_pending());
    drop(given_up);
    let [refused, misnamed, given_up] = traced.spans().try_into().unwrap();
    assert_failed(&refused, "resource_exhausted", "refused");
    assert_failed(&misnamed, "invalid_argument", "topic");
    assert_failed(&given_up, "cancelled", "given up");
}

#[tokio::test]
async fn every_message_of_a_publisher_has_a_span_that_ends_before_its_receipt_is_known() {
    let traced = traced(Stage::default()).await;
    let publisher = traced.client.publisher().linger(Duration::from_secs(60)).build().unwrap();
    let application = traced.application();
    let mut pending = Vec::new();
    for payload in ["a", "b", "c"] {
        let publish = publisher.publish("orders", payload).with_context(application.clone());
        pending.push(publish.await.unwrap());
    }
    pending.push(publisher.try_publish("orders", Message::new("d").with_trace(GIVEN, "")).unwrap().unwrap());
    let refused = publisher.publish("refused", "e").await.unwrap();
    assert_eq!(traced.spans().len(), 0, "they last until the answer");
    publisher.flush().await.unwrap_err();
    assert!(refused.await.is_err());
    let spans = traced.spans();
    let [sent, refused] = [&spans[..4], &spans[4..]];
    for (at, span) in sent.iter().enumerate() {
        assert_says(span, "send orders", SpanKind::Producer, traced.client.uri());
        let sequence = at as i64 + 1;
        assert_eq!(place(span), [7, sequence, sequence].map(|number| Some(number.into())));
        let carried = &traced.arrived()[at].traceparent;
        assert_eq!(*carried, if at < 3 { traceparent(&span.span_context) } else { GIVEN.to_owned() });
    }
    assert!(sent[..3].iter().all(|span| span.parent_span_id == span_context(&application).span_id()));
    assert_eq!((sent[3].parent_span_id, links(&sent[3])), (SpanId::INVALID, vec![GIVEN.to_owned()]));
    assert_failed(&refused[0], "invalid_argument", "refused");
}

#[tokio::test]
async fn an_abandoned_publisher_ends_its_spans() {
    let traced = traced(Stage::default()).await;
    let publisher = traced.client.publisher().linger(Duration::from_secs(60)).build().unwrap();
    let receipt = publisher.publish("orders", "a").await.unwrap();
    publisher.publish("", "b").await.unwrap_err();
    drop(publisher);
    receipt.await.unwrap_err();
    let [misnamed, abandoned] = traced.spans().try_into().unwrap();
    assert_failed(&misnamed, "invalid_argument", "topic");
    assert_failed(&abandoned, "cancelled", "the publisher was dropped");
}

#[tokio::test]
async fn messages_whose_fate_is_unknown_fail_their_spans() {
    let stage = Stage { answers_until_break: Mutex::new(Some(0)), ..Stage::default() };
    let traced = traced(stage).await;
    let publisher = traced.client.publisher().reconnect(quick()).build().unwrap();
    publisher.publish("orders", "a").await.unwrap().await.unwrap_err();
    let [span] = traced.spans().try_into().unwrap();
    assert_failed(&span, "unavailable", "may have been stored");
}

#[tokio::test]
async fn a_message_that_finds_no_room_has_no_span() {
    let traced = traced(Stage::default()).await;
    let builder = traced.client.publisher().linger(Duration::from_secs(60)).max_in_flight_bytes(1000);
    let publisher = builder.build().unwrap();
    assert!(publisher.try_publish("orders", vec![0; 940]).unwrap().is_some(), "its context is no reason");
    assert!(publisher.try_publish("orders", "b").unwrap().is_none());
    publisher.flush().await.unwrap();
    assert_eq!(traced.spans().len(), 1);
    assert!(publisher.try_publish("orders", vec![0; 900]).unwrap().is_some(), "all room was given back");
}

/// Publishes about a span that has ended, as an exporter might that sends over the bus itself.
#[derive(Clone, Default)]
struct Echo(Arc<OnceLock<Publisher>>);

impl std::fmt::Debug for Echo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Echo")
    }
}

impl SpanProcessor for Echo {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, _: SpanData) {
        let _quiet = Context::enter_telemetry_suppressed_scope();
        if let Some(publisher) = self.0.get() {
            publisher.try_publish("spans", "ended").unwrap();
        }
    }

    fn force_flush(&self) -> opentelemetry_sdk::error::OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> opentelemetry_sdk::error::OTelSdkResult {
        Ok(())
    }
}

#[tokio::test]
async fn the_end_of_a_span_may_publish_over_the_same_publisher() {
    let echo = Echo::default();
    let traced =
        traced_as(Stage::default(), SdkTracerProvider::builder().with_span_processor(echo.clone())).await;
    let publisher = echo.0.get_or_init(|| traced.client.publisher().build().unwrap());
    publisher.publish("orders", "a").await.unwrap().await.unwrap();
    publisher.flush().await.unwrap();
    let arrived = traced.arrived();
    assert_eq!(arrived[1].payload, "ended");
    assert_eq!(arrived[1].traceparent, "", "where telemetry is suppressed nothing is traced");
}
