//! Records as lines of JSON, both ways.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use super::{
    event_line::{EventLine, event_line},
    form::{FORM, Fact, Record, VERSION},
    text::Text,
};
use crate::{
    event::{Category, LogicalCategory},
    image::{Digest, RepositoryName},
    store::{
        RegistryKey, UsageSpan,
        usage::{self, SpanRow},
    },
};

#[derive(Debug, Error)]
pub enum LineError {
    #[error("it is no line of an export: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("it is an export of another program: its form is {0}, not {FORM}")]
    OtherForm(String),
    #[error(
        "its form has version {0}, newer than {VERSION}, the newest this version knows: run a newer version"
    )]
    NewerVersion(u32),
    #[error("it says that something ran which this version cannot read")]
    UnknownUse,
}

/// The record as one line, without its end.
pub fn encode(record: &Record) -> Result<String, LineError> {
    Ok(serde_json::to_string(&Line::try_from(record)?)?)
}

pub fn decode(line: &str) -> Result<Record, LineError> {
    serde_json::from_str::<Line>(line)?.read()
}

/// A line as it is written. A field that is not known here is an error: it would be lost.
#[derive(Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
enum Line {
    Header(HeaderLine),
    Registry {
        registry: Text<RegistryKey>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retention_seconds: Option<i64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        quota: Option<i64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        released: Option<Timestamp>,
    },
    Source {
        registry: Text<RegistryKey>,
        source: String,
        since: Timestamp,
        last_delivery: Timestamp,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_event: Option<Timestamp>,
        stored: i64,
        duplicates: i64,
        ignored: i64,
        quarantined: i64,
    },
    Instance {
        registry: Text<RegistryKey>,
        source: String,
        id: String,
        first: Timestamp,
        last: Timestamp,
    },
    Reported {
        registry: Text<RegistryKey>,
        source: String,
        category: Text<Category>,
        first: Timestamp,
    },
    Gap {
        registry: Text<RegistryKey>,
        source: String,
        reason: String,
        start: Timestamp,
        end: Timestamp,
    },
    Listened {
        since: Timestamp,
        until: Timestamp,
    },
    Cursor {
        registry: Text<RegistryKey>,
        source: String,
        log: String,
        since: Timestamp,
        until: Timestamp,
    },
    TagPoints {
        registry: Text<RegistryKey>,
        repository: String,
        tag: String,
        time: Timestamp,
        digest: Text<Digest>,
    },
    PointersEnd {
        registry: Text<RegistryKey>,
        repository: String,
        time: Timestamp,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<Text<Digest>>,
    },
    Manifest {
        registry: Text<RegistryKey>,
        repository: String,
        digest: Text<Digest>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        media_type: Option<String>,
        learnt: Timestamp,
    },
    Removed {
        registry: Text<RegistryKey>,
        repository: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag: Option<String>,
        category: Text<LogicalCategory>,
        first: Timestamp,
        last: Timestamp,
    },
    Uses {
        cluster: String,
        as_of: Timestamp,
        repository: Text<RepositoryName>,
        uses: Box<RawValue>,
    },
    Ran {
        cluster: String,
        repository: Text<RepositoryName>,
        what: Box<RawValue>,
        since: Timestamp,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    Event(Box<EventLine>),
    End {},
}

/// Of a newer version it may say more: it has to be understood to be refused.
#[derive(Serialize, Deserialize)]
struct HeaderLine {
    form: String,
    version: u32,
}

impl TryFrom<&Record> for Line {
    type Error = serde_json::Error;

