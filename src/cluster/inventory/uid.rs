use sha2::{Digest as _, Sha256};

/// An object's uid in 16 bytes: a UUID as it is, any other text by its hash (the
/// API promises no form).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Uid([u8; 16]);

impl Uid {
    pub(super) fn read(text: &str) -> Self {
        parse(text.as_bytes()).unwrap_or_else(|| {
            let mut bytes = [0; 16];
            bytes.copy_from_slice(&Sha256::digest(text)[..16]);
            Self(bytes)
        })
    }
}

/// Lower-case hexadecimal in groups of 8, 4, 4, 4 and 12 digits. Upper case would be
/// another text for the same bytes, so it goes by its hash.
fn parse(text: &[u8]) -> Option<Uid> {
    if text.len() != 36 {
        return None;
    }
    let mut bytes = [0; 16];
    let mut digits = 0;
    for (position, &character) in text.iter().enumerate() {
        if matches!(position, 8 | 13 | 18 | 23) {
            if character != b'-' {
                return None;
            }
            continue;
        }
        let nibble = match character {
            b'0'..=b'9' => character - b'0',
            b'a'..=b'f' => character - b'a' + 10,
            _ => return None,
        };
        bytes[digits / 2] |= nibble << (4 * (1 - digits % 2));
        digits += 1;
    }
    Some(Uid(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_kept_as_its_bytes() {
        let bytes = [
            0x70, 0xf9, 0x59, 0xc3, 0x15, 0x94, 0x41, 0x29, 0x83, 0xd9, 0xce, 0x4d, 0xf6, 0xbd, 0x78, 0xef,
        ];
        assert_eq!(Uid::read("70f959c3-1594-4129-83d9-ce4df6bd78ef"), Uid(bytes));
    }

    #[test]
    fn other_texts_are_told_apart() {
        let texts = [
            "",
            "static-pod-hash",
            "8a1b8c5b5e2f4d1a9c3e7f6a5b4c3d2e",
            "70f959c3-1594-4129-83d9-ce4df6bd78ef",
            "70F959C3-1594-4129-83D9-CE4DF6BD78EF",
            "70f959c3-1594-4129-83d9-ce4df6bd78eg",
            "70f959c331594-4129-83d9-ce4df6bd78ef",
        ];
        for (index, left) in texts.iter().enumerate() {
            for right in &texts[index + 1..] {
                assert_ne!(Uid::read(left), Uid::read(right), "{left} {right}");
            }
        }
    }
}
