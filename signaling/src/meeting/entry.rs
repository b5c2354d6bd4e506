//! Coming in: joins, the waiting room, and coming back.

use sluice_wire::signaling::{
    DaemonMessage, ErrorCode, ErrorMessage, Joined, LeftReason, Role, SIGNALING_VERSION, Snapshot, Token,
    Waiting, WaitingReason,
};
use sluice_wire::ticket::Ticket;
use sluice_wire::track::ParticipantId;

use super::member::{Member, Phase, ban_key};
use super::rights::{Outcome, only_if, refusal, role_on_entry};
use super::state::{broadcast, refuse};
use super::timing::{JOIN_RETRY_SPREAD, MAX_BANS};
use super::{Action, Arrival, CloseCode, CloseKind, ConnectionId, Meeting, Note};
use crate::rate::spread_millis;

impl Meeting {
    pub(super) fn join(&mut self, arrival: Arrival, out: &mut Vec<Action>) {
        let connection = arrival.connection;
        if self.by_connection.contains_key(&connection) {
            let message = "this connection has joined";
            let error = ErrorMessage::new(ErrorCode::AlreadyJoined, message, false);
            out.push(Action::Tell(connection, DaemonMessage::Error(error)));
            return;
        }
        if self.ended {
            return refuse(connection, ErrorCode::MeetingEnded, "the meeting is over", out);
        }
        if self.bans.contains(&ban_key(arrival.grant.identity.as_deref(), &arrival.display_name)) {
            return refuse(connection, ErrorCode::Banned, "a host has put you out for good", out);
        }
        let role = role_on_entry(self.settings.kind, arrival.grant.role);
        if self.locked && !role.is_host() {
            return refuse(connection, ErrorCode::MeetingLocked, "the meeting is locked", out);
        }
        let waits_for = self.waits_for(role);
        let (there, message) = match waits_for {
            Some(_) => (self.waiting, "the waiting room is full"),
            None => (self.members.len() - self.waiting, "the meeting is full"),
        };
        if there >= self.settings.max_participants as usize {
            return refuse(connection, ErrorCode::MeetingFull, message, out);
        }
        if !self.joins.take(self.now) {
            return refuse_for_now(connection, out);
        }
        let Some(id) = self.numbers.next().and_then(|number| ParticipantId::new(number).ok()) else {
            return refuse(connection, ErrorCode::Internal, "no participant number is left", out);
        };
        let phase = waits_for.map_or(Phase::Entering, Phase::Waiting);
        let member = Member::new(arrival, role, phase);
        let waiting = member.waiting_line(id);
        self.members.insert(id, member);
        self.by_connection.insert(connection, id);
        match waits_for {
            None => self.open_session(id, out),
            Some(reason) => {
                self.waiting += 1;
                out.push(Action::Tell(connection, DaemonMessage::Waiting { reason }));
                broadcast(self.hosts(), DaemonMessage::WaitingJoined { waiting }, out);
            }
        }
    }

    /// What somebody of this role waits for before it is let in.
    fn waits_for(&self, role: Role) -> Option<WaitingReason> {
        if role.is_host() {
            None
        } else if self.settings.waiting_room {
            Some(WaitingReason::WaitingRoom)
        } else if self.paused || (!self.settings.join_before_host && self.hosts().is_empty()) {
            Some(WaitingReason::NoHost)
        } else {
            None
        }
    }

    /// The first session of a member is open: it is inside.
    pub(super) fn enter(&mut self, id: ParticipantId, ticket: Ticket, token: Token, out: &mut Vec<Action>) {
        let before = self.state();
        let acting = self.host();
        let has_granted_host =
            acting.and_then(|host| self.members.get(&host)).is_some_and(|host| host.is_granted_host);
        let order = self.next_entry;
        self.next_entry += 1;
        let mutes = self.settings.mute_on_entry;
        let Some(member) = self.members.get_mut(&id) else { return };
        let Some(connection) = member.connection else { return };
        member.phase = Phase::Inside(order);
        let takes_over = member.is_granted_host && !has_granted_host;
        if takes_over {
            member.role = Role::Host;
        }
        member.muted = !member.role.is_on_stage() || (mutes && !member.role.is_host());
        let (role, is_recorded) = (member.role, member.role.is_on_stage());
        let note = Note::Entered {
            participant: id,
            identity: member.identity.clone(),
            display_name: member.display_name.clone(),
            role,
        };
        self.inside += 1;
        if role.is_host() {
            self.paused = false;
        }
        let steps_back = acting.filter(|_| takes_over);
        if let Some(host) = steps_back.and_then(|host| self.members.get_mut(&host)) {
            host.role = Role::CoHost;
        }
        out.push(Action::Record(note));
        out.push(Action::Attach(id, connection));
        let joined = self.joined(id, role, ticket, token);
        out.push(Action::Send(id, DaemonMessage::Joined(Box::new(joined))));
        self.came(id, out);
        if let Some(host) = steps_back {
            self.changed(host, Role::Host, out);
        }
        self.send_history(id, out);
        if is_recorded {
            self.ask_consent(id, out);
        }
        self.told_if_changed(&before, out);
        self.admit_who_need_not_wait(out);
    }

    fn joined(&self, id: ParticipantId, role: Role, ticket: Ticket, resume_token: Token) -> Joined {
        Joined {
            version: SIGNALING_VERSION,
            meeting_id: self.id.clone(),
            participant_id: id,
            room: self.id.as_str().to_owned(),
            meeting: self.state(),
            roster: self.roster_for(id, role),
            counts: self.counts_for(role),
            waiting: self.waiting_for(role),
            resume_token,
            resume_within_ms: u64::try_from(self.timing.resume_timeout.as_millis()).unwrap_or(u64::MAX),
            ticket,
        }
    }

