use std::{fs, path::Path};

use super::read;
use crate::{
    dialect::Parsed,
    event::{AddressSource, Category, DeleteTarget},
};

/// Samples of others, which are not in this repository: a folder with
/// `distribution*/NAME.json` beside `NAME.headers.json`.
#[test]
fn samples_of_others_decode_as_their_names_say() {
    let Ok(folder) = std::env::var("IMAGE_USAGE_EVENT_SAMPLES") else {
        println!("skipped: IMAGE_USAGE_EVENT_SAMPLES names no folder of samples");
        return;
    };
    let mut seen = 0;
    for kind in ["distribution", "distribution-v2"] {
        for file in fs::read_dir(Path::new(&folder).join(kind)).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let body = path.extension().is_some_and(|extension| extension == "json");
            if body && !name.ends_with(".headers.json") {
                sample(&name, &read(fs::read(path).unwrap()).unwrap());
                seen += 1;
            }
        }
    }
    assert!(seen > 0, "no samples in {folder}");
}

fn sample(name: &str, parsed: &Parsed) {
    if name.contains("layer-blob") || name.starts_with("mount") {
        assert_eq!((parsed.events.len(), parsed.ignored), (0, 1), "{name}");
        return;
    }
    assert_eq!(parsed.events.len(), 1, "{name}");
    let event = &parsed.events[0];
    let expected = match name.split('-').next() {
        Some("push") => (Category::Push, None),
        Some("pull") => (Category::Pull, None),
        _ => (
            Category::Delete,
            Some(match name {
                "delete-tag.json" => DeleteTarget::Tag,
                "delete-repository.json" => DeleteTarget::Repository,
                _ => DeleteTarget::Manifest,
            }),
        ),
    };
    assert_eq!((event.category, event.target), expected, "{name}");
    assert!(
        event.time.is_some() && event.user_agent.is_some() && event.method.is_some(),
        "{name}"
    );
    if name == "push-envelope-manifest-and-layers.json" {
        assert_eq!(
            (parsed.ignored, &event.digest, event.address),
            (2, &None, None),
            "{name}"
        );
    } else {
        let by_header = name == "push-manifest-tagged.json";
        let source = if by_header {
            AddressSource::Header
        } else {
            AddressSource::Peer
        };
        assert_eq!(
            event.address.map(|address| address.source),
            Some(source),
            "{name}"
        );
        let digest = expected.1.is_none_or(|target| target == DeleteTarget::Manifest);
        assert_eq!(event.digest.is_some(), digest, "{name}");
    }
    let tagged = ["by-tag", "tagged", "delete-tag"]
        .iter()
        .any(|part| name.contains(part));
    assert_eq!(event.tag.is_some(), tagged, "{name}");
    assert_eq!(
        event.method.as_deref() == Some("HEAD"),
        name.contains("head"),
        "{name}"
    );
}
