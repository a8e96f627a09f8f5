use std::{env, fs, path::Path};

use schemars::schema_for;
use serde_json::json;

use super::*;
use crate::{
    dialect::{Format, tests::Fixtures},
    event::AddressSource,
};

const GENERIC: Fixtures = Fixtures(Format::Generic);

#[test]
fn each_fixture_brings_what_it_tells() {
    GENERIC.bring(&[
        (
            "deletes",
            &[
                "Delete Tag shop/web:v1 id 1",
                "Delete Manifest shop/web@11 id 2",
                "Delete Repository shop/web id 3",
                "Delete Tag shop/web:v1@11 id 4",
            ],
            1,
        ),
        (
            "from-an-access-log",
            &[
                "Push shop/web:v1@11 method PUT from Peer 203.0.113.24 by ci with crane/0.22.1 \
                 at 2026-03-08T10:00:00.058Z id 0000000000000000000000000000003a",
                "Pull shop/web:v1@11 method HEAD from Peer 203.0.113.24 with containerd/v2.1.4 \
                 at 2026-03-08T10:00:00.085Z id 00000000000000000000000000000055",
                "Pull shop/web@11 method GET from Peer 203.0.113.24 with odd \"agent\" \\ é \
                 at 2026-03-08T10:00:00.229Z id 000000000000000000000000000000e5",
                "Delete Tag shop/web:v0 method DELETE from Peer 203.0.113.24 by ci with crane/0.22.1 \
                 at 2026-03-08T10:00:00.467Z id 000000000000000000000000000001d3",
                "Delete Manifest shop/web@22 method DELETE from Peer 203.0.113.24 by ci with crane/0.22.1 \
                 at 2026-03-08T10:00:00.579Z id 00000000000000000000000000000243",
            ],
            0,
        ),
        ("lines", &["Pull shop/web:v1 id 1", "Pull shop/web:v2 id 2"], 0),
        (
            "list",
            &[
                "Push shop/web:v1@11 method PUT from Header 198.51.100.7 network Public \
                 through 198.51.100.7, 10.0.0.9 by ci at 2026-03-07T09:00:00Z id 1",
                "Push shop/web@aa network Private",
            ],
            5,
        ),
        (
            "pull",
            &[
                "Pull shop/web:v1@11 method GET from Peer 203.0.113.24 by deploy with containerd/v2.1.4 \
                 at 2026-03-07T09:00:00.25Z id 4f2c",
            ],
            0,
        ),
    ]);
}

/// What a record with these fields beside its category and repository brings.
fn one(fields: Value) -> Option<RegistryEvent> {
    let mut record = json!({"category": "Pull", "repository": "shop/web"});
    let Value::Object(fields) = fields else {
        panic!("{fields} are no fields");
    };
    record.as_object_mut().unwrap().extend(fields);
    GENERIC.one(&record)
}

#[test]
fn deletes_are_of_a_whole_repository_only_where_they_say_so() {
    let digest = format!("sha256:{}", "1".repeat(64));
    for (tag, digest, target, expected) in [
        (
            json!("v1"),
            json!(digest),
            json!(null),
            Some(DeleteTarget::Manifest),
        ),
        (
            json!(digest),
            json!(null),
            json!(null),
            Some(DeleteTarget::Manifest),
        ),
        (
            json!(null),
            json!("sha256:0123"),
            json!(null),
            Some(DeleteTarget::Manifest),
        ),
        (json!("no tag"), json!(null), json!(null), None),
        (json!(""), json!(""), json!(null), None),
        (json!("v1"), json!(null), json!("Manifest"), None),
        (json!(null), json!(digest), json!("Tag"), None),
        (
            json!(""),
            json!(""),
            json!("Repository"),
            Some(DeleteTarget::Repository),
        ),
        (json!("v1"), json!(null), json!("Repository"), None),
        (json!("v1"), json!(null), json!("Everything"), None),
    ] {
        let fields = json!({"category": "Delete", "tag": tag, "digest": digest, "target": target});
        let found = one(fields.clone()).and_then(|event| event.target);
        assert_eq!(found, expected, "{fields}");
    }
    assert_eq!(
        one(json!({"target": "Tag"})).unwrap().target,
        None,
        "a pull has none"
    );
}

