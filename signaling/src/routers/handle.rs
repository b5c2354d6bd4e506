//! The registry behind a lock, with its streams.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use sluice_proto::v1::{Register, RouterMessage, SignalingMessage};
use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::event::{Home, NoRouter, RegistryTiming, RouterEvent};
use super::placement::Wishes;
use super::records::{AttachmentId, RegisterError};
use super::registry::Registry;
use crate::clock::Clock;
use crate::meeting::{CloseCode, MediaRights, MediaTerms, QualityPreset, RequestId};

/// Messages that may wait for a router to read them. A router that comes back to a daemon without its sessions is told to
/// close them all at once, and `Register` has room for about 50,000. The queue takes memory only for what is in it.
pub(super) const STREAM_QUEUE_MESSAGES: usize = 65_536;

pub(super) type StreamSender = mpsc::Sender<Result<SignalingMessage, Status>>;

/// All routers. Cheap to clone; no call blocks for longer than the registry thinks.
#[derive(Clone, Debug)]
pub struct Routers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Clock,
    state: Mutex<State>,
    told: Notify,
}

#[derive(Debug)]
struct State {
    registry: Registry,
    streams: BTreeMap<AttachmentId, Stream>,
    next_attachment: u64,
}

#[derive(Debug)]
struct Stream {
    sender: StreamSender,
    /// Cancelled when the daemon is done with the stream.
    over: CancellationToken,
}

impl Routers {
    /// No routers.
    #[must_use]
    pub fn new(clock: Clock, timing: RegistryTiming) -> Self {
        let state = State { registry: Registry::new(timing), streams: BTreeMap::new(), next_attachment: 0 };
        Self(Arc::new(Shared { clock, state: Mutex::new(state), told: Notify::new() }))
    }

    /// Routers that are attached.
    #[must_use]
    pub fn attached(&self) -> usize {
        self.with(|state, _| state.registry.attached())
    }

    /// Sessions that routers have.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.with(|state, _| state.registry.sessions())
    }

    /// Asks for a session on these terms; a [`RouterEvent::Opened`] or [`RouterEvent::Refused`] answers. The room's first session decides where
    /// the room is, as its meeting wishes.
    ///
    /// # Errors
    /// [`NoRouter`] if none can be asked; no event follows.
    pub fn open_session(
        &self,
        room: &str,
        participant: ParticipantId,
        request: RequestId,
        terms: MediaTerms,
        wishes: &Wishes,
    ) -> Result<(), NoRouter> {
        self.with(|state, now| state.registry.open_session(now, room, participant, request, terms, wishes))
    }

    /// Changes what a participant's session may do; nothing if it has ended.
    pub fn set_rights(&self, room: &str, participant: ParticipantId, session: &str, rights: MediaRights) {
        self.with(|state, _| state.registry.set_rights(room, participant, session, rights));
    }

    /// Changes the preset of a room; nothing if no router has it. Sessions that are opened later bring their own.
    pub fn set_preset(&self, room: &str, preset: Option<QualityPreset>) {
        self.with(|state, _| state.registry.set_preset(room, preset));
    }

    /// Where a room is, if it is anywhere.
    #[must_use]
    pub fn home(&self, room: &str) -> Option<Home> {
        self.with(|state, _| state.registry.home(room))
    }

    /// Goes on with the sessions of a room whose daemon died, at its router: their media goes on as if nothing had been. Answers
    /// with those that may be there still, under the names that they have; the others' participants need new tickets. A
    /// [`RouterEvent::Lost`] follows for each that turns out to be gone.
    pub fn adopt_room(
        &self,
        room: &str,
        home: &Home,
        sessions: &BTreeMap<ParticipantId, String>,
    ) -> BTreeMap<ParticipantId, String> {
        self.with(|state, now| state.registry.adopt(now, room, home, sessions))
    }

    /// Lets go of a room that another daemon goes on with. Nothing is closed.
    pub fn forget_room(&self, room: &str) {
        self.with(|state, _| state.registry.forget_room(room));
    }

    /// Rooms that routers brought sessions of, and that nobody here has gone on with for long. Whoever knows whose they are calls
    /// [`Self::forget_strangers`] or [`Self::close_strangers`].
    #[must_use]
    pub fn rooms_with_overdue(&self) -> Vec<String> {
        self.with(|state, now| state.registry.rooms_with_overdue(now))
    }

    /// The rooms that have sessions which nobody has adopted.
    pub(super) fn rooms_with_strangers(&self) -> Vec<String> {
        self.with(|state, _| state.registry.rooms_with_strangers())
    }

    /// Leaves such sessions alone: they are another daemon's.
    pub fn forget_strangers(&self, room: &str) {
        self.with(|state, _| state.registry.forget_strangers(room));
    }

    /// Closes such sessions at once: they are nobody's.
    pub fn close_strangers(&self, room: &str) {
        self.with(|state, _| state.registry.close_strangers(room));
    }

    /// Ends a session.
    pub fn close_session(&self, room: &str, participant: ParticipantId, session: String, code: CloseCode) {
        self.with(|state, _| state.registry.close_session(room, participant, session, code));
    }

    /// Ends every session of a room.
    pub fn close_room(&self, room: &str, code: CloseCode) {
        self.with(|state, _| state.registry.close_room(room, code));
    }

    /// The next event for a meeting, in the order in which they happened. For one caller.
    pub async fn next_event(&self) -> RouterEvent {
        loop {
            if let Some(event) = self.with(|state, _| state.registry.output.events.pop_front()) {
                return event;
            }
            self.0.told.notified().await;
        }
    }

    /// Gives up what has waited too long. To be called several times per heartbeat interval.
    pub fn expire(&self) {
        self.with(|state, now| state.registry.expire(now));
    }

    /// Takes a router in; its stream's id, and the token that is cancelled when the daemon is done with it.
    pub(super) fn register(
        &self,
        register: Register,
        sender: StreamSender,
    ) -> Result<(AttachmentId, CancellationToken), RegisterError> {
        self.with(|state, now| {
            let attachment = AttachmentId(state.next_attachment);
            state.next_attachment += 1;
            state.registry.register(now, attachment, register)?;
            let over = CancellationToken::new();
            state.streams.insert(attachment, Stream { sender, over: over.clone() });
            Ok((attachment, over))
        })
    }

    pub(super) fn message(&self, attachment: AttachmentId, message: RouterMessage) {
        self.with(|state, now| state.registry.message(now, attachment, message));
    }

    pub(super) fn detach(&self, attachment: AttachmentId) {
        self.with(|state, _| state.registry.detach(attachment));
    }

    /// Runs `act` under the lock and sends what came of it. Nothing waits in here.
    fn with<T>(&self, act: impl FnOnce(&mut State, Time) -> T) -> T {
        let now = self.0.clock.now();
        // A panic in the registry is a bug that its task reports; the others go on with what there is.
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut state, now);
        state.flush();
        if !state.registry.output.events.is_empty() {
            self.0.told.notify_one();
        }
        result
    }
}

impl State {
    fn flush(&mut self) {
        while let Some((attachment, message)) = self.registry.output.messages.pop_front() {
            let Some(stream) = self.streams.get(&attachment) else { continue };
            if stream.sender.try_send(Ok(message)).is_err() {
                tracing::error!(attachment = attachment.0, "the router does not read what it is sent");
                self.registry.detach(attachment);
            }
        }
        for attachment in self.registry.output.detached.drain(..) {
            if let Some(stream) = self.streams.remove(&attachment) {
                stream.over.cancel();
            }
        }
    }
}
