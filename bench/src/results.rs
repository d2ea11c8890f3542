//! Results on disk: one JSON line for each measured pair, written when it is complete, so that an interrupted comparison goes
//! on where it stopped. A pair counts for a session only, which says what was measured and how; the lines of other sessions
//! stay in the file and are left alone.

use crate::estimate::Estimate;
use crate::goal::{Measured, Metric};
use crate::scenario::Scenario;
use serde_json::{Value, json};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Pairs during which the hypervisor took more of the processors than this are not used for ratios.
pub const STEAL_MAX: f64 = 0.01;

/// One pair: everybody measured once, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The scenario's name.
    pub scenario: String,
    /// Which repetition.
    pub round: usize,
    /// What fio wrote in the same minute.
    pub fio_mb_per_s: Option<f64>,
    /// Contender's id and figures, in the order in which they were measured.
    pub runs: Vec<(String, Value)>,
    /// When, and on what.
    pub facts: Value,
}

impl Pair {
    /// A contender's figures.
    pub fn of(&self, id: &str) -> Option<&Value> {
        self.runs.iter().find(|(who, _)| who == id).map(|(_, figures)| figures)
    }

    /// One figure.
    pub fn figure(&self, id: &str, metric: &str) -> Option<f64> {
        self.of(id)?[metric].as_f64()
    }

    /// Whether the machine was ours during all of it.
    pub fn is_quiet(&self) -> bool {
        self.runs.iter().all(|(_, f)| f["steal"].as_f64().unwrap_or(0.0) <= STEAL_MAX)
    }

    fn to_json(&self, session: &str) -> Value {
        let runs: Vec<Value> = self.runs.iter().map(|(who, figures)| json!({"who": who, "figures": figures})).collect();
        json!({"session": session, "scenario": self.scenario, "round": self.round,
            "fio_mb_per_s": self.fio_mb_per_s, "runs": runs, "facts": self.facts})
    }

    fn from_json(mut v: Value) -> Option<Pair> {
        let runs = v["runs"].as_array_mut()?.iter_mut();
        let runs = runs.map(|r| Some((r["who"].as_str()?.to_owned(), r["figures"].take())));
        Some(Pair {
            runs: runs.collect::<Option<_>>()?,
            scenario: v["scenario"].as_str()?.to_owned(),
            round: usize::try_from(v["round"].as_u64()?).ok()?,
            fio_mb_per_s: v["fio_mb_per_s"].as_f64(),
            facts: v["facts"].take(),
        })
    }
}

/// The file, and what of it belongs to this session.
#[derive(Debug)]
pub struct Results {
    path: PathBuf,
    session: String,
    /// In the order in which they were measured.
    pub pairs: Vec<Pair>,
    /// Lines of other sessions.
    pub foreign: usize,
}

impl Results {
    /// Reads what there is. A line that is cut, as a killed run leaves it, is skipped. `fresh` forgets this session's pairs.
    pub fn open(path: &Path, session: &str, fresh: bool) -> io::Result<Results> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let of_session = |v: &Value| v["session"].as_str() == Some(session);
        let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let (mine, others): (Vec<Value>, Vec<Value>) = lines.into_iter().partition(of_session);
        let mine = if fresh { Vec::new() } else { mine };
        let foreign = others.len();
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        // Written anew as a whole, so that a cut line does not spoil the next one.
        let kept: String = others.iter().chain(&mine).map(|v| format!("{v}\n")).collect();
        let beside = path.with_extension("tmp");
        fs::write(&beside, kept)?;
        fs::rename(&beside, path)?;
        let pairs = mine.into_iter().filter_map(Pair::from_json).collect();
        Ok(Results { path: path.to_owned(), session: session.to_owned(), pairs, foreign })
    }

    /// Whether a pair is there with everybody who should be in it.
    pub fn has(&self, scenario: &str, round: usize, ids: &[&str]) -> bool {
        let complete = |p: &Pair| ids.iter().all(|id| p.of(id).is_some());
        self.pairs.iter().any(|p| p.scenario == scenario && p.round == round && complete(p))
    }

    /// Keeps a pair, on disk first.
    pub fn add(&mut self, pair: Pair) -> io::Result<()> {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(&self.path)?;
        file.write_all(format!("{}\n", pair.to_json(&self.session)).as_bytes())?;
        self.pairs.retain(|p| p.scenario != pair.scenario || p.round != pair.round);
        self.pairs.push(pair);
        Ok(())
    }

    /// A scenario's pairs by round.
    pub fn of(&self, scenario: &str) -> Vec<&Pair> {
        let mut found: Vec<&Pair> = self.pairs.iter().filter(|p| p.scenario == scenario).collect();
        found.sort_by_key(|p| p.round);
        found
    }

    /// The newest session of a file.
    pub fn newest_session(path: &Path) -> io::Result<Option<String>> {
        let text = fs::read_to_string(path)?;
        let last = text.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok());
        Ok(last.and_then(|v| v["session"].as_str().map(str::to_owned)))
    }
}

