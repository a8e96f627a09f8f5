//! What people ask about the hot repository.

use std::net::IpAddr;

use image_usage_operator::{
    event::{Attribution, ForwardedAddress, LogicalCategory, Network, NetworkType},
    store::{Clause, Clients, EventClient, EventQuery, Select, Window},
};
use jiff::{SignedDuration, Timestamp};

use crate::{Result, hot};

pub(crate) struct Question {
    pub(crate) name: String,
    pub(crate) query: EventQuery,
}

/// A window of this length that ends with the history, as a report's does: its start stands at a
/// full hour, of a day or less at a full minute. It is open at its end.
fn window(length: SignedDuration) -> Window {
    let step = if length > SignedDuration::from_hours(24) {
        3600
    } else {
        60
    };
    let start = (hot::History::end() - length).as_second();
    Window {
        start: Timestamp::from_second(start - start % step).unwrap_or(Timestamp::MIN),
        end: Timestamp::MAX,
    }
}

/// All of a repository's month.
pub(crate) fn month(repository: &str) -> EventQuery {
    EventQuery {
        registry: hot::registry(),
        repository: repository.to_owned(),
        categories: Vec::new(),
        clauses: vec![Clause {
            select: Select::All,
            window: window(MONTH),
            attribution: Attribution::Named,
        }],
        clients: Clients::default(),
    }
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);
const MONTH: SignedDuration = SignedDuration::from_hours(30 * 24);

pub(crate) fn questions() -> Result<Vec<Question>> {
    let mut questions = Vec::new();
    for (length, window_of) in [("1 hour", HOUR), ("1 day", DAY), ("30 days", MONTH)] {
        let window = window(window_of);
        let mut ask = |name: &str, select: Select, categories: &[LogicalCategory], clients: Clients| {
            questions.push(Question {
                name: format!("{name}, {length}"),
                query: EventQuery {
                    registry: hot::registry(),
                    repository: hot::REPOSITORY.to_owned(),
                    categories: categories.to_vec(),
                    clauses: vec![Clause {
                        select,
                        window,
                        attribution: Attribution::Named,
                    }],
                    clients,
                },
            });
        };
        let everybody = Clients::default;
        ask("all", Select::All, &[], everybody());
        ask("hot tag", Select::Tag(hot::HOT_TAG.to_owned()), &[], everybody());
        ask("one of 50 tags", Select::Tag("v1.7".to_owned()), &[], everybody());
        ask("digest", Select::Digest(hot::digest(0, 30)), &[], everybody());
        for (name, category) in [
            ("pushes", LogicalCategory::Push),
            ("pulls", LogicalCategory::Pull),
            ("deletes", LogicalCategory::Delete),
        ] {
            ask(name, Select::All, &[category], everybody());
        }
        for (name, clients) in clients()? {
            ask(name, Select::All, &[], clients);
        }
        let (name, public) = ("hot tag, public", network(NetworkType::Public)?);
        ask(name, Select::Tag(hot::HOT_TAG.to_owned()), &[], public);
    }
    Ok(questions)
}

fn clients() -> Result<Vec<(&'static str, Clients)>> {
    Ok(vec![
        ("private", network(NetworkType::Private)?),
        ("public", network(NetworkType::Public)?),
        ("one address", of_address(|ip| ip == hot::address(7))),
        (
            "one public address",
            of_address(|ip| ip == hot::public_address(7)),
        ),
        (
            "range of 256 addresses",
            of_address(|ip| matches!(ip, IpAddr::V4(ip) if ip.octets()[..3] == [10, 1, 3])),
        ),
        ("rare actor", of_actor(hot::RARE_ACTOR)),
        ("common actor", of_actor(hot::COMMON_ACTOR)),
        ("nobody", of_actor("nobody")),
    ])
}

/// Judged as a report judges it.
fn network(of: NetworkType) -> Result<Clients> {
    let network = Network::new::<&str>(ForwardedAddress::Untrusted, &[], &[])?;
    Ok(Clients::only(move |client: EventClient<'_>| {
        network.client(client.address, client.network_type).network_type == Some(of)
    }))
}

fn of_address(wanted: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Clients {
    Clients::only(move |client: EventClient<'_>| client.address.is_some_and(|address| wanted(address.ip)))
}

fn of_actor(wanted: &'static str) -> Clients {
    Clients::only(move |client: EventClient<'_>| client.actor == Some(wanted))
}
