//! What registries send, one by one through the server into a store.

use std::sync::Arc;

use http::header::AUTHORIZATION;

use super::{PATH, Server, TOKEN, registry};
use crate::{
    dialect::{
        Format,
        tests::{Fixtures, Message},
    },
    receive::Method,
    store::{EventReader, SqliteStore},
};

#[tokio::test]
async fn whatever_registries_send_is_taken_and_none_of_it_put_aside() {
    let data = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&data.path().join("events.db"), |_, _| {}).unwrap());
    let server = Server::start(store.clone()).await;
    let (mut stored, mut duplicates) = (0, 0);
    for format in Format::ALL {
        server.open_format("notifications", format, Method::Bearer, &[TOKEN]);
        for Message { name, headers, body } in Fixtures(format).messages() {
            let headers = headers
                .iter()
                .filter(|(name, _)| *name != AUTHORIZATION)
                .fold(String::new(), |text, (name, value)| {
                    format!("{text}{name}: {}\r\n", value.to_str().unwrap())
                });
            let head = format!(
                "POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n{headers}Content-Length: {}\r\n\r\n",
                body.len()
            );
            for _ in 0..2 {
                let answer = server.send(&head, &body).await;
                assert_eq!(answer.status, 202, "{} {name}", format.name());
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
