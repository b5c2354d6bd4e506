//! Which meetings there are, and which of them are going on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sluice_wire::signaling::{
    CreateMeeting, DEFAULT_MAX_PARTICIPANTS, DisplayName, Join, MAX_PARTICIPANTS, MeetingCreated, MeetingId,
    Password, Resume, Role, Token,
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::membership::{Command, Membership};
use super::outbox::Outbox;
use super::task;
use crate::clock::Clock;
use crate::meeting::{Arrival, CloseCode, ConnectionId, Grant, MeetingSettings, MeetingTiming};
use crate::metrics::Metrics;
use crate::routers::{RouterEvent, Routers};
use crate::secrets::{PasswordError, Passwords, TokenHash, meeting_id, token};
use crate::store::{MeetingStore, NewMeeting, StoreError};

/// Messages that may wait for a meeting: it answers each in microseconds, and writes to the store once in 64 joins.
const MAILBOX_COMMANDS: usize = 1_024;
/// Ids to try: with 58 bits even a second draw is never seen.
const ID_ATTEMPTS: usize = 3;

/// What the meetings need.
#[derive(Clone)]
pub struct MeetingsParts {
    /// Where they are kept.
    pub store: Arc<dyn MeetingStore>,
    /// Where their media is.
    pub routers: Routers,
    /// Checks passwords.
    pub passwords: Passwords,
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
}

/// Why a meeting was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// `max_participants` is out of range.
    #[error("max_participants is 1 to {MAX_PARTICIPANTS}")]
    MaxParticipants,
    /// The password could not be hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operating system gives no entropy.
    #[error("entropy: {0}")]
    Entropy(#[from] rand::rngs::SysError),
}

/// Why a meeting was not ended.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// No such meeting, or the token is not its host's.
    #[error("no such meeting, or the token is not its host's")]
    Unauthorized,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why somebody was not let in.
