//! Public keys of those who sign tokens (RFC 7517).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::crypto;

/// Most keys of a set.
const MOST_KEYS: usize = 32;
const RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// Why a document is no set of keys that can be used. Quotes nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeySetError {
    #[error("it is no JSON Web Key Set (RFC 7517)")]
    NotKeySet,
    #[error("it has more than {MOST_KEYS} keys")]
    TooMany,
    #[error("it has no RSA key and no key of the curves P-256 and P-384 for signatures")]
    NoKey,
}

/// Keys that signatures are checked with. Public: they may be shown.
#[derive(Debug)]
pub struct KeySet(Vec<Key>);

#[derive(Debug)]
struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    public: DecodingKey,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

/// Of RFC 7517, 4 and RFC 7518, 6, what is read here.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a document. Keys of other kinds, for other uses and for algorithms that are not accepted are left out
    /// (RFC 7517, 5).
    pub fn parse(document: &[u8]) -> Result<Self, KeySetError> {
        crypto::install();
        let Document { keys } = serde_json::from_slice(document).map_err(|_| KeySetError::NotKeySet)?;
        if keys.len() > MOST_KEYS {
            return Err(KeySetError::TooMany);
        }
        let keys: Vec<Key> = keys
            .into_iter()
            .filter_map(|key| Key::of(serde_json::from_value(key).ok()?))
            .collect();
        if keys.is_empty() {
            return Err(KeySetError::NoKey);
        }
        Ok(Self(keys))
    }

    /// Keys that may have signed this way. Without an id any may have.
    pub(super) fn fitting(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
    ) -> impl Iterator<Item = &DecodingKey> {
        let fits = move |key: &&Key| {
            key.algorithms.contains(&algorithm) && id.is_none_or(|id| key.id.as_deref() == Some(id))
        };
        self.0.iter().filter(fits).map(|key| &key.public)
    }
}

impl Key {
    fn of(jwk: Jwk) -> Option<Self> {
        let is_for_signatures = jwk.r#use.is_none_or(|intended| intended == "sig")
            && jwk
                .key_ops
                .is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
        let (public, mut algorithms) = match jwk.kty.as_str() {
            "RSA" => {
                let (n, e) = (number(&jwk.n?)?, number(&jwk.e?)?);
                (DecodingKey::from_rsa_raw_components(&n, &e), RSA.to_vec())
            }
            "EC" => {
                let algorithm = match jwk.crv?.as_str() {
                    "P-256" => Algorithm::ES256,
                    "P-384" => Algorithm::ES384,
                    _ => return None,
                };
                let public = DecodingKey::from_ec_components(&jwk.x?, &jwk.y?).ok()?;
                (public, vec![algorithm])
            }
            _ => return None,
        };
        if let Some(algorithm) = jwk.alg {
            let named: Option<Algorithm> = algorithm.parse().ok();
            algorithms.retain(|accepted| named == Some(*accepted));
        }
        (is_for_signatures && !algorithms.is_empty()).then_some(Self {
            id: jwk.kid,
            algorithms,
            public,
        })
    }
}

/// A positive number in base64url (RFC 7518, 2), without leading zeros, which some write.
fn number(text: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    Some(bytes[zeros..].to_vec()).filter(|number| !number.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const POINT: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE";

    fn parse(keys: &Value) -> Result<usize, KeySetError> {
        let document = json!({ "keys": keys }).to_string();
        KeySet::parse(document.as_bytes()).map(|set| set.0.len())
    }

    #[test]
    fn keys_that_sign_no_token_are_left_out() {
        let rsa = json!({"kty": "RSA", "kid": "a", "use": "sig", "n": "AQAB", "e": "AQAB"});
        let with = |field: &str, value: Value| {
            let mut key = rsa.clone();
            key[field] = value;
            key
        };
        assert_eq!(parse(&json!([rsa])), Ok(1));
        for other in [
            with("use", json!("enc")),
            with("key_ops", json!(["encrypt"])),
            with("alg", json!("RSA-OAEP")),
            with("alg", json!("HS256")),
            with("kty", json!("oct")),
            with("n", json!("!")),
            with("e", json!("AA")),
            with("kid", json!(7)),
            json!({"kty": "oct", "k": "c2VjcmV0"}),
            json!({"kty": "EC", "crv": "P-521", "x": POINT, "y": POINT}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": POINT}),
            json!("a key"),
        ] {
            assert_eq!(parse(&json!([other])), Err(KeySetError::NoKey), "{other}");
            assert_eq!(parse(&json!([other, rsa])), Ok(1), "{other}");
        }
        let elliptic = json!({"kty": "EC", "crv": "P-256", "x": POINT, "y": POINT});
        assert_eq!(parse(&json!([rsa, elliptic])), Ok(2));
    }

    #[test]
    fn a_set_is_bounded() {
        let key = json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"});
        assert_eq!(parse(&json!(vec![key.clone(); MOST_KEYS])), Ok(MOST_KEYS));
        assert_eq!(parse(&json!(vec![key; MOST_KEYS + 1])), Err(KeySetError::TooMany));
        for document in ["", "[]", "{}", r#"{"keys": 1}"#] {
            assert_eq!(
                KeySet::parse(document.as_bytes()).unwrap_err(),
                KeySetError::NotKeySet,
                "{document}"
            );
        }
    }

    #[test]
    fn an_id_picks_its_key_and_an_algorithm_its_kind() {
        let document = json!({"keys": [
            {"kty": "RSA", "kid": "a", "n": "AQAB", "e": "AQAB"},
            {"kty": "RSA", "kid": "b", "alg": "RS512", "n": "AQAB", "e": "AQAB"},
            {"kty": "EC", "crv": "P-256", "x": POINT, "y": POINT},
        ]})
        .to_string();
        let set = KeySet::parse(document.as_bytes()).unwrap();
        let count = |algorithm, id| set.fitting(algorithm, id).count();
        assert_eq!(count(Algorithm::RS256, None), 1);
        assert_eq!(count(Algorithm::RS512, None), 2);
        assert_eq!(count(Algorithm::RS512, Some("b")), 1);
        assert_eq!(count(Algorithm::RS256, Some("b")), 0);
        assert_eq!(count(Algorithm::ES256, None), 1);
        assert_eq!(count(Algorithm::ES256, Some("a")), 0);
        assert_eq!(count(Algorithm::HS256, None), 0);
    }
}
