//! A crowd of connections that want nothing but to be many: some say nothing, some send a byte a second of a small or of a
//! large request, some ask and never read. Beside it an honest client is served as before, and the crowd costs little memory.
//! What would break this: room for what a frame merely claims, a timer or a scan for each connection and turn, a buffer held
//! by a connection that waits.
//!
//! The data folders are in memory: a crowd does not write, and a shared disk would be measured in its place.
//!
//! 2,000 connections by default; `RINGLOG_CROWD=10000` and `cargo xtask hostile` take as long as it needs.

#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

mod common;

use common::witness::{Ends, Witness};
use common::{Broker, DRIVERS, memory_folder, ringlog};
use protocol::messages::metadata::MetadataRequest;
use protocol::{ApiKey, RequestHeader, Writer};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What ten thousand may cost, in KiB.
const TEN_THOUSAND_KIB: u64 = 64 << 10;

/// What a crowd of any size may cost beside its share of that, in KiB: pools fill and tables double, on every shard, since the
/// crowd is dealt out among all of them.
const ANY_KIB: u64 = 28 << 10;

/// Frames that crawl end within 30 s; and some more, because the machine may be busy.
const PATIENCE_FOR_FRAMES: Duration = Duration::from_secs(45);

/// Requests that each of those who never read sends.
const UNREAD: usize = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Connects and says nothing.
    Silent,
    /// A byte a second of a small request.
    CrawlsSmall,
    /// A byte a second of a request of 1 MiB.
    CrawlsLarge,
    /// Asks, and takes no answer.
    NeverReads,
}

const KINDS: [Kind; 4] = [Kind::Silent, Kind::CrawlsSmall, Kind::CrawlsLarge, Kind::NeverReads];

fn request(topics: usize) -> Vec<u8> {
    let mut writer = Writer::new();
    let start = writer.begin_frame();
    let client_id = Some("c".repeat(40).into());
    let header = RequestHeader { api_key: ApiKey::Metadata as i16, api_version: 1, correlation_id: 7, client_id };
    header.encode(&mut writer).expect("a good header");
    let all = MetadataRequest { topics: (topics == 0).then(Vec::new), ..Default::default() };
    all.encode(&mut writer, 1).expect("a good request");
    writer.end_frame(start).expect("a small frame");
    writer.into_bytes().expect("no external pieces")
}

/// The crowd, and what its crawlers send.
struct Crowd {
    peers: Vec<TcpStream>,
    small: Vec<u8>,
    large: Vec<u8>,
    sent: usize,
}

impl Crowd {
    /// Connects `count` and lets those speak who speak at once.
    fn gather(broker: &Broker, count: usize) -> Crowd {
        let connect = |_| {
            let peer = TcpStream::connect(broker.address).expect("it listens");
            peer.set_nonblocking(true).expect("a socket option");
            peer
        };
        let large = [&(1u32 << 20).to_be_bytes()[..], &request(0)[4..], &[0; 4096]].concat();
        let crowd = Crowd { peers: (0..count).map(connect).collect(), small: request(0), large, sent: 0 };
        let unread = request(1).repeat(UNREAD);
        for mut peer in crowd.of(Kind::NeverReads) {
            peer.write_all(&unread).expect("less than a socket's buffer");
        }
        crowd
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = &TcpStream> {
        self.peers.iter().zip(KINDS.iter().cycle()).filter(move |(_, its)| **its == kind).map(|(peer, _)| peer)
    }

    /// The next byte of everybody who crawls; those who were sent away stay away.
    fn crawl(&mut self) {
        for (kind, frame) in [(Kind::CrawlsSmall, &self.small), (Kind::CrawlsLarge, &self.large)] {
            let byte = frame[self.sent % frame.len()];
            self.of(kind).for_each(|mut peer| drop(peer.write(&[byte])));
        }
        self.sent += 1;
    }

    /// How many of a kind the broker has let go.
    fn gone(&self, kind: Kind) -> usize {
        let is_gone = |mut peer: &TcpStream| match peer.read(&mut [0; 1 << 16]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        };
        self.of(kind).filter(|peer| is_gone(peer)).count()
    }
}

/// Crawls every second while `what` runs.
fn while_crawling<T>(crowd: &mut Crowd, what: impl FnOnce() -> T) -> T {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let begin = Instant::now();
                crowd.crawl();
                while begin.elapsed() < Duration::from_secs(1) && !is_over.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        });
        let _ends = Ends(&is_over);
        what()
    })
}

/// How many connections: what was asked for, as far as this process may have so many descriptors.
fn crowd_size() -> usize {
    let wanted = std::env::var("RINGLOG_CROWD").ok().map_or(2_000, |text| text.parse().expect("a number"));
    let descriptors = node::sys::raise_descriptors().expect("the kernel says");
    // The other half is for a test that runs beside this one, and for the broker's share of them.
    let possible = (descriptors / 2).saturating_sub(100);
    if wanted > possible && wanted > descriptors - 500 {
        println!("only {possible} connections: this process may have {descriptors} descriptors");
        return possible;
    }
    wanted
}

#[test]
fn a_crowd_costs_little_and_nobody_else() {
    let count = crowd_size();
    for driver in DRIVERS {
        let data = memory_folder();
        // Each frame that crawls ends in a warning: not for a test's output.
        let mut command = ringlog(data.path(), &["--io", driver]);
        command.env("RUST_LOG", "error");
        let broker = Broker::spawn(command);
        let mut witness = Witness::new(&broker, "honest");
        let (quiet_data, args) = (memory_folder(), ["--io", driver]);
        let quiet = Broker::start(quiet_data.path(), &args);
        let mut control = Witness::new(&quiet, "control");
        (0..200).for_each(|_| witness.is_served());
        let (before, before_kib, files) = (witness.p99(), broker.peak_kib(), broker.descriptors());
        let begin = Instant::now();
        let mut crowd = Crowd::gather(&broker, count);
        let gathered = begin.elapsed();
        let during = while_crawling(&mut crowd, || witness.assert_p99(before, &mut control, driver));
        let moved_kib = broker.peak_kib() - before_kib;
        let allowed_kib = (TEN_THOUSAND_KIB * count as u64 / 10_000 + ANY_KIB).min(TEN_THOUSAND_KIB);
        println!(
            "figure: {driver}: {count} hostile connections in {gathered:.1?}: {moved_kib} KiB more memory at the peak \
             (allowed {allowed_kib}), honest p99 {before:.2?} before, {during}"
        );
        assert!(broker.descriptors() >= files + count / 2, "the crowd is still there");
        assert!(moved_kib <= allowed_kib, "{driver}: {moved_kib} KiB");
        if count >= 10_000 {
            let large = crowd.of(Kind::CrawlsLarge).count();
            let mut gone = 0;
            while gone < large && begin.elapsed() < PATIENCE_FOR_FRAMES {
                while_crawling(&mut crowd, || std::thread::sleep(Duration::from_secs(1)));
                gone = crowd.gone(Kind::CrawlsLarge);
            }
            println!("figure: {driver}: {gone} of {large} frames that crawl were ended after {:.1?}", begin.elapsed());
            assert!(gone == large && crowd.gone(Kind::Silent) == 0, "{gone} of {large}");
        }
        drop(crowd);
        settles(|| broker.descriptors() <= files + 8, "descriptors come back");
        witness.is_served();
    }
}

/// Waits for something that must come about soon.
fn settles(is_so: impl Fn() -> bool, what: &str) {
    let end = Instant::now() + common::PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
