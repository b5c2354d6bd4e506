//! The task of one meeting: feeds the state machine and does what it says.

use std::collections::{BTreeMap, VecDeque};

use sluice_wire::signaling::{DaemonMessage, EndedReason, ErrorCode, ErrorMessage, MeetingId};
use sluice_wire::time::Time;
use tokio::sync::mpsc;

use super::directory::Meetings;
use super::membership::{Command, Encoded};
use super::outbox::{Outbox, Outgoing, encode};
use crate::meeting::{Action, CloseKind, ConnectionId, EMPTY_LINGER, Event, Meeting, NUMBERS_PER_BLOCK};
use crate::routers::RouterEvent;

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
    let (max_participants, ended) = match &record {
        Ok(Some(record)) => (record.settings.max_participants, record.ended()),
        Ok(None) => (0, true),
        Err(error) => {
            tracing::error!(meeting = %id, %error, "the meeting cannot be read");
            return fail(&meetings, &id, mailbox);
        }
    };
    let meeting = Meeting::new(id.clone(), max_participants, meetings.parts.timing);
    let mut task = Task { meetings, id, meeting, outboxes: BTreeMap::new(), empty_since: None, counted: 0 };
    if ended {
        task.feed(Event::End(EndedReason::EndedByHost));
    }
    task.serve(mailbox).await;
}

/// Sends everybody away who waits, and leaves the list.
fn fail(meetings: &Meetings, id: &MeetingId, mut mailbox: mpsc::Receiver<Command>) {
    while !meetings.retire(id, &mailbox) {
        while let Ok(command) = mailbox.try_recv() {
            if let Command::Join { outbox, .. } = command {
                let message = "the meeting cannot be read".to_owned();
                let error = ErrorMessage { code: ErrorCode::Internal, message, fatal: true };
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
    meeting: Meeting,
    outboxes: BTreeMap<ConnectionId, Outbox>,
    empty_since: Option<Time>,
    /// Participants that the metrics were told of.
    counted: i64,
}

impl Task {
    async fn serve(&mut self, mut mailbox: mpsc::Receiver<Command>) {
        let clock = self.meetings.parts.clock;
        loop {
            let retire_at = self.retire_at();
            tokio::select! {
                command = mailbox.recv() => match command {
                    Some(command) => self.command(command).await,
                    None => break,
                },
                () = clock.sleep_until(self.meeting.next_timeout()) => self.feed(Event::TimedOut),
                () = clock.sleep_until(retire_at), if retire_at.is_some() => {
                    if self.meetings.retire(&self.id, &mailbox) {
                        break;
                    }
                }
            }
            self.count();
        }
        tracing::debug!(meeting = %self.id, "meeting is empty");
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
        match command {
            Command::Join { connection, display_name, outbox } => {
                self.outboxes.insert(connection, outbox);
                self.reserve_numbers().await;
                self.feed(Event::Join { connection, display_name });
            }
            Command::Participant(event) => self.feed(event),
            Command::Router(RouterEvent::Opened { request, ticket, .. }) => {
                self.feed(Event::SessionOpened(request, ticket));
            }
            Command::Router(RouterEvent::Refused { request, .. }) => {
                self.feed(Event::SessionRefused(request))
            }
            Command::Router(RouterEvent::Lost { participant, session, reason, .. }) => {
                self.feed(Event::SessionLost { participant, session, reason });
            }
            Command::End => self.feed(Event::End(EndedReason::EndedByHost)),
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

    /// Feeds an event and all that follow from doing what it leads to.
    fn feed(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            if let Event::Disconnected(connection) = event {
                self.outboxes.remove(&connection);
            }
            let now = self.meetings.parts.clock.now();
            for action in self.meeting.handle(now, event) {
                self.act(action, &mut events);
            }
        }
    }

    fn act(&mut self, action: Action, events: &mut VecDeque<Event>) {
        let parts = &self.meetings.parts;
        let room = self.id.as_str();
        match action {
            Action::Send(to, message) => {
                if let DaemonMessage::Error(error) = &message {
                    parts.metrics.error(error.code);
                }
                self.put(to, Outgoing::Text(encode(&message)));
            }
            Action::Broadcast(to, message) => {
                let encoded: Encoded = encode(&message);
                to.into_iter().for_each(|to| self.put(to, Outgoing::Text(encoded.clone())));
            }
            Action::Close(connection, kind) => {
                self.put(connection, Outgoing::Close(kind));
                self.outboxes.remove(&connection);
            }
            Action::OpenSession(request, participant) => {
                if parts.routers.open_session(room, participant, request).is_err() {
                    events.push_back(Event::SessionRefused(request));
                }
            }
            Action::CloseSession { participant, session, code } => {
                parts.routers.close_session(room, participant, session, code);
            }
            Action::CloseRoom(code) => parts.routers.close_room(room, code),
        }
    }

    /// Sends to a connection. One that does not read is broken by that, and says so by mailbox like any other that breaks.
    fn put(&mut self, to: ConnectionId, outgoing: Outgoing) {
        if self.outboxes.get(&to).is_some_and(|outbox| !outbox.put(outgoing)) {
            self.outboxes.remove(&to);
            self.meetings.parts.metrics.broken_connections.inc();
        }
    }

    fn count(&mut self) {
        let participants = self.meeting.participants() as i64;
        self.meetings.parts.metrics.participants.inc_by(participants - self.counted);
        self.counted = participants;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.meetings.parts.metrics.participants.dec_by(self.counted);
    }
}
