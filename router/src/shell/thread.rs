//! A shard's thread, and what happens when it dies.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};

use tokio::sync::watch;

/// A shard died. Its sessions are lost, so the process that runs the router should end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("shard {shard} failed: {message}")]
pub struct ShardFailure {
    /// Which one.
    pub shard: usize,
    /// What it said.
    pub message: String,
}

/// Runs `body` on a thread of its own, on core `pin_to` (counted around those that there are) if given. A panic and an error
/// are told to `failures`.
pub(super) fn spawn(
    shard: usize,
    pin_to: Option<usize>,
    failures: watch::Sender<Option<ShardFailure>>,
    body: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    // Asked for here, since a thread that is pinned sees only its own core.
    let cores = pin_to.and_then(|_| core_affinity::get_core_ids()).unwrap_or_default();
    let core = pin_to.filter(|_| !cores.is_empty()).map(|number| cores[number % cores.len()]);
    Builder::new().name(format!("shard-{shard}")).spawn(move || {
        if core.is_some_and(|core| !core_affinity::set_for_current(core)) {
            tracing::warn!(shard, "the thread could not be pinned to a core");
        }
        let message = match catch_unwind(AssertUnwindSafe(body)) {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(panic) => text_of(panic.as_ref()),
        };
        tracing::error!(shard, message, "the shard failed; its sessions are lost");
        failures.send_if_modified(|failure| {
            let is_first = failure.is_none();
            failure.get_or_insert(ShardFailure { shard, message });
            is_first
        });
    })
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_and_so_is_an_error() {
        let (failures, failed) = watch::channel(None);
        spawn(3, Some(1_000), failures.clone(), || panic!("on purpose")).unwrap().join().unwrap();
        let expected = ShardFailure { shard: 3, message: "on purpose".to_owned() };
        assert_eq!(*failed.borrow(), Some(expected.clone()));
        spawn(4, None, failures, || Err(io::Error::other("second"))).unwrap().join().unwrap();
        assert_eq!(*failed.borrow(), Some(expected), "the first failure is the one to look at");
    }

    #[test]
    fn a_thread_that_ends_has_not_failed() {
        let (failures, failed) = watch::channel(None);
        spawn(0, None, failures, || Ok(())).unwrap().join().unwrap();
        assert_eq!(*failed.borrow(), None);
    }
}
