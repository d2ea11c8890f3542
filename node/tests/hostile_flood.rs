//! Floods of connections that come and go, or that come in numbers beyond the limit: honest clients are served as before, and
//! afterwards nothing is left, neither descriptors nor memory. What would break this: a log line or a scan for each connection,
//! descriptors that connections take from the logs' files.
//!
//! Three seconds by default; `RINGLOG_FLOOD_SECONDS` and `cargo xtask hostile` take longer.

#![allow(clippy::expect_used, reason = "a broken set-up should fail its test")]

mod common;

use common::witness::Witness;
use common::{Broker, DRIVERS, PATIENCE, memory_folder, ringlog};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Memory that may be resident after a flood and was not before, in KiB: pools of idle buffers, however long the flood was.
const LEFT_KIB: u64 = 32 << 10;

/// Descriptors that may be open after a flood and were not before: files of the honest client's topic.
const LEFT_DESCRIPTORS: usize = 8;

fn seconds() -> Duration {
    let text = std::env::var("RINGLOG_FLOOD_SECONDS").ok();
    Duration::from_secs(text.map_or(3, |text| text.parse().expect("a number of seconds")))
}

/// Where the flooding process floods to.
const TARGET: &str = "RINGLOG_FLOOD_TARGET";

/// One flood at a time: each would be the other's.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connection that comes and goes; in a different way each time.
fn come_and_go(address: SocketAddr, number: usize) -> bool {
    let Ok(mut peer) = TcpStream::connect(address) else {
        // Out of ports for a moment.
        std::thread::sleep(Duration::from_millis(1));
        return false;
    };
    match number % 4 {
        0 => {}
        1 => drop(peer.write(&[0, 0, 0])),
        2 => drop(peer.write(b"GET / HTTP/1.1\r\n\r\n")),
        _ => drop(peer.write(&[0, 0, 0, 14, 0, 18, 0, 0, 0, 0, 0, 1, 0, 4, b'f', b'l', b'o', b'd'])),
    }
    true
}

/// Not a test but what floods, in a process of its own: two threads, until it is killed.
#[test]
fn flooding_process() {
    let Ok(target) = std::env::var(TARGET) else { return };
    let address: SocketAddr = target.parse().expect("an address");
    let (count, begin) = (AtomicUsize::new(0), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for number in 0.. {
                    count.fetch_add(usize::from(come_and_go(address, number)), Ordering::Relaxed);
                }
            });
        }
        loop {
            std::thread::sleep(Duration::from_millis(100));
            let rate = count.load(Ordering::Relaxed) as f64 / begin.elapsed().as_secs_f64();
            eprintln!("flood: {} connections, {rate:.0} a second", count.load(Ordering::Relaxed));
        }
    });
}

/// The flooding process; killed when dropped.
struct Flood(Child);

impl Flood {
    /// At the lowest priority: what its work costs this machine is not what its connections cost the broker.
    fn begin(address: SocketAddr) -> Flood {
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(std::env::current_exe().expect("it runs"));
        command.args(["--exact", "flooding_process", "--nocapture"]).env(TARGET, address.to_string());
        Flood(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("nice is there"))
    }

