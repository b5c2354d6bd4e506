//! Several daemons as one: who is there, who owns which meeting, and what happens when one dies.
//!
//! A meeting that goes on has one owner. Its right is a row in the store, and the store refuses the writes of every owner before
//! ([`Lease`]): two daemons that both believe to own a meeting can do each other no harm, and a clock or a bus that is wrong
//! costs time, not data. Who is alive is on the bus: each daemon renews its presence there, and who has been missed for long
//! enough, while the bus was seen to work, is dead ([`Presence`]). Then any other may claim what it owned.
//!
//! Any daemon takes any participant: one that does not own the meeting passes the WebSocket on to the one that does
//! ([`tunnel`]). Why not a redirect: clients reach daemons through a load balancer under one name, where the others have no
//! address of their own. Why not over the bus: a message that is lost there would be lost for the participant, and order and
//! back-pressure would have to be made anew; a connection has both.

mod notice;
mod presence;
mod tunnel;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sluice_wire::signaling::MeetingId;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::bus::Bus;
use crate::clock::Clock;
use crate::store::{Claim, Lease, Store, StoreError};
pub use notice::{Notice, Notices};
pub use presence::{MISSED_AFTER, PRESENCE_INTERVAL, PRESENCE_TTL, Presence, SETTLE_AFTER};
pub use tunnel::{FORWARDED_ADDRESS_HEADER, FORWARDED_TOKEN_HEADER, Owner, TunnelError, dial, tunnel};

/// The hash that daemons are present in: name to URL.
const DAEMONS: &str = "daemons";
/// How long a join waits for a meeting whose owner may be dying: longer than it takes to be sure.
const ROUTE_TIMEOUT: Duration = Duration::from_secs(5);
/// A pause between looks at who owns a meeting.
const ROUTE_INTERVAL: Duration = Duration::from_millis(100);
/// Meetings taken over that may wait to be gone on with.
const ADOPTED_LEASES: usize = 1_024;

/// Where a meeting is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Here, by this right.
    Here(Lease),
    /// At another daemon.
    There {
        /// Its name.
        daemon: String,
        /// Where it takes connections of other daemons, such as `ws://10.0.0.7:8080`.
        url: String,
    },
}

/// Why it is not known where a meeting is.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// Its owner is neither there nor surely dead.
    #[error("the meeting's owner cannot be reached")]
    Unreachable,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a [`Cluster`] is made of.
#[derive(Clone)]
pub struct ClusterParts {
    /// The daemon's name: of this process and no other.
    pub id: String,
    /// Where other daemons reach this one. Empty if there are none.
    pub url: String,
    /// Who is there.
    pub bus: Arc<dyn Bus>,
    /// Who owns what.
    pub store: Arc<dyn Store>,
    /// Tells the time.
    pub clock: Clock,
}

/// This daemon among others. Cheap to clone.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    parts: ClusterParts,
    presence: Mutex<Presence>,
    leases: Mutex<BTreeMap<MeetingId, Lease>>,
    /// Claims are made one at a time: a second claim of the same daemon would fence off the first.
    claiming: tokio::sync::Mutex<()>,
}

impl Cluster {
    /// Alone, until [`Self::run`] has looked around.
    #[must_use]
    pub fn new(parts: ClusterParts) -> Self {
        let presence = Mutex::new(Presence::new(parts.id.clone()));
        let claiming = tokio::sync::Mutex::new(());
        Self(Arc::new(Inner { parts, presence, leases: Mutex::default(), claiming }))
    }

