//! The drawings: ratios with their intervals and goals, latency by percentile, throughput and the slowest answer second by second.

use super::summary::Row;
use super::svg::{Anchor, Scale, Svg};
use super::{number, table::interval};
use crate::goal::{Bound, Goal, Verdict};
use serde_json::Value;

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 230.0;
/// Room for labels: left, right, top, bottom.
const MARGINS: (f64, f64, f64, f64) = (56.0, 14.0, 26.0, 34.0);

/// One line of the ratio chart.
struct Bar {
    label: String,
    median: f64,
    low: f64,
    high: f64,
    goal: f64,
    verdict: Verdict,
    more_is_better: bool,
}

/// Every ratio that has a goal, on one logarithmic axis.
pub(super) fn ratios(rows: &[Row<'_>]) -> String {
    let bars: Vec<Bar> = rows.iter().flat_map(|row| row.goals.iter().filter_map(|g| bar(row, g))).collect();
    if bars.is_empty() {
        return String::new();
    }
    let (width, left, line) = (940.0, 330.0, 22.0);
    let height = bars.len() as f64 * line + 56.0;
    let mut svg = Svg::new(width, height, "ratios of ours to theirs, with 95 % intervals and goals");
    let low = bars.iter().map(|b| b.low.min(b.goal)).fold(1.0, f64::min) / 1.3;
    let high = bars.iter().map(|b| b.high.max(b.goal)).fold(1.0, f64::max) * 1.3;
    let x = Scale::log(low, high, left, width - 150.0);
    for tick in x.ticks() {
        svg.line("grid", (x.at(tick), 18.0), (x.at(tick), height - 28.0));
        svg.text("tick", (x.at(tick), height - 14.0), Anchor::Middle, &format!("{} ×", number(tick)));
    }
    svg.line("axis", (x.at(1.0), 12.0), (x.at(1.0), height - 28.0));
    for (n, b) in bars.iter().enumerate() {
        let y = 24.0 + n as f64 * line;
        let class = match b.verdict {
            Verdict::Met => "met",
            Verdict::Unsure => "unsure",
            Verdict::Missed(_) | Verdict::NotMeasured => "missed",
        };
        let (from, to) = (x.at(b.median.min(1.0)), x.at(b.median.max(1.0)));
        let hint = format!("{}: {} ({})", b.label, number(b.median), b.verdict);
        svg.rect(class, (from, y), (to - from, 12.0), &hint);
        svg.line("whisker", (x.at(b.low), y + 6.0), (x.at(b.high), y + 6.0));
        svg.line("goal", (x.at(b.goal), y - 2.0), (x.at(b.goal), y + 14.0));
        svg.text("label", (left - 10.0, y + 10.0), Anchor::End, &b.label);
        let sense = if b.more_is_better { "≥" } else { "≤" };
        let text = format!("{} × (goal {sense} {})", number(b.median), number(b.goal));
        svg.text("value", (width - 142.0, y + 10.0), Anchor::Start, &text);
    }
    svg.finish()
}

fn bar(row: &Row<'_>, judged: &super::summary::Judged) -> Option<Bar> {
    let ratio = judged.ratio?;
    let Goal { metric, bound } = judged.goal;
    let (goal, more_is_better) = match bound {
        Bound::RatioMin(v) | Bound::RatioMinOrDisk { ratio: v, .. } => (v, true),
        Bound::RatioMax(v) => (v, false),
        Bound::AtMost(_) => return None,
    };
    Some(Bar {
        label: format!("{} {}: {}", row.scenario.row, row.scenario.name, metric.title),
        median: ratio.median,
        low: ratio.low,
        high: ratio.high,
        goal,
        verdict: judged.verdict,
        more_is_better,
    })
}

/// The curves of a typical pair: latency at each percentile.
pub(super) fn latency(row: &Row<'_>) -> Option<String> {
    let pair = row.typical()?;
    let curves: Vec<Vec<(f64, f64)>> =
        row.contenders.iter().map(|c| points(pair.of(c.id()).map(|f| &f["curve"]))).collect();
    let values = || curves.iter().flatten().map(|(_, us)| *us).filter(|us| *us > 0.0);
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
    if high == 0.0 {
        return None;
    }
    let mut svg = Svg::new(WIDTH, HEIGHT, &format!("latency by percentile: {}", row.scenario.title));
    let (left, right, top, bottom) = MARGINS;
    let y = Scale::log(low / 1.2, high * 1.2, HEIGHT - bottom, top);
    // Each nine gets the same room.
    let x = Scale::log(1.0, 100_000.0, left, WIDTH - right);
    let place = |percent: f64| x.at(100.0 / (100.0 - percent).max(0.001));
    vertical(&mut svg, &y, "latency, µs");
    for (percent, label) in [(0.0, "0"), (90.0, "90 %"), (99.0, "99 %"), (99.9, "99.9 %"), (99.99, "99.99 %")] {
        svg.line("grid", (place(percent), top), (place(percent), HEIGHT - bottom));
        svg.text("tick", (place(percent), HEIGHT - bottom + 14.0), Anchor::Middle, label);
    }
    for (n, curve) in curves.iter().enumerate() {
        let line: Vec<(f64, f64)> = curve.iter().map(|(p, us)| (place(*p), y.at(*us))).collect();
        svg.polyline(&format!("line c{n}"), &line);
    }
    Some(svg.finish())
}

/// Throughput of a typical pair, second by second.
pub(super) fn timeline(row: &Row<'_>) -> Option<String> {
    over_time(row, 0, "throughput, MB/s")
}

/// The slowest answer of each second: a stall shows here.
pub(super) fn slowest(row: &Row<'_>) -> Option<String> {
    over_time(row, 1, "slowest answer, µs")
}

fn over_time(row: &Row<'_>, column: usize, title: &str) -> Option<String> {
    let pair = row.typical()?;
    let series: Vec<Vec<f64>> =
        row.contenders.iter().map(|c| column_of(pair.of(c.id()).map(|f| &f["timeline"]), column)).collect();
    let count = series.iter().map(Vec::len).max().filter(|n| *n > 1)?;
    let high = series.iter().flatten().copied().fold(0.0, f64::max);
    let mut svg = Svg::new(WIDTH, HEIGHT, &format!("{title} over time: {}", row.scenario.title));
    let (left, right, top, bottom) = MARGINS;
    let low = series.iter().flatten().copied().filter(|v| *v > 0.0).fold(f64::INFINITY, f64::min);
    let y = if column == 0 {
        Scale::linear(0.0, high * 1.05, HEIGHT - bottom, top)
    } else {
        Scale::log(low / 1.2, high * 1.2, HEIGHT - bottom, top)
    };
    let x = Scale::linear(0.0, count as f64, left, WIDTH - right);
    vertical(&mut svg, &y, title);
    for tick in x.ticks() {
        svg.text("tick", (x.at(tick), HEIGHT - bottom + 14.0), Anchor::Middle, &format!("{tick:.0} s"));
    }
    for (n, values) in series.iter().enumerate() {
        let line: Vec<(f64, f64)> = values.iter().enumerate().map(|(s, v)| (x.at(s as f64 + 0.5), y.at(*v))).collect();
        svg.polyline(&format!("line c{n}"), &line);
    }
    Some(svg.finish())
}

fn vertical(svg: &mut Svg, y: &Scale, title: &str) {
    let (left, right, ..) = MARGINS;
    svg.text("title", (left, 14.0), Anchor::Start, title);
    for tick in y.ticks() {
        svg.line("grid", (left, y.at(tick)), (WIDTH - right, y.at(tick)));
        svg.text("tick", (left - 6.0, y.at(tick) + 4.0), Anchor::End, &number(tick));
    }
}

/// `[[percent, µs], …]`.
fn points(curve: Option<&Value>) -> Vec<(f64, f64)> {
    let list = curve.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|p| Some((p[0].as_f64()?, p[1].as_f64()?))).collect()
}

