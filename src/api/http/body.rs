//! The body of a request, read whole within the same bounds as a gRPC message: a cap on its size, and
//! what has come of it stands in the memory budget; and within a time, for nothing ends it otherwise.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::time::timeout;

use crate::api::host::Host;
use crate::api::intake::Held;
use crate::error::{Code, Error, Result};
use crate::limits::HTTP_BODY_DEADLINE;

/// The whole of a body. Errors: it is larger than messages may be, there is no room for it, it ended before
/// its end, or it did not come in time.
pub async fn read(host: &Host, body: Incoming) -> Result<Bytes> {
    let Ok(read) = timeout(HTTP_BODY_DEADLINE, whole(host, body)).await else {
        let message = format!("the body of the request did not come within {HTTP_BODY_DEADLINE:?}");
        return Err(Error::new(Code::Cancelled, message).reason("REQUEST_TIMEOUT"));
    };
    read
}

async fn whole(host: &Host, mut body: Incoming) -> Result<Bytes> {
    let most = host.max_message_bytes;
    if body.size_hint().lower() > most as u64 {
        return Err(too_large(most));
    }
    let (mut held, mut read) = (Held::new(host), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(cut)?.into_data() else { continue };
        if read.len() + data.len() > most {
            return Err(too_large(most));
        }
        held.grow(read.len() + data.len())?;
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

fn too_large(most: usize) -> Error {
    let description = format!(
        "has more than {most} bytes: send less at once, or give the server a larger limits.max_message_bytes"
    );
    Error::field("body", description).reason("MESSAGE_TOO_LARGE").with("limit_bytes", most)
}

fn cut(error: hyper::Error) -> Error {
    let message = "the body of the request ended before its end, or is not written as HTTP wants it";
    Error::new(Code::InvalidArgument, message).reason("TRUNCATED_MESSAGE").because(error)
}
