//! The grammar as tables. What is accepted, and what it means, is what
//! distribution's `ParseNormalizedNamed` accepts, save for hosts (which compare
//! case-insensitively here) and Docker Hub's registry host (an alias here).

use proptest::prelude::*;

use super::*;

const HEX: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn parse(text: &str) -> Result<Reference, ReferenceError> {
    text.parse()
}

/// Text, and the host, path and tag it must give.
type Row = (&'static str, &'static str, &'static str, Option<&'static str>);

fn assert_reads(table: &[Row]) {
    for &(text, host, path, tag) in table {
        let reference = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(reference.repository.host, host, "{text}");
        assert_eq!(reference.repository.path, path, "{text}");
        assert_eq!(reference.tag.as_deref(), tag, "{text}");
        assert_eq!(reference.digest, None, "{text}");
    }
}

#[test]
fn every_spelling_of_docker_hub_is_one_registry() {
    assert_reads(&[
        ("alpine", "docker.io", "library/alpine", None),
        ("alpine:3.22", "docker.io", "library/alpine", Some("3.22")),
        ("library/alpine", "docker.io", "library/alpine", None),
        ("docker.io/alpine", "docker.io", "library/alpine", None),
        ("docker.io/library/alpine", "docker.io", "library/alpine", None),
        ("index.docker.io/alpine", "docker.io", "library/alpine", None),
        (
            "registry-1.docker.io/alpine:3",
            "docker.io",
            "library/alpine",
            Some("3"),
        ),
        ("Docker.IO/alpine", "docker.io", "library/alpine", None),
        ("grafana/grafana", "docker.io", "grafana/grafana", None),
        (
            "index.docker.io/grafana/grafana",
            "docker.io",
            "grafana/grafana",
            None,
        ),
        ("a/b/c", "docker.io", "a/b/c", None),
        // a name that looks like a host is a host only before a slash
        ("test.com:tag", "docker.io", "library/test.com", Some("tag")),
        ("test.com:5000", "docker.io", "library/test.com", Some("5000")),
        ("localhost", "docker.io", "library/localhost", None),
        (
            "foo_bar.com:8080",
            "docker.io",
            "library/foo_bar.com",
            Some("8080"),
        ),
        (
            "foo/foo_bar.com:8080",
            "docker.io",
            "foo/foo_bar.com",
            Some("8080"),
        ),
        ("192.168.1.1", "docker.io", "library/192.168.1.1", None),
    ]);
}

#[test]
fn the_first_part_is_a_host_when_it_looks_like_one() {
    assert_reads(&[
        ("registry.example.com/app", "registry.example.com", "app", None),
        (
            "registry.example.com/team/app:v1",
            "registry.example.com",
            "team/app",
            Some("v1"),
        ),
        (
            "Registry.Example.COM/team/app",
            "registry.example.com",
            "team/app",
            None,
        ),
        (
            "sub-dom1.foo.com/bar/baz/quux",
            "sub-dom1.foo.com",
            "bar/baz/quux",
            None,
        ),
        (
            "xn--n3h.com/myimage:xn--n3h.com",
            "xn--n3h.com",
            "myimage",
            Some("xn--n3h.com"),
        ),
        (
            "registry.example.com:5000/app",
            "registry.example.com:5000",
            "app",
            None,
        ),
        ("registry:5000/app:v1", "registry:5000", "app", Some("v1")),
        ("localhost/app", "localhost", "app", None),
        ("LocalHost/app", "localhost", "app", None),
        ("localhost:5000/app", "localhost:5000", "app", None),
        ("192.168.1.1/app", "192.168.1.1", "app", None),
        (
            "192.168.1.1:5000/app:5050",
            "192.168.1.1:5000",
            "app",
            Some("5050"),
        ),
        ("Uppercase/lowercase:tag", "uppercase", "lowercase", Some("tag")),
        ("[2001:db8::1]/app", "[2001:db8::1]", "app", None),
        (
            "[2001:DB8::1]:5000/app:v1",
            "[2001:db8::1]:5000",
            "app",
            Some("v1"),
        ),
        ("[::1]:5000/team/app", "[::1]:5000", "team/app", None),
    ]);
}