    /// The daemon's name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.parts.id
    }

    /// Renews this daemon's presence and watches the others' until `shutdown`. Meetings of daemons that died come by the
    /// receiver of [`Self::adopted`].
    pub async fn run(&self, adopted: mpsc::Sender<Lease>, shutdown: CancellationToken) {
        if !self.0.parts.bus.is_shared() {
            return shutdown.cancelled().await;
        }
        let mut ticks = interval(PRESENCE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                _ = ticks.tick() => {}
            }
            for dead in self.look_around().await {
                tracing::error!(daemon = dead, "a daemon is dead; taking its meetings over");
                if let Err(error) = self.adopt(&dead, &adopted).await {
                    // Those that are needed are claimed when somebody joins.
                    tracing::error!(daemon = dead, %error, "its meetings cannot be taken over now");
                }
            }
        }
        if let Err(error) = self.0.parts.bus.remove(DAEMONS, &self.0.parts.id).await {
            tracing::debug!(%error, "the others will miss this daemon by themselves");
        }
    }

    /// The channel of meetings that were taken over.
    #[must_use]
    pub fn adopted() -> (mpsc::Sender<Lease>, mpsc::Receiver<Lease>) {
        mpsc::channel(ADOPTED_LEASES)
    }

    /// Says that this daemon is there, and looks who else is; the daemons that were found dead just now.
    async fn look_around(&self) -> Vec<String> {
        let parts = &self.0.parts;
        let me = [(parts.id.clone(), parts.url.clone())];
        let seen = match parts.bus.put(DAEMONS, &me, PRESENCE_TTL).await {
            Ok(()) => parts.bus.fields(DAEMONS).await,
            Err(error) => Err(error),
        };
        let seen = seen.inspect_err(|error| tracing::warn!(%error, "the bus does not answer")).ok();
        self.presence().observe(parts.clock.now(), seen)
    }

    /// Where a meeting is. One that nobody owns, or whose owner is dead, is this daemon's from now on.
    ///
    /// # Errors
    /// See [`RouteError`].
    pub async fn route(&self, meeting: &MeetingId) -> Result<Route, RouteError> {
        let parts = &self.0.parts;
        let deadline = parts.clock.now() + ROUTE_TIMEOUT;
        loop {
            if let Some(lease) = self.lease(meeting) {
                return Ok(Route::Here(lease));
            }
            let owner = parts.store.owner(meeting).await?;
            let other = owner.and_then(|owner| Some((owner.daemon?, owner.fence)));
            match other.filter(|(daemon, _)| *daemon != parts.id) {
                None => {
                    if let Some(lease) = self.claim(meeting, None).await? {
                        return Ok(Route::Here(lease));
                    }
                }
                Some((daemon, fence)) if self.is_dead(&daemon) => {
                    if let Some(lease) = self.claim(meeting, Some(fence)).await? {
                        return Ok(Route::Here(lease));
                    }
                }
                Some((daemon, _)) => {
                    let url = self.presence().url(&daemon);
                    if let Some(url) = url {
                        return Ok(Route::There { daemon, url });
                    }
                }
            }
            if parts.clock.now() >= deadline {
                return Err(RouteError::Unreachable);
            }
            sleep(ROUTE_INTERVAL).await;
        }
    }

    /// The right to a meeting that this daemon owns.
    #[must_use]
    pub fn lease(&self, meeting: &MeetingId) -> Option<Lease> {
        self.leases().get(meeting).cloned()
    }

    /// Where ownership is decided.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        self.0.parts.store.as_ref()
    }

    /// The meetings that this daemon owns.
    #[must_use]
    pub fn held(&self) -> Vec<MeetingId> {
        self.leases().keys().cloned().collect()
    }

    /// Gives a meeting back that is over, empty, or was lost to another daemon.
    ///
    /// # Errors
    /// If the store fails; the meeting is this daemon's no more all the same.
    pub async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        // Not while it is being claimed anew.
        let _claiming = self.0.claiming.lock().await;
        if self.lease(&lease.meeting).is_some_and(|held| held.fence == lease.fence) {
            self.leases().remove(&lease.meeting);
        }
        self.0.parts.store.release(lease).await
    }

    async fn claim(&self, meeting: &MeetingId, dead_fence: Option<u64>) -> Result<Option<Lease>, StoreError> {
        let _claiming = self.0.claiming.lock().await;
        if let Some(lease) = self.lease(meeting) {
            return Ok(Some(lease));
        }
        match self.0.parts.store.claim(meeting, &self.0.parts.id, dead_fence).await? {
            Claim::Granted(lease) => {
                self.leases().insert(meeting.clone(), lease.clone());
                Ok(Some(lease))
            }
            Claim::Taken(_) => Ok(None),
        }
    }

    async fn adopt(&self, dead: &str, adopted: &mpsc::Sender<Lease>) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let owned = self.0.parts.store.owned_by(dead, after.as_ref()).await?;
            let Some((last, _)) = owned.last() else { return Ok(()) };
            after = Some(last.clone());
            for (meeting, fence) in owned {
                if let Some(lease) = self.claim(&meeting, Some(fence)).await?
                    && adopted.send(lease).await.is_err()
                {
                    return Ok(());
                }
            }
        }
    }

    fn is_dead(&self, daemon: &str) -> bool {
        // On a bus that nobody shares there is nobody else.
        !self.0.parts.bus.is_shared() || self.presence().is_dead(daemon, self.0.parts.clock.now())
    }

    fn presence(&self) -> MutexGuard<'_, Presence> {
        // Each use leaves it whole, whatever panics elsewhere.
        self.0.presence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leases(&self) -> MutexGuard<'_, BTreeMap<MeetingId, Lease>> {
        self.0.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
