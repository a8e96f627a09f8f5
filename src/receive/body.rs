//! The whole body of a delivery, if it is plain, not too large, and comes in time.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::refusal::Refusal;

/// Bytes of the largest body.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// What the head promises of the body, at most [`MAX_BODY_BYTES`]. Refused where it
/// already tells that the body cannot be taken.
pub(super) fn expected_bytes(headers: &HeaderMap) -> Result<usize, Refusal> {
    let is_plain = |encoding: &header::HeaderValue| encoding.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(header::CONTENT_ENCODING).iter().all(is_plain) {
        return Err(Refusal::Compressed);
    }
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    match declared {
        Some(length) if length > MAX_BODY_BYTES => Err(Refusal::TooLarge),
        Some(length) => Ok(length),
        // Sent in chunks: it may be as large as any.
        None => Ok(MAX_BODY_BYTES),
    }
}

pub(super) async fn read(body: Body, within: Duration) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(within, Limited::new(body, MAX_BODY_BYTES).collect()).await {
        Err(_) => Err(Refusal::TooSlow),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
        Ok(Err(_)) => Err(Refusal::Broken),
    }
}
