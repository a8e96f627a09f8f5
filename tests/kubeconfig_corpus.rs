//! Every file of `tests/fixtures/kubeconfigs` against the reader: good ones are
//! read, evil ones refused for the reason that their folder names, and nothing of
//! a secret shows.

#![allow(clippy::unwrap_used, reason = "a broken fixture must stop the test")]

use std::{
    fmt::Debug,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use image_usage_operator::cluster::kubeconfig::{Credentials, Kubeconfig, KubeconfigError, Timeouts};
use proptest::prelude::*;
use serde::Deserialize;

/// Stands in every place of a secret.
const SECRET: &str = "TOP-SECRET-0a1b2c3d4e";
/// Its base64 from the first byte on, as in key data.
const SECRET_BASE64: &str = "VE9QLVNFQ1JFVC0wYTFi";
/// What the commands of the corpus would write.
const MARKER: &str = "/tmp/image-usage-operator-corpus-marker";
/// The longest message that still fits a condition and a terminal.
const MAX_MESSAGE: usize = 256;

const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    read: None,
    write: Duration::from_secs(5),
};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/kubeconfigs")
}

/// Files with the name of their folder, in a stable order.
fn files(folder: &str) -> Vec<(String, PathBuf)> {
    fn walk(folder: &Path, found: &mut Vec<(String, PathBuf)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else {
                let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
                found.push((name, path));
            }
        }
    }
    let mut found = Vec::new();
    walk(&corpus().join(folder), &mut found);
    found.sort();
    found
}

fn assert_shows_no_secret(shown: &[&dyn Debug], path: &Path) {
    for value in shown {
        for text in [format!("{value:?}"), format!("{value:#?}")] {
            assert!(!text.contains(SECRET), "{}: {text}", path.display());
            assert!(!text.contains(SECRET_BASE64), "{}: {text}", path.display());
            assert!(!text.contains("PRIVATE KEY"), "{}: {text}", path.display());
        }
    }
}

fn assert_refused(error: &KubeconfigError, reason: &str, path: &Path) {
    assert_eq!(error.reason(), reason, "{}: {error}", path.display());
    let message = error.to_string();
    assert_shows_no_secret(&[error, &message], path);
    assert!(message.len() <= MAX_MESSAGE, "{message}");
    assert!(!message.contains(char::is_control), "{message:?}");
    assert!(!message.starts_with(char::is_uppercase), "{message}");
    assert!(
        std::error::Error::source(error).is_none(),
        "a source may quote the input"
    );
}

fn assert_accepted(read: Result<Kubeconfig, KubeconfigError>, path: &Path) {
    let kubeconfig = read.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_shows_no_secret(&[&kubeconfig], path);
    let server = kubeconfig.server().clone();
    let uses_token = matches!(kubeconfig.credentials(), Credentials::Token(_));
    let config = kubeconfig.into_config(TIMEOUTS);
    assert_shows_no_secret(&[&config.auth_info], path);
    assert_eq!(config.cluster_url, server);
    assert!(!config.accept_invalid_certs && !config.default_retry && config.proxy_url.is_none());
    assert_eq!(config.auth_info.token.is_some(), uses_token);
    assert_eq!(config.auth_info.client_key_data.is_some(), !uses_token);
    // kube takes what the reader took.
    kube::client::ConfigExt::rustls_client_config(&config)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    kube::client::ConfigExt::auth_layer(&config).unwrap();
}

#[test]
fn a_good_kubeconfig_is_read() {
    let files = files("accepted");
    assert!(files.len() >= 15);
    for (_, path) in files {
        assert_accepted(Kubeconfig::from_kubeconfig(&fs::read(&path).unwrap()), &path);
    }
}

#[test]
fn an_evil_kubeconfig_is_refused_by_name_and_shows_no_secret() {
    let files = files("refused");
    assert!(files.len() >= 100);
    for (reason, path) in files {
        match Kubeconfig::from_kubeconfig(&fs::read(&path).unwrap()) {
            Ok(_) => panic!("{} was read", path.display()),
            Err(error) => assert_refused(&error, &reason, &path),
        }
    }
    assert!(!Path::new(MARKER).exists(), "a command was run");
}

