//! Tokens that an identity provider signs (RFC 7519), as `Authorization: Bearer`.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::{KeySet, Proof, crypto};
use crate::receive::remote::FetchedKeys;

/// Bytes of the longest token.
const LONGEST_TOKEN: usize = 8 * 1024;
/// Seconds by which clocks may differ.
const LEEWAY: u64 = 60;

/// What a token must say, and with which keys it is signed.
#[derive(Debug)]
pub struct TokenRules {
    pub issuer: String,
    pub audience: String,
    /// Each of them.
    pub claims: Vec<Claim>,
    pub keys: Keys,
}

/// A claim, and the texts of which it must be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub name: String,
    pub values: Vec<String>,
}

#[derive(Debug)]
pub enum Keys {
    Given(Arc<KeySet>),
    Fetched(Arc<FetchedKeys>),
}

impl Keys {
    /// Nothing while they could not be fetched.
    fn current(&self) -> Option<Arc<KeySet>> {
        match self {
            Self::Given(keys) => Some(keys.clone()),
            Self::Fetched(fetched) => fetched.keys(),
        }
    }

    /// A key was named that is not among them. Whether it may be a new one.
    fn look_again(&self) -> bool {
        match self {
            Self::Given(_) => false,
            Self::Fetched(fetched) => fetched.look_again(),
        }
    }
}

impl TokenRules {
    /// What a token proves: [`Proof::Undecided`] where it could be right and the key for it is not there yet.
    pub(super) fn proof(&self, token: &[u8]) -> Proof {
        if token.len() > LONGEST_TOKEN {
            return Proof::Refused;
        }
        let Ok(header) = decode_header(token) else {
            return Proof::Refused;
        };
        // What is critical must be understood (RFC 7515, 4.1.11): nothing beyond it is.
        if header.crit.is_some() || !crypto::is_accepted(header.alg) {
            return Proof::Refused;
        }
        let Some(keys) = self.keys.current() else {
            return Proof::Undecided;
        };
        let mut fitting = keys.fitting(header.alg, header.kid.as_deref()).peekable();
        if fitting.peek().is_none() && header.kid.is_some() && self.keys.look_again() {
            return Proof::Undecided;
        }
        let validation = self.validation(header.alg);
        let mut signed = fitting.filter_map(|key| decode(token, key, &validation).ok());
        if signed.any(|token| self.has_claims(&token.claims)) {
            Proof::Accepted
        } else {
            Proof::Refused
        }
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY;
        validation
    }

    /// Whether the claims of a token whose signature is right are those of the source.
    fn has_claims(&self, claims: &Map<String, Value>) -> bool {
        let is_one = |found: &Value, values: &[String]| {
            found
                .as_str()
                .is_some_and(|text| values.iter().any(|value| value == text))
        };
        let has = |Claim { name, values }: &Claim| match claims.get(name) {
            Some(Value::Array(list)) => list.iter().any(|found| is_one(found, values)),
            Some(found) => is_one(found, values),
            None => false,
        };
        // An address that was never shown to belong to whoever has the token names nobody.
        let names_by_email = self.claims.iter().any(|claim| claim.name == "email");
        let is_unverified = matches!(claims.get("email_verified"), Some(verified) if *verified != Value::Bool(true) && verified != "true");
        // The crate takes a list of issuers too.
        claims.get("iss").and_then(Value::as_str) == Some(&self.issuer)
            && self.claims.iter().all(has)
            && !(names_by_email && is_unverified)
    }
}
