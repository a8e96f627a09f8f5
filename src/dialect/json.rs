use serde_json::Value;

use super::{DialectError, MAX_DEPTH, MAX_ENTRIES, Parsed};

/// Reads a body as JSON, unless it is nested too deep.
pub(super) fn read(body: &[u8]) -> Result<Value, DialectError> {
    not_too_deep(body)?;
    serde_json::from_slice(body).map_err(|error| not_json(&error))
}

fn not_too_deep(body: &[u8]) -> Result<(), DialectError> {
    if depth(body) > MAX_DEPTH {
        return Err(DialectError::TooDeep);
    }
    Ok(())
}

fn not_json(error: &serde_json::Error) -> DialectError {
    DialectError::NotJson {
        line: error.line(),
        column: error.column(),
    }
}

/// A body that is one JSON object.
pub(super) fn object(body: &[u8]) -> Result<Value, DialectError> {
    let value = read(body)?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(DialectError::UnexpectedShape("it is no JSON object"))
    }
}

/// Records as log shippers send them: one, several in an array, or one after the other
/// (with or without line ends between them, arrays among them too).
pub(super) fn records(body: &[u8]) -> Result<Vec<Value>, DialectError> {
    not_too_deep(body)?;
    let mut records = Vec::new();
    for value in serde_json::Deserializer::from_slice(body).into_iter::<Value>() {
        match value.map_err(|error| not_json(&error))? {
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

/// That a record has one of these fields, if there is any record: else they are of another
/// format, which the error says.
pub(super) fn expect_any(
    records: &[Value],
    fields: &[&str],
    otherwise: &'static str,
) -> Result<(), DialectError> {
    let is_known = |record: &Value| fields.iter().any(|field| record.get(field).is_some());
    if records.is_empty() || records.iter().any(is_known) {
        Ok(())
    } else {
        Err(DialectError::UnexpectedShape(otherwise))
    }
}

/// What a record brings that is about no image.
pub(super) const IGNORED: Parsed = Parsed {
    events: Vec::new(),
    ignored: 1,
};

/// What records bring, one after the other. `read` gives `None` for what is no record of
/// its format: ignored beside records that are, and `None` where there are only such.
pub(super) fn each(
    records: &[Value],
    read: impl Fn(&Value) -> Result<Option<Parsed>, DialectError>,
) -> Result<Option<Parsed>, DialectError> {
    if records.len() > MAX_ENTRIES {
        return Err(DialectError::TooManyEntries);
    }
    let mut all = Parsed::default();
    let mut known = records.is_empty();
    for record in records {
        if let Some(parsed) = read(record)? {
            known = true;
            all.events.extend(parsed.events);
            all.ignored += parsed.ignored;
        } else {
            all.ignored += 1;
        }
        if all.events.len() > MAX_ENTRIES {
            return Err(DialectError::TooManyEntries);
        }
    }
    Ok(known.then_some(all))
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

/// A field that holds a list. Whatever else it holds is an empty one.
pub(super) fn list<'a>(object: Option<&'a Value>, field: &str) -> &'a [Value] {
    object
        .and_then(|object| object.get(field)?.as_array())
        .map_or(&[], Vec::as_slice)
}

/// A detail that some write as text and some as a whole number, such as an id.
pub(super) fn text_or_number(object: &Value, field: &str) -> Option<String> {
    match object.get(field)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
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