#[test]
fn an_argocd_secret_obeys_the_same_rules() {
    #[derive(Deserialize)]
    struct Secret {
        server: String,
        config: String,
    }
    for (folder, path) in files("argocd") {
        let Secret { server, config } = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let read = Kubeconfig::from_argocd(server.as_bytes(), config.as_bytes());
        if folder == "accepted" {
            assert_accepted(read, &path);
        } else {
            match read {
                Ok(_) => panic!("{} was read", path.display()),
                Err(error) => assert_refused(&error, &folder, &path),
            }
        }
    }
    assert!(!Path::new(MARKER).exists(), "a command was run");
}

#[test]
fn a_large_document_is_refused_before_it_is_read() {
    let large = vec![b'#'; 64 * 1024 + 1];
    for read in [
        Kubeconfig::from_kubeconfig(&large),
        Kubeconfig::from_argocd(b"https://cluster.example.com", &large),
    ] {
        assert_eq!(read.unwrap_err(), KubeconfigError::TooLarge);
    }
}

#[test]
fn a_document_of_one_endless_token_is_refused() {
    let tokens = [
        "[",
        "{",
        "- ",
        "? ",
        ": ",
        "a: ",
        "a:\n ",
        "-\n ",
        "\"",
        "'",
        "|\n",
        "&a ",
        "*a ",
        "!a ",
        "!!str ",
        "<<: ",
        "#",
        "\n",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "\u{feff}",
        "{a: [",
        "[{a: ",
        "a,",
        "\t",
    ];
    for token in tokens {
        let document = token.repeat(64 * 1024 / token.len());
        let begun = Instant::now();
        assert!(
            Kubeconfig::from_kubeconfig(document.as_bytes()).is_err(),
            "{token:?}"
        );
        assert!(
            Kubeconfig::from_argocd(b"https://a.b", document.as_bytes()).is_err(),
            "{token:?}"
        );
        // Milliseconds where work grows with length, minutes where it grows with its square.
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{token:?}: {:?}",
            begun.elapsed()
        );
    }
}

#[test]
fn an_error_names_the_field_and_says_what_to_do() {
    for (file, advice) in [
        (
            "ExecRefused/runs-a-shell",
            "exec is refused: commands are never run. Use the token of a ServiceAccount",
        ),
        (
            "FilePathRefused/reads-a-ca-file",
            "certificate-authority is refused: files are never read",
        ),
        (
            "KubeconfigFieldUnknown/in-the-user",
            "unknown field bearer in user: remove it",
        ),
        (
            "KubeconfigFieldUnknown/token-in-the-place-of-a-name",
            "name withheld",
        ),
        ("KubeconfigNotExactlyOne/second-context", "contexts has 2 entries"),
        ("KubeconfigIncomplete/token-is-a-number", "token must be a string"),
    ] {
        let bytes = fs::read(corpus().join("refused").join(format!("{file}.yaml"))).unwrap();
        let error = Kubeconfig::from_kubeconfig(&bytes).unwrap_err();
        assert!(error.to_string().contains(advice), "{file}: {error}");
    }
}

/// A good document with one stretch of bytes replaced.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let good = fs::read(corpus().join("accepted/minikube-flattened.yaml")).unwrap();
    let length = good.len();
    (
        0..length,
        0..40_usize,
        proptest::collection::vec(any::<u8>(), 0..20),
    )
        .prop_map(move |(start, removed, inserted)| {
            let end = (start + removed).min(length);
            let mut bytes = good.clone();
            bytes.splice(start..end, inserted);
            bytes
        })
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        let _ = Kubeconfig::from_kubeconfig(&bytes);
        let _ = Kubeconfig::from_argocd(&bytes, &bytes);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[a-z0-9:{}\\[\\]\"'&*!|>\n \t#,%@?-]{0,200}") {
        let _ = Kubeconfig::from_kubeconfig(text.as_bytes());
    }

    #[test]
    fn a_damaged_document_is_read_or_refused(bytes in damaged()) {
        if let Err(error) = Kubeconfig::from_kubeconfig(&bytes) {
            prop_assert!(error.to_string().len() <= MAX_MESSAGE);
        }
    }
}
