//! What a meeting's task does when the state machine says so.

use std::collections::VecDeque;
use std::sync::Arc;

use sluice_wire::signaling::DaemonMessage;
use sluice_wire::track::ParticipantId;

use super::directory::Meetings;
use super::outbox::{Outbox, Outgoing, encode};
use super::task::Task;
use crate::meeting::{Action, ConnectionId, Event, Numbering, Stream};

/// A participant's messages and the connection that they go to.
#[derive(Default)]
pub(super) struct Line {
    pub(super) stream: Stream<Arc<str>>,
    pub(super) outbox: Option<Outbox>,
}

impl Task {
    /// Does one thing; what follows from it at once is behind `events`.
    pub(super) fn act(&mut self, action: Action, events: &mut VecDeque<Event>) {
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
            Action::Number(participant, after) => {
                self.streams.entry(participant).or_default().stream = Stream::behind(after);
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
}

impl Line {
    fn put(&mut self, seq: u64, message: Arc<str>, meetings: &Meetings) {
        if self.outbox.as_ref().is_some_and(|outbox| !outbox.put(Outgoing::Numbered(seq, message))) {
            self.outbox = None;
            meetings.parts.metrics.broken_connections.inc();
        }
    }
}
