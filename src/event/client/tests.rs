use super::*;

fn network(forwarded: ForwardedAddress) -> Network {
    Network::new(forwarded, &["192.0.2.10/32", "2001:db8:ffff::/48"], &[]).unwrap()
}

fn peer(ip: &str) -> SourceAddress {
    SourceAddress {
        ip: ip.parse().unwrap(),
        source: AddressSource::Peer,
    }
}

fn header(ip: &str) -> SourceAddress {
    SourceAddress {
        ip: ip.parse().unwrap(),
        source: AddressSource::Header,
    }
}

/// The client as words: `IP private|public`, `claims IP`, `proxy` or `nobody`.
fn told(client: Client) -> String {
    match client {
        Client {
            ip: None,
            claimed_ip: None,
            network_type: None,
            role: ClientRole::Proxy,
        } => "proxy".to_owned(),
        Client {
            ip: None,
            claimed_ip: None,
            network_type: None,
            role: ClientRole::Client,
        } => "nobody".to_owned(),
        Client {
            ip: None,
            claimed_ip: Some(ip),
            network_type: None,
            role: ClientRole::Client,
        } => {
            format!("claims {ip}")
        }
        Client {
            ip: Some(ip),
            claimed_ip: None,
            network_type: Some(network),
            role: ClientRole::Client,
        } => format!("{ip} {network:?}").to_lowercase(),
        other => panic!("a client cannot be {other:?}"),
    }
}

#[test]
fn a_peer_is_believed_a_header_only_where_a_proxy_overwrites_it() {
    use ForwardedAddress::{Trusted, Untrusted};
    for (address, untrusted, trusted) in [
        (None, "nobody", "nobody"),
        (
            Some(peer("203.0.113.7")),
            "203.0.113.7 public",
            "203.0.113.7 public",
        ),
        (Some(peer("10.1.2.3")), "10.1.2.3 private", "10.1.2.3 private"),
        (
            Some(header("203.0.113.7")),
            "claims 203.0.113.7",
            "203.0.113.7 public",
        ),
        (Some(header("10.1.2.3")), "claims 10.1.2.3", "10.1.2.3 private"),
        // A proxy's own address says nothing, however it is known.
        (Some(peer("192.0.2.10")), "proxy", "proxy"),
        (Some(peer("2001:db8:ffff::1")), "proxy", "proxy"),
        (Some(header("192.0.2.10")), "claims 192.0.2.10", "proxy"),
        (Some(peer("192.0.2.11")), "192.0.2.11 public", "192.0.2.11 public"),
        (
            Some(peer("::ffff:10.1.2.3")),
            "10.1.2.3 private",
            "10.1.2.3 private",
        ),
        (Some(peer("::ffff:192.0.2.10")), "proxy", "proxy"),
        (
            Some(header("::ffff:203.0.113.7")),
            "claims 203.0.113.7",
            "203.0.113.7 public",
        ),
    ] {
        assert_eq!(
            told(network(Untrusted).client(address, None)),
            untrusted,
            "untrusted {address:?}"
        );
        assert_eq!(
            told(network(Trusted).client(address, None)),
            trusted,
            "trusted {address:?}"
        );
    }
}

#[test]
fn a_network_that_the_source_states_is_believed_over_ranges() {
    let network = network(ForwardedAddress::Untrusted);
    let (private, public) = (Some(NetworkType::Private), Some(NetworkType::Public));
    for (address, stated, ip, expected) in [
        (Some(peer("203.0.113.7")), private, Some("203.0.113.7"), private),
        (Some(peer("10.1.2.3")), public, Some("10.1.2.3"), public),
        (None, private, None, private),
        (Some(header("203.0.113.7")), private, None, private),
        // What it states is where the proxy is.
        (Some(peer("192.0.2.10")), private, None, None),
    ] {
        let client = network.client(address, stated);
        assert_eq!(client.ip.map(|ip| ip.to_string()).as_deref(), ip, "{address:?}");
        assert_eq!(client.network_type, expected, "{address:?} {stated:?}");
    }
}

#[test]
fn private_by_default_is_what_is_not_routed_on_the_internet() {
    let network = network(ForwardedAddress::Untrusted);
    for (ip, expected) in [
        ("9.255.255.255", NetworkType::Public),
        ("10.0.0.0", NetworkType::Private),
        ("10.255.255.255", NetworkType::Private),
        ("11.0.0.0", NetworkType::Public),
        ("172.15.255.255", NetworkType::Public),
        ("172.16.0.0", NetworkType::Private),
        ("172.31.255.255", NetworkType::Private),
        ("172.32.0.0", NetworkType::Public),
        ("192.168.0.1", NetworkType::Private),
        ("192.169.0.1", NetworkType::Public),
        ("100.63.255.255", NetworkType::Public),
        ("100.64.0.0", NetworkType::Private),
        ("100.127.255.255", NetworkType::Private),
        ("100.128.0.0", NetworkType::Public),
        ("127.0.0.1", NetworkType::Private),
        ("169.254.169.254", NetworkType::Private),
        ("203.0.113.7", NetworkType::Public),
        ("::1", NetworkType::Private),
        ("fe80::1", NetworkType::Private),
        ("febf::1", NetworkType::Private),
        ("fec0::1", NetworkType::Public),
        ("fc00::1", NetworkType::Private),
        ("fdff::1", NetworkType::Private),
        ("2001:db8::1", NetworkType::Public),
    ] {
        assert_eq!(
            network.client(Some(peer(ip)), None).network_type,
            Some(expected),
            "{ip}"
        );
    }
}

#[test]
fn named_private_ranges_replace_the_default() {
    let network = Network::new(
        ForwardedAddress::Untrusted,
        &[],
        &["203.0.113.0/24", "::ffff:198.51.100.0/120"],
    )
    .unwrap();
    for (ip, expected) in [
        ("203.0.113.7", NetworkType::Private),
        ("198.51.100.7", NetworkType::Private),
        ("10.0.0.1", NetworkType::Public),
    ] {
        assert_eq!(
            network.client(Some(peer(ip)), None).network_type,
            Some(expected),
            "{ip}"
        );
    }
}

#[test]
fn what_is_no_range_is_refused_and_named() {
    for text in ["", "10.0.0.0", "10.0.0.0/33", "example.com", "10.0.0.0/8 "] {
        let error = Network::new(ForwardedAddress::Untrusted, &[text], &[]).unwrap_err();
        assert_eq!(error.reason(), "InvalidCIDR");
        assert!(error.to_string().starts_with("trustedProxies: "), "{error}");
    }
    let error = Network::new(ForwardedAddress::Untrusted, &[], &["x"]).unwrap_err();
    assert!(error.to_string().starts_with("privateCIDRs: "), "{error}");
}
