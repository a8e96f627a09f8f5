use std::{fmt, str::FromStr};

use thiserror::Error;

/// The hash that identifies a manifest, an index or a configuration:
/// `sha256:` and 64, or `sha512:` and 128 lower-case hexadecimal digits
/// (OCI image specification, "Digests"). Other algorithms are refused.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Digest {
    Sha256([u8; 32]),
    Sha512(Box<[u8; 64]>),
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DigestError {
    #[error("a digest is <algorithm>:<hex>, for example sha256:9f86d0…")]
    Malformed,
    #[error("digest algorithm is not supported: use sha256 or sha512")]
    UnknownAlgorithm,
    #[error("a {algorithm} digest has {expected} lower-case hexadecimal digits")]
    WrongLength {
        algorithm: &'static str,
        expected: usize,
    },
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (algorithm, hex) = text.split_once(':').ok_or(DigestError::Malformed)?;
        match algorithm {
            "sha256" => decode_hex(hex).map(Self::Sha256).ok_or(DigestError::WrongLength {
                algorithm: "sha256",
                expected: 64,
            }),
            "sha512" => {
                decode_hex(hex)
                    .map(|bytes| Self::Sha512(Box::new(bytes)))
                    .ok_or(DigestError::WrongLength {
                        algorithm: "sha512",
                        expected: 128,
                    })
            }
            _ => Err(DigestError::UnknownAlgorithm),
        }
    }
}

/// Lower-case hexadecimal of exactly `N` bytes, or nothing.
pub(super) fn decode_hex<const N: usize>(hex: &str) -> Option<[u8; N]> {
    fn nibble(digit: u8) -> Option<u8> {
        match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        }
    }
    let hex = hex.as_bytes();
    if hex.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (algorithm, bytes): (_, &[u8]) = match self {
            Self::Sha256(bytes) => ("sha256", bytes),
            Self::Sha512(bytes) => ("sha512", bytes.as_slice()),
        };
        write!(f, "{algorithm}:")?;
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
