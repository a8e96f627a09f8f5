//! Headers that tell something beside the body.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};

/// Those that formats read, and those that tell of which kind an event is: nobody proves who he is by one.
const TELLING: [&str; 18] = [
    "aeg-event-type",
    "ce-id",
    "ce-source",
    "ce-specversion",
    "ce-subject",
    "ce-time",
    "ce-type",
    "x-amz-sns-message-type",
    "x-forgejo-delivery",
    "x-forgejo-event",
    "x-gitea-delivery",
    "x-gitea-event",
    "x-github-delivery",
    "x-github-event",
    "x-goog-pubsub-message-id",
    "x-goog-pubsub-publish-time",
    "x-nexus-webhook-delivery",
    "x-nexus-webhook-id",
];
/// Bytes of the longest value.
const LONGEST: usize = 1024;

/// What headers tell beside the body; what is longer than 1024 bytes is left out.
#[must_use]
pub fn telling(headers: &HeaderMap) -> BTreeMap<String, String> {
    let value = |name| {
        headers
            .get(name)?
            .to_str()
            .ok()
            .filter(|value| value.len() <= LONGEST)
    };
    TELLING
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), value(name)?.to_owned())))
        .collect()
}

/// The same as headers again.
#[must_use]
pub fn told(headers: &BTreeMap<String, String>) -> HeaderMap {
    headers
        .iter()
        .filter_map(|(name, value)| {
            Some((
                name.parse::<HeaderName>().ok()?,
                value.parse::<HeaderValue>().ok()?,
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{
        Format,
        tests::{Fixtures, Message},
    };

    #[test]
    fn a_body_reads_the_same_with_what_is_told_of_its_headers() {
        for format in Format::ALL {
            for Message { name, headers, body } in Fixtures(format).messages() {
                let again = told(&telling(&headers));
                assert_eq!(
                    format.parse(&again, &body),
                    format.parse(&headers, &body),
                    "{} {name}",
                    format.name()
                );
            }
        }
    }

    #[test]
    fn what_is_long_or_proves_who_sends_is_left_out() {
        let long = "x".repeat(LONGEST + 1);
        let headers: HeaderMap = [
            ("authorization", "Bearer 0123456789abcdef"),
            ("x-hub-signature-256", "sha256=00"),
            ("ce-source", long.as_str()),
            ("ce-id", "1"),
        ]
        .into_iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
        .collect();
        assert_eq!(telling(&headers), [("ce-id".to_owned(), "1".to_owned())].into());
    }
}
