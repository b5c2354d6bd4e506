//! Which meetings there are, and which of them are going on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sluice_wire::signaling::{DisplayName, MeetingId, Resume};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::membership::{Command, Membership};
use super::outbox::Outbox;
use super::task;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::meeting::{Arrival, CloseCode, ConnectionId, Grant, MeetingSettings, MeetingTiming};
use crate::metrics::Metrics;
use crate::rate::spread_millis;
use crate::routers::{RouterEvent, Routers};
use crate::secrets::token;
use crate::store::{Store, StoreError};

/// Messages that may wait for a meeting while it writes to the store what the last batch of them came to: some 2 MiB at worst.
const MAILBOX_COMMANDS: usize = 8_192;
/// Over how long those come back whose meeting has another owner: as long as that takes to be sure, so that few wait.
const MOVED_SPREAD: Duration = Duration::from_secs(2);

/// What the meetings need.
#[derive(Clone)]
pub struct MeetingsParts {
    /// Where they are kept.
    pub store: Arc<dyn Store>,
    /// Where their media is.
    pub routers: Routers,
    /// Who owns them.
    pub cluster: Cluster,
    /// Tells the time.
    pub clock: Clock,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Time-outs.
    pub timing: MeetingTiming,
    /// The daemon's tasks.
    pub tasks: TaskTracker,
    /// Cancelled when the daemon stops.
    pub shutdown: CancellationToken,
}

/// All meetings. Cheap to clone.
#[derive(Clone)]
pub struct Meetings {
    pub(super) parts: Arc<MeetingsParts>,
    live: Arc<Mutex<BTreeMap<MeetingId, mpsc::Sender<Command>>>>,
    next_connection: Arc<AtomicU64>,
    /// Connections that were told to come back elsewhere.
    moved: Arc<AtomicU64>,
}

/// Why somebody could not be handed to the meeting.
#[derive(Debug, thiserror::Error)]
pub enum JoinRefusal {
    /// The meeting's mailbox is full.
    #[error("too many are joining; try again")]
    Busy,
    /// The operating system gives no entropy.
    #[error("entropy: {0}")]
    Entropy(#[from] rand::rngs::SysError),
}

impl Meetings {
    /// The meetings of the store; none is going on. Starts the task that passes on what routers say.
    #[must_use]
    pub fn start(parts: MeetingsParts) -> Self {
        let meetings = Self {
            parts: Arc::new(parts),
            live: Arc::default(),
            next_connection: Arc::new(AtomicU64::new(0)),
            moved: Arc::default(),
        };
        let dispatch = meetings.clone();
        meetings.parts.tasks.spawn(async move {
            tokio::select! {
                () = dispatch.dispatch() => {}
                () = dispatch.parts.shutdown.cancelled() => {}
            }
        });
        meetings
    }

    /// Ends a meeting for good; doing it again changes nothing.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn end(&self, id: &MeetingId) -> Result<(), StoreError> {
        // First the store, then the task: a task that starts in between reads that the meeting is over.
        self.parts.store.end(id, self.parts.clock.now()).await?;
        let mailbox = self.live().get(id).cloned();
        if let Some(mailbox) = mailbox
            && mailbox.send(Command::End).await.is_err()
        {
            tracing::debug!(meeting = %id, "the meeting's task had gone");
        }
        tracing::info!(meeting = %id, "meeting ended");
        Ok(())
    }

    /// Tells a meeting that goes on what its settings are now. They are in the store by then.
    pub async fn settings_changed(&self, id: &MeetingId, settings: MeetingSettings) {
        let mailbox = self.live().get(id).cloned();
        if let Some(mailbox) = mailbox
            && mailbox.send(Command::Settings(Box::new(settings))).await.is_err()
        {
            tracing::debug!(meeting = %id, "the meeting's task had gone");
        }
    }

    /// Goes on in a meeting where a connection broke; `None` if that cannot be. It costs no password hash: nobody guesses a token.
    pub async fn resume(&self, id: &MeetingId, resume: &Resume, outbox: &Outbox) -> Option<Membership> {
        let mailbox = self.mailbox(id)?;
        let connection = self.new_connection();
        let (reply, answer) = oneshot::channel();
        let command = Command::Resume {
            connection,
            participant: resume.participant_id,
            token: resume.token.clone(),
            seq: resume.seq,
            outbox: outbox.clone(),
            reply,
        };
        mailbox.send(command).await.ok()?;
        let membership = answer.await.ok()?.then_some(Membership { connection, mailbox })?;
        self.parts.metrics.resumed.inc();
        Some(membership)
    }

