use http::HeaderMap;

use super::{DialectError, Parsed};

pub(super) fn parse(_headers: &HeaderMap, _body: &[u8]) -> Result<Parsed, DialectError> {
    Err(DialectError::UnexpectedShape("this format is not read yet"))
}
