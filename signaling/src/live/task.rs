//! The task of one meeting: feeds the state machine and does what it says.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use sluice_wire::signaling::{DaemonMessage, EndedReason, ErrorCode, ErrorMessage, MeetingId};
use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;
use tokio::sync::{mpsc, oneshot};

use super::directory::Meetings;
use super::journal;
use super::membership::Command;
use super::outbox::{Outbox, Outgoing, encode};
use crate::cluster::Route;
use crate::meeting::{
    Action, CloseKind, ConnectionId, EMPTY_LINGER, Event, Meeting, NUMBERS_PER_BLOCK, Note, Numbering, Stream,
};
use crate::routers::{RouterEvent, Wishes};
use crate::store::Lease;

/// Commands that are answered by one write to the store, so that a meeting is as fast as the store is wide and not as it is near.
const BATCH_COMMANDS: usize = 128;

/// Runs a meeting until nobody has been in it for a while.
pub(super) async fn run(meetings: Meetings, id: MeetingId, mailbox: mpsc::Receiver<Command>) {
    let shutdown = meetings.parts.shutdown.clone();
    tokio::select! {
        // Sessions are left alone when the daemon stops: media goes on without it.
        () = shutdown.cancelled() => {}
        () = start(meetings, id, mailbox) => {}
    }
}

async fn start(meetings: Meetings, id: MeetingId, mailbox: mpsc::Receiver<Command>) {
    // Read after the task was listed, so that an end that is noted meanwhile is either read here or comes by mailbox.
    let record = meetings.parts.store.find(&id).await;
    let lease = meetings.parts.cluster.route(&id).await;
    let (record, lease) = match (record, lease) {
        (Ok(Some(record)), Ok(Route::Here(lease))) => (record, lease),
        (Ok(_), Ok(_)) => {
            // Gone, or another daemon has been faster since whoever joins was sent here: the way is asked for again.
            return fail(&meetings, &id, mailbox);
        }
        (Err(error), _) => {
            tracing::error!(meeting = %id, %error, "the meeting cannot be read");
            return fail(&meetings, &id, mailbox);
        }
        (_, Err(error)) => {
            tracing::error!(meeting = %id, %error, "the meeting cannot be had");
            return fail(&meetings, &id, mailbox);
        }
    };
    let (ended, settings, account) = (record.ended(), record.settings, record.account);
    let wishes = Wishes { region: settings.region.clone(), data_residency: settings.data_residency.clone() };
    let meeting = Meeting::new(id.clone(), settings, meetings.parts.timing);
    let mut task = Task {
        meetings,
        id,
        lease,
        account,
        wishes,
        lost: false,
        notes: Vec::new(),
        actions: Vec::new(),
        gone: Vec::new(),
        meeting,
        connections: BTreeMap::new(),
        streams: BTreeMap::new(),
        resuming: None,
        empty_since: None,
        counted: 0,
    };
    if ended {
        task.feed(Event::End(EndedReason::EndedByHost));
        task.settle().await;
    }
    task.serve(mailbox).await;
}

/// Sends everybody away who waits, and leaves the list.
fn fail(meetings: &Meetings, id: &MeetingId, mut mailbox: mpsc::Receiver<Command>) {
    while !meetings.retire(id, &mailbox) {
        while let Ok(command) = mailbox.try_recv() {
            if let Command::Join { outbox, .. } = command {
                let error = ErrorMessage::new(ErrorCode::Internal, "the meeting cannot be read", true);
                let told = outbox.send(&DaemonMessage::Error(error))
                    && outbox.put(Outgoing::Close(CloseKind::Fatal));
                tracing::debug!(told, "sent away");
            }
        }
    }
}

struct Task {
    meetings: Meetings,
    id: MeetingId,
    /// The right to speak for the meeting.
    lease: Lease,
    /// Whose it is.
    account: Option<String>,
    /// Where its media wants to be.
    wishes: Wishes,
    /// The meeting is another daemon's by now, or cannot be written: nothing more may be told to anybody.
    lost: bool,
    /// What is to be written down before `actions` are done.
    notes: Vec<Note>,
    /// What the state machine said and is not done yet.
    actions: Vec<Action>,
    /// Connections that are over once `actions` are done: the last of them may be their close.
    gone: Vec<ConnectionId>,
    meeting: Meeting,
    /// Every connection of the meeting.
    connections: BTreeMap<ConnectionId, Outbox>,
    /// What every participant was sent, and by which connection it is to be reached now.
    streams: BTreeMap<ParticipantId, Line>,
    /// Whoever waits to hear whether it resumes.
    resuming: Option<oneshot::Sender<bool>>,
    empty_since: Option<Time>,
    /// Participants that the metrics were told of.
    counted: i64,
}

/// A participant's messages and the connection that they go to.
#[derive(Default)]
struct Line {
    stream: Stream<Arc<str>>,
    outbox: Option<Outbox>,
}