fn column_of(timeline: Option<&Value>, column: usize) -> Vec<f64> {
    timeline.and_then(Value::as_array).into_iter().flatten().filter_map(|s| s[column].as_f64()).collect()
}

/// A figure of each contender as bars with intervals: for work without a curve.
pub(super) fn bars(row: &Row<'_>, key: &str, title: &str) -> Option<String> {
    let found: Vec<_> =
        row.contenders.iter().enumerate().filter_map(|(n, c)| Some((n, c, row.estimate(*c, key)?))).collect();
    let high = found.iter().map(|(_, _, e)| e.high).fold(0.0, f64::max);
    if high <= 0.0 {
        return None;
    }
    let height = 34.0 + found.len() as f64 * 30.0;
    let mut svg = Svg::new(WIDTH, height, &format!("{title}: {}", row.scenario.title));
    let x = Scale::linear(0.0, high * 1.05, 110.0, WIDTH - 110.0);
    svg.text("title", (0.0, 14.0), Anchor::Start, title);
    for (line, (n, c, e)) in found.iter().enumerate() {
        let y = 26.0 + line as f64 * 30.0;
        svg.rect(&format!("bar c{n}"), (x.at(0.0), y), (x.at(e.median) - x.at(0.0), 16.0), &interval(*e));
        svg.line("whisker", (x.at(e.low), y + 8.0), (x.at(e.high), y + 8.0));
        svg.text("label", (104.0, y + 12.0), Anchor::End, c.name());
        svg.text("value", (WIDTH - 104.0, y + 12.0), Anchor::Start, &number(e.median));
    }
    Some(svg.finish())
}
