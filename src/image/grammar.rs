//! The grammar of image references, by hand: distribution's `reference` package
//! (`regexp.go` and `normalize.go`, v0.6.0). Each byte is looked at a bounded
//! number of times and nothing is allocated.

/// Bytes of a repository path (`RepositoryNameTotalLengthMax`).
pub(super) const MAX_PATH: usize = 255;
/// Bytes of a tag.
const MAX_TAG: usize = 128;

/// Whether the part before the first `/` is a registry rather than the first
/// part of a Docker Hub repository (`splitDockerDomain`): upper case is not
/// allowed in a path, so it is taken for a host.
pub(super) fn names_host(first: &str) -> bool {
    first.eq_ignore_ascii_case("localhost")
        || first
            .bytes()
            .any(|byte| matches!(byte, b'.' | b':') || byte.is_ascii_uppercase())
}

/// `host [":" port]`, where the host is a domain name, an IPv4 address or an IPv6
/// address in brackets, without zone and without an IPv4 part.
pub(super) fn is_host(text: &str) -> bool {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return false;
        };
        let is_address = !address.is_empty()
            && address
                .bytes()
                .all(|byte| byte == b':' || byte.is_ascii_hexdigit());
        return is_address && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    name.split('.').all(is_host_label) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_host_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes
            .iter()
            .all(|byte| *byte == b'-' || byte.is_ascii_alphanumeric())
}

/// One or more path components between slashes; length is not looked at.
pub(super) fn is_path(text: &str) -> bool {
    text.split('/').all(is_path_component)
}

/// Lower-case letters and digits, in runs parted by `.`, `_`, `__` or any
/// number of `-`.
fn is_path_component(component: &str) -> bool {
    let mut separator: &[u8] = b"";
    let mut seen_run = false;
    let bytes = component.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' => {
                if !matches!(separator, b"" | b"." | b"_" | b"__")
                    && separator.iter().any(|byte| *byte != b'-')
                {
                    return false;
                }
                separator = b"";
                seen_run = true;
            }
            b'.' | b'_' | b'-' if seen_run => separator = &bytes[at - separator.len()..=at],
            _ => return false,
        }
    }
    seen_run && separator.is_empty()
}

/// A word character, then up to 127 word characters, dots and dashes.
pub(super) fn is_tag(text: &str) -> bool {
    let is_word = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
    text.len() <= MAX_TAG
        && text.bytes().next().is_some_and(is_word)
        && text
            .bytes()
            .all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}
