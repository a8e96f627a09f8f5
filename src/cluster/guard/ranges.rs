//! The addresses that no cluster and no registry may have unless it is configured.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix))
}

const fn v6(address: u128, prefix: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from_bits(address), prefix))
}

/// Special-purpose ranges (IANA's registries, RFC 6890) whose members are no servers
/// of other people, and the metadata services that lie outside of them. Private
/// ranges are missing on purpose: clusters live there.
const REFUSED: [IpNet; 14] = [
    v4(0, 0, 0, 0, 8),
    v4(127, 0, 0, 0, 8),
    // Link-local, with the metadata service of most clouds.
    v4(169, 254, 0, 0, 16),
    // IETF protocol assignments, with Oracle's metadata service 192.0.0.192.
    v4(192, 0, 0, 0, 24),
    // Multicast, reserved, broadcast.
    v4(224, 0, 0, 0, 3),
    // Alibaba's metadata service.
    v4(100, 100, 100, 200, 32),
    // Azure's wire server.
    v4(168, 63, 129, 16, 32),
    v6(0, 128),
    v6(1, 128),
    v6(0xfe80 << 112, 10),
    v6(0xff00 << 112, 8),
    // Metadata services of AWS, Google and Oracle.
    v6(0xfd00_0ec2 << 96 | 0x254, 128),
    v6(0xfd20_00ce << 96 | 0x254, 128),
    v6(0xfd00_00c1 << 96 | 0xa9fe_a9fe, 128),
];

/// Whether an address lies in a refused range, in any of its forms.
pub(super) fn is_refused(address: IpAddr) -> bool {
    forms(address).any(|form| REFUSED.iter().any(|net| net.contains(&form)))
}

/// The address, and the IPv4 address that an IPv6 one stands for.
pub(super) fn forms(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let embedded = match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => embedded_ipv4(address).map(IpAddr::V4),
    };
    std::iter::once(address).chain(embedded)
}

/// IPv4 inside IPv6: mapped and compatible (RFC 4291, 2.5.5), translated (RFC 2765),
/// NAT64's well-known prefix (RFC 6052) and 6to4 (RFC 3056).
fn embedded_ipv4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            address.to_bits()
        }
        [0x2002, ..] => address.to_bits() >> 80,
        _ => return None,
    };
    let [.., a, b, c, d] = bits.to_be_bytes();
    Some(Ipv4Addr::new(a, b, c, d))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_no_ones_server_are_refused_in_every_form() {
        for refused in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "169.254.0.1",
            "192.0.0.192",
            "100.100.100.200",
            "168.63.129.16",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0.0.0.0",
            "::127.0.0.1",
            "::ffff:0:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b::7f00:1",
            "2002:a9fe:a9fe::1",
            "2002:7f00:1::",
        ] {
            assert!(is_refused(refused.parse().unwrap()), "{refused}");
        }
    }

    #[test]
    fn addresses_of_real_clusters_are_not_refused() {
        for permitted in [
            "10.96.0.1",
            "10.0.0.7",
            "172.16.0.1",
            "172.18.0.2",
            "192.168.1.1",
            "192.0.2.7",
            "100.64.0.1",
            "100.100.100.201",
            "1.1.1.1",
            "203.0.113.9",
            "223.255.255.255",
            "168.63.129.17",
            "169.253.255.255",
            "169.255.0.0",
            "fd00::1",
            "fd00:ec2::253",
            "fec0::1",
            "2001:db8::1",
            "2606:4700::1111",
            "::ffff:10.0.0.1",
            "64:ff9b::1.1.1.1",
            "2002:0a00:0001::1",
        ] {
            assert!(!is_refused(permitted.parse().unwrap()), "{permitted}");
        }
    }
}