#[test]
fn a_record_that_the_schema_refuses_is_ignored() {
    for fields in [
        json!({"category": null}),
        json!({"category": "pull"}),
        json!({"repository": null}),
        json!({"repository": ""}),
        json!({"repository": "r".repeat(256)}),
        json!({"tag": 7}),
        json!({"digest": {}}),
        json!({"clientIP": 7}),
        json!({"clientIPSource": "Proxy"}),
        json!({"networkType": "Internet"}),
        json!({"eventTime": 1_772_442_000}),
        json!({"id": 7}),
    ] {
        assert_eq!(one(fields.clone()), None, "{fields}");
    }
}

#[test]
fn what_cannot_be_read_of_an_optional_text_is_absent() {
    let least = one(json!({})).unwrap();
    for fields in [
        json!({"tag": "", "digest": "", "clientIP": "", "eventTime": "", "actor": "", "userAgent": "", "method": "", "id": ""}),
        json!({"tag": "not a tag", "digest": "sha256:0123", "clientIP": "client.local", "eventTime": "2026-03-07T09:00:00"}),
        json!({"method": "GET /", "eventTime": "0001-01-01T00:00:00Z", "clientIPSource": "Peer", "forwardedFor": null}),
        json!({"anything": {"else": [1]}}),
    ] {
        assert_eq!(one(fields.clone()).unwrap(), least, "{fields}");
    }
    let chain = one(json!({"forwardedFor": "203.0.113.9, 10.0.0.1"})).unwrap();
    assert_eq!(chain.forwarded_chain.as_deref(), Some("203.0.113.9, 10.0.0.1"));
    assert_eq!(chain.address, None);
}

#[test]
fn an_address_is_a_header_unless_the_record_says_otherwise() {
    use AddressSource::{Header, Peer};
    for (ip, source, expected) in [
        ("203.0.113.9", json!(null), Header),
        ("203.0.113.9:443", json!(null), Header),
        ("203.0.113.9:443", json!("Header"), Header),
        ("203.0.113.9", json!("Peer"), Peer),
        ("203.0.113.9:443", json!("Peer"), Peer),
    ] {
        let event = one(json!({"clientIP": ip, "clientIPSource": source})).unwrap();
        let address = event.address.unwrap();
        assert_eq!(
            (address.ip.to_string().as_str(), address.source),
            ("203.0.113.9", expected)
        );
    }
}

#[test]
fn a_body_without_any_record_is_an_error() {
    for (body, reason) in [
        ("", "UnexpectedShape"),
        ("7", "UnexpectedShape"),
        ("[\"hunter2\"]", "UnexpectedShape"),
        ("hunter2", "NotJSON"),
        ("{\"category\": \"Pull\"}\n{\"category\"", "NotJSON"),
    ] {
        GENERIC.refuse(body, reason);
    }
    assert_eq!(GENERIC.read("[]"), Ok(Parsed::default()));
}

/// With `REGENERATE` in the environment it is written.
#[test]
fn the_schema_file_is_that_of_the_code() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/registries/generic.schema.json");
    let schema = serde_json::to_string_pretty(&schema_for!(Record)).unwrap() + "\n";
    assert!(schema.contains("https://json-schema.org/draft/2020-12/schema"));
    if env::var_os("REGENERATE").is_some() {
        fs::write(&file, &schema).unwrap();
    }
    let there = fs::read_to_string(&file).unwrap_or_default();
    assert!(there == schema, "{}: run make generate", file.display());
}

#[test]
fn the_examples_that_read_an_access_log_are_yaml() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/access-log");
    for name in ["vector.yaml", "fluent-bit.yaml"] {
        let text = fs::read_to_string(examples.join(name)).unwrap();
        serde_saphyr::from_str::<Value>(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
