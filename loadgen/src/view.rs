//! What is shown in the terminal while a run goes on.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use sluice_loadgen::progress::{Progress, Snapshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How often the line is drawn.
const DRAW_INTERVAL: Duration = Duration::from_millis(200);
const TEMPLATE: &str = "{spinner} {bar:24} {msg}";

/// A line of progress on standard error; nothing where that is no terminal.
#[derive(Debug)]
pub(crate) struct View {
    closing: CancellationToken,
    task: JoinHandle<()>,
}

impl View {
    pub(crate) fn show(progress: Arc<Progress>, duration: Duration) -> Self {
        let closing = CancellationToken::new();
        let task = tokio::spawn(draw(progress, duration, closing.clone()));
        Self { closing, task }
    }

    /// Wipes the line away.
    pub(crate) async fn close(self) {
        self.closing.cancel();
        // It has nothing to say.
        drop(self.task.await);
    }
}

async fn draw(progress: Arc<Progress>, duration: Duration, closing: CancellationToken) {
    let bar = ProgressBar::new(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
        bar.set_style(style);
    }
    while tokio::time::timeout(DRAW_INTERVAL, closing.cancelled()).await.is_err() {
        let now = progress.snapshot();
        bar.set_position(now.measured_ms);
        bar.set_message(words(&now));
        // Also turns the spinner, so that a wait does not look like a hang.
        bar.tick();
    }
    bar.finish_and_clear();
}

fn words(now: &Snapshot) -> String {
    let people = format!("{}/{} in", now.connected, now.joined.max(now.connected));
    let flowing = format!("{}/{} subscriptions", now.subscriptions_flowing, now.subscriptions);
    let frames = format!("{} frames intact, {} not", now.frames_intact, now.frames_corrupt);
    format!("{}: {people}, {flowing}, {frames}, {} packets lost", now.phase.label(), now.rtp_lost)
}

/// Writes a line to standard output. Whoever closed it does not want to read.
pub(crate) fn say(text: &str) {
    drop(writeln!(std::io::stdout(), "{text}"));
}

/// Writes a line to standard error.
pub(crate) fn complain(text: &str) {
    drop(writeln!(std::io::stderr(), "{text}"));
}
