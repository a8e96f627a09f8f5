//! A YAML or JSON document as a bounded tree whose texts are secrets.

use std::fmt;

use secrecy::SecretString;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{
    Error,
    budget::BudgetBreach,
    options::{DuplicateKeyPolicy, MergeKeyPolicy},
};

use super::KubeconfigError;

/// Bytes of a document. A kubeconfig of one cluster has less than 10 KiB.
const MAX_BYTES: usize = 64 * 1024;
/// Mappings and lists inside one another: a kubeconfig has 5, minikube's extensions 6.
const MAX_DEPTH: usize = 16;
/// Mappings, lists and scalars together.
const MAX_NODES: usize = 4096;

/// A part of the document. `Debug` shows no text: scalars may be credentials and
/// misplaced ones stand for names.
pub(super) enum Value {
    Null,
    Bool(bool),
    Text(SecretString),
    Number,
    List(Vec<Value>),
    /// In the order written; a name may come twice.
    Map(Vec<(String, Value)>),
}

/// Reads one YAML or JSON document. No part of a parser's error is kept: it may
/// quote the source.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, KubeconfigError> {
    if bytes.len() > MAX_BYTES {
        return Err(KubeconfigError::TooLarge);
    }
    let text = str::from_utf8(bytes).map_err(|_| KubeconfigError::NotText)?;
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 3 * MAX_NODES,
            max_aliases: 0,
            max_anchors: 0,
            max_merge_keys: 0,
            max_documents: 1,
        },
        // Seen and refused by name in `Fields`.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| match error.without_snippet() {
        Error::Budget {
            breach: BudgetBreach::Documents { .. },
            ..
        } => KubeconfigError::Malformed,
        Error::Budget { .. }
        | Error::AliasError { .. }
        | Error::MergeKeyNotAllowed { .. }
        | Error::UnknownAnchor { .. }
        | Error::UnsupportedTag { .. } => KubeconfigError::TooComplex,
        _ => KubeconfigError::Malformed,
    })
}

/// Reads one JSON document.
pub(super) fn parse_json(bytes: &[u8]) -> Result<Value, KubeconfigError> {
    if bytes.len() > MAX_BYTES {
        return Err(KubeconfigError::TooLarge);
    }
    serde_json::from_slice(bytes).map_err(|_| KubeconfigError::Malformed)
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a document")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_none<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
                Value::deserialize(deserializer)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Bool(value))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
                Ok(Value::Number)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
                Ok(Value::Number)
            }

            fn visit_i128<E>(self, _: i128) -> Result<Value, E> {
                Ok(Value::Number)
            }

            fn visit_u128<E>(self, _: u128) -> Result<Value, E> {
                Ok(Value::Number)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
                Ok(Value::Number)
            }

            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(Value::Text(text.into()))
            }

            fn visit_string<E>(self, text: String) -> Result<Value, E> {
                Ok(Value::Text(text.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Value::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Value::Map(entries))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}