#[derive(Debug, thiserror::Error)]
pub enum JoinRefusal {
    /// No such meeting, or the password is wrong: which of them is not told.
    #[error("no such meeting, or the password is wrong")]
    Refused,
    /// The meeting is over.
    #[error("the meeting is over")]
    Ended,
    /// Too many passwords are being checked, or the meeting's mailbox is full.
    #[error("too many are joining; try again")]
    Busy,
    /// The password could not be checked.
    #[error(transparent)]
    Password(PasswordError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operating system gives no entropy.
    #[error("entropy: {0}")]
    Entropy(#[from] rand::rngs::SysError),
}

impl From<PasswordError> for JoinRefusal {
    fn from(error: PasswordError) -> Self {
        if matches!(error, PasswordError::Busy) { Self::Busy } else { Self::Password(error) }
    }
}

impl Meetings {
    /// The meetings of the store; none is going on. Starts the task that passes on what routers say.
    #[must_use]
    pub fn start(parts: MeetingsParts) -> Self {
        let meetings = Self {
            parts: Arc::new(parts),
            live: Arc::default(),
            next_connection: Arc::new(AtomicU64::new(0)),
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

    /// Makes a meeting.
    ///
    /// # Errors
    /// See [`CreateError`].
    pub async fn create(
        &self,
        request: CreateMeeting,
        join_url: String,
    ) -> Result<MeetingCreated, CreateError> {
        let max_participants = request.max_participants.unwrap_or(DEFAULT_MAX_PARTICIPANTS);
        if !(1..=MAX_PARTICIPANTS).contains(&max_participants) {
            return Err(CreateError::MaxParticipants);
        }
        let password_hash = match request.password {
            Some(password) => Some(self.parts.passwords.hash(password).await?),
            None => None,
        };
        let host_token = token()?;
        let mut meeting = NewMeeting {
            id: meeting_id()?,
            account: None,
            name: request.name.unwrap_or_default(),
            settings: MeetingSettings { max_participants, ..MeetingSettings::default() },
            password_hash,
            host_token_hash: TokenHash::of(&host_token),
            schedule: None,
            duration_minutes: None,
            created_at: self.parts.clock.now(),
        };
        let mut attempts_left = ID_ATTEMPTS;
        loop {
            attempts_left -= 1;
            match self.parts.store.create(&meeting).await {
                Err(StoreError::IdTaken) if attempts_left > 0 => meeting.id = meeting_id()?,
                Err(error) => return Err(error.into()),
                Ok(()) => break,
            }
        }
        tracing::info!(meeting = %meeting.id, max_participants, "meeting made");
        let NewMeeting { id: meeting_id, name, .. } = meeting;
        Ok(MeetingCreated { meeting_id, host_token, name, max_participants, join_url })
    }

    /// Ends a meeting for good; doing it again changes nothing.
    ///
    /// # Errors
    /// See [`EndError`].
    pub async fn end(&self, id: &MeetingId, host_token: &Token) -> Result<(), EndError> {
        let meeting = self.parts.store.find(id).await?;
        if !meeting.is_some_and(|meeting| meeting.host_token_hash.is_of(host_token)) {
            return Err(EndError::Unauthorized);
        }
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
    pub async fn resume(&self, meeting_id: &str, resume: &Resume, outbox: &Outbox) -> Option<Membership> {
        let id = meeting_id.parse().ok()?;
        let mailbox = self.live().get(&id).cloned()?;
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

    /// Lets somebody in who may come in. The answer comes by the outbox.
    ///
    /// # Errors
    /// See [`JoinRefusal`].
    pub async fn join(&self, join: Join, outbox: Outbox) -> Result<Membership, JoinRefusal> {
        let (id, grant) = self.admit(&join.meeting_id, join.password, join.token.as_ref()).await?;
        self.enter(id, join.display_name, grant, outbox)
    }

    /// Hands somebody who may come in to the meeting.
    fn enter(
        &self,
        id: MeetingId,
        display_name: DisplayName,
        grant: Grant,
        outbox: Outbox,
    ) -> Result<Membership, JoinRefusal> {
        let connection = self.new_connection();
        let arrival = Box::new(Arrival { connection, display_name, grant, resume_token: token()? });
        let mut live = self.live();
        let mailbox = live.entry(id.clone()).or_insert_with(|| {
            let (sender, receiver) = mpsc::channel(MAILBOX_COMMANDS);
            let run = task::run(self.clone(), id, receiver);
            self.parts.tasks.spawn(run);
            sender
        });
        // Under the lock, so that the task cannot retire between its being found and its being written to.
        mailbox.try_send(Command::Join { arrival, outbox }).map_err(|_| JoinRefusal::Busy)?;
        Ok(Membership { connection, mailbox: mailbox.clone() })
    }

    fn new_connection(&self) -> ConnectionId {
        ConnectionId(self.next_connection.fetch_add(1, Ordering::Relaxed))
    }

    /// Checks a token, or a password where none is shown. For each the work is the same whether there is no such meeting or what
    /// is shown is wrong.
    async fn admit(
        &self,
        meeting_id: &str,
        password: Option<Password>,
        token: Option<&Token>,
    ) -> Result<(MeetingId, Grant), JoinRefusal> {
        let passwords = &self.parts.passwords;
        let record = match meeting_id.parse() {
            Ok(id) => self.parts.store.find(&id).await?,
            Err(_) => None,
        };
        let (record, role) = match (record, token) {
            (Some(record), Some(token)) if record.host_token_hash.is_of(token) => (record, Some(Role::Host)),
            (_, Some(_)) => return Err(JoinRefusal::Refused),
            (Some(record), None) => {
                if let Some(hash) = record.password_hash.clone()
                    && !passwords.is_right(password, hash).await?
                {
                    return Err(JoinRefusal::Refused);
                }
                (record, None)
            }
            (None, None) => {
                passwords.pretend(password).await?;
                return Err(JoinRefusal::Refused);
            }
        };
        if record.ended() {
            return Err(JoinRefusal::Ended);
        }
        Ok((record.id, Grant { role, identity: None }))
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