    /// Hands somebody who may come in to the meeting. The answer comes by the outbox.
    ///
    /// # Errors
    /// See [`JoinRefusal`].
    pub fn enter(
        &self,
        id: MeetingId,
        display_name: DisplayName,
        grant: Grant,
        outbox: Outbox,
    ) -> Result<Membership, JoinRefusal> {
        let connection = self.new_connection();
        let arrival = Box::new(Arrival { connection, display_name, grant, resume_token: token()? });
        let mut live = self.live();
        let mailbox = live.entry(id.clone()).or_insert_with(|| self.begin(id));
        // Under the lock, so that the task cannot retire between its being found and its being written to.
        mailbox.try_send(Command::Join { arrival, outbox }).map_err(|_| JoinRefusal::Busy)?;
        Ok(Membership { connection, mailbox: mailbox.clone() })
    }

    /// Goes on with a meeting that was taken over from a daemon that died. Nothing happens if it goes on here already.
    pub fn adopt(&self, id: MeetingId) {
        self.live().entry(id.clone()).or_insert_with(|| self.begin(id));
    }

    /// The meeting is another daemon's by now: its task ends without a word to routers or the store.
    pub async fn lose(&self, id: &MeetingId) {
        let mailbox = self.live().get(id).cloned();
        if let Some(mailbox) = mailbox
            && mailbox.send(Command::Lost).await.is_err()
        {
            tracing::debug!(meeting = %id, "the meeting's task had gone");
        }
    }

    /// The mailbox of a meeting that goes on here, or may be gone on with here.
    fn mailbox(&self, id: &MeetingId) -> Option<mpsc::Sender<Command>> {
        let mut live = self.live();
        if let Some(mailbox) = live.get(id) {
            return Some(mailbox.clone());
        }
        self.parts.cluster.lease(id)?;
        let mailbox = self.begin(id.clone());
        live.insert(id.clone(), mailbox.clone());
        Some(mailbox)
    }

    fn begin(&self, id: MeetingId) -> mpsc::Sender<Command> {
        let (sender, receiver) = mpsc::channel(MAILBOX_COMMANDS);
        self.parts.tasks.spawn(task::run(self.clone(), id, receiver));
        sender
    }

    /// When the next of those is to come back whose meeting goes to another daemon: a little later each.
    pub(crate) fn moved_retry_millis(&self) -> u64 {
        let index = self.moved.fetch_add(1, Ordering::Relaxed);
        spread_millis(index, MOVED_SPREAD)
    }

    fn new_connection(&self) -> ConnectionId {
        ConnectionId(self.next_connection.fetch_add(1, Ordering::Relaxed))
    }

    /// Takes a meeting off the list if nobody has written to it; its task ends then.
    pub(super) fn retire(&self, id: &MeetingId, mailbox: &mpsc::Receiver<Command>) -> bool {
        let mut live = self.live();
        let retires = mailbox.is_empty();
        if retires {
            live.remove(id);
            self.parts.metrics.live_meetings.set(live.len() as i64);
        }
        retires
    }

    async fn dispatch(&self) {
        loop {
            let event = self.parts.routers.next_event().await;
            let (RouterEvent::Opened { room, .. }
            | RouterEvent::Refused { room, .. }
            | RouterEvent::Lost { room, .. }) = &event;
            let mailbox = room.parse::<MeetingId>().ok().and_then(|id| self.live().get(&id).cloned());
            let Some(mailbox) = mailbox else {
                self.orphaned(event);
                continue;
            };
            if let Err(mpsc::error::SendError(Command::Router(event))) =
                mailbox.send(Command::Router(event)).await
            {
                self.orphaned(event);
            }
        }
    }

    /// An event of a meeting that is not going on: a session that nobody waits for is closed.
    fn orphaned(&self, event: RouterEvent) {
        if let RouterEvent::Opened { room, participant, ticket, .. } = event {
            self.parts.routers.close_session(&room, participant, ticket.session, CloseCode::Left);
        }
    }

    fn live(&self) -> std::sync::MutexGuard<'_, BTreeMap<MeetingId, mpsc::Sender<Command>>> {
        // Each use leaves the map whole, whatever panics elsewhere.
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        self.parts.metrics.live_meetings.set(live.len() as i64);
        live
    }
}
