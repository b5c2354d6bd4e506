//! The state and its transitions.

use std::collections::BTreeMap;
use std::ops::Range;

use sluice_wire::signaling::{
    DaemonMessage, DisplayName, EndedReason, ErrorCode, ErrorMessage, Joined, LeftReason, MediaLostReason,
    MeetingId, Participant, SIGNALING_VERSION,
};
use sluice_wire::ticket::Ticket;
use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;

use super::{Action, CloseCode, CloseKind, ConnectionId, Event, MeetingTiming, RequestId};

/// Participant numbers that the shell reserves at a time: one write to the store per so many joins, and at most so many of
/// the 16 million lost with a crash.
pub const NUMBERS_PER_BLOCK: u32 = 64;

/// One meeting.
#[derive(Debug)]
pub struct Meeting {
    id: MeetingId,
    max_participants: usize,
    timing: MeetingTiming,
    ended: bool,
    /// Numbers that may still be given out.
    numbers: Range<u32>,
    next_request: u64,
    /// Everybody who joined or is about to, by number.
    members: BTreeMap<ParticipantId, Member>,
    by_connection: BTreeMap<ConnectionId, ParticipantId>,
    /// Requests without an answer yet, those of participants who left included.
    requests: BTreeMap<RequestId, ParticipantId>,
}

#[derive(Debug)]
struct Member {
    connection: ConnectionId,
    display_name: DisplayName,
    /// Whether `joined` was sent.
    inside: bool,
    /// The session's name, while there is one.
    session: Option<String>,
    /// The request for the next session, while it is under way.
    opening: Option<RequestId>,
    /// Since when there is no session.
    lost_at: Option<Time>,
}

impl Meeting {
    /// A meeting that nobody has joined.
    #[must_use]
    pub fn new(id: MeetingId, max_participants: u32, timing: MeetingTiming) -> Self {
        Self {
            id,
            max_participants: max_participants as usize,
            timing,
            ended: false,
            numbers: 0..0,
            next_request: 0,
            members: BTreeMap::new(),
            by_connection: BTreeMap::new(),
            requests: BTreeMap::new(),
        }
    }

    /// Whether the next join needs [`Event::NumbersReserved`] before it.
    #[must_use]
    pub fn needs_numbers(&self) -> bool {
        self.numbers.is_empty() && !self.ended
    }

