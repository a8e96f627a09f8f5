//! Values that a line has as one text.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    event::{AddressSource, Category, DeleteTarget, LogicalCategory, NetworkType, TimeSource},
    image::{Digest, RepositoryName},
    store::RegistryKey,
};

/// A value that is written as one text.
pub(super) struct Text<T>(pub(super) T);

pub(super) trait Spelled: Sized {
    fn spell(&self) -> String;
    fn unspell(text: &str) -> Option<Self>;
}

impl<T: Spelled> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.spell())
    }
}

impl<'de, T: Spelled> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(std::marker::PhantomData<T>);

        impl<T: Spelled> de::Visitor<'_> for Visitor<T> {
            type Value = Text<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one of the words of the form")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                T::unspell(text)
                    .map(Text)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_str(Visitor(std::marker::PhantomData))
    }
}

impl Spelled for Digest {
    fn spell(&self) -> String {
        self.to_string()
    }

    fn unspell(text: &str) -> Option<Self> {
        Self::from_str(text).ok()
    }
}

impl Spelled for RepositoryName {
    fn spell(&self) -> String {
        self.to_string()
    }

    fn unspell(text: &str) -> Option<Self> {
        Self::from_str(text).ok()
    }
}

/// `namespace/name/uid`: names in Kubernetes have no slash.
impl Spelled for RegistryKey {
    fn spell(&self) -> String {
        format!("{}/{}/{}", self.namespace, self.name, self.uid)
    }

    fn unspell(text: &str) -> Option<Self> {
        let (namespace, rest) = text.split_once('/')?;
        let (name, uid) = rest.split_once('/')?;
        Some(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
        })
    }
}

macro_rules! spelled {
    ($($enum:ident { $($variant:ident),+ })+) => {
        $(impl Spelled for $enum {
            fn spell(&self) -> String {
                match self { $(Self::$variant => stringify!($variant)),+ }.to_owned()
            }

            fn unspell(text: &str) -> Option<Self> {
                match text {
                    $(stringify!($variant) => Some(Self::$variant),)+
                    _ => None,
                }
            }
        })+
    };
}

spelled! {
    Category { Push, Pull, Delete }
    LogicalCategory { Push, Pull, Delete, Check, UnresolvedDelete }
    DeleteTarget { Tag, Manifest, Repository }
    AddressSource { Peer, Header }
    TimeSource { Event, Received }
    NetworkType { Private, Public }
}