/// The pairs whose ratios count: the quiet ones, or, where none was quiet, all of them.
pub fn usable<'a>(pairs: &[&'a Pair]) -> Vec<&'a Pair> {
    let quiet: Vec<&Pair> = pairs.iter().copied().filter(|p| p.is_quiet()).collect();
    if quiet.is_empty() { pairs.to_vec() } else { quiet }
}

/// One contender's metric over pairs.
pub fn estimate(pairs: &[&Pair], id: &str, metric: &str) -> Option<Estimate> {
    Estimate::of(&pairs.iter().filter_map(|p| p.figure(id, metric)).collect::<Vec<_>>())
}

/// What a goal on `metric` is judged by.
pub fn measured(scenario: &Scenario, pairs: &[&Pair], metric: Metric) -> Measured {
    let (ours, key) = (scenario.ours.id(), metric.key);
    let ratio = |p: &&Pair| Some(p.figure(ours, key)? / p.figure(scenario.rival?.id(), key)?);
    let of_disk = |p: &&Pair| Some(p.figure(ours, key)? / p.fio_mb_per_s?);
    Measured {
        ours: estimate(pairs, ours, key),
        ratio: Estimate::of(&pairs.iter().filter_map(ratio).collect::<Vec<_>>()),
        of_disk: Estimate::of(&pairs.iter().filter_map(of_disk).collect::<Vec<_>>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(round: usize, ours: f64, theirs: f64, steal: f64) -> Pair {
        let figures = |mb: f64| json!({"mb_per_s": mb, "steal": steal});
        Pair {
            scenario: "16k-4p".into(),
            round,
            fio_mb_per_s: Some(2_000.0),
            runs: vec![("ringlog".into(), figures(ours)), ("kafka".into(), figures(theirs))],
            facts: json!({"commit": "abc"}),
        }
    }

    #[test]
    fn a_session_goes_on_behind_its_last_whole_pair() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/results.jsonl");
        let mut results = Results::open(&path, "a", false).unwrap();
        results.add(pair(0, 800.0, 200.0, 0.0)).unwrap();
        results.add(pair(1, 900.0, 200.0, 0.0)).unwrap();
        // The power goes while the third is written.
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, whole.clone() + &whole[..40]).unwrap();

        let mut again = Results::open(&path, "a", false).unwrap();
        assert_eq!(again.pairs, results.pairs);
        assert!(again.has("16k-4p", 1, &["ringlog", "kafka"]) && !again.has("16k-4p", 2, &["ringlog", "kafka"]));
        assert!(!again.has("16k-4p", 1, &["ringlog", "kafka", "nats"]), "a peer that was added is measured");
        again.add(pair(2, 850.0, 200.0, 0.0)).unwrap();
        assert_eq!(Results::open(&path, "a", false).unwrap().of("16k-4p").len(), 3);
    }

    #[test]
    fn sessions_do_not_mix_and_a_fresh_one_forgets_its_own_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.jsonl");
        Results::open(&path, "a", false).unwrap().add(pair(0, 800.0, 200.0, 0.0)).unwrap();
        let mut b = Results::open(&path, "b", false).unwrap();
        assert_eq!((b.pairs.len(), b.foreign), (0, 1));
        b.add(pair(0, 1.0, 1.0, 0.0)).unwrap();
        assert_eq!(Results::newest_session(&path).unwrap().as_deref(), Some("b"));
        let fresh = Results::open(&path, "b", true).unwrap();
        assert_eq!((fresh.pairs.len(), fresh.foreign), (0, 1));
        assert_eq!(Results::open(&path, "a", false).unwrap().pairs.len(), 1);
    }

    #[test]
    fn ratios_are_taken_pair_by_pair_and_noisy_pairs_left_out() {
        let all = [pair(0, 800.0, 200.0, 0.0), pair(1, 300.0, 100.0, 0.0), pair(2, 10.0, 100.0, 0.2)];
        let pairs = usable(&all.iter().collect::<Vec<_>>());
        assert_eq!(pairs.len(), 2);
        let scenario = crate::scenario::table::all().into_iter().find(|s| s.name == "16k-4p").unwrap();
        let m = measured(&scenario, &pairs, crate::goal::MB_PER_S);
        assert_eq!(m.ratio.unwrap().median, 3.5, "the median of 4 and 3, not a ratio of medians");
        assert_eq!(m.of_disk.unwrap().high, 0.4);
        let noisy = [pair(0, 1.0, 1.0, 0.5)];
        assert_eq!(usable(&noisy.iter().collect::<Vec<_>>()).len(), 1, "better a noisy pair than none");
    }
}
