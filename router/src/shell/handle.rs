//! A running router, as those who started it hold it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use sluice_wire::control::CloseCode;
use sluice_wire::ticket::{Suite, Ticket};
use sluice_wire::track::ParticipantId;
use tokio::sync::watch;
use tokio::task::JoinHandle as TaskHandle;
use tokio::time::timeout;
use tokio_util::sync::DropGuard;

use super::stats::{ControlStatus, Published, RouterSnapshot, ShardSnapshot};
use super::switchboard::{CommandError, OpenError, Switchboard};
use super::thread::ShardFailure;
use crate::clock::Clock;
use crate::core::{Policy, Rights, SessionName};

/// Signaling is told of the end for at most this long, after the shards have stopped.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// What can be looked at from anywhere.
#[derive(Clone, Debug)]
pub(crate) struct Gallery {
    pub(crate) shards: Arc<[Arc<Published<ShardSnapshot>>]>,
    pub(crate) control: Option<Arc<Published<ControlStatus>>>,
}

impl Gallery {
    pub(crate) fn snapshot(&self) -> RouterSnapshot {
        RouterSnapshot {
            shards: self.shards.iter().map(|shard| shard.get()).collect(),
            control: self.control.as_ref().map(|control| control.get()),
        }
    }
}

/// A running router. Dropping it ends its sessions and stops it, without waiting.
#[derive(Debug)]
pub struct RouterHandle {
    pub(super) clock: Clock,
    pub(super) udp_addresses: Vec<SocketAddr>,
    pub(super) public_addresses: Vec<SocketAddr>,
    pub(super) metrics_address: Option<SocketAddr>,
    pub(super) switchboard: Arc<Switchboard>,
    pub(super) gallery: Gallery,
    pub(super) failed: watch::Receiver<Option<ShardFailure>>,
    pub(super) threads: Vec<JoinHandle<()>>,
    pub(super) farewells: Vec<TaskHandle<()>>,
    /// Ends the tasks that would go on for ever.
    pub(super) _tasks: DropGuard,
}

impl RouterHandle {
    /// The router's clock. Whatever runs beside it in this process should share it.
    #[must_use]
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// The bound UDP addresses, IPv4 first.
    #[must_use]
    pub fn udp_addresses(&self) -> &[SocketAddr] {
        &self.udp_addresses
    }

    /// The addresses that go into tickets.
    #[must_use]
    pub fn public_addresses(&self) -> &[SocketAddr] {
        &self.public_addresses
    }

    /// Where metrics are, if they are anywhere.
    #[must_use]
    pub const fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// What the router counted and holds, at most 100 ms old while anything happens.
    #[must_use]
    pub fn snapshot(&self) -> RouterSnapshot {
        self.gallery.snapshot()
    }

    /// Opens a session in `room`, which is made if it does not exist. A session that the participant has there ends.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was opened then.
    pub async fn open_session(
        &self,
        room: &str,
        participant: ParticipantId,
        suite: Suite,
    ) -> Result<Ticket, OpenError> {
        self.open_session_with(room, participant, suite, Rights::default()).await
    }

    /// Opens a session with other rights than those of somebody in a meeting.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was opened then.
    pub async fn open_session_with(
        &self,
        room: &str,
        participant: ParticipantId,
        suite: Suite,
        rights: Rights,
    ) -> Result<Ticket, OpenError> {
        self.switchboard.open(room, participant, suite, rights).await
    }

    /// Changes the policy of a room. Nothing happens if there is none of the name; a room forgets its policy when its last
    /// session ends.
    ///
    /// # Errors
    /// [`CommandError`] if the shard did not take the command.
    pub fn set_policy(&self, room: &str, policy: Policy) -> Result<(), CommandError> {
        self.switchboard.set_policy(room, policy)
    }

    /// Ends a participant's session; with `session` given, only if it is that one. Nothing happens if there is none.
    ///
    /// # Errors
    /// [`CommandError`] if the shard did not take the command.
    pub fn close_session(
        &self,
        room: &str,
        participant: ParticipantId,
        session: Option<SessionName>,
        code: CloseCode,
    ) -> Result<(), CommandError> {
        self.switchboard.close(room, participant, session, code)
    }

    /// Ends all sessions of a room. Nothing happens if there is none of the name.
    ///
    /// # Errors
    /// [`CommandError`] if the shard did not take the command.
    pub fn close_room(&self, room: &str, code: CloseCode) -> Result<(), CommandError> {
        self.switchboard.close_room(room, code)
    }

    /// Waits until a shard fails, for ever if none does. The router is of no use then: drop it.
    pub async fn failed(&self) -> ShardFailure {
        let mut failed = self.failed.clone();
        if let Ok(failure) = failed.wait_for(Option::is_some).await
            && let Some(failure) = failure.clone()
        {
            return failure;
        }
        std::future::pending().await
    }

    /// Ends all sessions, telling their clients and signaling, and waits until everything has stopped: at most 1 s for the
    /// clients and another for signaling. Returns the last snapshot.
    pub async fn shutdown(mut self) -> RouterSnapshot {
        self.switchboard.stop();
        let threads = std::mem::take(&mut self.threads);
        let joined = tokio::task::spawn_blocking(move || {
            // A thread that panicked has told so already.
            threads.into_iter().filter_map(|thread| thread.join().err()).count()
        });
        if joined.await.unwrap_or(1) > 0 {
            tracing::warn!("a shard's thread did not end well");
        }
        for farewell in std::mem::take(&mut self.farewells) {
            if timeout(FAREWELL_TIMEOUT, farewell).await.is_err() {
                tracing::warn!("signaling was not told of everything in time");
            }
        }
        self.snapshot()
    }
}

impl Drop for RouterHandle {
    fn drop(&mut self) {
        self.switchboard.stop();
    }
}
