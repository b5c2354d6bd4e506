//! The control side: places rooms, sends commands, brings answers to those who asked.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::Waker;
use sluice_wire::control::CloseCode;
use sluice_wire::ticket::{Suite, Ticket};
use sluice_wire::track::ParticipantId;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::directory::Directory;
use super::stats::{Published, ShardSnapshot};
use crate::clock::Clock;
use crate::core::{Command, EndReason, Event, OpenRefused, OpenRequest, Policy, Rights, SessionName};

/// Commands that wait for a shard. It takes them within a round; a full mailbox means that it is far behind.
pub(super) const MAILBOX_COMMANDS: usize = 1_024;
/// Notices that wait for a control connection: more than a router full of sessions that all end at once.
const LISTENER_NOTICES: usize = 32_768;

/// Why a session was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The shard refused.
    #[error(transparent)]
    Refused(#[from] OpenRefused),
    /// The shard has more commands waiting than it may.
    #[error("the shard is busy")]
    Busy,
    /// The router is shutting down, or a shard failed.
    #[error("the router has stopped")]
    Stopped,
}

/// Why a command was not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The shard has more commands waiting than it may.
    #[error("the shard is busy")]
    Busy,
    /// The shard has stopped, and its sessions with it.
    #[error("the router has stopped")]
    Stopped,
}

/// The way into a shard.
#[derive(Debug)]
pub(super) struct Mailbox {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) waker: Waker,
}

impl Mailbox {
    fn send(&self, command: Command) -> Result<(), CommandError> {
        self.commands.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CommandError::Busy,
            mpsc::error::TrySendError::Closed(_) => CommandError::Stopped,
        })?;
        self.wake();
        Ok(())
    }

    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::warn!(%error, "a shard could not be woken");
        }
    }
}

impl Drop for Mailbox {
    /// Without a way to reach it, a shard must not go on.
    fn drop(&mut self) {
        // An error means that it has stopped, or that it will see the end of its mailbox behind what is in it.
        if self.send(Command::Shutdown).is_err() {
            self.wake();
        }
    }
}

/// An open session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionRecord {
    pub(crate) room: String,
    pub(crate) participant: ParticipantId,
    pub(crate) session: SessionName,
}

/// What a control connection is told, in order.
#[derive(Clone, Debug)]
pub(crate) enum Notice {
    /// An answer to a request of this listener.
    Answer { request: u64, result: Result<Box<Ticket>, OpenError> },
    /// A session ended.
    Ended { session: SessionRecord, reason: EndReason },
    /// The router takes no new rooms any more.
    Draining,
}

/// One control stream. A later one has another, so that an answer to the earlier cannot reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ListenerId(u64);

/// What a listener starts with.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) id: ListenerId,
    /// The sessions that there are.
    pub(crate) sessions: Vec<SessionRecord>,
    /// What happens next. Ends when the router has stopped, and when the listener is too slow.
    pub(crate) notices: mpsc::Receiver<Notice>,
}

/// Who wants a session.
#[derive(Debug)]
pub(crate) enum Origin {
    /// A caller in this process.
    Caller(oneshot::Sender<Result<Box<Ticket>, OpenError>>),
    /// A listener, under its own number for the request.
    Listener { listener: ListenerId, request: u64 },
}

/// A session that was asked for.
#[derive(Debug)]
struct Pending {
    room: String,
    participant: ParticipantId,
    origin: Origin,
}

