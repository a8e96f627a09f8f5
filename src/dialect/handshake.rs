//! What senders want to read before they deliver anything.

use http::HeaderMap;
use serde_json::{Value, json};

use super::{Format, json};

/// What a message that is no delivery asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handshake {
    /// Answer 200 with this body.
    Answer(Value),
    /// Somebody has to open an address that the message names. Nobody does so by itself: anyone who may deliver
    /// could have the operator ask whatever it can reach.
    Confirm,
}

impl Format {
    /// Reads a message that is a handshake; nothing where it is a delivery.
    #[must_use]
    pub fn handshake(self, headers: &HeaderMap, body: &[u8]) -> Option<Handshake> {
        match self {
            Self::AzureACR => event_grid(headers, body),
            Self::AmazonECR => notification_topic(headers),
            _ => None,
        }
    }
}

/// Event Grid's validation, which wants its code back within 30 seconds ("Endpoint validation with Event Grid event
/// schema").
fn event_grid(headers: &HeaderMap, body: &[u8]) -> Option<Handshake> {
    if headers.get("aeg-event-type")?.as_bytes() != b"SubscriptionValidation" {
        return None;
    }
    let events = json::records(body).ok()?;
    let code = events.first()?.get("data")?.get("validationCode")?.as_str()?;
    Some(Handshake::Answer(json!({ "validationResponse": code })))
}

/// A topic that asks whether it may send ("Amazon SNS message and JSON formats").
fn notification_topic(headers: &HeaderMap) -> Option<Handshake> {
    let kind = headers.get("x-amz-sns-message-type")?.as_bytes();
    let asks = [&b"SubscriptionConfirmation"[..], b"UnsubscribeConfirmation"].contains(&kind);
    asks.then_some(Handshake::Confirm)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "0a1b2c3d-0000-4000-8000-000000000001";

    fn with(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
    }

    #[test]
    fn event_grid_gets_its_code_back() {
        let body = json!([{
            "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
            "data": {"validationCode": CODE, "validationUrl": "https://example.com/validate"},
        }])
        .to_string();
        let headers = with("aeg-event-type", "SubscriptionValidation");
        assert_eq!(
            Format::AzureACR.handshake(&headers, body.as_bytes()),
            Some(Handshake::Answer(json!({ "validationResponse": CODE })))
        );
        let notification = with("aeg-event-type", "Notification");
        assert_eq!(Format::AzureACR.handshake(&notification, body.as_bytes()), None);
        for body in ["", "[]", "{}", r#"[{"data":{"validationCode":7}}]"#] {
            assert_eq!(
                Format::AzureACR.handshake(&headers, body.as_bytes()),
                None,
                "{body}"
            );
        }
        assert_eq!(Format::Zot.handshake(&headers, body.as_bytes()), None);
    }

    #[test]
    fn a_topic_is_confirmed_by_nobody_but_people() {
        let asked = with("x-amz-sns-message-type", "SubscriptionConfirmation");
        assert_eq!(
            Format::AmazonECR.handshake(&asked, b"{}"),
            Some(Handshake::Confirm)
        );
        let sent = with("x-amz-sns-message-type", "Notification");
        assert_eq!(Format::AmazonECR.handshake(&sent, b"{}"), None);
    }
}
