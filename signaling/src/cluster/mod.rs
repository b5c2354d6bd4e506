//! Several daemons as one: who is there, who owns which meeting, and what happens when one dies.
//!
//! A meeting that goes on has one owner. Its right is a row in the store, and the store refuses the writes of every owner before
//! ([`Lease`]): two daemons that both believe to own a meeting can do each other no harm, and a clock or a bus that is wrong
//! costs time, not data. Who is alive is on the bus: each daemon renews its presence there, and who has been missed for long
//! enough, while the bus was seen to work, is dead ([`Presence`]). Then any other may claim what it owned.
//!
//! Any daemon takes any participant: one that does not own the meeting passes the WebSocket on to the one that does
//! (`tunnel.rs`). Why not a redirect: clients reach daemons through a load balancer under one name, where the others have no
//! address of their own. Why not over the bus: a message that is lost there would be lost for the participant, and order and
//! back-pressure would have to be made anew; a connection has both.

mod claims;
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

use crate::bus::{Bus, BusError};
use crate::clock::Clock;
use crate::store::{Claim, Lease, Store, StoreError};
use claims::Claims;
pub use notice::{Notice, Notices};
pub use presence::{MISSED_AFTER, PRESENCE_INTERVAL, PRESENCE_TTL, Presence, SETTLE_AFTER};
pub use tunnel::{Forwarded, Owner, TunnelError, Vouched, dial};

/// The hash that daemons are present in: name to URL.
const DAEMONS: &str = "daemons";
/// How long a join waits for a meeting whose owner may be dying: longer than it takes to be sure.
const ROUTE_TIMEOUT: Duration = Duration::from_secs(5);
/// A pause between looks at who owns a meeting.
const ROUTE_INTERVAL: Duration = Duration::from_millis(100);
/// Meetings taken over that may wait to be gone on with.
const WAITING_CHANGES: usize = 1_024;

/// What has become of a meeting without anybody here asking for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Its owner died, and it is this daemon's now.
    Adopted(Lease),
    /// It was this daemon's by this right, and is another's now.
    Lost(Lease),
}

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
    claims: Claims,
}

impl Cluster {
    /// Alone, until [`Self::run`] has looked around.
    #[must_use]
    pub fn new(parts: ClusterParts) -> Self {
        let presence = Mutex::new(Presence::new(parts.id.clone()));
        Self(Arc::new(Inner { parts, presence, leases: Mutex::default(), claims: Claims::new() }))
    }

