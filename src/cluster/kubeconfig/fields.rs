//! A mapping read by an allow-list: what is not asked for is unknown.

use secrecy::{ExposeSecret, SecretString};

use super::{KubeconfigError, document::Value, error::FieldName};

/// The fields of one mapping that are not taken yet.
pub(super) struct Fields {
    within: &'static str,
    entries: Vec<(String, Value)>,
}

impl Fields {
    /// `within` names the mapping in errors.
    pub(super) fn new(value: Value, within: &'static str) -> Result<Self, KubeconfigError> {
        let Value::Map(entries) = value else {
            return Err(KubeconfigError::WrongType {
                field: within,
                expected: "a mapping",
            });
        };
        let mut names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(KubeconfigError::Duplicate(FieldName::new(pair[0])));
        }
        Ok(Self { within, entries })
    }

    /// The mapping that holds nothing.
    pub(super) fn empty(within: &'static str) -> Self {
        Self {
            within,
            entries: Vec::new(),
        }
    }

    /// Leaves out a field that other programs write for themselves, such as
    /// minikube's `extensions`; the document's limits bound it.
    pub(super) fn ignore(&mut self, field: &str) {
        self.entries.retain(|(entry, _)| entry != field);
    }

    /// A field that is there and not null; the empty text is none too, as in
    /// Kubernetes' own reader.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.entries.iter().position(|(entry, _)| entry == name)?;
        match self.entries.swap_remove(at).1 {
            Value::Null => None,
            Value::Text(text) if text.expose_secret().is_empty() => None,
            value => Some(value),
        }
    }

    /// Refuses a field of the deny-list.
    pub(super) fn refuse(
        &mut self,
        field: &'static str,
        refusal: fn(&'static str) -> KubeconfigError,
    ) -> Result<(), KubeconfigError> {
        match self.take(field) {
            None => Ok(()),
            Some(_) => Err(refusal(field)),
        }
    }

    /// Refuses a switch that is on; off is what it would be anyway.
    pub(super) fn refuse_true(
        &mut self,
        field: &'static str,
        refusal: fn(&'static str) -> KubeconfigError,
    ) -> Result<(), KubeconfigError> {
        if self.flag(field)? {
            return Err(refusal(field));
        }
        Ok(())
    }

    pub(super) fn text(&mut self, field: &'static str) -> Result<Option<SecretString>, KubeconfigError> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(KubeconfigError::WrongType {
                field,
                expected: "a string: put it into quotes",
            }),
        }
    }

    pub(super) fn required_text(&mut self, field: &'static str) -> Result<SecretString, KubeconfigError> {
        self.text(field)?.ok_or(KubeconfigError::Missing(field))
    }

    /// A switch; off where it is absent.
    pub(super) fn flag(&mut self, field: &'static str) -> Result<bool, KubeconfigError> {
        match self.take(field) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(value),
            Some(_) => Err(KubeconfigError::WrongType {
                field,
                expected: "true or false",
            }),
        }
    }

    /// The mapping in a field.
    pub(super) fn mapping(&mut self, field: &'static str) -> Result<Fields, KubeconfigError> {
        let value = self.take(field).ok_or(KubeconfigError::Missing(field))?;
        Fields::new(value, field)
    }

    /// The only entry of a list.
    pub(super) fn only_entry(&mut self, list: &'static str) -> Result<Fields, KubeconfigError> {
        let mut items = match self.take(list) {
            None => Vec::new(),
            Some(Value::List(items)) => items,
            Some(_) => {
                return Err(KubeconfigError::WrongType {
                    field: list,
                    expected: "a list",
                });
            }
        };
        match (items.pop(), items.len()) {
            (Some(entry), 0) => Fields::new(entry, list),
            (entry, others) => Err(KubeconfigError::NotExactlyOne {
                list,
                count: others + usize::from(entry.is_some()),
            }),
        }
    }

    /// Ends the reading: what was not asked for is refused.
    pub(super) fn finish(self) -> Result<(), KubeconfigError> {
        match self.entries.first() {
            None => Ok(()),
            Some((name, _)) => Err(KubeconfigError::UnknownField {
                within: self.within,
                name: FieldName::new(name),
            }),
        }
    }
}
