//! The sixteen windows whose verdicts Burrow's authors wrote down (numbers from `core/internal/evaluator/caching_test.go`),
//! with what each rule says of them; and what the reasons read like.

use super::*;
use crate::status::window::Window;

/// What each rule says by itself, and the verdict of all in order.
struct Expect {
    caught_up_once: bool,
    rewind: Option<usize>,
    stopped: bool,
    stalled: bool,
    never_falls: bool,
    zero_lately: bool,
    status: Status,
}

/// `(offset, time in ms, lag)`, a negative lag being an unknown one.
type Row = (i64, i64, i64);

struct Vector {
    commits: Vec<Row>,
    broker_offsets: &'static [i64],
    current_lag: u64,
    now_s: i64,
    allowed_lag: u64,
    expect: Expect,
}

fn check(number: usize, vector: &Vector) {
    let lag = |lag: i64| u64::try_from(lag).ok();
    let commits: Vec<_> =
        vector.commits.iter().map(|&(offset, timestamp_ms, l)| Commit { offset, timestamp_ms, lag: lag(l) }).collect();
    let expect = &vector.expect;
    let now_ms = vector.now_s * 1000;
    let caught_up_once = commits.iter().any(|commit| is_caught_up(commit, vector.allowed_lag));
    assert_eq!(caught_up_once, expect.caught_up_once, "{number}: rule 1");
    assert_eq!(rewind(&commits), expect.rewind, "{number}: rule 2");
    assert_eq!(is_stopped(&commits, now_ms), expect.stopped, "{number}: rule 3");
    assert_eq!(is_stalled(&commits), expect.stalled, "{number}: rule 4");
    assert_eq!(never_falls(&commits), expect.never_falls, "{number}: rule 5");
    assert_eq!(was_lag_zero_lately(&commits, vector.broker_offsets), expect.zero_lately, "{number}: recent lag");
    let mut window = Window::new(commits.len(), 0);
    commits.iter().for_each(|&commit| window.push(commit));
    let partition =
        Partition { window, broker_offsets: vector.broker_offsets.to_vec(), current_lag: vector.current_lag };
    let tolerance = Tolerance { allowed_lag: vector.allowed_lag, minimum_complete: 0.0 };
    let verdict = judge(&partition, now_ms, tolerance);
    assert_eq!(verdict.status, expect.status, "{number}: {}", verdict.reason);
}

/// Five commits of 1000 records each, 100 s apart, with these lags.
fn steps(lags: [i64; 5]) -> Vec<Row> {
    lags.iter().zip(1..).map(|(&lag, n)| (n * 1000, n * 100_000, lag)).collect()
}

/// Five commits of the same offset, 100 s apart.
fn same(lags: [i64; 5]) -> Vec<Row> {
    lags.iter().zip(1..).map(|(&lag, n)| (1000, n * 100_000, lag)).collect()
}

/// Five commits of which the fourth goes back to 2000 and the fifth comes to `end`.
fn back(end: i64) -> Vec<Row> {
    vec![(1000, 100_000, 100), (2000, 200_000, 150), (3000, 300_000, 200), (2000, 400_000, 1250), (end, 500_000, 300)]
}

/// Fifteen commits about a second apart, each of which left nothing.
fn busy() -> Vec<Row> {
    let times =
        [18356, 19362, 20366, 21367, 22370, 23373, 24378, 25379, 26383, 27383, 28383, 29388, 30391, 31394, 32397];
    times.iter().zip(792_748_079..).map(|(ms, offset)| (offset, 1_512_224_600_000 + ms, 0)).collect()
}

/// A rule's answers, written as the first letters of those that say yes: `c`aught up once, `s`topped, s`t`alled,
/// `n`ever falls, `z`ero lately.
fn expect(yes: &str, rewind: Option<usize>, status: Status) -> Expect {
    Expect {
        caught_up_once: yes.contains('c'),
        rewind,
        stopped: yes.contains('s'),
        stalled: yes.contains('t'),
        never_falls: yes.contains('n'),
        zero_lately: yes.contains('z'),
        status,
    }
}

