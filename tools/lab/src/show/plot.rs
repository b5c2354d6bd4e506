//! Results as plots: per person, rates above and queue and freezes below, over time.

use plotters::prelude::*;

use crate::SAMPLE_SECONDS;
use crate::campaign::Report;
use crate::record::{PersonRecord, Run};

/// People of a plot; more would be too small to see.
const MAX_PEOPLE: usize = 10;
const WIDTH: u32 = 1_000;
/// Pixels per person: rates and queue.
const RATE_HEIGHT: u32 = 260;
const QUEUE_HEIGHT: u32 = 140;
const TITLE_HEIGHT: u32 = 40;
const LABEL_PIXELS: u32 = 70;
/// Half of the last label of the time axis.
const RIGHT_MARGIN: u32 = 20;
const FONT: &str = "sans-serif";
/// Rates are averaged over as many samples, so that single frames do not hide what goes on.
const SMOOTHED_SAMPLES: usize = 5;

/// A plot cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot plot: {0}")]
pub struct PlotError(String);

type Root<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// The first run of a report as SVG.
///
/// # Errors
/// [`PlotError`] if there is no run, or nobody in it who receives.
pub fn plot(report: &Report) -> Result<String, PlotError> {
    let run = report.runs.first().ok_or_else(|| PlotError("there is no run".to_owned()))?;
    let people: Vec<&PersonRecord> =
        run.people.iter().filter(|person| person.receives).take(MAX_PEOPLE).collect();
    if people.is_empty() {
        return Err(PlotError("nobody receives anything".to_owned()));
    }
    let mut svg = String::new();
    draw(report, run, &people, &mut svg).map_err(|error| PlotError(error.to_string()))?;
    Ok(svg)
}

fn draw(
    report: &Report,
    run: &Run,
    people: &[&PersonRecord],
    svg: &mut String,
) -> Result<(), Box<dyn std::error::Error>> {
    let height = TITLE_HEIGHT + people.len() as u32 * (RATE_HEIGHT + QUEUE_HEIGHT);
    let root = SVGBackend::with_string(svg, (WIDTH, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let title = format!("{}, seed {} ({})", report.full_name(), run.seed, report.runner);
    let (head, mut rest) = root.split_vertically(TITLE_HEIGHT);
    head.draw(&Text::new(title, (10, 10), (FONT, 18)))?;
    for person in people {
        let (rates, below) = rest.split_vertically(RATE_HEIGHT);
        let (queue, below) = below.split_vertically(QUEUE_HEIGHT);
        rest = below;
        draw_rates(&rates, person)?;
        draw_queue(&queue, person)?;
    }
    root.present()?;
    Ok(())
}

fn draw_rates(area: &Root<'_>, person: &PersonRecord) -> Result<(), Box<dyn std::error::Error>> {
    let series = &person.series;
    let rate = |bytes: &[u64]| smoothed(bytes);
    let line = |values: &[Option<u64>]| -> Vec<(f64, f64)> {
        let known = values.iter().enumerate().filter_map(|(sample, value)| Some((sample, (*value)?)));
        known.map(|(sample, value)| (sample as f64 * SAMPLE_SECONDS, value as f64 / 1e6)).collect()
    };
    let (sent, received) = (rate(&series.sent_bytes), rate(&series.received_bytes));
    let (capacity, estimate) = (line(&series.capacity_bps), line(&series.estimate_bps));
    // A capacity or an estimate far above all that is sent would press the rest to the ground.
    let highest = |points: &[(f64, f64)]| points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let flowing = highest(&sent).max(highest(&received));
    let top = flowing.max(highest(&capacity).max(highest(&estimate)).min(2.0 * flowing)).max(0.1) * 1.1;
    let mut chart = ChartBuilder::on(area)
        .caption(&person.name, (FONT, 15))
        .margin(6)
        .margin_right(RIGHT_MARGIN)
        .x_label_area_size(20)
        .y_label_area_size(LABEL_PIXELS)
        .build_cartesian_2d(0.0..seconds(person), 0.0..top)?;
    chart.configure_mesh().y_desc("Mbit/s").y_labels(6).light_line_style(WHITE).draw()?;
    let within = |points: Vec<(f64, f64)>| points.into_iter().map(move |(x, y)| (x, y.min(top)));
    let lines = [
        ("capacity", BLACK, steps(&capacity)),
        ("sent", BLUE, sent),
        ("received", RGBColor(0, 140, 60), received),
        ("estimate", RGBColor(230, 120, 0), estimate),
    ];
    for (name, color, points) in lines.into_iter().filter(|(_, _, points)| !points.is_empty()) {
        chart
            .draw_series(LineSeries::new(within(points), color))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .label_font((FONT, 12))
        .draw()?;
    Ok(())
}

fn draw_queue(area: &Root<'_>, person: &PersonRecord) -> Result<(), Box<dyn std::error::Error>> {
    let points: Vec<(f64, f64)> = (person.series.queue_ms.iter().enumerate())
        .map(|(sample, delay)| (sample as f64 * SAMPLE_SECONDS, *delay))
        .collect();
    let top = points.iter().map(|(_, delay)| *delay).fold(10.0, f64::max) * 1.1;
    let mut chart = ChartBuilder::on(area)
        .margin(6)
        .margin_right(RIGHT_MARGIN)
        .x_label_area_size(20)
        .y_label_area_size(LABEL_PIXELS)
        .build_cartesian_2d(0.0..seconds(person), 0.0..top)?;
    chart.configure_mesh().y_desc("queue, ms").y_labels(4).light_line_style(WHITE).draw()?;
    let freezes = person.freezes.iter().map(|freeze| {
        Rectangle::new([(freeze.from_s, 0.0), (freeze.from_s + freeze.seconds, top)], RED.mix(0.35).filled())
    });
    chart
        .draw_series(freezes)?
        .label("frozen")
        .legend(|(x, y)| Rectangle::new([(x, y - 4), (x + 16, y + 4)], RED.mix(0.35).filled()));
    chart.draw_series(LineSeries::new(points, RGBColor(120, 60, 160)))?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .label_font((FONT, 12))
        .draw()?;
    Ok(())
}

fn seconds(person: &PersonRecord) -> f64 {
    person.series.sent_bytes.len() as f64 * SAMPLE_SECONDS
}

/// Bytes per sample as Mbit/s, averaged.
fn smoothed(bytes: &[u64]) -> Vec<(f64, f64)> {
    (0..bytes.len())
        .map(|sample| {
            let first = (sample + 1).saturating_sub(SMOOTHED_SAMPLES);
            let sum: u64 = bytes[first..=sample].iter().sum();
            let seconds = (sample + 1 - first) as f64 * SAMPLE_SECONDS;
            ((sample + 1) as f64 * SAMPLE_SECONDS, sum as f64 * 8.0 / 1e6 / seconds)
        })
        .collect()
}

/// A line that stays until it jumps.
fn steps(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let corners = points.windows(2).flat_map(|pair| [pair[0], (pair[1].0, pair[0].1)]);
    corners.chain(points.last().copied()).collect()
}
