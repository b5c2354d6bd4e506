//! The report for people.

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};

use super::{Percentiles, Report, Selective};

/// The report as a table, with the verdict and broken promises below it.
#[must_use]
pub fn table(report: &Report) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    for (name, value) in rows(report) {
        table.add_row([name.to_owned(), value]);
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let verdict = if report.ok { "OK: every promise was kept" } else { "NOT OK" };
    let errors: String = report.errors.iter().map(|error| format!("\n  - {error}")).collect();
    format!("{table}\n{verdict}{errors}")
}

fn rows(report: &Report) -> Vec<(&'static str, String)> {
    let flowing = format!("{} of {}", grouped(report.subscriptions_flowing), grouped(report.subscriptions));
    let connected = format!("{} of {}", grouped(report.participants_connected), grouped(report.participants));
    let mut rows = vec![
        ("rooms", grouped(report.rooms)),
        ("participants connected", connected),
        ("tracks published", grouped(report.tracks_published)),
        ("subscriptions flowing", flowing),
        ("measured", format!("{:.1} s", report.duration_s)),
        ("RTP packets sent", grouped(report.rtp_sent)),
        ("RTP packets received", grouped(report.rtp_received)),
        ("RTP packets lost", format!("{} of {}", grouped(report.rtp_lost), grouped(report.rtp_expected))),
        ("frames sent", grouped(report.frames_sent)),
        (
            "frames received intact",
            format!("{} of {}", grouped(report.frames_received_intact), grouped(report.frames_expected)),
        ),
        ("frames corrupt", grouped(report.frames_corrupt)),
        ("authentication failures", grouped(report.auth_failures)),
        ("key frames requested", grouped(report.key_frame_requests)),
        ("uplink", mbps(report.uplink_bps)),
        ("downlink", mbps(report.downlink_bps)),
        ("join p50 / p99 / max", percentiles(&report.join_ms, 1.0)),
    ];
    if let Some(latency) = &report.latency_us {
        rows.push(("latency p50 / p99 / max", percentiles(latency, 1_000.0)));
    }
    if let Some(pacing) = &report.pacing_us {
        rows.push(("own lateness p50 / p99 / max", percentiles(pacing, 1_000.0)));
    }
    if let Some(selective) = &report.selective {
        rows.extend(selective_rows(selective));
    }
    rows
}

fn selective_rows(selective: &Selective) -> Vec<(&'static str, String)> {
    let times =
        |times: &Option<Percentiles>| times.as_ref().map_or("-".to_owned(), |times| percentiles(times, 1.0));
    let (egress, selected) = selective.mean_rates();
    let ratios =
        selective.ratios().map_or("-".to_owned(), |(least, most)| format!("{least:.3} to {most:.3}"));
    vec![
        ("scenario", selective.scenario.clone()),
        ("frames undecodable", grouped(selective.frames_undecodable)),
        ("frames larger than asked for", grouped(selective.frames_oversized)),
        ("sequence gaps", grouped(selective.sequence_gaps)),
        (
            "layer switches (fewest)",
            format!("{} ({})", grouped(selective.layer_switches), grouped(selective.layer_switches_fewest)),
        ),
        ("switches overdue", grouped(selective.switches_overdue)),
        ("switch p50 / p99 / max", times(&selective.switch_ms)),
        ("first frame p50 / p99 / max", times(&selective.first_frame_ms)),
        ("changes of speakers and voices", grouped(selective.source_changes)),
        ("freezes", format!("{} ({:.4} % of the time)", selective.freezes, selective.freeze_ratio * 100.0)),
        ("egress / selected, a receiver", format!("{} / {}", mbps(egress), mbps(selected))),
        ("egress by selected", ratios),
        ("uplink saved by demand", mbps(selective.uplink_saved_bits_per_second)),
    ]
}

fn mbps(bps: u64) -> String {
    format!("{:.1} Mbit/s", bps as f64 / 1e6)
}

/// Milliseconds, from units of which so many are one.
fn percentiles(percentiles: &Percentiles, per_ms: f64) -> String {
    let [p50, p99, max] =
        [percentiles.p50, percentiles.p99, percentiles.max].map(|value| value as f64 / per_ms);
    let places = if per_ms > 1.0 { 2 } else { 0 };
    format!("{p50:.places$} / {p99:.places$} / {max:.places$} ms")
}

/// A number with its thousands set apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 12, 999, 1_000, 1_234_567].map(grouped), ["0", "12", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn the_table_has_a_scenarios_figures() {
        let selective = Selective {
            scenario: "switches".to_owned(),
            switch_ms: Some(Percentiles { p50: 40, p99: 480, max: 502 }),
            freeze_ratio: 0.000_5,
            ..Selective::default()
        };
        let text = table(&Report { selective: Some(selective), ..Report::default() });
        for part in ["switches", "40 / 480 / 502 ms", "0.0500 %", "uplink saved by demand"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn the_table_says_what_was_broken() {
        let mut report = Report { ok: true, rtp_sent: 12_345, ..Report::default() };
        report.latency_us = Some(Percentiles { p50: 230, p99: 1_500, max: 20_000 });
        let text = table(&report);
        assert!(text.contains("12,345") && text.contains("0.23 / 1.50 / 20.00 ms"), "{text}");
        assert!(text.ends_with("OK: every promise was kept"), "{text}");
        report.ok = false;
        report.errors = vec!["3 frames were corrupt".to_owned()];
        assert!(table(&report).ends_with("NOT OK\n  - 3 frames were corrupt"));
    }
}
