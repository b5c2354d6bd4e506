//! Results as tables.

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};

use crate::SAMPLE_SECONDS;
use crate::campaign::Report;
use crate::judge::percentile;
use crate::record::PersonRecord;
use crate::scenario::Scenario;

/// People of a table; more are summed up in a line.
const MAX_ROWS: usize = 12;

/// All scenarios with what they are.
#[must_use]
pub fn listing(scenarios: &[Scenario]) -> String {
    let mut table = new_table(&["scenario", "variants", "people", "seconds", "what"], &[1, 2, 3]);
    let mut names: Vec<&str> = scenarios.iter().map(|scenario| scenario.name.as_str()).collect();
    names.dedup();
    for name in names {
        let of = || scenarios.iter().filter(|scenario| scenario.name == name);
        let Some(first) = of().next() else { continue };
        let people: usize = first.people.iter().map(|group| group.count).sum();
        table.add_row([
            name.to_owned(),
            of().count().to_string(),
            people.to_string(),
            format!("{}", first.seconds),
            first.about.clone(),
        ]);
    }
    table.to_string()
}

/// What happened in the first run, person by person, and the verdicts on all runs.
#[must_use]
pub fn report_table(report: &Report) -> String {
    let mut text = format!("{} ({}): {}\n", report.full_name(), report.runner, report.about);
    if let Some(run) = report.runs.first() {
        let header = [
            "",
            "sent",
            "received",
            "capacity",
            "estimate",
            "queue p50/p95",
            "lost",
            "in time",
            "undecodable",
            "concealed",
            "freezes",
            "longest",
            "key asked",
            "repair",
        ];
        let columns: Vec<usize> = (1..header.len()).collect();
        let mut table = new_table(&header, &columns);
        let people: Vec<&PersonRecord> = run.people.iter().filter(|person| person.receives).collect();
        for person in people.iter().take(MAX_ROWS) {
            table.add_row(row(person));
        }
        text += &format!("seed {}:\n{table}\n", run.seed);
        if people.len() > MAX_ROWS {
            text += &format!("and {} more people\n", people.len() - MAX_ROWS);
        }
        for link in run.shared.iter().filter(|link| link.tcp_bytes.iter().any(|bytes| *bytes > 0)) {
            let bytes: u64 = link.tcp_bytes.iter().sum();
            let rate = bytes as f64 * 8.0 / (link.tcp_bytes.len() as f64 * SAMPLE_SECONDS);
            text += &format!("transfers over {}: {}\n", link.name, mbps(rate));
        }
    }
    if report.verdicts.is_empty() {
        return text + "nothing is promised";
    }
    let mut table = new_table(&["promise", "measured", "of", "best .. worst seed", ""], &[1, 3]);
    for verdict in &report.verdicts {
        let known: Vec<f64> = verdict.by_seed.iter().copied().flatten().collect();
        let (low, high) = known.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(*value), high.max(*value))
        });
        let spread =
            if known.len() > 1 { format!("{} .. {}", figure(low), figure(high)) } else { String::new() };
        table.add_row([
            verdict.promise.clone(),
            verdict.value.map_or_else(|| "nothing came".to_owned(), figure),
            verdict.who.clone().unwrap_or_default(),
            spread,
            met(verdict.met).to_owned(),
        ]);
    }
    text += &format!("{} seed(s):\n{table}", report.seeds.len());
    text
}

/// A line per report.
#[must_use]
pub fn summary_table(reports: &[Report]) -> String {
    let mut table = new_table(&["scenario", "promises", "kept", "", "missed"], &[1, 2]);
    for report in reports {
        let kept = report.verdicts.iter().filter(|verdict| verdict.met).count();
        let missed = report.verdicts.iter().filter(|verdict| !verdict.met);
        let missed: Vec<String> = missed
            .map(|verdict| {
                let value = verdict.value.map_or_else(|| "nothing came".to_owned(), figure);
                format!("{}: {value}", verdict.promise)
            })
            .collect();
        table.add_row([
            report.full_name(),
            report.verdicts.len().to_string(),
            kept.to_string(),
            met(report.met).to_owned(),
            missed.join("; "),
        ]);
    }
    let kept = reports.iter().filter(|report| report.met).count();
    format!("{table}\n{kept} of {} scenarios kept all their promises", reports.len())
}

fn row(person: &PersonRecord) -> [String; 14] {
    let series = &person.series;
    let seconds = series.sent_bytes.len() as f64 * SAMPLE_SECONDS;
    let rate = |bytes: &[u64]| bytes.iter().sum::<u64>() as f64 * 8.0 / seconds;
    let mean = |column: &[Option<u64>]| {
        let known: Vec<f64> = column.iter().flatten().map(|value| *value as f64).collect();
        if known.is_empty() { "-".to_owned() } else { mbps(known.iter().sum::<f64>() / known.len() as f64) }
    };
    let count = |column: &[u32]| column.iter().map(|count| u64::from(*count)).sum::<u64>();
    let mut queue: Vec<f32> = series.queue_ms.iter().map(|delay| *delay as f32).collect();
    let (p50, p95) = (percentile(&mut queue, 0.5), percentile(&mut queue, 0.95));
    let lost = series.loss.iter().sum::<f64>() / series.loss.len().max(1) as f64;
    let repair = series.rtx_bytes.iter().sum::<u64>() + series.fec_bytes.iter().sum::<u64>();
    let longest = person.freezes.iter().map(|freeze| freeze.seconds).fold(0.0, f64::max);
    [
        person.name.clone(),
        mbps(rate(&series.sent_bytes)),
        mbps(rate(&series.received_bytes)),
        mean(&series.capacity_bps),
        mean(&series.estimate_bps),
        format!("{:.0}/{:.0} ms", p50.unwrap_or_default(), p95.unwrap_or_default()),
        percent(lost),
        share(count(&series.frames_in_time), count(&series.frames_expected)),
        share(count(&series.frames_undecodable), count(&series.frames_whole)),
        share(count(&series.audio_concealed), count(&series.audio_expected)),
        person.freezes.len().to_string(),
        format!("{longest:.2} s"),
        count(&series.key_frame_requests).to_string(),
        share(repair, series.media_bytes.iter().sum()),
    ]
}

fn new_table(header: &[&str], right: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_header(header.iter().copied());
    for column in right {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

const fn met(met: bool) -> &'static str {
    if met { "kept" } else { "MISSED" }
}

fn mbps(bps: f64) -> String {
    format!("{:.2} Mbit/s", bps / 1e6)
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

fn share(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_owned() } else { percent(part as f64 / whole as f64) }
}

/// A figure in four digits, as far as they say something.
fn figure(value: f64) -> String {
    let digits = if value.abs() >= 100.0 {
        1
    } else if value.abs() >= 10.0 {
        2
    } else {
        4
    };
    format!("{value:.digits$}")
}
