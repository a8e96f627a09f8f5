//! Who a client address belongs to, and in which network it lies: read from the
//! stored address each time, so that a corrected configuration corrects the past.

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use thiserror::Error;

use super::{AddressSource, SourceAddress};

/// What an `ImageRegistry` says of addresses in headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForwardedAddress {
    /// Any client can set the header: what it says is a claim.
    #[default]
    Untrusted,
    /// A proxy overwrites the header, whatever a client sent.
    Trusted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NetworkType {
    Private,
    Public,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientRole {
    /// The one who asked, known or not.
    Client,
    /// A proxy stands between: who asked is not known. Coverage says so.
    Proxy,
}

/// Who asked, as far as an event and the registry's settings tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Client {
    pub ip: Option<IpAddr>,
    /// What the client says it is; neither private, public nor known.
    pub claimed_ip: Option<IpAddr>,
    /// As the source states it, else by the address; absent without either.
    pub network_type: Option<NetworkType>,
    pub role: ClientRole,
}

/// The private ranges where a registry names none: RFC 1918, RFC 6598, loopback,
/// link-local and unique local addresses.
pub const PRIVATE_CIDRS: [&str; 9] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "::1/128",
    "fe80::/10",
    "fc00::/7",
];

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NetworkError {
    #[error("{field}: {text:?} is not a range of addresses such as 203.0.113.0/24 or 2001:db8::/32")]
    NotACidr { field: &'static str, text: String },
    #[error(
        "{field}: {range} is too wide to name single clients: /{WIDEST_V4} is the widest for IPv4, /{WIDEST_V6} for IPv6"
    )]
    TooWide { field: &'static str, range: IpNet },
}

/// The widest ranges that may name known clients: nobody makes the whole internet known.
const WIDEST_V4: u8 = 16;
const WIDEST_V6: u8 = 32;

impl NetworkError {
    /// For conditions and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotACidr { .. } => "InvalidCIDR",
            Self::TooWide { .. } => "CIDRTooWide",
        }
    }
}

/// The `network` settings of an `ImageRegistry`, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    forwarded: ForwardedAddress,
    trusted_proxies: Vec<IpNet>,
    private: Vec<IpNet>,
}

impl Network {
    /// Ranges in CIDR notation; no private ranges at all means [`PRIVATE_CIDRS`].
    pub fn new<S: AsRef<str>>(
        forwarded: ForwardedAddress,
        trusted_proxies: &[S],
        private_cidrs: &[S],
    ) -> Result<Self, NetworkError> {
        let trusted_proxies = ranges("trustedProxies", trusted_proxies)?;
        let private = if private_cidrs.is_empty() {
            ranges("privateCIDRs", &PRIVATE_CIDRS)?
        } else {
            ranges("privateCIDRs", private_cidrs)?
        };
        Ok(Self {
            forwarded,
            trusted_proxies,
            private,
        })
    }

    /// Who asked, given what the source says of address and network. A network that it states is believed over
    /// ranges of addresses, and stands without an address too.
    #[must_use]
    pub fn client(&self, address: Option<SourceAddress>, stated: Option<NetworkType>) -> Client {
        let nobody = Client {
            ip: None,
            claimed_ip: None,
            network_type: stated,
            role: ClientRole::Client,
        };
        let Some(SourceAddress { ip, source }) = address else {
            return nobody;
        };
        let ip = ip.to_canonical();
        match (source, self.forwarded) {
            (AddressSource::Header, ForwardedAddress::Untrusted) => Client {
                claimed_ip: Some(ip),
                ..nobody
            },
            (AddressSource::Peer, _) | (AddressSource::Header, ForwardedAddress::Trusted) => {
                if within(&self.trusted_proxies, ip) {
                    return Client {
                        network_type: None,
                        role: ClientRole::Proxy,
                        ..nobody
                    };
                }
                let by_range = if within(&self.private, ip) {
                    NetworkType::Private
                } else {
                    NetworkType::Public
                };
                Client {
                    ip: Some(ip),
                    network_type: Some(stated.unwrap_or(by_range)),
                    ..nobody
                }
            }
        }
    }
}

/// Ranges that name clients, in CIDR notation: at most a /16 of IPv4, a /32 of IPv6.
pub fn client_ranges<S: AsRef<str>>(field: &'static str, texts: &[S]) -> Result<Vec<IpNet>, NetworkError> {
    let ranges = ranges(field, texts)?;
    let too_wide = ranges.iter().find(|range| {
        let widest = match range {
            IpNet::V4(_) => WIDEST_V4,
            IpNet::V6(_) => WIDEST_V6,
        };
        range.prefix_len() < widest
    });
    match too_wide {
        Some(&range) => Err(NetworkError::TooWide { field, range }),
        None => Ok(ranges),
    }
}

fn within(ranges: &[IpNet], ip: IpAddr) -> bool {
    ranges.iter().any(|range| range.contains(&ip))
}

fn ranges<S: AsRef<str>>(field: &'static str, texts: &[S]) -> Result<Vec<IpNet>, NetworkError> {
    texts
        .iter()
        .map(|text| {
            let text = text.as_ref();
            let not_a_cidr = || NetworkError::NotACidr {
                field,
                text: text.chars().take(64).collect(),
            };
            text.parse().map(canonical).map_err(|_| not_a_cidr())
        })
        .collect()
}

/// A range of IPv4-mapped addresses is one of IPv4, as such an address is.
fn canonical(range: IpNet) -> IpNet {
    let IpNet::V6(mapped) = range else { return range };
    let (Some(ip), Some(length)) = (
        mapped.addr().to_ipv4_mapped(),
        mapped.prefix_len().checked_sub(96),
    ) else {
        return range;
    };
    Ipv4Net::new(ip, length).map_or(range, IpNet::V4)
}
