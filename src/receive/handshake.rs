//! Whether events are wanted here: what a sender of `CloudEvents` asks by OPTIONS before it delivers ("HTTP 1.1 Web
//! Hooks for Event Delivery", section 4). It proves nothing about who asks.

use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    Receiver,
    authentication::{Method, Proof},
    handler::Target,
    refusal::Refusal,
};

const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const REQUEST_RATE: HeaderName = HeaderName::from_static("webhook-request-rate");
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");

/// Allows whoever asks about a source that is there to deliver as quickly as it likes.
pub(super) async fn answer(
    State(receiver): State<Receiver>,
    Path(target): Path<Target>,
    headers: HeaderMap,
) -> Response {
    let (path, secret) = target.split();
    let allow = (header::ALLOW, HeaderValue::from_static("POST"));
    match receiver.source(&path, secret.as_deref(), &headers) {
        Err(refusal) => return refusal.into_response(),
        // Elsewhere it is the delivery that proves who sends it.
        Ok((entry, Proof::Refused)) if *entry.verifier.method() == Method::Path => {
            return Refusal::Unauthorized(None).into_response();
        }
        Ok(_) => {}
    }
    let Some(origin) = headers.get(REQUEST_ORIGIN) else {
        return (StatusCode::METHOD_NOT_ALLOWED, [allow]).into_response();
    };
    let mut answer = HeaderMap::from_iter([allow, (ALLOWED_ORIGIN, origin.clone())]);
    if let Some(rate) = headers.get(REQUEST_RATE) {
        answer.insert(ALLOWED_RATE, rate.clone());
    }
    (StatusCode::OK, answer).into_response()
}
