use serde_json::Value;

use super::{DialectError, MAX_DEPTH, MAX_ENTRIES};

/// Reads a body as JSON, unless it is nested too deep.
pub(super) fn read(body: &[u8]) -> Result<Value, DialectError> {
    if depth(body) > MAX_DEPTH {
        return Err(DialectError::TooDeep);
    }
    serde_json::from_slice(body).map_err(|error| DialectError::NotJson {
        line: error.line(),
        column: error.column(),
    })
}

/// Records as log shippers send them: one, several in an array, or one after the other
/// (with or without line ends between them, arrays among them too).
pub(super) fn records(body: &[u8]) -> Result<Vec<Value>, DialectError> {
    if depth(body) > MAX_DEPTH {
        return Err(DialectError::TooDeep);
    }
    let mut records = Vec::new();
    for value in serde_json::Deserializer::from_slice(body).into_iter::<Value>() {
        match value.map_err(|error| DialectError::NotJson {
            line: error.line(),
            column: error.column(),
        })? {
            Value::Array(several) => records.extend(several),
            one => records.push(one),
        }
        if records.len() > MAX_ENTRIES {
            return Err(DialectError::TooManyEntries);
        }
    }
    if records.is_empty() && body.trim_ascii().is_empty() {
        return Err(DialectError::UnexpectedShape("it is empty"));
    }
    Ok(records)
}

/// How deep brackets and braces lie in each other, as far as the body is JSON.
fn depth(body: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = body.iter();
    let mut quoted = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => {
                bytes.next();
            }
            b'[' | b'{' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// A field that holds text. Absent, `null` and empty are the same.
///
/// # Errors
/// [`NotText`] where it holds something else.
pub(super) fn text<'a>(object: &'a Value, field: &str) -> Result<Option<&'a str>, NotText> {
    match object.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(_) => Err(NotText),
    }
}

/// A field was met that holds no text where there should be some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotText;

/// Text that says more about an event but does not decide what it is: whatever cannot
/// be read there is absent.
pub(super) fn detail<'a>(object: Option<&'a Value>, field: &str) -> Option<&'a str> {
    text(object?, field).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
        assert!(read(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(read(nested(MAX_DEPTH + 1).as_bytes()), Err(DialectError::TooDeep));
        assert_eq!(read("[".repeat(1_000_000).as_bytes()), Err(DialectError::TooDeep));
    }

    #[test]
    fn brackets_in_text_are_not_nesting() {
        let text = format!(r#"["{}\"{}"]"#, "[".repeat(99), "{".repeat(99));
        assert!(read(text.as_bytes()).is_ok());
    }

    #[test]
    fn an_error_says_where_and_quotes_nothing() {
        let error = read(b"{\n  \"password\": hunter2\n}").unwrap_err();
        assert_eq!(error, DialectError::NotJson { line: 2, column: 15 });
        assert!(!error.to_string().contains("hunter"));
    }
}