#[test]
fn paths_and_tags_are_read_as_they_are() {
    assert_reads(&[
        ("r.io/a.b", "r.io", "a.b", None),
        ("r.io/a_b", "r.io", "a_b", None),
        ("r.io/a__b", "r.io", "a__b", None),
        ("r.io/a-b", "r.io", "a-b", None),
        ("r.io/a-----b", "r.io", "a-----b", None),
        ("r.io/a.b-c_d__e/0", "r.io", "a.b-c_d__e/0", None),
        ("r.io/sha256", "r.io", "sha256", None),
        // tags
        ("app:V1", "docker.io", "library/app", Some("V1")),
        ("app:_v", "docker.io", "library/app", Some("_v")),
        ("app:1.0-rc.1_2", "docker.io", "library/app", Some("1.0-rc.1_2")),
        ("app:v--..__", "docker.io", "library/app", Some("v--..__")),
    ]);
}

#[test]
fn a_digest_may_follow_a_name_or_a_tag() {
    let digest: Digest = format!("sha256:{HEX}").parse().unwrap();
    for (name, tag) in [
        ("app", None),
        ("app:v1", Some("v1")),
        ("r.io:5000/app", None),
        ("r.io:5000/app:v1", Some("v1")),
        ("[::1]:5000/app:v1", Some("v1")),
    ] {
        let reference = parse(&format!("{name}@{digest}")).unwrap();
        assert_eq!(reference.tag.as_deref(), tag, "{name}");
        assert_eq!(reference.digest.as_ref(), Some(&digest), "{name}");
    }
    let sha512 = parse(&format!("app@sha512:{HEX}{HEX}")).unwrap();
    assert!(matches!(sha512.digest, Some(Digest::Sha512(_))));
}

#[test]
fn what_the_grammar_does_not_know_is_refused_with_advice() {
    let digest = format!("sha256:{HEX}");
    let table = [
        ("", "cannot be empty"),
        // names
        (":justtag", "repository is missing"),
        ("@", "<algorithm>:<hex>"),
        (&format!("@{digest}"), "repository is missing"),
        ("/app", "each part"),
        ("r.io/", "repository is missing"),
        ("r.io//app", "each part"),
        ("app/", "each part"),
        ("-app", "each part"),
        ("app-", "each part"),
        ("_app", "each part"),
        ("app.", "each part"),
        ("a..b", "each part"),
        ("a___b", "each part"),
        ("a._b", "each part"),
        ("a-.b", "each part"),
        ("a_-b", "each part"),
        ("aa/asdf$$^/aa", "each part"),
        ("app name", "each part"),
        (" app", "each part"),
        ("app\n", "each part"),
        ("приложение", "each part"),
        ("Uppercase:tag", "lower case"),
        ("r.io/Team/app", "lower case"),
        ("registry:5000/Uppercase/lowercase:tag", "lower case"),
        // hosts
        ("a..b.com/app", "a host is"),
        (".com/app", "a host is"),
        ("example.com./app", "a host is"),
        ("-r.io/app", "a host is"),
        ("r-.io/app", "a host is"),
        ("my_registry.io/app", "a host is"),
        ("r.io:/app", "a host is"),
        ("r.io:port/app", "a host is"),
        ("r.io:1:2/app", "a host is"),
        ("2001:db8::1/app", "a host is"),
        ("[2001:db8::1/app", "a host is"),
        ("[]:5000/app", "a host is"),
        ("[fe80::1%eth0]:5000/app", "a host is"),
        ("[::ffff:127.0.0.1]/app", "a host is"),
        ("[::1]5000/app", "a host is"),
        ("https://r.io/app", "leave out the scheme"),
        ("docker://r.io/app", "leave out the scheme"),
        ("[2001:db8::1]", "each part"),
        ("[2001:db8::1]:5000", "each part"),
        // tags
        ("app:", "a tag has"),
        ("app:-v", "a tag has"),
        ("app:.v", "a tag has"),
        ("app:v+1", "a tag has"),
        ("app:v1:v2", "a tag has"),
        ("app:v 1", "a tag has"),
        (&format!("app:{}", "t".repeat(129)), "a tag has"),
        // digests
        ("app@", "<algorithm>:<hex>"),
        ("app@sha256", "<algorithm>:<hex>"),
        ("app@sha256:", "64 lower-case"),
        ("app@sha256:abc", "64 lower-case"),
        (&format!("app@sha256:{}", HEX.to_uppercase()), "64 lower-case"),
        (&format!("app@sha512:{HEX}"), "128 lower-case"),
        (&format!("app@sha384:{HEX}"), "use sha256 or sha512"),
        (&format!("app@{digest}:v1"), "64 lower-case"),
        (&format!("app@{digest}@{digest}"), "64 lower-case"),
        // identifiers of local images
        (HEX, "names no repository"),
        (&digest, "names no repository"),
        (&format!("sha512:{HEX}{HEX}"), "names no repository"),
    ];
    for (text, advice) in table {
        let error = parse(text).expect_err(text).to_string();
        assert!(error.contains(advice), "{text:?}: {error}");
        assert!(!error.starts_with(char::is_uppercase), "{error}");
    }
}

