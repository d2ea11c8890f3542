//! Reads everything back after a fault, for [`check`](crate::check) to judge.

use crate::check::{Found, Violation, check, late_and_gone};
use crate::consumer::GROUP;
use crate::history::{Acked, History, TopicState};
use crate::places::Place;
use crate::producer::Producer;
use crate::record::{Identity, identify};
use crate::requests::{self, Edge, expect_ok};
use crate::wire::{Connection, PATIENCE, WireError};
use protocol::ErrorCode;
use protocol::batch::{BatchError, BatchView, Limits, Record, iter_batches};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const FETCH_BYTES_MAX: i32 = 8 << 20;
/// The longest wait of a fetch that asks for what is there already.
const FETCH_WAIT_MS: i32 = 100;

/// What one look at a node showed.
#[derive(Debug, Default)]
pub struct Look {
    /// Everything that is wrong.
    pub violations: Vec<Violation>,
    /// What helps to find out how that came.
    pub evidence: String,
    /// Acknowledged records that were found after a fault for the first time.
    pub newly_checked: u64,
    /// Records read.
    pub read: u64,
    /// Partitions whose beginning was gone by retention.
    pub shortened: u64,
    /// Records that were acknowledged after the power was cut, and are gone as they may be.
    pub late_and_gone: u64,
}

/// Reads every partition from its beginning and holds it against the history; commits and topics too.
pub fn look(address: SocketAddr, places: &[Place], history: &History) -> Look {
    let mut look = Look { violations: history.take_reports(), ..Look::default() };
    if let Err(error) = try_look(address, places, history, &mut look) {
        look.violations.push(Violation::Node(format!("reading everything back: {error}")));
    }
    look
}

fn try_look(address: SocketAddr, places: &[Place], history: &History, look: &mut Look) -> Result<(), WireError> {
    let mut connection = Connection::open(address)?;
    look.violations.extend(wrong_topics(&requests::topics(&mut connection)?, history));
    for (number, place) in places.iter().enumerate() {
        let found = read(&mut connection, place, history.salt)?;
        let mut known = history.place(number);
        look.read += found.records.len() as u64;
        look.shortened += u64::from(found.start > 0);
        look.violations.extend(check(number, place, &known, &found, Producer::is_idempotent));
        look.late_and_gone += late_and_gone(number, place, &known, &found);
        known.late.clear();
        let is_kept = |acked: &&Acked| acked.offset.is_none_or(|offset| offset >= found.start);
        let new = known.acked[known.checked..].iter().filter(is_kept);
        look.newly_checked += new.map(|acked| u64::from(acked.count)).sum::<u64>();
        // What retention has taken is not compared again.
        known.seen = known.seen.split_off(&found.start);
        known.acked.retain(|acked| is_kept(&acked));
        known.checked = known.acked.len();
        let committed = committed(&mut connection, place)?;
        if committed < known.committed {
            let (place, reached) = (format!("{}-{}", place.topic, place.partition), known.committed);
            look.violations.push(Violation::Regressed { place, what: "a commit", reached, now: committed });
        } else if committed > known.commit_asked {
            let place = format!("{}-{}, committed offset", place.topic, place.partition);
            look.violations.push(Violation::Phantom { place, at: committed, identity: None });
        }
    }
    Ok(())
}

/// One partition from its first offset to its high watermark.
fn read(connection: &mut Connection, place: &Place, salt: u64) -> Result<Found, WireError> {
    // Retention may go on while we read; what it takes meanwhile is not missed if the end was asked for first.
    let end = requests::edge(connection, place, Edge::End)?;
    let start = requests::edge(connection, place, Edge::Start)?;
    let mut found = Found { start, end, ..Found::default() };
    let mut next = start;
    let until = Instant::now() + PATIENCE;
    while next < end && Instant::now() < until {
        let mut code = 0;
        requests::fetch(connection, &[(place, next)], FETCH_BYTES_MAX, FETCH_WAIT_MS, |_, fetched| {
            code = fetched.code;
            next = take(&mut found, fetched.records, salt).unwrap_or(next);
        })?;
        if code == ErrorCode::OffsetOutOfRange.code() && place.retained_bytes.is_some() {
            return read(connection, place, salt);
        }
        expect_ok(&format!("Fetch of {}-{} at {next}", place.topic, place.partition), code)?;
    }
    // Recovery may have found records behind the last acknowledged one; they are read with the others.
    found.end = found.end.max(next);
    Ok(found)
}

/// Adds whole batches; the offset behind the last of them.
fn take(found: &mut Found, records: &[u8], salt: u64) -> Option<i64> {
    let mut next = None;
    for batch in iter_batches(records).map_while(Result::ok) {
        found.batches.push((batch.base_offset(), batch.next_offset(), batch.crc()));
        found.bytes += batch.size_bytes() as u64;
        // A batch that cannot be read is one record that nobody sent.
        match identities(&batch, salt) {
            Ok(records) => found.records.extend(records),
            Err(_) => found.records.push((batch.base_offset(), None)),
        }
        next = Some(batch.next_offset());
    }
    next
}

fn identities(batch: &BatchView<'_>, salt: u64) -> Result<Vec<(i64, Option<Identity>)>, BatchError> {
    batch.check_crc()?;
    let records = batch.records(&Limits::default())?;
    let identity = |record: Record<'_>| (record.offset, identify(salt, record.value.unwrap_or_default()));
    records.iter().map(|record| record.map(identity)).collect()
}

/// The committed offset, once the coordinator has loaded it; 0 where nothing was committed.
fn committed(connection: &mut Connection, place: &Place) -> Result<i64, WireError> {
    let until = Instant::now() + PATIENCE;
    loop {
        let (code, offset) = requests::committed(connection, GROUP, place)?;
        let is_loading =
            [ErrorCode::CoordinatorLoadInProgress, ErrorCode::CoordinatorNotAvailable, ErrorCode::NotCoordinator]
                .iter()
                .any(|error| error.code() == code);
        if !is_loading || Instant::now() > until {
            return expect_ok("OffsetFetch", code).map(|()| offset.max(0));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Topics whose making or deletion was acknowledged and did not last.
fn wrong_topics(there: &[String], history: &History) -> Vec<Violation> {
    let wrong = |(name, state): (String, TopicState)| {
        let what = match (state, there.contains(&name)) {
            (TopicState::Made, false) => "its creation was acknowledged, and it is gone",
            (TopicState::Gone, true) => "its deletion was acknowledged, and it is back",
            _ => return None,
        };
        Some(Violation::Topic { name, what })
    };
    history.topics().into_iter().filter_map(wrong).collect()
}
