//! In JSON, YAML and SQL these types are the text that people write.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{Digest, Reference, RepositoryName};

macro_rules! serde_as_text {
    ($($type:ty),+) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )+};
}

serde_as_text!(Digest, Reference, RepositoryName);