#[test]
fn lengths_are_limited_where_the_grammar_limits_them() {
    let path = "a/".repeat(127) + "a";
    assert_eq!(path.len(), 255);
    assert!(parse(&format!("r.io/{path}")).is_ok());
    assert!(parse(&format!("{}:a-tag-is-no-part-of-it", "a".repeat(247))).is_ok());
    for too_long in [format!("r.io/{path}a"), "a".repeat(248)] {
        let error = parse(&too_long).unwrap_err().to_string();
        assert!(error.contains("at most 255 bytes"), "{error}");
    }
    assert!(parse(&format!("app:{}", "t".repeat(128))).is_ok());

    let host = "h.".repeat(MAX_REFERENCE_BYTES / 2 - 2) + "h";
    assert!(parse(&format!("{host}/a")).is_ok());
    assert_eq!(parse(&format!("{host}/abcd")), Err(ReferenceError::TooLong));
}

#[test]
fn a_reference_without_a_tag_means_latest() {
    assert_eq!(parse("app").unwrap().tag_or_latest(), "latest");
    assert_eq!(parse("app:v1").unwrap().tag_or_latest(), "v1");
}

#[test]
fn a_namespace_is_the_path_less_its_last_part() {
    for (text, namespace, name) in [
        ("alpine", Some("library"), "alpine"),
        ("r.io/app", None, "app"),
        ("r.io/team/app", Some("team"), "app"),
        ("r.io/org/team/app", Some("org/team"), "app"),
    ] {
        let repository: RepositoryName = text.parse().unwrap();
        assert_eq!(repository.namespace(), namespace, "{text}");
        assert_eq!(repository.name(), name, "{text}");
    }
}

#[test]
fn a_repository_is_named_without_tag_and_digest() {
    for text in ["app:v1", "r.io/app:v1", &format!("r.io/app@sha256:{HEX}")] {
        assert_eq!(
            text.parse::<RepositoryName>(),
            Err(ReferenceError::NotARepository),
            "{text}"
        );
    }
    assert_eq!(
        "r.io:5000/app".parse::<RepositoryName>().unwrap().to_string(),
        "r.io:5000/app"
    );
}

#[test]
fn text_is_the_normal_form() {
    for (text, normal) in [
        ("alpine", "docker.io/library/alpine".to_owned()),
        ("R.IO:5000/app:V1", "r.io:5000/app:V1".to_owned()),
        (
            &format!("app:v1@sha256:{HEX}"),
            format!("docker.io/library/app:v1@sha256:{HEX}"),
        ),
        // written as a runtime would read it: in lower case it were a path
        ("Registry/app", "REGISTRY/app".to_owned()),
    ] {
        let reference = parse(text).unwrap();
        assert_eq!(reference.to_string(), normal);
        let json = serde_json::to_string(&reference).unwrap();
        assert_eq!(json, format!("\"{normal}\""));
        assert_eq!(serde_json::from_str::<Reference>(&json).unwrap(), reference);
    }
    assert!(serde_json::from_str::<Reference>("\"Not an image\"").is_err());
}

/// Text close to the grammar: most of it is valid or nearly so.
fn near_reference() -> impl Strategy<Value = String> {
    "(([a-zA-Z0-9.-]{1,9}|\\[[0-9a-fA-F:]{1,9}\\]|docker\\.io|localhost)(:[0-9]{1,5})?/)?\
     ([a-z0-9]{1,4}([._]|__|-{1,3}|/)?){1,5}(:[A-Za-z0-9_.-]{1,9})?(@sha256:[0-9a-f]{64})?"
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(text in near_reference()) {
        if let Ok(reference) = parse(&text) {
            prop_assert_eq!(parse(&reference.to_string()), Ok(reference.clone()));
            let repository = &reference.repository;
            prop_assert_eq!(repository.to_string().parse(), Ok(repository.clone()));
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC*|[a-z:/@.\\[\\]_-]*") {
        let _ = parse(&text);
        let _ = text.parse::<RepositoryName>();
    }

    #[test]
    fn a_digest_is_read_back(bytes in any::<[u8; 32]>()) {
        let digest = Digest::Sha256(bytes);
        prop_assert_eq!(digest.to_string().parse(), Ok(digest));
    }
}