#[test]
fn burrows_sixteen_windows() {
    let from_zero = [0, 50, 100, 150, 200];
    let from_fifty = [50, 100, 150, 200, 250];
    let with_unknown =
        (2..=11).map(|n| (n * 500, n * 50_000, if n % 2 == 0 { (n - 2) * 25 } else { -1 })).collect::<Vec<_>>();
    let vector = |commits, broker_offsets, current_lag, now_s, allowed_lag, expect| Vector {
        commits,
        broker_offsets,
        current_lag,
        now_s,
        allowed_lag,
        expect,
    };
    let vectors = [
        vector(steps(from_zero), &[5200], 200, 600, 0, expect("cn", None, Status::Ok)),
        vector(steps(from_zero), &[5200], 200, 900, 0, expect("cn", None, Status::Ok)),
        vector(steps(from_zero), &[5200], 200, 1000, 0, expect("csn", None, Status::Stop)),
        vector(steps(from_fifty), &[5250], 250, 1000, 0, expect("sn", None, Status::Stop)),
        vector(same(from_zero), &[1200], 200, 600, 0, expect("ctn", None, Status::Ok)),
        vector(same([100, 150, 200, 250, 300]), &[1300], 300, 600, 0, expect("tn", None, Status::Stall)),
        vector(same([100; 5]), &[1100], 100, 600, 0, expect("tn", None, Status::Stall)),
        vector(back(4000), &[4300], 300, 600, 0, expect("", Some(3), Status::Ok)),
        vector(steps(from_fifty), &[5250], 0, 1000, 0, expect("sn", None, Status::Ok)),
        vector(
            busy(),
            &[792_749_024, 792_749_000, 792_748_800, 792_748_600, 792_748_500],
            931,
            1_512_224_650,
            0,
            expect("csn", None, Status::Stop),
        ),
        vector(
            busy(),
            &[792_748_094, 792_748_093, 792_748_093, 792_748_093],
            1,
            1_512_224_650,
            0,
            expect("csnz", None, Status::Ok),
        ),
        vector(with_unknown, &[5700], 200, 600, 0, expect("cn", None, Status::Ok)),
        vector(
            vec![(1000, 100_000, 2), (2000, 200_000, 1), (2000, 300_000, 1)],
            &[2001],
            1,
            550,
            1,
            expect("cs", None, Status::Ok),
        ),
        vector(same([100, 150, 200, 250, 300]), &[1300], 300, 600, 99, expect("tn", None, Status::Stall)),
        vector(back(4000), &[4300], 300, 600, 99, expect("", Some(3), Status::Ok)),
        vector(back(2500), &[4300], 300, 600, 0, expect("", Some(3), Status::Rewind)),
    ];
    vectors.iter().enumerate().for_each(|(number, vector)| check(number, vector));
}

/// The same steps with a lag that never falls and was never zero: rule 5, which none of the sixteen reaches.
#[test]
fn a_lag_that_never_falls_is_a_warning() {
    let vector = Vector {
        commits: steps([50, 100, 150, 200, 250]),
        broker_offsets: &[5250],
        current_lag: 250,
        now_s: 600,
        allowed_lag: 0,
        expect: expect("n", None, Status::Warn),
    };
    check(16, &vector);
}

fn say(commits: &[Row], current_lag: u64, now_ms: i64) -> String {
    let mut window = Window::new(10, 0);
    commits.iter().for_each(|&(offset, timestamp_ms, lag)| {
        window.push(Commit { offset, timestamp_ms, lag: u64::try_from(lag).ok() });
    });
    let partition = Partition { window, broker_offsets: vec![i64::MAX], current_lag };
    let verdict = judge(&partition, now_ms, Tolerance::default());
    format!("{}: {}", verdict.status, verdict.reason)
}

#[test]
fn each_verdict_says_why() {
    let rows = [(100, 0, 5), (100, 20_000, 105), (100, 40_000, 305)];
    assert_eq!(
        say(&rows, 305, 41_000),
        "STALL: offset 100 was committed 3 times over 40 s and did not move while 300 records arrived; 305 records wait"
    );
    assert_eq!(
        say(&rows, 305, 90_000),
        "STOP: no commit for 50 s, longer than the 40 s that the window spans, while 305 records wait"
    );
    assert_eq!(
        say(&[(100, 0, 5), (40, 5_000, 70), (60, 10_000, 50)], 50, 11_000),
        "REWIND: the committed offset went back from 100 to 40 6.0 s ago and has not reached 100 again; 50 records wait"
    );
    assert_eq!(
        say(&[(100, 0, 5), (110, 5_000, 70)], 71, 6_000),
        "WARN: 10 records read in 5.0 s, but the lag never fell (from 5 to 70); 71 records wait"
    );
    assert_eq!(
        say(&[(100, 0, 5), (110, 5_000, 0)], 1, 6_000),
        "OK: everything was read 1.0 s ago; 1 record came since"
    );
    assert_eq!(say(&[(100, 0, 5), (110, 5_000, 3)], 3, 6_000), "OK: 10 records read in 5.0 s, 3 records wait");
    assert_eq!(say(&[(100, 0, 5)], 0, 6_000), "OK: everything is read");
    assert_eq!(say(&[], 7, 6_000), "OK: nothing was committed yet");
    assert_eq!(
        say(&[(100, 6_000, 5)], 5, 6_000),
        "STALL: the only commit known is of offset 100, while 5 records wait"
    );
}

#[test]
fn a_window_that_is_too_empty_is_not_judged() {
    let mut window = Window::new(10, 0);
    window.push(Commit { offset: 1, timestamp_ms: 0, lag: Some(9) });
    let partition = Partition { window, broker_offsets: vec![10], current_lag: 9 };
    let strict = Tolerance { allowed_lag: 0, minimum_complete: 0.5 };
    let verdict = judge(&partition, 1_000_000, strict);
    assert_eq!((verdict.status, verdict.reason), (Status::Ok, Reason::TooFewCommits { have: 1, slots: 10 }));
    assert_eq!(judge(&partition, 1_000_000, Tolerance::default()).status, Status::Stop);
}
