use std::path::Path;

use super::{Message, messages, told};
use crate::dialect::Format;

/// Samples of others, which are not in this repository: what each file of a folder in
/// `IMAGE_USAGE_EVENT_SAMPLES` brings, by name, as lines of [`told`]; none is ignored.
pub(in crate::dialect) fn samples(format: Format, kind: &str, expected: &[(&str, &[&str])]) {
    let Ok(folder) = std::env::var("IMAGE_USAGE_EVENT_SAMPLES") else {
        println!("skipped: IMAGE_USAGE_EVENT_SAMPLES names no folder of samples");
        return;
    };
    let found: Vec<(String, Vec<String>)> = messages(&Path::new(&folder).join(kind))
        .into_iter()
        .map(|Message { name, headers, body }| {
            let parsed = format.parse(&headers, &body).unwrap();
            let ignored = usize::try_from(parsed.ignored).unwrap();
            assert!(parsed.events.len() + ignored > 0, "{name}");
            (name, parsed.events.iter().map(told).collect())
        })
        .collect();
    let expected: Vec<(String, Vec<String>)> = expected
        .iter()
        .map(|(name, lines)| {
            let lines = lines.iter().map(|line| (*line).to_owned());
            ((*name).to_owned(), lines.collect())
        })
        .collect();
    assert_eq!(found, expected);
}
