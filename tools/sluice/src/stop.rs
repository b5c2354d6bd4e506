//! How commands are asked to end.

use std::io;

use tokio::signal::ctrl_c;
use tokio_util::sync::CancellationToken;

/// What a shell reports for a process that an interrupt ended.
const INTERRUPTED: i32 = 130;

/// A token that Ctrl-C or a request to terminate cancels. Who asks a second time does not want to wait.
///
/// # Errors
/// If the system refuses to tell of signals.
pub(crate) fn on_request() -> io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let cancelled = stop.clone();
    let mut termination = Termination::new()?;
    tokio::spawn(async move {
        for is_second in [false, true] {
            tokio::select! {
                interrupted = ctrl_c() => if interrupted.is_err() { return },
                () = termination.requested() => {}
            }
            if is_second {
                std::process::exit(INTERRUPTED);
            }
            cancelled.cancel();
        }
    });
    Ok(stop)
}

/// The polite signal that service managers send, where there is one.
#[cfg(unix)]
struct Termination(tokio::signal::unix::Signal);

#[cfg(unix)]
impl Termination {
    fn new() -> io::Result<Self> {
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).map(Self)
    }

    async fn requested(&mut self) {
        self.0.recv().await;
    }
}

#[cfg(not(unix))]
struct Termination;

#[cfg(not(unix))]
impl Termination {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn requested(&mut self) {
        std::future::pending().await
    }
}