    /// The daemon's name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.parts.id
    }

    /// Renews this daemon's presence and watches the others' until `shutdown`. Meetings of daemons that died, and those that
    /// were lost to others, come by the receiver of [`Self::changes`].
    pub async fn run(&self, changes: mpsc::Sender<Change>, shutdown: CancellationToken) {
        if let Err(error) = self.look_for_orphans(&changes).await {
            // Those that are needed are claimed when somebody joins.
            tracing::error!(%error, "meetings of a daemon before this one cannot be taken over now");
        }
        if !self.0.parts.bus.is_shared() {
            return shutdown.cancelled().await;
        }
        let mut ticks = interval(PRESENCE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_seen = self.0.parts.clock.now();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                _ = ticks.tick() => {}
            }
            let now = self.0.parts.clock.now();
            if now.saturating_since(last_seen) > PRESENCE_TTL {
                self.check_leases(&changes).await;
            }
            let found_dead = self.look_around().await;
            if self.presence().is_settled() {
                last_seen = now;
            }
            for dead in found_dead {
                tracing::error!(daemon = dead, "a daemon is dead; taking its meetings over");
                if let Err(error) = self.adopt(&dead, &changes).await {
                    // Those that are needed are claimed when somebody joins.
                    tracing::error!(daemon = dead, %error, "its meetings cannot be taken over now");
                }
            }
        }
        if let Err(error) = self.0.parts.bus.remove(DAEMONS, &self.0.parts.id).await {
            tracing::debug!(%error, "the others will miss this daemon by themselves");
        }
    }

    /// The channel of meetings that were taken over or lost.
    #[must_use]
    pub fn changes() -> (mpsc::Sender<Change>, mpsc::Receiver<Change>) {
        mpsc::channel(WAITING_CHANGES)
    }

    /// Tells of meetings that others have taken over: they may have missed this daemon, which was stopped or cut off.
    async fn check_leases(&self, changes: &mpsc::Sender<Change>) {
        match self.usurped().await {
            Ok(leases) => {
                for lease in leases {
                    if changes.send(Change::Lost(lease)).await.is_err() {
                        return;
                    }
                }
            }
            // A meeting's next write to the store tells as well.
            Err(error) => tracing::warn!(%error, "it is not known what is owned still"),
        }
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
        // Only a meeting that is to stay nobody's has no route.
        self.way_to(meeting, true).await?.ok_or(RouteError::Unreachable)
    }

    /// Where a meeting that goes on is; `None` if nobody owns it.
    ///
    /// # Errors
    /// See [`RouteError`].
    pub async fn find(&self, meeting: &MeetingId) -> Result<Option<Route>, RouteError> {
        self.way_to(meeting, false).await
    }

    /// Whether a daemon that had a meeting is surely dead: whoever waits for it waits in vain.
    #[must_use]
    pub fn is_gone(&self, daemon: &str) -> bool {
        self.is_dead(daemon)
    }

    /// Whether the bus answers.
    ///
    /// # Errors
    /// If it does not.
    pub async fn ping_bus(&self) -> Result<(), BusError> {
        self.0.parts.bus.fields(DAEMONS).await.map(drop)
    }

    async fn way_to(&self, meeting: &MeetingId, claims: bool) -> Result<Option<Route>, RouteError> {
        let parts = &self.0.parts;
        let deadline = parts.clock.now() + ROUTE_TIMEOUT;
        loop {
            if let Some(lease) = self.lease(meeting) {
                return Ok(Some(Route::Here(lease)));
            }
            let owner = parts.store.owner(meeting).await?;
            let other = owner.and_then(|owner| Some((owner.daemon?, owner.fence)));
            let is_owned = other.is_some();
            match other.filter(|(daemon, _)| *daemon != parts.id) {
                None if !claims && !is_owned => return Ok(None),
                None => {
                    if let Some(lease) = self.claim(meeting, None).await? {
                        return Ok(Some(Route::Here(lease)));
                    }
                }
                Some((daemon, fence)) if self.is_dead(&daemon) => {
                    if let Some(lease) = self.claim(meeting, Some(fence)).await? {
                        return Ok(Some(Route::Here(lease)));
                    }
                }
                Some((daemon, _)) => {
                    let url = self.presence().url(&daemon);
                    if let Some(url) = url {
                        return Ok(Some(Route::There { daemon, url }));
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
        let _claiming = self.0.claims.one(&lease.meeting).await;
        if self.lease(&lease.meeting).is_some_and(|held| held.fence == lease.fence) {
            self.leases().remove(&lease.meeting);
        }
        self.0.parts.store.release(lease).await
    }

    async fn claim(&self, meeting: &MeetingId, dead_fence: Option<u64>) -> Result<Option<Lease>, StoreError> {
        let _claiming = self.0.claims.one(meeting).await;
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

    async fn adopt(&self, dead: &str, changes: &mpsc::Sender<Change>) -> Result<(), StoreError> {
        let parts = &self.0.parts;
        loop {
            let leases = {
                let _claiming = self.0.claims.all().await;
                let leases = parts.store.claim_some(dead, &parts.id).await?;
                self.leases().extend(leases.iter().map(|lease| (lease.meeting.clone(), lease.clone())));
                leases
            };
            if leases.is_empty() && parts.store.owned_by(dead, None).await?.is_empty() {
                return Ok(());
            }
            for lease in leases {
                if changes.send(Change::Adopted(lease)).await.is_err() {
                    return Ok(());
                }
            }
        }
    }

    /// Those who own something and were there before this daemon: behind a stop of all of them nobody else would miss them.
    async fn look_for_orphans(&self, changes: &mpsc::Sender<Change>) -> Result<(), StoreError> {
        let parts = &self.0.parts;
        for owner in parts.store.owners().await?.into_iter().filter(|owner| *owner != parts.id) {
            if parts.bus.is_shared() {
                self.presence().expect(owner);
            } else {
                self.adopt(&owner, changes).await?;
            }
        }
        Ok(())
    }

    /// The meetings that this daemon believes to own and does not any more: it was away for long.
    async fn usurped(&self) -> Result<Vec<Lease>, StoreError> {
        let parts = &self.0.parts;
        // Not while one is being claimed: it would be in the store and not here, or the other way round.
        let _claiming = self.0.claims.all().await;
        let (mut owned, mut after) = (BTreeMap::new(), None);
        loop {
            let page = parts.store.owned_by(&parts.id, after.as_ref()).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            owned.extend(page);
        }
        let held: Vec<Lease> = self.leases().values().cloned().collect();
        Ok(held.into_iter().filter(|lease| owned.get(&lease.meeting) != Some(&lease.fence)).collect())
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