    #[expect(clippy::too_many_lines, reason = "an arm for each line")]
    fn try_from(record: &Record) -> Result<Self, Self::Error> {
        Ok(match record.clone() {
            Record::Header { version } => Self::Header(HeaderLine {
                form: FORM.to_owned(),
                version,
            }),
            Record::Registry {
                registry,
                retention,
                quota,
                released,
            } => Self::Registry {
                registry: Text(registry),
                retention_seconds: retention.map(|retention| retention.as_secs()),
                quota,
                released,
            },
            Record::Source {
                registry,
                source,
                since,
                last_delivery,
                last_event,
                stored,
                duplicates,
                ignored,
                quarantined,
            } => Self::Source {
                registry: Text(registry),
                source,
                since,
                last_delivery,
                last_event,
                stored,
                duplicates,
                ignored,
                quarantined,
            },
            Record::Instance {
                registry,
                source,
                id,
                first,
                last,
            } => Self::Instance {
                registry: Text(registry),
                source,
                id,
                first,
                last,
            },
            Record::Reported {
                registry,
                source,
                category,
                first,
            } => Self::Reported {
                registry: Text(registry),
                source,
                category: Text(category),
                first,
            },
            Record::Gap {
                registry,
                source,
                reason,
                start,
                end,
            } => Self::Gap {
                registry: Text(registry),
                source,
                reason,
                start,
                end,
            },
            Record::Listened { since, until } => Self::Listened { since, until },
            Record::Cursor {
                registry,
                source,
                log,
                since,
                until,
            } => Self::Cursor {
                registry: Text(registry),
                source,
                log,
                since,
                until,
            },
            Record::Fact {
                registry,
                repository,
                fact,
            } => fact_line(Text(registry), repository, fact),
            Record::Uses {
                cluster,
                as_of,
                repository,
                uses,
            } => Self::Uses {
                cluster,
                as_of,
                repository: Text(repository),
                uses: RawValue::from_string(usage::encode(&uses)?)?,
            },
            Record::Ran {
                cluster,
                repository,
                span,
            } => ran_line(cluster, Text(repository), &span)?,
            Record::Event { registry, event } => Self::Event(Box::new(event_line(registry, *event))),
            Record::End => Self::End {},
        })
    }
}

fn ran_line(
    cluster: String,
    repository: Text<RepositoryName>,
    span: &UsageSpan,
) -> Result<Line, serde_json::Error> {
    let SpanRow { what, start, end } = usage::span_row(span)?;
    Ok(Line::Ran {
        cluster,
        repository,
        what: RawValue::from_string(what)?,
        since: start,
        until: end,
    })
}

fn fact_line(registry: Text<RegistryKey>, repository: String, fact: Fact) -> Line {
    match fact {
        Fact::Points { tag, time, digest } => Line::TagPoints {
            registry,
            repository,
            tag,
            time,
            digest: Text(digest),
        },
        Fact::Ended { time, tag, digest } => Line::PointersEnd {
            registry,
            repository,
            time,
            tag,
            digest: digest.map(Text),
        },
        Fact::Manifest {
            digest,
            media_type,
            learnt,
        } => Line::Manifest {
            registry,
            repository,
            digest: Text(digest),
            media_type,
            learnt,
        },
        Fact::Times {
            tag,
            category,
            first,
            last,
        } => Line::Removed {
            registry,
            repository,
            tag,
            category: Text(category),
            first,
            last,
        },
    }
}

impl Line {
    #[expect(clippy::too_many_lines, reason = "an arm for each line")]
    fn read(self) -> Result<Record, LineError> {
        let fact = |registry: Text<RegistryKey>, repository, fact| Record::Fact {
            registry: registry.0,
            repository,
            fact,
        };
        Ok(match self {
            Self::Header(HeaderLine { form, .. }) if form != FORM => return Err(LineError::OtherForm(form)),
            Self::Header(HeaderLine { version, .. }) if version > VERSION => {
                return Err(LineError::NewerVersion(version));
            }
            Self::Header(HeaderLine { version, .. }) => Record::Header { version },
            Self::Registry {
                registry,
                retention_seconds,
                quota,
                released,
            } => Record::Registry {
                registry: registry.0,
                retention: retention_seconds.map(SignedDuration::from_secs),
                quota,
                released,
            },
            Self::Source {
                registry,
                source,
                since,
                last_delivery,
                last_event,
                stored,
                duplicates,
                ignored,
                quarantined,
            } => Record::Source {
                registry: registry.0,
                source,
                since,
                last_delivery,
                last_event,
                stored,
                duplicates,
                ignored,
                quarantined,
            },
            Self::Instance {
                registry,
                source,
                id,
                first,
                last,
            } => Record::Instance {
                registry: registry.0,
                source,
                id,
                first,
                last,
            },
            Self::Reported {
                registry,
                source,
                category,
                first,
            } => Record::Reported {
                registry: registry.0,
                source,
                category: category.0,
                first,
            },
            Self::Gap {
                registry,
                source,
                reason,
                start,
                end,
            } => Record::Gap {
                registry: registry.0,
                source,
                reason,
                start,
                end,
            },
            Self::Listened { since, until } => Record::Listened { since, until },
            Self::Cursor {
                registry,
                source,
                log,
                since,
                until,
            } => Record::Cursor {
                registry: registry.0,
                source,
                log,
                since,
                until,
            },
            Self::TagPoints {
                registry,
                repository,
                tag,
                time,
                digest: Text(digest),
            } => fact(registry, repository, Fact::Points { tag, time, digest }),
            Self::PointersEnd {
                registry,
                repository,
                time,
                tag,
                digest,
            } => {
                let digest = digest.map(|text| text.0);
                fact(registry, repository, Fact::Ended { time, tag, digest })
            }
            Self::Manifest {
                registry,
                repository,
                digest: Text(digest),
                media_type,
                learnt,
            } => fact(
                registry,
                repository,
                Fact::Manifest {
                    digest,
                    media_type,
                    learnt,
                },
            ),
            Self::Removed {
                registry,
                repository,
                tag,
                category: Text(category),
                first,
                last,
            } => fact(
                registry,
                repository,
                Fact::Times {
                    tag,
                    category,
                    first,
                    last,
                },
            ),
            Self::Uses {
                cluster,
                as_of,
                repository,
                uses,
            } => Record::Uses {
                cluster,
                as_of,
                repository: repository.0,
                uses: usage::decode(uses.get())?,
            },
            Self::Ran {
                cluster,
                repository,
                what,
                since,
                until,
            } => {
                let row = SpanRow {
                    what: what.get().to_owned(),
                    start: since,
                    end: until,
                };
                Record::Ran {
                    cluster,
                    repository: repository.0,
                    span: usage::span(row).ok_or(LineError::UnknownUse)?,
                }
            }
            Self::Event(event) => event.read(),
            Self::End {} => Record::End,
        })
    }
}
