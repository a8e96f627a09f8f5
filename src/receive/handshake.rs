//! Whether events are wanted here: what a sender of `CloudEvents` asks by OPTIONS before it delivers ("HTTP 1.1 Web
//! Hooks for Event Delivery", section 4). It proves nothing about who asks.

use axum::{
    Extension,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    Receiver,
    authentication::{Method, Proof, Shown},
    handler::Target,
    refusal::Refusal,
    tls::ClientNames,
};

const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const REQUEST_RATE: HeaderName = HeaderName::from_static("webhook-request-rate");
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");

/// Allows whoever asks about a source that is there to deliver as quickly as it likes.
pub(super) async fn answer(
    State(receiver): State<Receiver>,
    Path(target): Path<Target>,
    Extension(ClientNames(names)): Extension<ClientNames>,
    headers: HeaderMap,
) -> Response {
    let (path, secret) = target.split();
    let allow = (header::ALLOW, HeaderValue::from_static("POST"));
    let shown = Shown {
        headers: &headers,
        secret: secret.as_deref(),
        names: &names,
    };
    match receiver.source(&path, shown) {
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
