//! Benches: what the comparison needs beyond the clients, and the watch over the hot path's cost.

use crate::check::{run, step};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// The version of nats-server that figures are published for.
const NATS: &str = "github.com/nats-io/nats-server/v2@v2.15.2";

/// The baseline's name among criterion's files.
const BASELINE: &str = "regress";

/// Groups of the watched benches begin like this.
const WATCHED: &str = "hot_";

/// How often a bench must be slower, one run after the other, before it counts: a shared machine has bad seconds.
const CONFIRMATIONS: usize = 3;

/// Builds NATS JetStream's server into `.cache/bin`, unless it is there.
pub(crate) fn install_peers(root: &Path) -> Result<(), String> {
    let bin = root.join(".cache/bin");
    if bin.join("nats-server").exists() {
        eprintln!("nats-server is in {}", bin.display());
        return Ok(());
    }
    fs::create_dir_all(&bin).map_err(|error| format!("{}: {error}", bin.display()))?;
    let bin = bin.display().to_string();
    run(root, "go", &["install", NATS], &[("GOBIN", bin.as_str()), ("GOFLAGS", "-trimpath")])
}

/// `--save`: keeps what the hot path costs now. Otherwise: fails when a bench got slower than that by more than
/// `threshold_percent`, with 95 % confidence, in each of several runs.
pub(crate) fn regress(root: &Path, save: bool, threshold_percent: f64) -> Result<(), String> {
    let home = root.join("target/criterion");
    if save {
        return step("save the baseline", || benches(root, "", &["--save-baseline", BASELINE]));
    }
    if found(&home, BASELINE).is_empty() {
        return Err("no baseline: `cargo xtask bench-regress --save` on the commit to compare with, first".into());
    }
    let mut filter = String::new();
    for attempt in 1..=CONFIRMATIONS {
        for (_, file) in found(&home, "change") {
            fs::remove_file(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        }
        let name = format!("compare with the baseline, {attempt} of at most {CONFIRMATIONS}");
        step(&name, || benches(root, &filter, &["--baseline-lenient", BASELINE]))?;
        let slower = slower(&home, threshold_percent / 100.0)?;
        if slower.is_empty() {
            eprintln!("no bench is more than {threshold_percent} % slower than the baseline");
            return Ok(());
        }
        slower.iter().for_each(|(name, change)| eprintln!("{name}: {change}"));
        let names: Vec<String> = slower.into_iter().map(|(name, _)| format!("^{name}$")).collect();
        filter = names.join("|");
    }
    Err(format!("slower than the baseline by more than {threshold_percent} % in {CONFIRMATIONS} runs: {filter}"))
}

/// Runs the watched benches of the crates that have them.
fn benches(root: &Path, filter: &str, args: &[&str]) -> Result<(), String> {
    let mut all = vec!["bench", "--quiet", "-p", "protocol", "-p", "engine", "--bench", "regress", "--", "--noplot"];
    all.extend_from_slice(args);
    if !filter.is_empty() {
        all.push(filter);
    }
    let home = root.join("target/criterion").display().to_string();
    run(root, "cargo", &all, &[("CRITERION_HOME", home.as_str())])
}

/// The watched benches that have criterion's estimates of this kind, with the file.
fn found(home: &Path, kind: &str) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut folders = vec![home.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            let file = path.join("estimates.json");
            let name = folder.strip_prefix(home).map(|name| name.display().to_string()).unwrap_or_default();
            if path.ends_with(kind) && file.exists() && name.starts_with(WATCHED) {
                found.push((name, file));
            } else if path.is_dir() {
                folders.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Benches whose median grew by more than `threshold`, the lower end of the confidence interval included.
fn slower(home: &Path, threshold: f64) -> Result<Vec<(String, String)>, String> {
    let mut slower = Vec::new();
    for (name, file) in found(home, "change") {
        let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let json: Value = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        let median = &json["median"];
        let (low, high) =
            (&median["confidence_interval"]["lower_bound"], &median["confidence_interval"]["upper_bound"]);
        let (Some(low), Some(high), Some(point)) = (low.as_f64(), high.as_f64(), median["point_estimate"].as_f64())
        else {
            return Err(format!("{}: not criterion's estimates of a change", file.display()));
        };
        if low > threshold {
            let percent = |v: f64| format!("{:+.1} %", v * 100.0);
            slower.push((name, format!("{} [{}, {}]", percent(point), percent(low), percent(high))));
        }
    }
    Ok(slower)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Criterion's files for one bench whose median changed like this.
    fn changed(home: &Path, name: &str, low: f64, point: f64, high: f64) {
        let folder = home.join(name).join("change");
        fs::create_dir_all(&folder).unwrap();
        let json = serde_json::json!({"mean": {}, "median": {"point_estimate": point, "confidence_interval":
            {"confidence_level": 0.95, "lower_bound": low, "upper_bound": high}}});
        fs::write(folder.join("estimates.json"), json.to_string()).unwrap();
    }

    #[test]
    fn only_what_is_slower_for_certain_counts() {
        let home = std::env::temp_dir().join(format!("ringlog-xtask-bench-{}", std::process::id()));
        changed(&home, "hot_crc/crc-fast/1024", 0.12, 0.2, 0.3);
        changed(&home, "hot_append/100", 0.05, 0.2, 0.3);
        changed(&home, "hot_index/65536", -0.3, -0.2, -0.1);
        changed(&home, "codec/compress/gzip", 0.5, 0.6, 0.7);
        let slower = slower(&home, 0.1);
        fs::remove_dir_all(&home).unwrap();
        assert_eq!(slower.unwrap(), [("hot_crc/crc-fast/1024".into(), "+20.0 % [+12.0 %, +30.0 %]".into())]);
    }

    #[test]
    fn without_a_baseline_it_says_what_to_do() {
        let error = regress(Path::new("/nonexistent"), false, 10.0).unwrap_err();
        assert!(error.contains("--save"), "{error}");
    }
}
