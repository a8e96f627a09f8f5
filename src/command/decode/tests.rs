//! The command as people type it, on files.

use std::{fs, path::PathBuf};

use clap::Parser;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    decode: Decode,
}

/// What it says of a body on standard input, or why it says nothing.
fn said(words: &[&str], mut input: &[u8]) -> Result<String, String> {
    let words = [["decode"].as_slice(), words].concat();
    let decode = Arguments::try_parse_from(words).unwrap().decode;
    let (mut out, mut told) = (Vec::new(), Vec::new());
    let outcome = decode.run(&mut Streams {
        input: &mut input,
        out: &mut out,
        told: &mut told,
        is_terminal: false,
    });
    let told = String::from_utf8(told).unwrap();
    assert!(told.is_empty() || told.contains("left out"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
    assert!(
        outcome.is_ok() || out.is_empty(),
        "nothing is printed with an error"
    );
    outcome.map(|()| String::from_utf8(out).unwrap())
}

fn events(words: &[&str], input: &[u8]) -> Value {
    serde_json::from_str(&said(words, input).unwrap()).unwrap()
}

fn fixture(name: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("tests/fixtures/events").join(name);
    path.to_str().unwrap().to_owned()
}

const PULL: &[u8] = br#"{"category": "Pull", "repository": "shop/web"}"#;

#[test]
fn an_event_is_printed_with_every_key_and_null_where_nothing_is_known() {
    let printed = said(&["--format", "Generic", "-"], PULL).unwrap();
    let expected = r#"[
  {
    "category": "Pull",
    "repository": "shop/web",
    "tag": null,
    "digest": null,
    "clientIP": null,
    "networkType": null,
    "eventTime": null,
    "actor": null,
    "userAgent": null,
    "id": null,
    "method": null
  }
]
"#;
    assert_eq!(printed, expected);
}

#[test]
fn an_event_is_printed_as_the_source_told_it() {
    let digest = format!("sha256:{}", "1".repeat(64));
    let body = json!({
        "category": "Delete", "repository": "shop/web", "tag": "v1", "digest": digest, "target": "Manifest",
        "clientIP": "[2001:db8::7]:443", "networkType": "Public", "eventTime": "2026-03-01T10:00:00.25+01:00",
        "actor": "ci", "userAgent": "crane/0.22.1", "id": "e-1", "method": "delete",
    });
    let printed = events(&["--format", "Generic", "-"], body.to_string().as_bytes());
    let expected = json!([{
        "category": "Delete", "repository": "shop/web", "tag": "v1", "digest": digest,
        "clientIP": "2001:db8::7", "networkType": "Public", "eventTime": "2026-03-01T09:00:00.25Z",
        "actor": "ci", "userAgent": "crane/0.22.1", "id": "e-1", "method": "DELETE",
    }]);
    assert_eq!(printed, expected);
}

#[test]
fn the_name_of_a_format_has_any_case_and_an_unknown_one_is_told_which_there_are() {
    for format in Format::ALL {
        assert_eq!(super::format(&format.name().to_uppercase()), Ok(format));
    }
    assert_eq!(events(&["--format", "gEnErIc", "-"], PULL)[0]["category"], "Pull");
    let error = said(&["--format", "generics", "-"], PULL).unwrap_err();
    for format in Format::ALL {
        assert!(error.contains(format.name()), "{error}");
    }
}

#[test]
fn what_is_about_no_image_is_an_empty_array() {
    for (format, body) in [
        ("Distribution", r#"{"events": []}"#),
        ("GitHub", r#"{"zen": "Keep it simple.", "hook_id": 1}"#),
        ("Generic", r#"{"category": "Scan", "repository": "shop/web"}"#),
    ] {
        let printed = said(&["--format", format, "-"], body.as_bytes());
        assert_eq!(printed.as_deref(), Ok("[]\n"), "{format}");
    }
}

#[test]
fn headers_come_from_a_file_and_without_them_what_only_they_carry_is_null() {
    let body = fixture("github/registry-package-published.json");
    let headers = fixture("github/registry-package-published.headers.json");
    let with = events(&["--format", "GitHub", "--headers", &headers, &body], b"");
    assert_eq!(with[0]["id"], "5b1f2a60-0000-11f1-8000-000000000001");
    let without = events(&["--format", "GitHub", &body], b"");
    assert_eq!(without[0]["id"], Value::Null);
    assert_eq!(without[0]["repository"], with[0]["repository"]);
}

#[test]
fn headers_of_another_shape_are_refused_and_not_quoted() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("headers.json");
    let words = ["--format", "Generic", "--headers", file.to_str().unwrap(), "-"];
    for good in [
        json!({}),
        json!({"X-One": "a", "x-two": ["a", "b"], "X-None": []}),
        json!({"Authorization": "<the raw secret, no \"Bearer \" prefix>", "X-Name": "é"}),
        json!({"<your header>": "a", "X-Two": "hunter2\r\nx: y"}),
    ] {
        fs::write(&file, good.to_string()).unwrap();
        assert!(said(&words, PULL).is_ok(), "{good}");
    }
    for bad in [
        String::new(),
        "hunter2".to_owned(),
        json!(["hunter2"]).to_string(),
        json!({"x": 2}).to_string(),
        json!({"x": {"hunter2": "hunter2"}}).to_string(),
        json!({"x": ["hunter2", null]}).to_string(),
    ] {
        fs::write(&file, &bad).unwrap();
        let error = said(&words, PULL).unwrap_err();
        assert!(error.contains("headers.json: the header"), "{bad}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    fs::remove_file(&file).unwrap();
    assert!(said(&words, PULL).unwrap_err().contains("failed to open"));
}

#[test]
fn what_cannot_be_read_is_an_error_that_says_why() {
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("missing.json");
    let (missing, folder) = (missing.to_str().unwrap(), folder.path().to_str().unwrap());
    for (format, file, input, reason) in [
        (
            "Distribution",
            "-",
            "token=hunter2",
            "standard input: failed to read the body as JSON",
        ),
        ("Distribution", "-", "[]", "it is no JSON object"),
        ("Generic", "-", "", "it is empty"),
        ("Generic", missing, "", "missing.json: failed to open"),
        ("Generic", folder, "", "failed to read"),
    ] {
        let error = said(&["--format", format, file], input.as_bytes()).unwrap_err();
        assert!(error.contains(reason) && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_body_that_the_webhook_would_refuse_for_its_size_is_refused() {
    let mut body = PULL.to_vec();
    body.resize(MAX_BODY_BYTES, b' ');
    assert!(said(&["--format", "Generic", "-"], &body).is_ok());
    body.push(b' ');
    let error = said(&["--format", "Generic", "-"], &body).unwrap_err();
    assert!(error.contains("larger than 1048576 bytes"), "{error}");
}

#[test]
fn text_of_others_does_not_rule_the_terminal() {
    let body = json!({"category": "Pull", "repository": "shop/web", "actor": "\u{9b}2J\u{202e}\u{1b}[2J"});
    let printed = said(&["--format", "Generic", "-"], body.to_string().as_bytes()).unwrap();
    assert!(
        printed.contains(r#""actor": "\u009b2J\u202e\u001b[2J""#),
        "{printed}"
    );
}