#[derive(Debug)]
struct State {
    directory: Directory,
    pending: BTreeMap<u64, Pending>,
    next_request: u64,
    /// As many as there are signaling daemons to dial, and now and then one that has gone.
    listeners: BTreeMap<ListenerId, mpsc::Sender<Notice>>,
    next_listener: u64,
    is_stopping: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Switchboard {
    state: Mutex<State>,
    /// Cancelled with `State::is_stopping`, for those who wait.
    stopping: CancellationToken,
    mailboxes: Vec<Mailbox>,
    /// How each shard does.
    shards: Arc<[Arc<Published<ShardSnapshot>>]>,
    clock: Clock,
}

impl Switchboard {
    pub(super) fn new(
        mailboxes: Vec<Mailbox>,
        shards: Arc<[Arc<Published<ShardSnapshot>>]>,
        clock: Clock,
    ) -> Self {
        let state = State {
            directory: Directory::new(mailboxes.len()),
            pending: BTreeMap::new(),
            next_request: 0,
            listeners: BTreeMap::new(),
            next_listener: 0,
            is_stopping: false,
        };
        Self { state: Mutex::new(state), stopping: CancellationToken::new(), mailboxes, shards, clock }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many shards there are.
    pub(crate) fn shards(&self) -> usize {
        self.mailboxes.len()
    }

    /// Opens a session for a caller in this process.
    pub(super) async fn open(
        &self,
        room: &str,
        participant: ParticipantId,
        suite: Suite,
        rights: Rights,
    ) -> Result<Ticket, OpenError> {
        let (origin, answer) = oneshot::channel();
        self.request(room, participant, suite, rights, Origin::Caller(origin))?;
        answer.await.unwrap_or(Err(OpenError::Stopped)).map(|ticket| *ticket)
    }

    /// Asks for a session; the answer goes to `origin`. If it has gone by then the session is closed again.
    pub(crate) fn request(
        &self,
        room: &str,
        participant: ParticipantId,
        suite: Suite,
        rights: Rights,
        origin: Origin,
    ) -> Result<(), OpenError> {
        let mut state = self.state();
        if state.is_stopping {
            return Err(OpenError::Refused(OpenRefused::ShuttingDown));
        }
        let request = state.next_request;
        state.next_request += 1;
        let now = self.clock.now();
        let is_overloaded =
            |shard: usize| self.shards.get(shard).is_some_and(|shard| shard.get().is_overloaded(now));
        let shard = state.directory.place(room, is_overloaded);
        let command =
            Command::Open(OpenRequest { request, room: room.to_owned(), participant, suite, rights });
        if let Err(error) = self.mailboxes[shard].send(command) {
            state.directory.abandoned(room);
            return Err(match error {
                CommandError::Busy => OpenError::Busy,
                CommandError::Stopped => OpenError::Stopped,
            });
        }
        state.pending.insert(request, Pending { room: room.to_owned(), participant, origin });
        Ok(())
    }

    /// Ends a participant's session; only `session` if that is given.
    pub(crate) fn close(
        &self,
        room: &str,
        participant: ParticipantId,
        session: Option<SessionName>,
        code: CloseCode,
    ) -> Result<(), CommandError> {
        self.command_room(room, |room| Command::Close { room, participant, session, code })
    }

    /// Ends all sessions of a room.
    pub(crate) fn close_room(&self, room: &str, code: CloseCode) -> Result<(), CommandError> {
        self.command_room(room, |room| Command::CloseRoom { room, code })
    }

    /// Changes what the participant of a session may do.
    pub(crate) fn set_rights(
        &self,
        room: &str,
        participant: ParticipantId,
        session: SessionName,
        rights: Rights,
    ) -> Result<(), CommandError> {
        self.command_room(room, |room| Command::SetRights { room, participant, session, rights })
    }

    /// Changes the policy of a room.
    pub(crate) fn set_policy(&self, room: &str, policy: Policy) -> Result<(), CommandError> {
        self.command_room(room, |room| Command::SetPolicy { room, policy })
    }

    fn command_room(&self, room: &str, command: impl FnOnce(String) -> Command) -> Result<(), CommandError> {
        let Some(shard) = self.state().directory.shard_of(room) else { return Ok(()) };
        self.mailboxes[shard].send(command(room.to_owned()))
    }

    /// Takes no new sessions from now on and ends those that there are.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        if std::mem::replace(&mut state.is_stopping, true) {
            return;
        }
        self.stopping.cancel();
        state.tell_all(&Notice::Draining);
        for (shard, mailbox) in self.mailboxes.iter().enumerate() {
            if let Err(error) = mailbox.send(Command::Shutdown) {
                tracing::warn!(shard, %error, "the shard could not be told to stop");
            }
        }
    }

