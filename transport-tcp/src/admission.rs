//! How many connections a process takes, in all and from one address, and which shard gets the next.

use crate::event::CloseReason;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Connection counts of all shards. Consulted when a connection comes and goes, never for a request.
///
/// Kafka leaves connections past `max.connections` in the backlog; we close them at once, so that the client hears of it.
#[derive(Debug)]
pub struct Admission {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// Most connections in all (`max.connections`).
    max: usize,
    /// Most connections from one address (`max.connections.per.ip`).
    per_ip_max: usize,
    /// Exceptions by address (`max.connections.per.ip.overrides`).
    overrides: HashMap<IpAddr, usize>,
    total: usize,
    by_ip: HashMap<IpAddr, usize>,
    /// Of the shards among which connections are dealt out.
    by_shard: Vec<usize>,
}

impl Open {
    fn per_ip_max(&self, ip: IpAddr) -> usize {
        self.overrides.get(&ip).copied().unwrap_or(self.per_ip_max)
    }
}

impl Admission {
    /// Nothing open yet.
    pub fn new(max: usize, per_ip_max: usize, overrides: HashMap<IpAddr, usize>) -> Admission {
        Admission { open: Mutex::new(Open { max, per_ip_max, overrides, ..Open::default() }) }
    }

    /// These bounds from now on; says whether they are others than before. Connections that are open stay.
    pub fn limit(&self, max: usize, per_ip_max: usize, overrides: HashMap<IpAddr, usize>) -> bool {
        let mut open = self.lock();
        let differ = (open.max, open.per_ip_max) != (max, per_ip_max) || open.overrides != overrides;
        (open.max, open.per_ip_max, open.overrides) = (max, per_ip_max, overrides);
        differ
    }

    /// Most connections in all, and from this address.
    pub fn limits_of(&self, ip: IpAddr) -> (usize, usize) {
        let open = self.lock();
        (open.max, open.per_ip_max(ip))
    }

    /// No limit but the kernel's.
    pub fn unlimited() -> Admission {
        Admission::new(usize::MAX, usize::MAX, HashMap::new())
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        self.lock().total
    }

    /// One more shard takes connections of others' listeners: their number is `shard`, counted from 0.
    pub(crate) fn deal_to(&self, shard: usize) {
        let mut open = self.lock();
        let shards = open.by_shard.len().max(shard + 1);
        open.by_shard.resize(shards, 0);
    }

    /// Which shard gets a new connection that `me` accepted: the one that has fewest, and `me` among equals.
    pub(crate) fn deal(&self, me: usize) -> usize {
        let mut open = self.lock();
        let fewest = open.by_shard.iter().enumerate().min_by_key(|(shard, count)| (**count, *shard != me));
        let shard = fewest.map_or(me, |(shard, _)| shard);
        if let Some(count) = open.by_shard.get_mut(shard) {
            *count += 1;
        }
        shard
    }

    /// A connection goes to another shard.
    pub(crate) fn moves(&self, from: usize, to: usize) {
        let mut open = self.lock();
        open.by_shard[from] -= 1;
        open.by_shard[to] += 1;
    }

    pub(crate) fn enter(&self, ip: IpAddr) -> Result<(), CloseReason> {
        let mut open = self.lock();
        if open.total >= open.max {
            return Err(CloseReason::TooMany { max: open.max });
        }
        let per_ip_max = open.per_ip_max(ip);
        let from_ip = open.by_ip.entry(ip).or_default();
        if *from_ip >= per_ip_max {
            return Err(CloseReason::TooManyFromIp { max: per_ip_max });
        }
        *from_ip += 1;
        open.total += 1;
        Ok(())
    }

    /// A connection is over; `shard` had it, if it was dealt out.
    pub(crate) fn leave(&self, ip: IpAddr, shard: Option<usize>) {
        let mut open = self.lock();
        open.total -= 1;
        if let Some(count) = shard.and_then(|shard| open.by_shard.get_mut(shard)) {
            *count -= 1;
        }
        if let Some(from_ip) = open.by_ip.get_mut(&ip) {
            *from_ip -= 1;
            if *from_ip == 0 {
                open.by_ip.remove(&ip);
            }
        }
    }

    /// A panic between two counter updates cannot happen, so a poisoned lock still holds true counts.
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_change_while_connections_are_open() {
        let ip = IpAddr::from([10, 0, 0, 1]);
        let admission = Admission::new(1, 9, HashMap::new());
        assert!(admission.enter(ip).is_ok());
        assert!(admission.enter(ip).is_err());
        assert!(admission.limit(2, 9, HashMap::new()));
        assert!(!admission.limit(2, 9, HashMap::new()), "nothing new");
        assert!(admission.enter(ip).is_ok());
        assert!(admission.limit(1, 9, HashMap::new()));
        assert_eq!(admission.open(), 2, "what is open stays");
        assert!(admission.enter(ip).is_err());
    }

    #[test]
    fn counts_in_all_and_by_address() {
        let [a, b, c] = [1, 2, 3].map(|last| IpAddr::from([10, 0, 0, last]));
        let admission = Admission::new(3, 1, HashMap::from([(b, 2)]));
        assert!(admission.enter(a).is_ok());
        assert!(matches!(admission.enter(a), Err(CloseReason::TooManyFromIp { max: 1 })));
        assert!(admission.enter(b).is_ok());
        assert!(admission.enter(b).is_ok());
        assert!(matches!(admission.enter(c), Err(CloseReason::TooMany { max: 3 })));
        admission.leave(a, None);
        assert!(admission.enter(c).is_ok());
        assert_eq!(admission.open(), 3);
    }

    #[test]
    fn the_shard_with_fewest_gets_the_next() {
        let admission = Admission::unlimited();
        (0..3).for_each(|shard| admission.deal_to(shard));
        let ip = IpAddr::from([10, 0, 0, 1]);
        let deal = |me| {
            assert!(admission.enter(ip).is_ok());
            admission.deal(me)
        };
        assert_eq!([deal(1), deal(1), deal(1), deal(1)], [1, 0, 2, 1]);
        admission.moves(1, 0);
        assert_eq!([deal(0), deal(0)], [1, 2]);
        admission.leave(ip, Some(0));
        admission.leave(ip, Some(0));
        assert_eq!([deal(2), deal(2), deal(2)], [0, 0, 2]);
    }
}
