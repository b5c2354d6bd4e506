//! What the programs that run swarms show: lines that survive a reader who has gone away, and the progress of a run.

use std::io::{IsTerminal as _, Write as _, stderr, stdout};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::progress::{Phase, Progress, Snapshot};

/// Fast enough to look alive.
const BAR_INTERVAL: Duration = Duration::from_millis(100);
const LINE_INTERVAL: Duration = Duration::from_secs(1);
const TEMPLATE: &str = "{spinner:.green} {prefix:24} {bar:40.cyan} {elapsed}\n{msg}";

/// Writes a line of a result to standard output. Nobody reads it when that fails, and what runs goes on.
pub fn say(line: &str) {
    writeln!(stdout(), "{line}").ok();
}

/// Writes a line about the way there to standard error. As [`say`], it cannot fail.
pub fn complain(line: &str) {
    writeln!(stderr(), "{line}").ok();
}

/// The progress of a run on standard error while it goes on: a bar with figures in a terminal, a line a second elsewhere.
#[derive(Debug)]
pub struct View {
    closed: CancellationToken,
    task: JoinHandle<()>,
}

impl View {
    /// Shows the progress of a run that is to be measured for `duration`, until [`Self::close`]. Needs a tokio runtime.
    #[must_use]
    pub fn show(progress: Arc<Progress>, duration: Duration) -> Self {
        let closed = CancellationToken::new();
        let bar = stderr().is_terminal().then(|| bar(duration));
        let task = tokio::spawn(follow(progress, duration, bar, closed.clone()));
        Self { closed, task }
    }

    /// Takes the view away.
    pub async fn close(self) {
        self.closed.cancel();
        // One that panicked has nothing left to show.
        self.task.await.ok();
    }
}

fn bar(duration: Duration) -> ProgressBar {
    let bar = ProgressBar::new(millis(duration));
    // A test rules out that the template is wrong.
    if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
        bar.set_style(style);
    }
    bar
}

async fn follow(
    progress: Arc<Progress>,
    duration: Duration,
    bar: Option<ProgressBar>,
    closed: CancellationToken,
) {
    let interval = if bar.is_some() { BAR_INTERVAL } else { LINE_INTERVAL };
    while timeout(interval, closed.cancelled()).await.is_err() {
        let now = progress.snapshot();
        match &bar {
            Some(bar) => {
                bar.set_prefix(now.phase.label());
                bar.set_position(position(&now, duration));
                bar.set_message(figures(&now, "\n"));
                bar.tick();
            }
            None => complain(&line(&now, duration)),
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How much of the measured time is over, in milliseconds.
fn position(now: &Snapshot, duration: Duration) -> u64 {
    match now.phase {
        Phase::Creating | Phase::Joining | Phase::Settling => 0,
        Phase::Measuring => now.measured_ms.min(millis(duration)),
        Phase::Draining | Phase::Leaving | Phase::Done => millis(duration),
    }
}

fn line(now: &Snapshot, duration: Duration) -> String {
    let seconds = position(now, duration) as f64 / 1_000.0;
    format!("{} {seconds:.0}/{} s: {}", now.phase.label(), duration.as_secs(), figures(now, "; "))
}

fn figures(now: &Snapshot, separator: &str) -> String {
    let people = format!("{} in, {} tracks published", now.connected, now.tracks_published);
    let streams =
        format!("{} of {} subscriptions show something", now.subscriptions_flowing, now.subscriptions);
    let packets = format!("RTP: {} sent, {} received, {} lost", now.rtp_sent, now.rtp_received, now.rtp_lost);
    let frames = format!(
        "frames: {} sent, {} received intact, {} corrupt",
        now.frames_sent, now.frames_intact, now.frames_corrupt
    );
    [people, streams, packets, frames].join(separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DURATION: Duration = Duration::from_secs(10);

    #[test]
    fn the_template_is_one() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
        assert_eq!(bar(DURATION).length(), Some(10_000));
    }

    #[test]
    fn the_bar_does_not_run_beyond_its_end() {
        let at =
            |phase, measured_ms| position(&Snapshot { phase, measured_ms, ..Snapshot::default() }, DURATION);
        assert_eq!(at(Phase::Settling, 500), 0);
        assert_eq!(at(Phase::Measuring, 3_000), 3_000);
        assert_eq!(at(Phase::Measuring, 10_080), 10_000);
        assert_eq!(at(Phase::Draining, 100), 10_000);
    }

    #[test]
    fn a_line_says_it_all() {
        let now = Snapshot {
            phase: Phase::Measuring,
            measured_ms: 4_000,
            frames_intact: 77,
            ..Snapshot::default()
        };
        let line = line(&now, DURATION);
        assert!(line.starts_with("measuring 4/10 s: 0 in") && line.contains("77 received intact"), "{line}");
    }
}
