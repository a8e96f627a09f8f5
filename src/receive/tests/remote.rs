//! Fetching from a site, and from what is none.

use std::time::Duration;

use http::Uri;
use rustls::RootCertStore;

use super::signing::{Site, answer_of};
use crate::receive::remote::FetchError;

fn url(path: &str) -> Uri {
    format!("https://keys.example.com{path}").parse().unwrap()
}

#[tokio::test]
async fn a_document_comes_with_how_long_it_is_current() {
    let site = Site::start().await;
    let answer = answer_of("200 OK", "Cache-Control: public, max-age=3600\r\n", "hello");
    site.answer_with("/certs", answer);
    let fetched = site.fetcher().get(&url("/certs?a=b")).await.unwrap();
    assert_eq!(
        (fetched.body.as_ref(), fetched.max_age),
        (&b"hello"[..], Some(Duration::from_hours(1)))
    );
    assert_eq!(site.requests(), ["/certs?a=b"]);
}

#[tokio::test]
async fn a_document_that_is_too_large_or_elsewhere_is_not_fetched() {
    let site = Site::start().await;
    let large = "x".repeat(256 * 1024);
    site.answer("/largest", &large);
    site.answer("/larger", &format!("{large}x"));
    let endless = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n80000\r\n{large}{large}");
    site.answer_with("/endless", endless);
    site.answer_with(
        "/broken",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_owned(),
    );
    let elsewhere = "Location: https://keys.example.com/largest\r\n";
    site.answer_with("/moved", answer_of("302 Found", elsewhere, ""));
    let fetcher = site.fetcher();
    assert_eq!(
        fetcher.get(&url("/largest")).await.unwrap().body.len(),
        large.len()
    );
    for (path, expected) in [
        ("/larger", FetchError::TooLarge),
        ("/endless", FetchError::TooLarge),
        ("/broken", FetchError::Failed("ConnectionFailed")),
        ("/moved", FetchError::Refused("RequestRefused")),
        ("/nothing", FetchError::Refused("RequestRefused")),
    ] {
        assert_eq!(fetcher.get(&url(path)).await.unwrap_err(), expected, "{path}");
    }
    assert_eq!(site.requests().len(), 6, "nobody followed");
}

#[tokio::test]
async fn only_permitted_hosts_at_permitted_addresses_are_asked() {
    let site = Site::start().await;
    site.answer("/", "hello");
    let fetcher = site.fetcher();
    for other in [
        "https://other.example.com/",
        "http://keys.example.com/",
        "https://keys.example.com:8443/",
        "https://user@keys.example.com/",
    ] {
        let refused = fetcher.get(&other.parse().unwrap()).await.unwrap_err();
        assert_eq!(refused, FetchError::NotPermitted, "{other}");
    }
    // The rules for addresses hold for permitted hosts too.
    let guarded = site.fetcher_by(&[], RootCertStore::empty());
    assert_eq!(
        guarded.get(&url("/")).await.unwrap_err(),
        FetchError::Failed("AddressNotAllowed")
    );
    let unbelieving = site.fetcher_by(&["127.0.0.0/8"], RootCertStore::empty());
    assert_eq!(
        unbelieving.get(&url("/")).await.unwrap_err(),
        FetchError::Failed("CertificateNotTrusted")
    );
    assert!(site.requests().is_empty());
}
