//! What registries send, one by one through the server into a store.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{PATH, Server, TOKEN, registry};
use crate::{
    dialect::Format,
    receive::Method,
    store::{EventReader, SqliteStore},
};

/// `google-artifact-registry`, as the folders of fixtures are called.
fn folder(format: Format) -> PathBuf {
    let name = match format {
        Format::GitHub | Format::GitLab => format.name().to_lowercase(),
        _ => {
            let mut name = String::new();
            let mut before = 'A';
            for letter in format.name().chars() {
                if letter.is_uppercase() && before.is_lowercase() {
                    name.push('-');
                }
                name.extend(letter.to_lowercase());
                before = letter;
            }
            name
        }
    };
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/events")
        .join(name)
}

/// Bodies and the headers that come with them.
fn fixtures(format: Format) -> Vec<(PathBuf, String)> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder(format))
        .unwrap_or_else(|error| panic!("{}: {error}", folder(format).display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.to_string_lossy().ends_with(".headers.json"))
        .collect();
    found.sort();
    let headers = |body: &Path| -> String {
        let Ok(text) = fs::read_to_string(body.with_extension("headers.json")) else {
            return String::new();
        };
        let headers: BTreeMap<String, String> = serde_json::from_str(&text).unwrap();
        headers
            .iter()
            .filter(|(name, _)| !name.eq_ignore_ascii_case("authorization"))
            .fold(String::new(), |text, (name, value)| {
                format!("{text}{name}: {value}\r\n")
            })
    };
    found
        .into_iter()
        .map(|body| {
            let headers = headers(&body);
            (body, headers)
        })
        .collect()
}

#[tokio::test]
async fn whatever_registries_send_is_taken_and_none_of_it_put_aside() {
    let data = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&data.path().join("events.db"), |_, _| {}).unwrap());
    let server = Server::start(store.clone()).await;
    let (mut stored, mut duplicates) = (0, 0);
    for format in Format::ALL {
        server.open_format("notifications", format, Method::Bearer, &[TOKEN]);
        for (file, headers) in fixtures(format) {
            let body = fs::read(&file).unwrap();
            let head = format!(
                "POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n{headers}Content-Length: {}\r\n\r\n",
                body.len()
            );
            for _ in 0..2 {
                let answer = server.send(&head, &body).await;
                assert_eq!(answer.status, 202, "{}", file.display());
            }
        }
        let source = store.sources(registry()).await.unwrap().remove(0);
        assert_eq!(source.quarantined, 0, "{}", format.name());
        assert!(source.stored > stored, "{} brought nothing", format.name());
        assert!(source.duplicates > duplicates, "{}", format.name());
        duplicates = source.duplicates;
        stored = source.stored;
    }
}
