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
    authentication::{Proof, Shown},
    handler::Target,
    rate::Rate,
    refusal::Refusal,
    tls::ClientNames,
};

const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const REQUEST_RATE: HeaderName = HeaderName::from_static("webhook-request-rate");
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");

/// Allows whoever asks about a source that is there to deliver as quickly as it likes, or as its registry may.
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
    let entry = match receiver.source(&path, shown) {
        Err(refusal) => return refusal.into_response(),
        // Elsewhere it is the delivery that proves who sends it.
        Ok((entry, Proof::Refused)) if entry.verifier.method().is_in_path() => {
            return Refusal::Unauthorized(None).into_response();
        }
        Ok((entry, _)) => entry,
    };
    let Some(origin) = headers.get(REQUEST_ORIGIN) else {
        return (StatusCode::METHOD_NOT_ALLOWED, [allow]).into_response();
    };
    let mut answer = HeaderMap::from_iter([allow, (ALLOWED_ORIGIN, origin.clone())]);
    if let Some(asked) = headers.get(REQUEST_RATE) {
        let allowed = entry.rate().map(|rate| least(asked, rate));
        answer.insert(ALLOWED_RATE, allowed.unwrap_or_else(|| asked.clone()));
    }
    (StatusCode::OK, answer).into_response()
}

/// Deliveries a minute, at most as many as were asked for.
fn least(asked: &HeaderValue, rate: Rate) -> HeaderValue {
    let granted = u64::from(rate.per_second) * 60;
    let asked = asked.to_str().ok().and_then(|asked| asked.parse().ok());
    HeaderValue::from(asked.map_or(granted, |asked| granted.min(asked)))
}
