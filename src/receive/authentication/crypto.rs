//! How signatures of tokens are checked: with ring, as TLS is, so that there is one library for all signatures.

use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind,
    crypto::{CryptoProvider, JwtVerifier, KeyUtils},
    errors::ErrorKind,
    signature::{self, Verifier},
};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};

/// No token is made here, and no key is turned into another form.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
    verifier_factory: |algorithm, key| {
        Ok(Box::new(Signed {
            algorithm: *algorithm,
            key: key.clone(),
        }) as Box<dyn JwtVerifier>)
    },
    key_utils: KeyUtils::new_unimplemented(),
};

/// Has the crate for tokens use it. Whoever comes second finds it there.
pub(super) fn install() {
    let _ = PROVIDER.install_default();
}

/// Whether signatures of this algorithm are accepted; those with a shared key never are (RFC 8725, 3.1).
pub(super) fn is_accepted(algorithm: Algorithm) -> bool {
    rsa(algorithm).is_some() || ecdsa(algorithm).is_some()
}

/// For keys of at least 2048 bits.
pub(super) fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::RS256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Some(&RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Some(&RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Some(&RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Some(&RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Some(&RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

pub(super) fn ecdsa(algorithm: Algorithm) -> Option<&'static dyn VerificationAlgorithm> {
    match algorithm {
        Algorithm::ES256 => Some(&ECDSA_P256_SHA256_FIXED),
        Algorithm::ES384 => Some(&ECDSA_P384_SHA384_FIXED),
        _ => None,
    }
}

struct Signed {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl JwtVerifier for Signed {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for Signed {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let checked = match self.key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, e } => rsa(self.algorithm)
                .map(|parameters| RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)),
            DecodingKeyKind::SecretOrDer(point) => ecdsa(self.algorithm)
                .map(|algorithm| UnparsedPublicKey::new(algorithm, point).verify(message, signature)),
        };
        match checked {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => Err(signature::Error::new()),
        }
    }
}
