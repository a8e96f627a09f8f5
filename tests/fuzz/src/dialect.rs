//! A delivery of the format that the environment variable `FORMAT` names: read, ignored or refused, and what it
//! brings keeps the promises of the record.

#![no_main]

use std::sync::LazyLock;

use http::{HeaderMap, HeaderValue};
use image_usage_operator::{
    dialect::{Format, MAX_ENTRIES},
    event::Category,
};
use libfuzzer_sys::fuzz_target;

static FORMAT: LazyLock<Format> = LazyLock::new(|| {
    let name = std::env::var("FORMAT").expect("FORMAT names the format");
    *Format::ALL
        .iter()
        .find(|format| format.name() == name)
        .expect("a format's name")
});

/// Headers that formats look at; the first line of the input fills them.
const HEADERS: [&str; 6] = [
    "ce-type",
    "ce-id",
    "ce-time",
    "x-github-event",
    "x-github-delivery",
    "x-gitea-delivery",
];

fuzz_target!(|bytes: &[u8]| {
    let (head, body) = match bytes.iter().position(|&byte| byte == b'\n') {
        Some(end) if bytes.starts_with(b"#") => (&bytes[1..end], &bytes[end + 1..]),
        _ => (&b""[..], bytes),
    };
    let values = head.split(|&byte| byte == b' ');
    let headers: HeaderMap = HEADERS
        .into_iter()
        .zip(values)
        .filter_map(|(name, value)| Some((name.parse().ok()?, HeaderValue::from_bytes(value).ok()?)))
        .collect();
    match FORMAT.parse(&headers, body) {
        Ok(parsed) => {
            assert!(parsed.events.len() <= MAX_ENTRIES);
            for event in parsed.events {
                assert!(!event.id.is_empty() && event.id.len() <= 255);
                assert_eq!(event.target.is_some(), event.category == Category::Delete);
                assert!(!event.repository.is_empty() && event.repository.len() <= 255);
            }
        }
        Err(error) => assert!(error.to_string().len() < 256),
    }
});
