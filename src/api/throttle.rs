//! How often a peer may fail to say who it is: nobody guesses tokens and secrets for long.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use domain::{Code, Error};

use crate::front::Limits;

/// Of how many peers something is kept.
const PEERS_MAX: usize = 65_536;

/// Counts the failures of each peer. They are forgiven as time goes by: as many in a minute as there may be in one.
#[derive(Default)]
pub struct Throttle(Mutex<HashMap<IpAddr, Failures>>);

struct Failures {
    count: f64,
    counted: Instant,
}

impl Failures {
    fn at(&self, now: Instant, per_minute: u32) -> f64 {
        let forgiven = now.duration_since(self.counted).as_secs_f64() * f64::from(per_minute) / 60.0;
        (self.count - forgiven).max(0.0)
    }
}

impl Throttle {
    /// # Errors
    /// If the peer has failed too often. Where nobody knows which peer it is, there is no limit.
    pub fn check(&self, peer: Option<IpAddr>, now: Instant, per_minute: u32) -> Result<(), Error> {
        let Some(peer) = peer.map(neighbourhood) else { return Ok(()) };
        let count = self.lock().get(&peer).map_or(0.0, |failures| failures.at(now, per_minute));
        if count + 1.0 <= f64::from(per_minute) {
            return Ok(());
        }
        Err(Error::Limit {
            limit: Limits::FAILED_LOGINS,
            code: Code::ResourceExhausted,
            message: "too many failed authentications: try again later".to_owned(),
        })
    }

    /// Notes that the peer has failed.
    pub fn failed(&self, peer: Option<IpAddr>, now: Instant, per_minute: u32) {
        let Some(peer) = peer.map(neighbourhood) else { return };
        let mut peers = self.lock();
        if peers.len() >= PEERS_MAX && !peers.contains_key(&peer) {
            peers.retain(|_, failures| failures.at(now, per_minute) > 0.0);
            if peers.len() >= PEERS_MAX {
                // So many that no limit of one of them would help.
                peers.clear();
            }
        }
        let failures = peers.entry(peer).or_insert(Failures { count: 0.0, counted: now });
        // What began long ago may fail now; what was forgiven since must not be so once more.
        let counted = failures.counted.max(now);
        *failures = Failures { count: failures.at(counted, per_minute) + 1.0, counted };
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Failures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one peer can have many addresses of: a network of 64 bits (RFC 6177).
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn as_many_in_a_minute_as_there_may_be() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let peer = |text: &str| Some(text.parse().unwrap());
        let is_over = |address: &str, seconds| throttle.check(peer(address), at(seconds), 60).is_err();
        for _ in 0..60 {
            assert!(!is_over("1.2.3.4", 0));
            throttle.failed(peer("1.2.3.4"), at(0), 60);
        }
        assert!(is_over("1.2.3.4", 0) && is_over("::ffff:1.2.3.4", 0));
        assert!(!is_over("1.2.3.5", 0));
        assert!(!is_over("1.2.3.4", 1), "one is forgiven");
        throttle.failed(peer("1.2.3.4"), at(1), 60);
        assert!(is_over("1.2.3.4", 1));
        for host in 0..60 {
            throttle.failed(peer(&format!("2001:db8::{host:x}:1")), at(0), 60);
        }
        assert!(is_over("2001:db8::ffff", 0) && !is_over("2001:db8:0:1::1", 0));
        throttle.failed(None, at(0), 0);
        assert!(throttle.check(None, at(0), 0).is_ok());
    }

    #[test]
    fn no_more_peers_are_kept_than_may_be() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        for number in 0..(PEERS_MAX as u32 + 10) {
            throttle.failed(Some(IpAddr::V4(number.into())), start, 1);
            assert!(throttle.lock().len() <= PEERS_MAX);
        }
    }

    #[test]
    fn what_began_long_ago_and_fails_now_forgives_nothing_once_more() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let (peer, now) = (Some("192.0.2.1".parse().unwrap()), start + Duration::from_secs(60));
        for _ in 0..60 {
            throttle.failed(peer, now, 60);
        }
        throttle.failed(peer, start, 60);
        throttle.check(peer, now, 60).unwrap_err();
    }
}
