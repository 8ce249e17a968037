//! Where connections come from, as limits count it: an IPv4 address, or the network that an IPv6 host
//! has to itself, of which it may use any address; and how often they come from there.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::limits::{ADDRESS_BURST_SECONDS, ADDRESSES_MAX, IPV6_HOST_BITS};
use crate::quota::Bucket;

/// From one look for origins to forget to the next, at least.
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin(IpAddr);

impl Origin {
    /// The origin that this address is of.
    pub fn of(address: IpAddr) -> Origin {
        Origin(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => {
                let network = address.to_bits() & (u128::MAX << (u128::BITS - IPV6_HOST_BITS));
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
        })
    }
}

/// How often connections may come from each origin: so many a second, and those of
/// [`ADDRESS_BURST_SECONDS`] at once.
pub struct Rates {
    per_second: u64,
    most: usize,
    begun: Instant,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    buckets: HashMap<Origin, Bucket>,
    swept: Option<Duration>,
}

impl Rates {
    /// So many a second from each origin.
    pub fn new(per_second: u64) -> Rates {
        Rates { per_second, most: ADDRESSES_MAX, begun: Instant::now(), known: Mutex::default() }
    }

    /// Whether one more may come from here; it is counted then.
    pub fn admit(&self, origin: Origin) -> bool {
        self.admit_at(origin, self.begun.elapsed())
    }

    fn admit_at(&self, origin: Origin, now: Duration) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // To a slower clock the burst is what comes in during one second.
        let time = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX) / ADDRESS_BURST_SECONDS;
        let rate = self.per_second.saturating_mul(ADDRESS_BURST_SECONDS);
        if known.buckets.len() >= self.most && !known.buckets.contains_key(&origin) {
            let is_due = known.swept.is_none_or(|swept| now.saturating_sub(swept) >= SWEEP_PAUSE);
            if is_due {
                known.swept = Some(now);
                known.buckets.retain(|_, bucket| !bucket.is_full(time));
            }
            if known.buckets.len() >= self.most {
                return true;
            }
        }
        known.buckets.entry(origin).or_default().take(1, rate, time).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        Origin::of(text.parse().unwrap())
    }

    #[test]
    fn a_host_has_one_ipv4_address_or_one_ipv6_network() {
        assert_eq!(origin("2001:db8::1"), origin("2001:db8::ffff:2"));
        assert_ne!(origin("2001:db8::1"), origin("2001:db8:0:1::1"));
        assert_eq!(origin("::ffff:192.0.2.1"), origin("192.0.2.1"));
        assert_ne!(origin("192.0.2.1"), origin("192.0.2.2"));
    }

    #[test]
    fn a_crowd_at_once_passes_and_a_flood_is_kept_to_the_rate() {
        let rates = Rates::new(100);
        let passed = |seconds| {
            let now = Duration::from_secs(seconds);
            (0..5_000).filter(|_| rates.admit_at(origin("192.0.2.1"), now)).count() as u64
        };
        assert_eq!(passed(1), 100 * ADDRESS_BURST_SECONDS);
        assert_eq!((passed(1), passed(2), passed(4)), (0, 100, 200));
        assert!(rates.admit_at(origin("192.0.2.2"), Duration::from_secs(1)));
    }

    #[test]
    fn a_flood_from_everywhere_costs_bounded_memory() {
        let mut rates = Rates::new(1);
        rates.most = 10;
        let known = |rates: &Rates| rates.known.lock().unwrap().buckets.len();
        for n in 0..1_000u32 {
            assert!(rates.admit_at(Origin::of(IpAddr::V4(n.into())), Duration::ZERO));
            assert!(known(&rates) <= 10);
        }
        // Later those that came before would be allowed everything again, and are forgotten.
        assert!(rates.admit_at(origin("192.0.2.1"), Duration::from_secs(60)));
        assert_eq!(known(&rates), 1);
    }
}