impl Task {
    async fn serve(&mut self, mut mailbox: mpsc::Receiver<Command>) {
        let clock = self.meetings.parts.clock;
        let mut batch = Vec::new();
        loop {
            let retire_at = self.retire_at();
            tokio::select! {
                received = mailbox.recv_many(&mut batch, BATCH_COMMANDS) => {
                    if received == 0 {
                        break;
                    }
                    for command in batch.drain(..) {
                        self.command(command).await;
                    }
                }
                () = clock.sleep_until(self.meeting.next_timeout()) => self.feed(Event::TimedOut),
                () = clock.sleep_until(retire_at), if retire_at.is_some() => {
                    if self.retire(&mailbox).await {
                        break;
                    }
                }
            }
            self.settle().await;
            self.count();
            if self.lost {
                if let Err(error) = self.meetings.parts.cluster.release(&self.lease).await {
                    tracing::warn!(meeting = %self.id, %error, "the meeting could not be given back");
                }
                // Connections break with their outboxes; clients come back to whoever has the meeting.
                self.connections.values().for_each(Outbox::break_off);
                while !self.meetings.retire(&self.id, &mailbox) {
                    while let Ok(command) = mailbox.try_recv() {
                        if let Command::Join { outbox, .. } | Command::Resume { outbox, .. } = command {
                            outbox.break_off();
                        }
                    }
                }
                break;
            }
        }
        tracing::debug!(meeting = %self.id, "meeting is empty");
    }

    /// Gives the meeting back and leaves the list, unless somebody comes. In this order: a task that starts when this one is off the
    /// list must not be given a right that is about to end.
    async fn retire(&mut self, mailbox: &mpsc::Receiver<Command>) -> bool {
        if !mailbox.is_empty() {
            return false;
        }
        let cluster = &self.meetings.parts.cluster;
        if let Err(error) = cluster.release(&self.lease).await {
            tracing::warn!(meeting = %self.id, %error, "the meeting could not be given back");
        }
        if self.meetings.retire(&self.id, mailbox) {
            return true;
        }
        match cluster.route(&self.id).await {
            Ok(Route::Here(lease)) => self.lease = lease,
            Ok(Route::There { .. }) | Err(_) => self.lost = true,
        }
        false
    }

    fn retire_at(&mut self) -> Option<Time> {
        if !self.meeting.is_idle() {
            self.empty_since = None;
            return None;
        }
        let now = self.meetings.parts.clock.now();
        Some(*self.empty_since.get_or_insert(now) + EMPTY_LINGER)
    }

    async fn command(&mut self, command: Command) {
        let event = match command {
            Command::Join { arrival, outbox } => {
                self.connections.insert(arrival.connection, outbox);
                self.reserve_numbers().await;
                Event::Join(arrival)
            }
            Command::Resume { connection, participant, token, seq, outbox, reply } => {
                // What it is to be sent again depends on what it was sent so far.
                self.settle().await;
                self.connections.insert(connection, outbox);
                self.resuming = Some(reply);
                let can_replay =
                    self.streams.get(&participant).is_some_and(|line| line.stream.can_replay(seq));
                Event::Resume { connection, participant, token, seq, can_replay }
            }
            Command::Member(event) => event,
            Command::Router(RouterEvent::Opened { request, ticket, .. }) => {
                Event::SessionOpened(request, ticket)
            }
            Command::Router(RouterEvent::Refused { request, .. }) => Event::SessionRefused(request),
            Command::Router(RouterEvent::Lost { participant, session, reason, .. }) => {
                Event::SessionLost { participant, session, reason }
            }
            Command::Settings(settings) => Event::SettingsChanged(settings),
            Command::End => Event::End(EndedReason::EndedByHost),
        };
        let resumes = matches!(event, Event::Resume { .. });
        self.feed(event);
        if resumes {
            self.settle().await;
        }
    }

    async fn reserve_numbers(&mut self) {
        if !self.meeting.needs_numbers() {
            return;
        }
        match self.meetings.parts.store.reserve_numbers(&self.id, NUMBERS_PER_BLOCK).await {
            Ok(numbers) => self.feed(Event::NumbersReserved(numbers)),
            // The join goes on without a number and is refused as the daemon's failure.
            Err(error) => tracing::error!(meeting = %self.id, %error, "no participant numbers"),
        }
    }

    /// Feeds an event. What comes of it is done by [`Self::settle`].
    fn feed(&mut self, event: Event) {
        if self.lost {
            return;
        }
        if let Event::Disconnected { connection, .. } = event {
            self.gone.push(connection);
        }
        let actions = self.meeting.handle(self.meetings.parts.clock.now(), event);
        self.notes.extend(actions.iter().filter_map(note_of));
        self.actions.extend(actions);
    }

