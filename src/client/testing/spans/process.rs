//! `process` spans: where they stand, how long they last and what they say.

use super::*;

#[tokio::test]
async fn a_message_is_processed_in_the_trace_it_was_made_in_until_its_last_clone_is_dropped() {
    let traced = traced(scripted(vec![made_in(GIVEN)])).await;
    let mut subscription = traced.client.subscribe("orders").open().await.unwrap();
    let delivery = next(&mut subscription).await;
    let (kept, context) = (delivery.clone(), delivery.context());
    drop(delivery);
    assert_eq!(traced.spans().len(), 0, "a clone is left");
    drop(kept);
    let [span] = traced.spans().try_into().unwrap();
    assert_eq!(span.span_context, span_context(&context), "and a context keeps no span open");
    assert_says(&span, "process orders", SpanKind::Consumer, traced.client.uri());
    assert_eq!(traceparent(&span.span_context)[..35], GIVEN[..35]);
    assert_eq!(
        (span.parent_span_id.to_string(), span.parent_span_is_remote),
        (GIVEN[36..52].to_owned(), true)
    );
    assert_eq!((links(&span), &span.status), (vec![GIVEN.to_owned()], &SpanStatus::Unset));
    assert_eq!(attribute(&span, "messaging.message.id"), Some(Uuid::from_u128(1).to_string().into()));
    assert_eq!(attribute(&span, "bugle.subscription.id"), Some(Uuid::from_u128(42).to_string().into()));
    assert_eq!(place(&span), [7, 1, 1].map(|number: i64| Some(number.into())));
    assert_eq!(attribute(&span, "messaging.message.body.size"), Some(5.into()));
}

#[tokio::test]
async fn a_message_that_is_taken_below_a_span_is_processed_below_it() {
    let traced = traced(scripted(vec![made_in(GIVEN)])).await;
    let application = traced.application();
    let opening = traced.client.subscribe("orders").open();
    let mut subscription = opening.with_context(application.clone()).await.unwrap();
    assert_eq!(traced.header(0, "traceparent"), traceparent(&span_context(&application)));
    let delivery = next(&mut subscription).with_context(application.clone()).await;
    let work = traced.provider.tracer("application").start_with_context("work", &delivery.context());
    drop(work);
    delivery.mark_failed("out_of_stock", "there are none left");
    delivery.mark_failed("later", "does not count");
    drop(delivery);
    let [work, span] = traced.spans().try_into().unwrap();
    assert_eq!(span.parent_span_id, span_context(&application).span_id());
    assert_eq!(links(&span), [GIVEN]);
    assert_eq!(work.parent_span_id, span.span_context.span_id());
    assert_failed(&span, "out_of_stock", "there are none left");
}

#[tokio::test]
async fn a_context_that_cannot_be_read_begins_a_trace() {
    let wrong = ["", "00", "zz", &GIVEN.to_uppercase(), &GIVEN.replace('0', "🎺"), &"0".repeat(10_000)];
    let traced = traced(scripted(wrong.map(made_in).to_vec())).await;
    let mut subscription = traced.client.subscribe("orders").open().await.unwrap();
    for wrong in wrong {
        assert_eq!(next(&mut subscription).await.traceparent(), wrong);
    }
    assert_eq!(traced.spans().len(), wrong.len());
    for span in traced.spans() {
        assert_eq!((span.parent_span_id, span.links.len()), (SpanId::INVALID, 0));
    }
}

#[test]
fn a_delivery_pays_one_pointer_for_being_traceable() {
    let bare = size_of::<Message>() + size_of::<Position>();
    assert_eq!(size_of::<Delivery>(), bare + size_of::<usize>());
}