    /// How many sessions and rooms there are.
    pub(crate) fn census(&self) -> (usize, usize) {
        let state = self.state();
        (state.directory.sessions().count(), state.directory.rooms())
    }

    /// Cancelled when no more sessions are opened.
    pub(crate) const fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Makes the caller a listener, for as long as it keeps the queue.
    pub(crate) fn attach_listener(&self) -> Listener {
        let (sender, notices) = mpsc::channel(LISTENER_NOTICES);
        let mut state = self.state();
        let id = ListenerId(state.next_listener);
        state.next_listener += 1;
        state.listeners.retain(|_, listener| !listener.is_closed());
        state.listeners.insert(id, sender);
        let sessions = state.directory.sessions();
        let record = |(room, participant, session): (&str, _, _)| SessionRecord {
            room: room.to_owned(),
            participant,
            session,
        };
        Listener { id, sessions: sessions.map(record).collect(), notices }
    }

    /// Brings the shards' events to whom they concern, until the last shard has stopped.
    pub(super) async fn dispatch(self: Arc<Self>, mut events: mpsc::Receiver<(usize, Event)>) {
        while let Some((shard, event)) = events.recv().await {
            self.handle_event(shard, event);
        }
        let mut state = self.state();
        // Whoever still waits is told so by the end of its queue.
        state.pending.clear();
        state.listeners.clear();
    }

    /// Tells those who wait that a shard failed: their answers may never come.
    pub(super) fn fail(&self) {
        let mut state = self.state();
        state.is_stopping = true;
        self.stopping.cancel();
        state.pending.clear();
    }

    fn handle_event(&self, shard: usize, event: Event) {
        let mut state = self.state();
        match event {
            Event::Opened { request, ticket } => {
                let Some(name) = name_of(&ticket) else { return };
                let Some(Pending { room, participant, origin }) = state.pending.remove(&request) else {
                    return;
                };
                state.directory.opened(&room, participant, name);
                tracing::debug!(shard, room, participant = participant.get(), session = %name, "opened");
                if !state.answer(origin, Ok(ticket)) {
                    // Nobody can use the ticket any more. If this command is lost, the session ends unclaimed.
                    let (session, code) = (Some(name), CloseCode::Removed);
                    let close = Command::Close { room, participant, session, code };
                    if let Err(error) = self.mailboxes[shard].send(close) {
                        tracing::debug!(shard, %error, "an unwanted session is left to time out");
                    }
                }
            }
            Event::Refused { request, reason } => {
                let Some(Pending { room, origin, .. }) = state.pending.remove(&request) else { return };
                state.directory.abandoned(&room);
                tracing::debug!(shard, room, %reason, "refused");
                state.answer(origin, Err(reason.into()));
            }
            Event::Ended { room, participant, session, reason } => {
                tracing::debug!(shard, %room, participant = participant.get(), %session, ?reason, "ended");
                state.directory.ended(&room, participant, session);
                let session = SessionRecord { room: room.into(), participant, session };
                state.tell_all(&Notice::Ended { session, reason });
            }
        }
    }
}

impl State {
    /// Whether the answer found somebody.
    fn answer(&mut self, origin: Origin, result: Result<Box<Ticket>, OpenError>) -> bool {
        match origin {
            Origin::Caller(caller) => caller.send(result).is_ok(),
            Origin::Listener { listener, request } => self.tell(listener, Notice::Answer { request, result }),
        }
    }

    fn tell_all(&mut self, notice: &Notice) {
        for listener in self.listeners.keys().copied().collect::<Vec<_>>() {
            self.tell(listener, notice.clone());
        }
    }

    fn tell(&mut self, listener: ListenerId, notice: Notice) -> bool {
        let was_told = self.listeners.get(&listener).is_some_and(|sender| sender.try_send(notice).is_ok());
        if !was_told {
            // A listener that lost a notice must start anew, from the list of sessions.
            self.listeners.remove(&listener);
        }
        was_told
    }
}

/// The name by which a ticket's session goes.
fn name_of(ticket: &Ticket) -> Option<SessionName> {
    u64::from_str_radix(&ticket.session, 16).ok().map(SessionName)
}