    /// Whether nobody is here and nothing is awaited.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.members.is_empty() && self.requests.is_empty()
    }

    /// How many participants got `joined` and have not left.
    #[must_use]
    pub fn participants(&self) -> usize {
        self.members.values().filter(|member| member.inside).count()
    }

    /// When [`Event::TimedOut`] is due; `None` if nothing runs.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        self.members.values().filter_map(|member| self.deadline(member)).min()
    }

    /// Takes an event in. Total: events about unknown connections, requests and sessions change nothing.
    #[must_use]
    pub fn handle(&mut self, now: Time, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        let out = &mut actions;
        match event {
            Event::NumbersReserved(numbers) => self.numbers = numbers,
            Event::Join { connection, display_name } => self.join(connection, display_name, out),
            Event::Leave(connection) => self.leave(connection, out),
            Event::Disconnected(connection) => self.disconnected(connection, out),
            Event::NewTicket(connection) => self.new_ticket(connection, out),
            Event::SessionOpened(request, ticket) => self.session_opened(request, *ticket, out),
            Event::SessionRefused(request) => self.session_refused(request, out),
            Event::SessionLost { participant, session, reason } => {
                self.session_lost(now, participant, &session, reason, out);
            }
            Event::TimedOut => self.timed_out(now, out),
            Event::End(reason) => self.end(reason, out),
        }
        actions
    }

    fn join(&mut self, connection: ConnectionId, display_name: DisplayName, out: &mut Vec<Action>) {
        if self.by_connection.contains_key(&connection) {
            out.push(error(connection, ErrorCode::AlreadyJoined, "this connection has joined", false));
            return;
        }
        if self.ended {
            return refuse(connection, ErrorCode::MeetingEnded, "the meeting is over", out);
        }
        if self.members.len() >= self.max_participants {
            return refuse(connection, ErrorCode::MeetingFull, "the meeting is full", out);
        }
        let Some(id) = self.numbers.next().and_then(|number| ParticipantId::new(number).ok()) else {
            return refuse(connection, ErrorCode::Internal, "no participant number is left", out);
        };
        let request = self.open_session(id, out);
        let member = Member {
            connection,
            display_name,
            inside: false,
            session: None,
            opening: Some(request),
            lost_at: None,
        };
        self.members.insert(id, member);
        self.by_connection.insert(connection, id);
    }

    fn open_session(&mut self, participant: ParticipantId, out: &mut Vec<Action>) -> RequestId {
        let request = RequestId(self.next_request);
        self.next_request += 1;
        self.requests.insert(request, participant);
        out.push(Action::OpenSession(request, participant));
        request
    }

    fn leave(&mut self, connection: ConnectionId, out: &mut Vec<Action>) {
        let Some(&id) = self.by_connection.get(&connection) else { return };
        self.remove(id, LeftReason::Left, CloseCode::Left, out);
        out.push(Action::Close(connection, CloseKind::Normal));
    }

    fn disconnected(&mut self, connection: ConnectionId, out: &mut Vec<Action>) {
        let Some(&id) = self.by_connection.get(&connection) else { return };
        self.remove(id, LeftReason::Disconnected, CloseCode::Left, out);
    }

    fn new_ticket(&mut self, connection: ConnectionId, out: &mut Vec<Action>) {
        let Some(&id) = self.by_connection.get(&connection) else { return };
        // While a request is under way its ticket answers this one too.
        if self.members.get(&id).is_none_or(|member| member.opening.is_some()) {
            return;
        }
        let request = self.open_session(id, out);
        if let Some(member) = self.members.get_mut(&id) {
            member.opening = Some(request);
        }
    }

    fn session_opened(&mut self, request: RequestId, ticket: Ticket, out: &mut Vec<Action>) {
        let Some(id) = self.requests.remove(&request) else { return };
        let Some(member) = self.members.get_mut(&id) else {
            // Whoever asked has left in the meantime.
            out.push(Action::CloseSession {
                participant: id,
                session: ticket.session,
                code: CloseCode::Left,
            });
            return;
        };
        member.opening = None;
        member.lost_at = None;
        member.session = Some(ticket.session.clone());
        let connection = member.connection;
        if member.inside {
            out.push(Action::Send(connection, DaemonMessage::Ticket { ticket: Box::new(ticket) }));
            return;
        }
        member.inside = true;
        let participant = Participant { participant_id: id, display_name: member.display_name.clone() };
        let joined = Joined {
            version: SIGNALING_VERSION,
            meeting_id: self.id.clone(),
            participant_id: id,
            room: self.id.as_str().to_owned(),
            roster: self.roster(),
            ticket,
        };
        out.push(Action::Send(connection, DaemonMessage::Joined(Box::new(joined))));
        self.tell_others(id, DaemonMessage::ParticipantJoined { participant }, out);
    }

    fn session_refused(&mut self, request: RequestId, out: &mut Vec<Action>) {
        let Some(id) = self.requests.remove(&request) else { return };
        let Some(member) = self.members.get_mut(&id) else { return };
        member.opening = None;
        let connection = member.connection;
        if member.inside {
            out.push(error(connection, ErrorCode::NoRouter, "no router can take the session now", false));
        } else {
            self.members.remove(&id);
            self.by_connection.remove(&connection);
            refuse(connection, ErrorCode::NoRouter, "no router can take the session now", out);
        }
    }

    fn session_lost(
        &mut self,
        now: Time,
        participant: ParticipantId,
        session: &str,
        reason: MediaLostReason,
        out: &mut Vec<Action>,
    ) {
        let Some(member) = self.members.get_mut(&participant) else { return };
        if member.session.as_deref() != Some(session) {
            return;
        }
        member.session = None;
        member.lost_at = Some(now);
        out.push(Action::Send(member.connection, DaemonMessage::MediaLost { reason }));
    }

    fn timed_out(&mut self, now: Time, out: &mut Vec<Action>) {
        let late = |member: &Member| self.deadline(member).is_some_and(|deadline| deadline <= now);
        let late: Vec<(ParticipantId, ConnectionId)> = self
            .members
            .iter()
            .filter(|(_, member)| late(member))
            .map(|(&id, member)| (id, member.connection))
            .collect();
        for (id, connection) in late {
            self.remove(id, LeftReason::MediaTimeout, CloseCode::Removed, out);
            refuse(connection, ErrorCode::MediaTimeout, "no media session for too long", out);
        }
    }

    fn end(&mut self, reason: EndedReason, out: &mut Vec<Action>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let members = std::mem::take(&mut self.members);
        self.by_connection.clear();
        let (inside, pending): (Vec<&Member>, Vec<&Member>) =
            members.values().partition(|member| member.inside);
        let inside: Vec<ConnectionId> = inside.iter().map(|member| member.connection).collect();
        if !inside.is_empty() {
            out.push(Action::Broadcast(inside.clone(), DaemonMessage::MeetingEnded { reason }));
        }
        out.extend(inside.into_iter().map(|connection| Action::Close(connection, CloseKind::Normal)));
        for member in pending {
            refuse(member.connection, ErrorCode::MeetingEnded, "the meeting is over", out);
        }
        out.push(Action::CloseRoom(CloseCode::Removed));
    }

    /// Takes a member out: its session ends, and those who saw it come are told that it went.
    fn remove(&mut self, id: ParticipantId, reason: LeftReason, code: CloseCode, out: &mut Vec<Action>) {
        let Some(member) = self.members.remove(&id) else { return };
        self.by_connection.remove(&member.connection);
        if let Some(session) = member.session {
            out.push(Action::CloseSession { participant: id, session, code });
        }
        if member.inside {
            self.tell_others(id, DaemonMessage::ParticipantLeft { participant_id: id, reason }, out);
        }
    }

    fn tell_others(&self, than: ParticipantId, message: DaemonMessage, out: &mut Vec<Action>) {
        let others = self.members.iter().filter(|&(&id, member)| id != than && member.inside);
        let others: Vec<ConnectionId> = others.map(|(_, member)| member.connection).collect();
        if !others.is_empty() {
            out.push(Action::Broadcast(others, message));
        }
    }

    fn roster(&self) -> Vec<Participant> {
        let inside = self.members.iter().filter(|(_, member)| member.inside);
        inside
            .map(|(&id, member)| Participant {
                participant_id: id,
                display_name: member.display_name.clone(),
            })
            .collect()
    }

    /// When a member without a session is removed. Not while one is being opened: its answer decides first.
    fn deadline(&self, member: &Member) -> Option<Time> {
        if member.opening.is_some() { None } else { member.lost_at.map(|at| at + self.timing.media_timeout) }
    }
}

fn error(connection: ConnectionId, code: ErrorCode, message: &str, fatal: bool) -> Action {
    Action::Send(connection, DaemonMessage::Error(ErrorMessage { code, message: message.to_owned(), fatal }))
}

fn refuse(connection: ConnectionId, code: ErrorCode, message: &str, out: &mut Vec<Action>) {
    out.push(error(connection, code, message, true));
    out.push(Action::Close(connection, CloseKind::Fatal));
}
