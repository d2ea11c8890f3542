//! Whether bytes to a peer leave the machine through a network card. Loopback, bridges and the virtual cables of containers
//! hand memory to a receiver on the same machine.

use std::ffi::CStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// An address of this machine and the interface that has it.
type Local = (IpAddr, String);

/// What is known of this machine's interfaces.
#[derive(Default)]
pub(in crate::io) struct Interfaces {
    /// Read when an address is asked for that is not in it.
    locals: Vec<Local>,
}

impl Interfaces {
    /// True when a connection from `local` to `peer` goes through a network card.
    pub(in crate::io) fn is_over_card(&mut self, local: SocketAddr, peer: SocketAddr) -> bool {
        let (local, peer) = (local.ip().to_canonical(), peer.ip().to_canonical());
        if local.is_loopback() || local == peer {
            return false;
        }
        if !self.locals.iter().any(|(address, _)| *address == local) {
            self.locals = locals();
        }
        is_over_card(&self.locals, local, peer, |name| Path::new("/sys/class/net").join(name).join("device").exists())
    }
}

/// A card has a device behind it; what the kernel made up has none.
fn is_over_card(locals: &[Local], local: IpAddr, peer: IpAddr, has_device: impl Fn(&str) -> bool) -> bool {
    let to_itself = locals.iter().any(|(address, _)| *address == peer);
    let interface = locals.iter().find(|(address, _)| *address == local);
    !to_itself && interface.is_some_and(|(_, name)| has_device(name))
}

/// This machine's addresses; none where they cannot be had.
fn locals() -> Vec<Local> {
    let mut first = std::ptr::null_mut();
    // SAFETY: the kernel's answer is a list that we own until freeifaddrs.
    if unsafe { libc::getifaddrs(&raw mut first) } != 0 {
        return Vec::new();
    }
    let (mut found, mut next) = (Vec::new(), first);
    // SAFETY: the list is ours, each entry's pointers are null or good as long as it is, and it ends with null.
    while let Some(entry) = unsafe { next.as_ref() } {
        if let Some(address) = address(entry.ifa_addr) {
            // SAFETY: as above; a name is always there.
            let name = unsafe { CStr::from_ptr(entry.ifa_name) };
            found.push((address, name.to_string_lossy().into_owned()));
        }
        next = entry.ifa_next;
    }
    // SAFETY: it came from getifaddrs, and nothing of it is used any more.
    unsafe { libc::freeifaddrs(first) };
    found
}

/// The address at `address`, which is null or of the size that its family says.
fn address(address: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: the caller's promise.
    match i32::from(unsafe { address.as_ref() }?.sa_family) {
        libc::AF_INET => {
            // SAFETY: the family says that it is a sockaddr_in; the list aligns its addresses for every family.
            let address = unsafe { std::ptr::read_unaligned(address.cast::<libc::sockaddr_in>()) };
            Some(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above, for a sockaddr_in6.
            let address = unsafe { std::ptr::read_unaligned(address.cast::<libc::sockaddr_in6>()) };
            Some(Ipv6Addr::from(address.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_card_to_somebody_else_counts() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let locals =
            [(ip("127.0.0.1"), "lo".into()), (ip("10.0.0.1"), "eth0".into()), (ip("10.1.0.1"), "veth0".into())];
        for (local, peer, expect) in [
            ("10.0.0.1", "10.0.0.2", true),
            ("10.0.0.1", "10.1.0.1", false),
            ("10.1.0.1", "10.1.0.2", false),
            ("10.9.0.1", "10.0.0.2", false),
        ] {
            assert_eq!(is_over_card(&locals, ip(local), ip(peer), |name| name == "eth0"), expect, "{local} to {peer}");
        }
    }

    #[test]
    fn loopback_is_never_a_card_and_is_found() {
        let mut interfaces = Interfaces::default();
        let local = |text: &str| text.parse::<SocketAddr>().expect("an address");
        assert!(!interfaces.is_over_card(local("127.0.0.1:1"), local("127.0.0.1:2")));
        assert!(!interfaces.is_over_card(local("[::ffff:127.0.0.1]:1"), local("10.0.0.2:2")));
        assert!(locals().iter().any(|(address, name)| address.is_loopback() && name.starts_with("lo")));
    }
}
