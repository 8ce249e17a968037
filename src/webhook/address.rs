//! Which addresses a webhook may talk to: those of the public internet, and what the operator allows.
//!
//! Whoever can make a webhook could otherwise have the server ask its own neighbours, the cloud's metadata
//! service first of all. An IPv6 address that carries an IPv4 one counts as that one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the operator allows beside the public internet: networks, addresses and names of hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allow {
    networks: Vec<(IpAddr, u8)>,
    hosts: Vec<String>,
}

impl Allow {
    /// Reads entries with commas between them: `10.0.0.0/8`, `::1`, `hooks.internal`. The error is the entry
    /// that is none.
    pub fn parse(text: &str) -> Result<Allow, String> {
        let mut allow = Allow::default();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            match network(entry) {
                Some(network) => allow.networks.push(network),
                None if is_host(entry) => allow.hosts.push(entry.to_ascii_lowercase()),
                None => return Err(entry.to_owned()),
            }
        }
        Ok(allow)
    }

    /// Whether all addresses of this host are allowed.
    pub fn has_host(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
    }

    /// Why this address is refused, if it is.
    pub fn refuses(&self, address: IpAddr) -> Option<&'static str> {
        let address = canonical(address);
        if self.networks.iter().any(|(network, bits)| contains(*network, *bits, address)) {
            return None;
        }
        match address {
            IpAddr::V4(address) => special_v4(address),
            IpAddr::V6(address) => special_v6(address),
        }
    }
}

fn network(entry: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = match entry.split_once('/') {
        Some((address, bits)) => (address.parse::<IpAddr>().ok()?, Some(bits.parse::<u8>().ok()?)),
        None => (entry.parse::<IpAddr>().ok()?, None),
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(most);
    (bits <= most).then_some((address, bits))
}

/// A name that looks like an address, such as `127.1` or `10.0.0.0/33`, is none.
fn is_host(entry: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    entry.chars().all(is_plain) && entry.chars().any(|c| c.is_ascii_alphabetic())
}

fn contains(network: IpAddr, bits: u8, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        _ => false,
    }
}

/// The IPv4 address that an IPv6 one carries and would be taken to, or the address itself.
fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    let bits = six.to_bits();
    let segments = six.segments();
    let carried = |shift: u32| IpAddr::V4(Ipv4Addr::from_bits((bits >> shift) as u32));
    match segments {
        // Mapped (::ffff:a.b.c.d) and translated (::ffff:0:a.b.c.d).
        [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => carried(0),
        // Compatible (::a.b.c.d), but for :: and ::1.
        [0, 0, 0, 0, 0, 0, ..] if bits > 1 => carried(0),
        // NAT64, the well-known prefix and the local one.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] => carried(0),
        // 6to4.
        [0x2002, ..] => carried(80),
        // Teredo: the client's address is inverted.
        [0x2001, 0, ..] => IpAddr::V4(Ipv4Addr::from_bits(!(bits as u32))),
        _ => address,
    }
}

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, _] = address.octets();
    Some(match (a, b, c) {
        (0, ..) => "is of this network",
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => "is private",
        (127, ..) => "is a loopback address",
        (169, 254, _) => "is link-local",
        (100, 64..=127, _) => "is behind a carrier's NAT",
        (192, 0, 0) => "is for protocols",
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => "is for documentation",
        (192, 88, 99) => "is a relay of 6to4",
        (198, 18..=19, _) => "is for benchmarks",
        (224..=239, ..) => "is multicast",
        (240.., ..) => "is reserved",
        _ => return None,
    })
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    Some(match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => "is unspecified",
        [0, 0, 0, 0, 0, 0, 0, 1] => "is the loopback address",
        [0xfc00..=0xfdff, ..] => "is unique local",
        [0xfe80..=0xfebf, ..] => "is link-local",
        [0xfec0..=0xfeff, ..] => "is site-local",
        [0xff00..=0xffff, ..] => "is multicast",
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => "is for documentation",
        [0x100, 0, 0, 0, ..] => "is for discarding",
        [0x2001, 0..=0x1ff, ..] => "is for protocols",
        // Nothing else is given out to the public internet.
        [0x2000..=0x3fff, ..] => return None,
        _ => "is not of the public internet",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_public_is_refused_however_it_is_written() {
        let allow = Allow::default();
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:0:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a00:1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "2001:0:1:2:3:4:80ff:fffe",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "3fff::1",
            "100::1",
            "2001:10::1",
            "4000::1",
            "5f00::1",
        ] {
            assert!(allow.refuses(address.parse().unwrap()).is_some(), "{address}");
        }
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "2606:4700::1111",
            "2002:808:808::1",
            "64:ff9b::808:808",
            "::ffff:8.8.8.8",
            "2a00:1450::1",
        ] {
            assert_eq!(allow.refuses(address.parse().unwrap()), None, "{address}");
        }
    }

    #[test]
    fn the_operator_allows_networks_addresses_and_hosts() {
        let allow = Allow::parse("10.1.0.0/16, ::1,hooks.Internal, 127.0.0.1").unwrap();
        for (address, is_allowed) in [
            ("10.1.255.1", true),
            ("::ffff:10.1.0.1", true),
            ("10.2.0.1", false),
            ("::1", true),
            ("127.0.0.1", true),
            ("127.0.0.2", false),
        ] {
            assert_eq!(allow.refuses(address.parse().unwrap()).is_none(), is_allowed, "{address}");
        }
        assert!(
            allow.has_host("HOOKS.internal")
                && allow.has_host("hooks.internal.")
                && !allow.has_host("internal")
        );
        assert!(Allow::parse("0.0.0.0/0,::/0").unwrap().refuses("127.0.0.1".parse().unwrap()).is_none());
        for wrong in ["10.0.0.0/33", "::/129", "127.1", "http://host", "a b", "10.0.0.0/x"] {
            assert_eq!(Allow::parse(wrong).unwrap_err(), wrong);
        }
    }
}
