//! The parts of the fuzzers that look into the native API.

use prost::Message;

use super::convert;
use crate::api::intake::Place;
use crate::proto::v1;
use crate::topic::Batch;

/// A request of the kind that the first byte says.
pub fn requests(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    match kind % 6 {
        0 => publish(data),
        1 => {
            if let Ok((name, _)) =
                v1::SubscribeRequest::decode(data).map(convert::subscribe).unwrap_or_else(refused)
            {
                assert!(!name.topic().is_empty());
            }
        }
        2 => {
            let request = v1::CreateTopicRequest::decode(data).unwrap_or_default();
            let _ = convert::topic_change(request.topic);
        }
        3 => {
            let request = v1::ListTopicsRequest::decode(data).unwrap_or_default();
            assert!((1..=crate::limits::PAGE_SIZE_MAX).contains(&convert::page_size(request.page_size)));
        }
        4 => {
            let request = v1::TraceTopicRequest::decode(data).unwrap_or_default();
            let _ = request.wait.and_then(convert::span);
        }
        _ => {
            let _ = v1::CreateTokenRequest::decode(data).map(|request| request.ttl.and_then(convert::span));
        }
    }
}

fn refused<T>(_: prost::DecodeError) -> crate::error::Result<T> {
    Err(crate::error::Error::field("request", "is none"))
}

fn publish(data: &[u8]) {
    let Ok(request) = v1::PublishRequest::decode(data) else { return };
    let sent = request.messages.clone();
    let Ok(batch) = convert::messages(request.messages, None).and_then(|messages| Batch::encode(&messages))
    else {
        return;
    };
    assert_eq!(batch.len(), sent.len());
    for (body, sent) in batch.bodies().zip(&sent) {
        let kept = v1::Message::decode(body);
        assert!(kept.is_ok_and(|kept| is_same(&kept, sent)), "a message changed");
    }
    bodies_fit(&batch);
}

fn is_same(kept: &v1::Message, sent: &v1::Message) -> bool {
    kept.payload == sent.payload
        && kept.key == sent.key
        && kept.attributes == sent.attributes
        && kept.content_type == sent.content_type
        && kept.traceparent == sent.traceparent
        && kept.tracestate == sent.tracestate
        && (sent.id.is_empty() || kept.id == sent.id)
        && kept.publisher.is_empty()
}

fn bodies_fit(batch: &Batch) {
    let bytes: usize = batch.bodies().map(<[u8]>::len).sum();
    assert!(bytes <= batch.bytes_max());
}

/// A body, whole and in pieces whose size the first byte says.
pub fn intake(data: &[u8]) {
    let Some((step, body)) = data.split_first() else { return };
    let mut whole = Place::of(64 * 1024);
    let mut pieces = Place::of(64 * 1024);
    let at_once = whole.pass(body).map_err(|(taken, error)| (taken, error.message().to_owned()));
    let mut passed = 0;
    let mut in_pieces = Ok(());
    for piece in body.chunks(usize::from(*step).max(1)) {
        if let Err((taken, error)) = pieces.pass(piece) {
            in_pieces = Err((passed + taken, error.message().to_owned()));
            break;
        }
        passed += piece.len();
    }
    match (at_once, in_pieces) {
        (Ok(()), Ok(())) => assert_eq!(whole, pieces),
        (Err((_, whole)), Err((_, pieces))) => assert_eq!(whole, pieces),
        (at_once, in_pieces) => panic!("{at_once:?} at once, {in_pieces:?} in pieces"),
    }
}