    /// How things stand for one who is inside.
    pub(super) fn send_snapshot(&self, id: ParticipantId, out: &mut Vec<Action>) {
        let Some(member) = self.members.get(&id) else { return };
        let snapshot = Snapshot {
            meeting: self.state(),
            roster: self.roster_for(id, member.role),
            counts: self.counts_for(member.role),
            waiting: self.waiting_for(member.role),
            pinned: member.pinned,
            session: member.session.clone(),
        };
        out.push(Action::Send(id, DaemonMessage::Snapshot(Box::new(snapshot))));
    }

    fn waiting_for(&self, role: Role) -> Vec<Waiting> {
        if role.is_host() { self.waiting_list() } else { Vec::new() }
    }

    pub(super) fn waiting_list(&self) -> Vec<Waiting> {
        let waiting = self.members.iter().filter(|(_, member)| member.is_waiting());
        waiting.map(|(&id, member)| member.waiting_line(id)).collect()
    }

    pub(super) fn resume(
        &mut self,
        connection: ConnectionId,
        id: ParticipantId,
        token: &Token,
        seq: u64,
        can_replay: bool,
        out: &mut Vec<Action>,
    ) {
        let is_used = self.by_connection.contains_key(&connection);
        let known = self
            .members
            .get_mut(&id)
            .filter(|member| member.is_inside() && !is_used && member.resume_token.is_of(token));
        let Some(member) = known else {
            out.push(Action::RefuseResume(connection));
            return;
        };
        member.away_since = None;
        if let Some(old) = member.connection.replace(connection) {
            self.by_connection.remove(&old);
            refuse(old, ErrorCode::Replaced, "the participant goes on by another connection", out);
        }
        self.by_connection.insert(connection, id);
        self.set_deadline(id);
        out.push(Action::Attach(id, connection));
        out.push(Action::Tell(connection, DaemonMessage::Resumed { participant_id: id, after: seq }));
        if let Some(joined_at) = self.returns(id) {
            out.push(Action::Number(id, seq));
            self.send_snapshot(id, out);
            self.send_missed(id, joined_at, out);
        } else if can_replay {
            out.push(Action::Replay(id, seq));
        } else {
            self.send_snapshot(id, out);
        }
    }

    /// Lets those in who waited for a host, or in a waiting room that there is no more.
    pub(super) fn admit_who_need_not_wait(&mut self, out: &mut Vec<Action>) {
        if self.waiting == 0 {
            return;
        }
        let waiting = self.members.iter().filter(|(_, member)| member.is_waiting());
        let waiting: Vec<(ParticipantId, Role)> = waiting.map(|(&id, member)| (id, member.role)).collect();
        for (id, role) in waiting {
            // Who finds the meeting full goes on waiting.
            if self.waits_for(role).is_none() && self.let_in(id, out).is_err() {
                return;
            }
        }
    }

    pub(super) fn admit(&mut self, actor: Role, id: ParticipantId, out: &mut Vec<Action>) -> Outcome {
        only_if(actor.is_host(), "only hosts admit")?;
        self.let_in(id, out)
    }

    pub(super) fn admit_all(&mut self, actor: Role, out: &mut Vec<Action>) -> Outcome {
        only_if(actor.is_host(), "only hosts admit")?;
        for waiting in self.waiting_list() {
            self.let_in(waiting.participant_id, out)?;
        }
        Ok(())
    }

    fn let_in(&mut self, id: ParticipantId, out: &mut Vec<Action>) -> Outcome {
        let is_full = self.members.len() - self.waiting >= self.settings.max_participants as usize;
        let waiting = self.members.get_mut(&id).filter(|member| member.is_waiting());
        let member = waiting.ok_or(refusal(ErrorCode::NoSuchParticipant, "nobody of this number waits"))?;
        if is_full {
            return Err(refusal(ErrorCode::MeetingFull, "the meeting is full"));
        }
        member.phase = Phase::Entering;
        self.waiting -= 1;
        broadcast(self.hosts(), DaemonMessage::WaitingLeft { participant_id: id }, out);
        self.open_session(id, out);
        Ok(())
    }

    pub(super) fn deny(
        &mut self,
        actor: Role,
        id: ParticipantId,
        ban: bool,
        out: &mut Vec<Action>,
    ) -> Outcome {
        only_if(actor.is_host(), "only hosts send away")?;
        let waiting = self.members.get(&id).filter(|member| member.is_waiting());
        let member = waiting.ok_or(refusal(ErrorCode::NoSuchParticipant, "nobody of this number waits"))?;
        let (connection, key) = (member.connection, member.ban_key());
        if ban {
            self.ban(key)?;
        }
        self.remove(id, LeftReason::Removed, CloseCode::Removed, out);
        if let Some(connection) = connection {
            refuse(connection, ErrorCode::Denied, "a host did not let you in", out);
        }
        Ok(())
    }

    pub(super) fn ban(&mut self, key: String) -> Outcome {
        if self.bans.len() >= MAX_BANS && !self.bans.contains(&key) {
            return Err(refusal(ErrorCode::Unavailable, "the meeting keeps too many out already: lock it"));
        }
        self.bans.insert(key);
        Ok(())
    }
}

/// Too many come at once: those who are sent away come back one after the other, as their connections' numbers are spread.
fn refuse_for_now(connection: ConnectionId, out: &mut Vec<Action>) {
    let error = ErrorMessage {
        retry_after_ms: Some(spread_millis(connection.0, JOIN_RETRY_SPREAD)),
        ..ErrorMessage::new(ErrorCode::RateLimited, "too many are joining; try again", true)
    };
    out.push(Action::Tell(connection, DaemonMessage::Error(error)));
    out.push(Action::Close(connection, CloseKind::Fatal));
}