    /// Writes down what has happened, then does what follows from it, and what follows from that.
    async fn settle(&mut self) {
        while !self.actions.is_empty() {
            let parts = &self.meetings.parts;
            let (store, now) = (parts.store.as_ref(), parts.clock.now());
            let notes = std::mem::take(&mut self.notes);
            let written = journal::write(store, &self.lease, &notes, self.account.as_deref(), now).await;
            let actions = std::mem::take(&mut self.actions);
            if let Err(error) = written {
                tracing::error!(meeting = %self.id, %error, "the meeting is lost to this daemon");
                self.lost = true;
                break;
            }
            let mut events = VecDeque::new();
            for action in actions {
                if action == Action::EndMeeting {
                    self.end_meeting(now, &mut events).await;
                } else {
                    self.act(action, &mut events);
                }
            }
            events.into_iter().for_each(|event| self.feed(event));
        }
        for connection in self.gone.drain(..) {
            self.connections.remove(&connection);
        }
        if let Some(reply) = self.resuming.take() {
            // Whoever asked may have gone.
            reply.send(!self.lost).ok();
        }
    }

    async fn end_meeting(&self, now: Time, events: &mut VecDeque<Event>) {
        match self.meetings.parts.store.end(&self.id, now).await {
            Ok(()) => events.push_back(Event::End(EndedReason::EndedByHost)),
            // It goes on; the host sees so and may try again.
            Err(error) => tracing::error!(meeting = %self.id, %error, "the end cannot be noted"),
        }
    }

    fn act(&mut self, action: Action, events: &mut VecDeque<Event>) {
        let parts = &self.meetings.parts;
        let room = self.id.as_str();
        match action {
            Action::Record(_) | Action::EndMeeting => {}
            Action::Send(to, message) => {
                if let DaemonMessage::Error(error) = &message {
                    parts.metrics.error(error.code);
                }
                self.send(to, encode(&message).into());
            }
            Action::Broadcast(to, message) => {
                let encoded: Arc<str> = encode(&message).into();
                to.into_iter().for_each(|to| self.send(to, encoded.clone()));
            }
            Action::Tell(to, message) => {
                if let DaemonMessage::Error(error) = &message {
                    parts.metrics.error(error.code);
                }
                self.put(to, Outgoing::Text(encode(&message).into()));
            }
            Action::Attach(participant, connection) => {
                let outbox = self.connections.get(&connection).cloned();
                self.streams.entry(participant).or_default().outbox = outbox;
            }
            Action::Replay(participant, after) => self.replay(participant, after),
            Action::RefuseResume(connection) => {
                self.connections.remove(&connection);
                if let Some(reply) = self.resuming.take() {
                    reply.send(false).ok();
                }
            }
            Action::Forget(participant) => drop(self.streams.remove(&participant)),
            Action::Close(connection, kind) => {
                self.put(connection, Outgoing::Close(kind));
                self.connections.remove(&connection);
            }
            Action::OpenSession(request, participant, terms) => {
                if parts.routers.open_session(room, participant, request, terms, &self.wishes).is_err() {
                    events.push_back(Event::SessionRefused(request));
                }
            }
            Action::SetRights { participant, session, rights } => {
                parts.routers.set_rights(room, participant, &session, rights);
            }
            Action::SetPreset(preset) => parts.routers.set_preset(room, preset),
            Action::CloseSession { participant, session, code } => {
                parts.routers.close_session(room, participant, session, code);
            }
            Action::CloseRoom(code) => parts.routers.close_room(room, code),
        }
    }

    /// Gives a participant a message, and keeps it for when its connection breaks.
    fn send(&mut self, to: ParticipantId, text: Arc<str>) {
        let Some(line) = self.streams.get_mut(&to) else { return };
        let Numbering { seq, message } = line.stream.push(text);
        line.put(seq, message, &self.meetings);
    }

    fn replay(&mut self, to: ParticipantId, after: u64) {
        let Some(line) = self.streams.get_mut(&to) else { return };
        let missed: Vec<Numbering<Arc<str>>> = line.stream.replay(after).collect();
        self.meetings.parts.metrics.replayed_messages.inc_by(missed.len() as u64);
        for Numbering { seq, message } in missed {
            line.put(seq, message, &self.meetings);
        }
    }

    /// Sends to a connection. One that does not read is broken by that, and says so by mailbox like any other that breaks.
    fn put(&mut self, to: ConnectionId, outgoing: Outgoing) {
        if self.connections.get(&to).is_some_and(|outbox| !outbox.put(outgoing)) {
            self.connections.remove(&to);
            self.meetings.parts.metrics.broken_connections.inc();
        }
    }

    fn count(&mut self) {
        let participants = self.meeting.participants() as i64;
        self.meetings.parts.metrics.participants.inc_by(participants - self.counted);
        self.counted = participants;
    }
}

impl Line {
    fn put(&mut self, seq: u64, message: Arc<str>, meetings: &Meetings) {
        if self.outbox.as_ref().is_some_and(|outbox| !outbox.put(Outgoing::Numbered(seq, message))) {
            self.outbox = None;
            meetings.parts.metrics.broken_connections.inc();
        }
    }
}

fn note_of(action: &Action) -> Option<Note> {
    match action {
        Action::Record(note) => Some(note.clone()),
        _ => None,
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.meetings.parts.metrics.participants.dec_by(self.counted);
    }
}
