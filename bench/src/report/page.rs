//! The page: everything in one file, nothing loaded from elsewhere, readable in light and in dark.

use super::summary::{Row, columns};
use super::svg::escape;
use super::table::{interval, score};
use super::{number, plots};
use crate::goal::Verdict;
use serde_json::Value;
use std::fmt::Write;

const STYLE: &str = "
:root { color-scheme: light dark; --back: #fff; --text: #1c1e21; --soft: #667; --edge: #d8dade; --c0: #0b6bcb; --c1: #c4501b;
  --c2: #2f8132; --met: #2f8132; --unsure: #b07d00; --missed: #c0392b; }
@media (prefers-color-scheme: dark) { :root { --back: #15171a; --text: #e4e6ea; --soft: #9aa3ad; --edge: #34383e;
  --c0: #6cb2ff; --c1: #ff9a63; --c2: #7ed07f; --met: #6fce73; --unsure: #e5b94a; --missed: #ff7b6e; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); max-width: 1000px;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2.4rem; border-top: 1px solid var(--edge); padding-top: 1rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13.5px; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--edge); text-align: right; white-space: nowrap; }
th:first-child, td:first-child, td.left, th.left { text-align: left; white-space: normal; } th { color: var(--soft); font-weight: 600; }
.met { color: var(--met); fill: var(--met); } .unsure { color: var(--unsure); fill: var(--unsure); }
.missed { color: var(--missed); fill: var(--missed); } .soft { color: var(--soft); } .plots { display: flex; flex-wrap: wrap; gap: 1rem; }
svg { max-width: 100%; height: auto; } svg text { font: 11px system-ui, sans-serif; fill: var(--text); } svg text.tick { fill: var(--soft); }
svg text.title { font-weight: 600; } .grid { stroke: var(--edge); } .axis { stroke: var(--soft); } .goal { stroke: var(--text); stroke-width: 2; }
.whisker { stroke: var(--text); stroke-width: 1.2; } .line { fill: none; stroke-width: 1.8; } .line.c0 { stroke: var(--c0); }
.line.c1 { stroke: var(--c1); } .line.c2 { stroke: var(--c2); } .bar.c0 { fill: var(--c0); } .bar.c1 { fill: var(--c1); } .bar.c2 { fill: var(--c2); }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .4em; } .key.c0 { background: var(--c0); }
.key.c1 { background: var(--c1); } .key.c2 { background: var(--c2); }";

const METHOD: &str = "The broker has one core, the load the other; one thing runs at a time. A pair is every contender once, right \
    after each other on fresh folders; from round to round the order turns. Ratios are taken pair by pair; given are their median and the \
    95 % bootstrap interval. A goal is met when the whole interval meets it. JVMs are warmed up by work. Loopback costs no \
    network card and its figures are ratios on this machine, not capacities. Latency of a closed loop is what its own \
    connections saw; of an open loop it counts from the time at which a request was due.";

/// The whole page.
pub fn page(rows: &[Row<'_>], session: &str) -> String {
    let mut out = String::from("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>");
    out.push_str(
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/><title>Ringlog, compared</title>",
    );
    let _ = write!(out, "<style>{STYLE}</style></head><body><h1>Ringlog, compared</h1>");
    let _ = write!(out, "<p>{}</p>", escape(&facts(rows, session)));
    let _ = write!(out, "<p class=\"soft\">{}</p>", escape(METHOD));
    let _ = write!(out, "<p><strong>{}</strong></p>", escape(&score(rows)));
    goals(&mut out, rows);
    let _ = write!(out, "<div class=\"wide\">{}</div>", plots::ratios(rows));
    for row in rows {
        section(&mut out, row);
    }
    out.push_str("</body></html>\n");
    out
}

fn facts(rows: &[Row<'_>], session: &str) -> String {
    let newest = rows.iter().flat_map(|r| &r.pairs).map(|p| &p.facts).max_by_key(|f| f["at_unix"].as_u64());
    let Some(f) = newest else { return "Nothing was measured yet.".to_owned() };
    let text = |key: &str| f[key].as_str().unwrap_or("?").to_owned();
    format!(
        "{} cores of {}, {} of memory, Linux {}, TCP {}; commit {}; {} s a run; session {session}.",
        f["cores"],
        text("cpu"),
        text("memory"),
        text("kernel"),
        text("congestion_control"),
        text("commit"),
        f["seconds"],
    )
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Met => "met",
        Verdict::Unsure => "unsure",
        Verdict::Missed(_) => "missed",
        Verdict::NotMeasured => "soft",
    }
}

fn goals(out: &mut String, rows: &[Row<'_>]) {
    out.push_str(
        "<div class=\"wide\"><table><tr><th>row</th><th class=\"left\">workload</th><th class=\"left\">goal</th>",
    );
    out.push_str("<th>ratio</th><th>ours</th><th>of fio</th><th>pairs</th><th class=\"left\">verdict</th></tr>");
    for row in rows {
        for g in &row.goals {
            let show = |e: Option<crate::estimate::Estimate>| e.map_or("–".to_owned(), interval);
            let _ = write!(
                out,
                "<tr><td>{}</td><td class=\"left\"><a href=\"#{}\">{}</a></td><td class=\"left\">{}</td><td>{}</td><td>{} {}</td>\
                 <td>{}</td><td>{}</td><td class=\"left {}\">{}</td></tr>",
                row.scenario.row,
                escape(&row.scenario.name),
                escape(&row.scenario.title),
                escape(&g.goal.text()),
                show(g.ratio),
                show(g.ours),
                escape(g.goal.metric.unit),
                show(g.of_disk),
                row.pairs.len(),
                class(g.verdict),
                escape(&g.verdict.to_string()),
            );
        }
    }
    out.push_str("</table></div>");
}

fn section(out: &mut String, row: &Row<'_>) {
    let name = escape(&row.scenario.name);
    let _ = write!(out, "<h2 id=\"{name}\">{} <span class=\"soft\">{name}</span></h2>", escape(&row.scenario.title));
    let fio = row.fio.map_or("fio is not installed".to_owned(), |e| format!("fio, same minutes: {} MB/s", interval(e)));
    let count = match row.pairs_measured - row.pairs.len() {
        0 => format!("{} pairs", row.pairs.len()),
        noisy => format!("{} pairs, {noisy} noisy ones left out", row.pairs.len()),
    };
    let _ = write!(out, "<p class=\"soft\">{}; {}</p>", escape(&count), escape(&fio));
    figures(out, row);
    for warning in &row.warnings {
        let _ = write!(out, "<p class=\"unsure\">{}</p>", escape(warning));
    }
    out.push_str("<div class=\"plots\">");
    let (key, title) = columns(&row.scenario.work)[0];
    let drawings = [plots::bars(row, key, title), plots::latency(row), plots::timeline(row), plots::slowest(row)];
    drawings.into_iter().flatten().for_each(|svg| out.push_str(&svg));
    out.push_str("</div>");
}

fn figures(out: &mut String, row: &Row<'_>) {
    let columns = columns(&row.scenario.work);
    out.push_str("<div class=\"wide\"><table><tr><th></th>");
    for (_, title) in &columns {
        let _ = write!(out, "<th>{}</th>", escape(title));
    }
    out.push_str("</tr>");
    for (n, c) in row.contenders.iter().enumerate() {
        let who = escape(c.name());
        let durability = escape(c.durability());
        let _ =
            write!(out, "<tr><td><span class=\"key c{n}\"></span>{who} <span class=\"soft\">{durability}</span></td>");
        for (key, _) in &columns {
            let cell = row.estimate(*c, key).map_or("–".to_owned(), |e| number(e.median));
            let hint = row.estimate(*c, key).map_or(String::new(), interval);
            let _ = write!(out, "<td title=\"{}\">{cell}</td>", escape(&hint));
        }
        out.push_str("</tr>");
    }
    if row.contenders.len() > 1 {
        out.push_str("<tr><td>ratio, pair by pair</td>");
        for (key, _) in &columns {
            let cell = row.ratio(key).map_or("–".to_owned(), interval);
            let _ = write!(out, "<td>{cell}</td>");
        }
        out.push_str("</tr>");
    }
    out.push_str("</table></div>");
}

/// The whole comparison for machines: every scenario with its goals, its verdicts and its pairs.
pub fn machine_readable(rows: &[Row<'_>], session: &str) -> Value {
    use crate::estimate::Estimate;
    use serde_json::json;
    let of =
        |e: Option<Estimate>| e.map(|e| json!({"median": e.median, "low": e.low, "high": e.high, "count": e.count}));
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            let goals: Vec<Value> = row
                .goals
                .iter()
                .map(|g| {
                    json!({"goal": g.goal.text(), "verdict": g.verdict.to_string(), "ratio": of(g.ratio),
                        "ours": of(g.ours), "of_disk": of(g.of_disk)})
                })
                .collect();
            let contenders: Vec<Value> = row
                .contenders
                .iter()
                .map(|c| {
                    let figures: serde_json::Map<String, Value> = columns(&row.scenario.work)
                        .iter()
                        .map(|(key, _)| ((*key).to_owned(), json!(of(row.estimate(*c, key)))))
                        .collect();
                    json!({"who": c.id(), "durability": c.durability(), "figures": figures})
                })
                .collect();
            json!({"row": row.scenario.row, "scenario": row.scenario.name, "title": row.scenario.title, "goals": goals,
                "contenders": contenders, "fio_mb_per_s": of(row.fio), "pairs": row.pairs.len(), "notes": row.warnings})
        })
        .collect();
    json!({"session": session, "rows": rows})
}

#[cfg(test)]
mod tests {
    use super::super::summarize;
    use super::*;
    use crate::results::{Pair, Results};
    use crate::scenario::{Scenario, table};
    use serde_json::json;

    fn figures(mb: f64, busy: f64) -> Value {
        json!({"mb_per_s": mb, "cpu_s_per_gb": 400.0 / mb, "requests_per_s": mb * 62.0, "p50_us": 900, "p99_us": 4_000,
            "curve": [[0.0, 50], [50.0, 900], [99.0, 4_000], [100.0, 90_000]], "generator_busy": busy,
            "timeline": [[mb, 5_000], [mb * 1.1, 90_000], [mb, 6_000]], "ready_s": 1.0})
    }

    /// Every scenario with three pairs, names that would be markup among them.
    fn filled(folder: &std::path::Path, scenarios: &[Scenario]) -> Results {
        let mut results = Results::open(&folder.join("r.jsonl"), "s<&>", false).unwrap();
        for s in scenarios {
            for round in 0..3 {
                let mut runs = vec![(s.ours.id().to_owned(), figures(800.0 + round as f64, 0.97))];
                runs.extend(s.rival.map(|r| (r.id().to_owned(), figures(200.0, 0.2))));
                let facts = json!({"commit": "<script>\"&", "cores": 2, "at_unix": 1});
                let pair = Pair { scenario: s.name.clone(), round, fio_mb_per_s: Some(2_000.0), runs, facts };
                results.add(pair).unwrap();
            }
        }
        results
    }

    /// Every tag that opens closes, in order; returns how many there were.
    fn well_formed(html: &str) -> usize {
        let body = html.strip_prefix("<!DOCTYPE html>\n").unwrap();
        let (mut open, mut count, mut rest) = (Vec::new(), 0, body);
        while let Some(at) = rest.find('<') {
            let end = rest[at..].find('>').map(|e| at + e).expect("a tag ends");
            let tag = &rest[at + 1..end];
            assert!(!rest[..at].contains('>'), "a bare > in {:?}", &rest[..at]);
            assert_eq!(tag.matches('"').count() % 2, 0, "quotes in <{tag}>");
            let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
            if let Some(closed) = tag.strip_prefix('/') {
                assert_eq!(open.pop().as_deref(), Some(closed));
            } else if !tag.ends_with('/') {
                open.push(name.to_owned());
            }
            count += 1;
            rest = &rest[end + 1..];
        }
        assert_eq!(open, Vec::<String>::new());
        count
    }

    #[test]
    fn the_page_is_well_formed_escaped_and_whole() {
        let scenarios = table::all();
        let folder = tempfile::tempdir().unwrap();
        let results = filled(folder.path(), &scenarios);
        let rows = summarize(&scenarios, &results);
        assert_eq!(rows.len(), scenarios.len());
        let html = page(&rows, "s<&>");
        assert!(well_formed(&html) > 2_000);
        assert!(!html.contains("<script"), "foreign text is text");
        for elsewhere in ["http://", "https://", "src=", "url(", "@import"] {
            assert!(!html.contains(elsewhere), "the page loads {elsewhere}");
        }
        for needed in
            ["prefers-color-scheme: dark", "fsync before ack", "page cache, not synced", "lower bound", "missed by"]
        {
            assert!(html.contains(needed), "{needed} is missing");
        }
        assert!(html.matches("<svg").count() > scenarios.len());
    }

    #[test]
    fn a_page_without_results_says_so() {
        let html = page(&[], "s");
        well_formed(&html);
        assert!(html.contains("Nothing was measured yet."));
    }

    #[test]
    fn an_open_loop_that_was_not_kept_up_with_is_marked() {
        let scenarios = table::all();
        let folder = tempfile::tempdir().unwrap();
        let results = filled(folder.path(), &scenarios);
        for row in summarize(&scenarios, &results) {
            // The figures that were filled in are of 49,600 and 12,400 requests a second.
            let marked = row.warnings.iter().filter(|w| w.contains("did not hold the rate")).count();
            assert_eq!(marked, if row.scenario.name.starts_with("open-") { 2 } else { 0 }, "{}", row.scenario.name);
        }
    }

    #[test]
    fn machines_get_the_same_verdicts() {
        let scenarios = table::all();
        let folder = tempfile::tempdir().unwrap();
        let results = filled(folder.path(), &scenarios);
        let rows = summarize(&scenarios, &results);
        let json = machine_readable(&rows, "s");
        let row = json["rows"].as_array().unwrap().iter().find(|r| r["scenario"] == "16k-4p").unwrap();
        assert_eq!(row["goals"][0]["verdict"], "met");
        assert_eq!(row["contenders"][1]["durability"], "page cache, not synced");
        assert!(row["goals"][0]["ratio"]["low"].as_f64().unwrap() >= 4.0);
    }
}