    /// What it last said of itself, and how many connections that were.
    fn end(mut self) -> (String, usize) {
        self.0.kill().expect("it is our child");
        let lines = BufReader::new(self.0.stderr.take().expect("piped")).lines().map_while(Result::ok);
        let last = lines.filter(|line| line.starts_with("flood: ")).last().expect("it says so");
        let count = last.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a number");
        (last, count)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for something that must come about soon.
fn settles(is_so: impl Fn() -> bool, what: &str) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn connections_that_come_and_go_hold_nobody_up() {
    let _alone = alone();
    for driver in DRIVERS {
        let data = memory_folder();
        let broker = Broker::start(data.path(), &["--io", driver]);
        let mut witness = Witness::new(&broker, "honest");
        let quiet_data = memory_folder();
        let quiet = Broker::start(quiet_data.path(), &["--io", driver]);
        let mut control = Witness::new(&quiet, "control");
        (0..200).for_each(|_| witness.is_served());
        let (before, before_kib, files) = (witness.p99(), broker.resident_kib(), broker.descriptors());
        let (begin, flood) = (Instant::now(), Flood::begin(broker.address));
        std::thread::sleep(Duration::from_millis(300));
        let mut during = witness.assert_p99(before, &mut control, driver);
        while begin.elapsed() < seconds() {
            during = witness.assert_p99(before, &mut control, driver);
        }
        let (flood, count) = flood.end();
        settles(|| broker.descriptors() <= files + LEFT_DESCRIPTORS, "descriptors come back");
        let left_kib = broker.resident_kib().saturating_sub(before_kib);
        let lines = broker.log_so_far().len();
        println!(
            "figure: {driver}: {flood}: honest p99 {before:.2?} before, {during}; {left_kib} KiB more memory afterwards, {lines} lines logged"
        );
        assert!(left_kib <= LEFT_KIB, "{driver}: {left_kib} KiB");
        let lines_max = 20 * 2 * (begin.elapsed().as_secs() as usize + 2);
        assert!(count > 1000 && lines <= lines_max, "{driver}: {lines} lines for {count} connections");
        witness.is_served();
    }
}

/// Bursts of ten times as many connections as there may be.
#[test]
fn bursts_beyond_the_limit_are_turned_away() {
    const MAX: usize = 200;
    let _alone = alone();
    for driver in DRIVERS {
        let data = memory_folder();
        let broker = Broker::start(data.path(), &["--io", driver, "--override", "max.connections=200"]);
        let mut witness = Witness::new(&broker, "honest");
        let quiet_data = memory_folder();
        let quiet = Broker::start(quiet_data.path(), &["--io", driver]);
        let mut control = Witness::new(&quiet, "control");
        (0..200).for_each(|_| witness.is_served());
        let (before, files) = (witness.p99(), broker.descriptors());
        let mut peak = 0;
        for _ in 0..3 {
            let burst: Vec<TcpStream> =
                (0..10 * MAX).map(|_| TcpStream::connect(broker.address).expect("it listens")).collect();
            witness.is_served();
            peak = peak.max(broker.descriptors());
            let is_open = |mut peer: &TcpStream| {
                peer.set_read_timeout(Some(Duration::from_millis(1))).expect("not zero");
                peer.read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
            };
            let open = burst.iter().filter(|peer| is_open(peer)).count();
            assert!(open < MAX, "{driver}: {open} are open, and the witness");
        }
        let during = witness.assert_p99(before, &mut control, driver);
        println!(
            "figure: {driver}: bursts of {} with {MAX} allowed: honest p99 {before:.2?} before, {during}",
            10 * MAX
        );
        assert!(peak <= files + MAX + LEFT_DESCRIPTORS, "{driver}: {peak} descriptors");
        settles(|| broker.descriptors() <= files + LEFT_DESCRIPTORS, "descriptors come back");
        assert_eq!(broker.client().list_offset("honest", 0, -2), (0, 0), "{driver}: there is room again");
    }
}

/// Connections must not take the descriptors that the logs need for their files.
#[test]
fn a_crowd_leaves_descriptors_for_files() {
    let _alone = alone();
    for driver in DRIVERS {
        let data = memory_folder();
        let plain = ringlog(data.path(), &["--io", driver, "--shards", "1"]);
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n 160; exec \"$0\" \"$@\""]).arg(plain.get_program()).args(plain.get_args());
        let broker = Broker::spawn(command);
        let mut witness = broker.client();
        let crowd: Vec<TcpStream> = (0..400).map(|_| TcpStream::connect(broker.address).expect("it listens")).collect();
        for topic in ["a", "b", "c"] {
            assert_eq!(witness.create_topic(topic, 1), 0, "{driver}");
            assert_eq!(witness.produce(topic, 0, &["x"]), (0, 0), "{driver}");
        }
        drop(crowd);
        settles(|| broker.descriptors() < 80, "descriptors come back");
        assert_eq!(broker.client().fetch_all("a", 0), ["x"], "{driver}");
    }
}
