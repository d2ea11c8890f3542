//! How many connections a process takes, in all and from one address.

use crate::event::CloseReason;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Connection counts of all shards. Consulted when a connection comes and goes, never for a request.
///
/// Kafka leaves connections past `max.connections` in the backlog; we close them at once, so that the client hears of it.
#[derive(Debug)]
pub struct Admission {
    /// Most connections in all (`max.connections`).
    max: usize,
    /// Most connections from one address (`max.connections.per.ip`).
    per_ip_max: usize,
    /// Exceptions by address (`max.connections.per.ip.overrides`).
    overrides: HashMap<IpAddr, usize>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_ip: HashMap<IpAddr, usize>,
}

impl Admission {
    /// Nothing open yet.
    pub fn new(max: usize, per_ip_max: usize, overrides: HashMap<IpAddr, usize>) -> Admission {
        Admission { max, per_ip_max, overrides, open: Mutex::default() }
    }

    /// No limit but the kernel's.
    pub fn unlimited() -> Admission {
        Admission::new(usize::MAX, usize::MAX, HashMap::new())
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        self.lock().total
    }

    pub(crate) fn enter(&self, ip: IpAddr) -> Result<(), CloseReason> {
        let mut open = self.lock();
        if open.total >= self.max {
            return Err(CloseReason::TooMany { max: self.max });
        }
        let per_ip_max = self.overrides.get(&ip).copied().unwrap_or(self.per_ip_max);
        let from_ip = open.by_ip.entry(ip).or_default();
        if *from_ip >= per_ip_max {
            return Err(CloseReason::TooManyFromIp { max: per_ip_max });
        }
        *from_ip += 1;
        open.total += 1;
        Ok(())
    }

    pub(crate) fn leave(&self, ip: IpAddr) {
        let mut open = self.lock();
        open.total -= 1;
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
    fn counts_in_all_and_by_address() {
        let [a, b, c] = [1, 2, 3].map(|last| IpAddr::from([10, 0, 0, last]));
        let admission = Admission::new(3, 1, HashMap::from([(b, 2)]));
        assert!(admission.enter(a).is_ok());
        assert!(matches!(admission.enter(a), Err(CloseReason::TooManyFromIp { max: 1 })));
        assert!(admission.enter(b).is_ok());
        assert!(admission.enter(b).is_ok());
        assert!(matches!(admission.enter(c), Err(CloseReason::TooMany { max: 3 })));
        admission.leave(a);
        assert!(admission.enter(c).is_ok());
        assert_eq!(admission.open(), 3);
    }
}
