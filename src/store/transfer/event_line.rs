//! The line of a raw event.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{form::Record, text::Text};
use crate::{
    event::{
        AddressSource, Category, DeleteTarget, NetworkType, RegistryEvent, SourceAddress, StoredEvent,
        TimeSource,
    },
    image::Digest,
    store::RegistryKey,
};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EventLine {
    registry: Text<RegistryKey>,
    repository: String,
    source: String,
    id: String,
    time: Timestamp,
    time_source: Text<TimeSource>,
    /// The event's own time where it is not `time`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stated_time: Option<Timestamp>,
    received: Timestamp,
    category: Text<Category>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<Text<DeleteTarget>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<Text<Digest>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address_source: Option<Text<AddressSource>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    network_type: Option<Text<NetworkType>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    forwarded_chain: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instance_id: Option<String>,
}

pub(super) fn event_line(registry: RegistryKey, stored: StoredEvent) -> EventLine {
    let StoredEvent {
        source,
        received,
        time,
        time_source,
        event,
    } = stored;
    let RegistryEvent {
        id,
        category,
        target,
        repository,
        tag,
        digest,
        media_type,
        method,
        address,
        network_type,
        forwarded_chain,
        actor,
        user_agent,
        time: stated,
        request_id,
        instance_id,
    } = event;
    EventLine {
        registry: Text(registry),
        repository,
        source,
        id,
        time,
        time_source: Text(time_source),
        stated_time: stated.filter(|stated| *stated != time),
        received,
        category: Text(category),
        target: target.map(Text),
        tag,
        digest: digest.map(Text),
        media_type,
        method,
        address: address.map(|address| address.ip),
        address_source: address.map(|address| Text(address.source)),
        network_type: network_type.map(Text),
        forwarded_chain,
        actor,
        user_agent,
        request_id,
        instance_id,
    }
}

impl EventLine {
    pub(super) fn read(self) -> Record {
        let Self {
            registry,
            repository,
            source,
            id,
            time,
            time_source,
            stated_time,
            received,
            category,
            target,
            tag,
            digest,
            media_type,
            method,
            address,
            address_source,
            network_type,
            forwarded_chain,
            actor,
            user_agent,
            request_id,
            instance_id,
        } = self;
        let event = RegistryEvent {
            id,
            category: category.0,
            target: target.map(|text| text.0),
            repository,
            tag,
            digest: digest.map(|text| text.0),
            media_type,
            method,
            address: address
                .zip(address_source)
                .map(|(ip, Text(source))| SourceAddress { ip, source }),
            network_type: network_type.map(|text| text.0),
            forwarded_chain,
            actor,
            user_agent,
            time: match (stated_time, time_source.0) {
                (None, TimeSource::Event) => Some(time),
                (stated, _) => stated,
            },
            request_id,
            instance_id,
        };
        Record::Event {
            registry: registry.0,
            event: Box::new(StoredEvent {
                source,
                received,
                time,
                time_source: time_source.0,
                event,
            }),
        }
    }
}
