//! Those who sign for sources: keys, tokens, certificates, and the site that publishes them.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::ready,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use hyper_util::client::legacy::connect::dns::Name;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_RSA_SHA256, date_time_ymd};
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding,
        RsaKeyPair, RsaPublicKeyComponents,
    },
};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    cluster::{Guard, Rules},
    receive::{Fetcher, KeySet},
};

/// A key that signs nothing but what is in these tests.
const RSA_KEY: &str = include_str!("../../../tests/fixtures/signed/rsa-for-tests-only.key");

pub(super) enum SigningKey {
    Rsa(RsaKeyPair),
    Elliptic(&'static str, EcdsaKeyPair),
}

impl SigningKey {
    pub(super) fn rsa() -> Self {
        let der = PrivatePkcs8KeyDer::from_pem_slice(RSA_KEY.as_bytes()).unwrap();
        Self::Rsa(RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap())
    }

    pub(super) fn p256() -> Self {
        Self::elliptic("P-256", &ECDSA_P256_SHA256_FIXED_SIGNING)
    }

    pub(super) fn p384() -> Self {
        Self::elliptic("P-384", &ECDSA_P384_SHA384_FIXED_SIGNING)
    }

    fn elliptic(curve: &'static str, algorithm: &'static EcdsaSigningAlgorithm) -> Self {
        let rng = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &rng).unwrap();
        Self::Elliptic(
            curve,
            EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &rng).unwrap(),
        )
    }

    /// Its public part (RFC 7517).
    pub(super) fn jwk(&self, id: &str) -> Value {
        match self {
            Self::Rsa(pair) => {
                let RsaPublicKeyComponents { n, e }: RsaPublicKeyComponents<Vec<u8>> = pair.public().into();
                json!({"kty": "RSA", "use": "sig", "kid": id, "n": base64url(n), "e": base64url(e)})
            }
            Self::Elliptic(curve, pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(pair.public_key().as_ref().len() / 2);
                json!({"kty": "EC", "crv": curve, "kid": id, "x": base64url(x), "y": base64url(y)})
            }
        }
    }

    pub(super) fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let rng = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let encoding: &'static dyn RsaEncoding = match algorithm {
                    "PS256" => &RSA_PSS_SHA256,
                    "RS512" => &RSA_PKCS1_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(encoding, &rng, message, &mut signature).unwrap();
                signature
            }
            Self::Elliptic(_, pair) => pair.sign(&rng, message).unwrap().as_ref().to_vec(),
        }
    }

    /// A token with this head and these claims.
    pub(super) fn token(&self, header: &Value, claims: &Value) -> String {
        let signed = unsigned(header, claims);
        let signature = self.sign(header["alg"].as_str().unwrap(), signed.as_bytes());
        format!("{signed}.{}", base64url(signature))
    }
}

/// What of a token is signed.
pub(super) fn unsigned(header: &Value, claims: &Value) -> String {
    format!(
        "{}.{}",
        base64url(header.to_string()),
        base64url(claims.to_string())
    )
}

pub(super) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

pub(super) fn key_set(keys: &[Value]) -> Arc<KeySet> {
    Arc::new(KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap())
}

/// A certificate of the RSA key in PEM, good from the first to the second year.
pub(super) fn certificate(years: (i32, i32)) -> String {
    let key = KeyPair::from_pem_and_sign_algo(RSA_KEY, &PKCS_RSA_SHA256).unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    params.self_signed(&key).unwrap().pem()
}

pub(super) const SITE_NAMES: [&str; 3] = [
    "keys.example.com",
    "sns.eu-central-1.amazonaws.com",
    "sns.cn-north-1.amazonaws.com.cn",
];

/// A server with TLS on loopback that has all of [`SITE_NAMES`], and gives each path its answer.
pub(super) struct Site {
    address: SocketAddr,
    roots: RootCertStore,
    answers: Arc<Mutex<HashMap<String, String>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Site {
    pub(super) async fn start() -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().unwrap();
        let authority_certificate = authority.self_signed(&authority_key).unwrap();
        let issuer = Issuer::new(authority, authority_key);
        let key = KeyPair::generate().unwrap();
        let names = SITE_NAMES.map(ToOwned::to_owned).to_vec();
        let leaf = CertificateParams::new(names).unwrap();
        let leaf = leaf.signed_by(&key, &issuer).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(authority_certificate.der().clone()).unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let site = Self {
            address: listener.local_addr().unwrap(),
            roots,
            answers: Arc::default(),
            requests: Arc::default(),
        };
        let (acceptor, answers, requests) = (
            TlsAcceptor::from(Arc::new(config)),
            site.answers.clone(),
            site.requests.clone(),
        );
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => break,
                    }
                }
                let head = String::from_utf8(head).unwrap();
                let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let path = target.split('?').next().unwrap_or_default();
                let answer = answers.lock().unwrap().get(path).cloned();
                let answer = answer.unwrap_or_else(|| answer_of("404 Not Found", "", ""));
                requests.lock().unwrap().push(target);
                // Whoever has had enough goes.
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        site
    }

    pub(super) fn answer(&self, path: &str, body: &str) {
        self.answer_with(path, answer_of("200 OK", "", body));
    }

    /// `answer` is all of it.
    pub(super) fn answer_with(&self, path: &str, answer: String) {
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// What was asked for so far.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// A fetcher that may fetch from this site alone.
    pub(super) fn fetcher(&self) -> Fetcher {
        self.fetcher_by(&["127.0.0.0/8"], self.roots.clone())
    }

    pub(super) fn fetcher_by(&self, allowed: &[&str], roots: RootCertStore) -> Fetcher {
        let guard = Guard::new(Rules {
            allowed: allowed.iter().map(|net| net.parse().unwrap()).collect(),
            ..Rules::default()
        });
        let address = self.address;
        let resolver =
            tower::service_fn(move |_: Name| ready(Ok::<_, Infallible>(vec![address].into_iter())));
        Fetcher::with(
            &SITE_NAMES.map(|name| name.parse().unwrap()),
            &guard,
            resolver,
            roots,
        )
    }
}

pub(super) fn answer_of(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
