//! The results as text.

use super::summary::{Row, columns};
use super::{GENERATOR_BUSY_MAX, number};
use crate::estimate::Estimate;
use crate::peers::Contender;
use serde_json::Value;
use std::fmt::Write;

/// One run's main figures, while the comparison goes on.
pub fn line(contender: Contender, figures: &Value) -> String {
    const SHOWN: &[(&str, &str)] = &[
        ("mb_per_s", "MB/s"),
        ("requests_per_s", "requests/s"),
        ("cpu_s_per_gb", "CPU-s/GB"),
        ("p50_us", "p50 µs"),
        ("p99_us", "p99 µs"),
        ("p999_us", "p99.9 µs"),
        ("ready_s", "s until ready"),
        ("kib_per_connection", "KiB a connection"),
        ("resident_mb", "MB resident"),
    ];
    let mut out = format!("{:<15} ({})", contender.name(), contender.durability());
    for (key, unit) in SHOWN {
        if let Some(v) = figures[*key].as_f64() {
            let _ = write!(out, ", {} {unit}", number(v));
        }
    }
    if let Some(busy) = figures["generator_busy"].as_f64() {
        let warning = if busy >= GENERATOR_BUSY_MAX { " (SATURATED)" } else { "" };
        let _ = write!(out, "; generator {:.0} % busy{warning}", busy * 100.0);
    }
    out
}

/// Everything, scenario by scenario, and how many goals were met.
pub fn table(rows: &[Row<'_>]) -> String {
    let mut out = String::new();
    for row in rows {
        let _ =
            writeln!(out, "\n{} ({}), {} pairs{}", row.scenario.title, row.scenario.name, row.pairs.len(), fio(row));
        figures(&mut out, row);
        for judged in &row.goals {
            let by = judged.ratio.map(|r| format!("{} ×", interval(r)));
            let ours = judged.ours.map(|o| format!("ours {} {}", interval(o), judged.goal.metric.unit));
            let disk = judged.of_disk.map(|d| format!("{} of fio", number(d.median)));
            let measured: Vec<String> = [by, ours, disk].into_iter().flatten().collect();
            let _ = writeln!(out, "    goal {}: {} ({})", judged.goal.text(), judged.verdict, measured.join("; "));
        }
        for warning in &row.warnings {
            let _ = writeln!(out, "    note: {warning}");
        }
    }
    let _ = writeln!(out, "\n{}", score(rows));
    out
}

fn figures(out: &mut String, row: &Row<'_>) {
    let columns = columns(&row.scenario.work);
    let mut cells = vec![std::iter::once(String::new()).chain(columns.iter().map(|c| c.1.to_owned())).collect()];
    for c in &row.contenders {
        let who = format!("{} ({})", c.name(), c.durability());
        let values = columns.iter().map(|(key, _)| row.estimate(*c, key).map_or("–".into(), |e| number(e.median)));
        cells.push(std::iter::once(who).chain(values).collect::<Vec<String>>());
    }
    if row.contenders.len() > 1 {
        let values = columns.iter().map(|(key, _)| row.ratio(key).map_or("–".into(), |e| number(e.median)));
        cells.push(std::iter::once("ratio, pair by pair".to_owned()).chain(values).collect());
    }
    let width = |n: usize| cells.iter().map(|r: &Vec<String>| r[n].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..=columns.len()).map(width).collect();
    for cells in &cells {
        let _ = write!(out, "  {:<w$}", cells[0], w = widths[0]);
        for (cell, w) in cells.iter().zip(&widths).skip(1) {
            let _ = write!(out, "  {cell:>w$}");
        }
        out.push('\n');
    }
}

fn fio(row: &Row<'_>) -> String {
    row.fio.map_or("; fio not installed".into(), |e| format!("; fio, same minutes: {} MB/s", number(e.median)))
}

/// A median with its interval.
pub(super) fn interval(e: Estimate) -> String {
    if e.count < 2 {
        return number(e.median);
    }
    format!("{} [{}, {}]", number(e.median), number(e.low), number(e.high))
}

/// How many goals were met.
pub(super) fn score(rows: &[Row<'_>]) -> String {
    use crate::goal::Verdict;
    let all: Vec<Verdict> = rows.iter().flat_map(|r| r.goals.iter().map(|g| g.verdict)).collect();
    let count = |f: fn(&Verdict) -> bool| all.iter().filter(|v| f(v)).count();
    format!(
        "{} goals: {} met, {} met by the median only, {} missed, {} not measured",
        all.len(),
        count(|v| matches!(v, Verdict::Met)),
        count(|v| matches!(v, Verdict::Unsure)),
        count(|v| matches!(v, Verdict::Missed(_))),
        count(|v| matches!(v, Verdict::NotMeasured)),
    )
}
