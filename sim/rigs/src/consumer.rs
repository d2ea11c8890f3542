//! What reads, commits and administers under load: it notes what it saw and what was acknowledged.

use crate::check::Violation;
use crate::history::{History, Seen, TopicState};
use crate::places::Place;
use crate::producer::Target;
use crate::random::Random;
use crate::requests::{self, Edge, Fetched};
use crate::wire::{Connection, WireError};
use protocol::ErrorCode;
use protocol::batch::iter_batches;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The group whose offsets are committed.
pub const GROUP: &str = "rigs";

const FETCH_BYTES_MAX: i32 = 4 << 20;
const FETCH_WAIT_MS: i32 = 10;
/// Topics that come and go under load share so many names, so that a name is used again.
const NAMES: u64 = 6;
const ADMIN_PAUSE: Duration = Duration::from_millis(10);

/// Follows every partition and commits how far it has come.
pub fn consume(target: Target<'_>, seed: u64) {
    report_wrong(target.history, try_consume(target, &mut Random::new(seed)));
}

/// Makes and deletes topics and asks for producer ids.
pub fn administer(target: Target<'_>, seed: u64) {
    report_wrong(target.history, try_administer(target, &mut Random::new(seed)));
}

fn report_wrong(history: &History, result: Result<(), WireError>) {
    if let Err(error) = result
        && error.is_wrong()
    {
        history.report(Violation::Node(error.to_string()));
    }
}

fn try_consume(target: Target<'_>, random: &mut Random) -> Result<(), WireError> {
    let mut connection = Connection::open(target.address)?;
    while !target.stop.load(Ordering::Relaxed) {
        follow(&mut connection, target)?;
        let at = random.below(target.places.len() as u64) as usize;
        commit(&mut connection, target, at)?;
    }
    Ok(())
}

/// One fetch of all partitions from where the last one ended.
fn follow(connection: &mut Connection, target: Target<'_>) -> Result<(), WireError> {
    let Target { places, history, .. } = target;
    let wanted: Vec<(&Place, i64)> =
        places.iter().enumerate().map(|(at, place)| (place, history.place(at).seen_end)).collect();
    let mut passed = Vec::new();
    requests::fetch(connection, &wanted, FETCH_BYTES_MAX, FETCH_WAIT_MS, |at, fetched| {
        if fetched.code == ErrorCode::OffsetOutOfRange.code() {
            passed.push(at);
        } else if !history.is_dark() {
            see(history, at, &places[at], &fetched);
        }
    })?;
    passed.into_iter().try_for_each(|at| overtaken(connection, target, at))
}

fn see(history: &History, at: usize, place: &Place, fetched: &Fetched<'_>) {
    let mut known = history.place(at);
    for batch in iter_batches(fetched.records).map_while(Result::ok) {
        let (base, next) = (batch.base_offset(), batch.next_offset());
        if base > known.seen_end {
            let place = format!("{}-{}", place.topic, place.partition);
            history.report(Violation::Hole { place, got: base, expected: known.seen_end });
        }
        known.seen.insert(base, Seen { next, crc: batch.crc() });
        known.seen_end = known.seen_end.max(next);
    }
}

/// Retention has passed a slow consumer; in any other case the log went back under it.
fn overtaken(connection: &mut Connection, target: Target<'_>, at: usize) -> Result<(), WireError> {
    let place = &target.places[at];
    let start = requests::edge(connection, place, Edge::Start)?;
    let mut known = target.history.place(at);
    if start <= known.seen_end {
        let (name, reached) = (format!("{}-{}", place.topic, place.partition), known.seen_end);
        target.history.report(Violation::Regressed { place: name, what: "a running consumer", reached, now: start });
    }
    known.seen_end = known.seen_end.max(start);
    Ok(())
}

fn commit(connection: &mut Connection, target: Target<'_>, at: usize) -> Result<(), WireError> {
    let offset = {
        let mut known = target.history.place(at);
        known.commit_asked = known.commit_asked.max(known.seen_end);
        known.seen_end
    };
    let code = requests::commit(connection, GROUP, &target.places[at], offset)?;
    if code == 0 && !target.history.is_dark() {
        let mut known = target.history.place(at);
        known.committed = known.committed.max(offset);
    }
    Ok(())
}

fn try_administer(target: Target<'_>, random: &mut Random) -> Result<(), WireError> {
    let mut connection = Connection::open(target.address)?;
    while !target.stop.load(Ordering::Relaxed) {
        let name = format!("coming-and-going-{}", random.below(NAMES));
        let deletes = match target.history.topics().get(&name) {
            Some(TopicState::Made) => true,
            Some(TopicState::Gone) | None => false,
            Some(TopicState::Unknown) => random.chance(50),
        };
        // Whatever is asked now may happen, answered or not.
        target.history.note_topic(&name, TopicState::Unknown);
        let (code, done) = match deletes {
            true => (requests::delete_topic(&mut connection, &name)?, TopicState::Gone),
            false => (requests::create_topic(&mut connection, &name, 1, &[])?, TopicState::Made),
        };
        if code == 0 && !target.history.is_dark() {
            target.history.note_topic(&name, done);
        }
        let (id, _) = requests::init_producer_id(&mut connection)?;
        target.history.handed_out(id);
        std::thread::sleep(ADMIN_PAUSE);
    }
    Ok(())
}
