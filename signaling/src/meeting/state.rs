//! The state, and what becomes of an event.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use sluice_wire::signaling::{
    DaemonMessage, EndedReason, ErrorCode, ErrorMessage, LeftReason, MeetingId, MeetingState, QualityPreset,
    RecordAction, RecordingState,
};
use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;

use super::chat::ChatLog;
use super::member::Member;
use super::remains::Missed;
use super::roster::Gathered;
use super::timing::{JOIN_RATE, LARGE_MEETING_PARTICIPANTS, REACTION_RATE};
use super::{
    Action, CloseCode, CloseKind, ConnectionId, Event, MeetingSettings, MeetingTiming, Note, RequestId,
};
use crate::rate::Limiter;

/// Participant numbers that the shell reserves at a time: one write to the store per so many joins, and at most so many of
/// the 16 million lost with a crash.
pub const NUMBERS_PER_BLOCK: u32 = 64;

/// One meeting.
#[derive(Debug)]
pub struct Meeting {
    pub(super) id: MeetingId,
    pub(super) settings: MeetingSettings,
    pub(super) timing: MeetingTiming,
    /// The time of the event that is being handled.
    pub(super) now: Time,
    pub(super) ended: bool,
    pub(super) locked: bool,
    pub(super) paused: bool,
    pub(super) recording: RecordingState,
    pub(super) sharer: Option<ParticipantId>,
    pub(super) spotlight: Option<ParticipantId>,
    /// As the settings have it, until a host chooses another.
    pub(super) preset: Option<QualityPreset>,
    /// Numbers that may still be given out.
    pub(super) numbers: Range<u32>,
    pub(super) next_request: u64,
    pub(super) next_entry: u64,
    pub(super) next_hand: u64,
    /// Everybody who joined, by number.
    pub(super) members: BTreeMap<ParticipantId, Member>,
    pub(super) by_connection: BTreeMap<ConnectionId, ParticipantId>,
    /// Requests without an answer yet, those of participants who left included.
    pub(super) requests: BTreeMap<RequestId, ParticipantId>,
    /// When members are removed who stay without a session or a connection.
    pub(super) deadlines: BTreeMap<ParticipantId, Time>,
    /// How many are inside.
    pub(super) inside: usize,
    /// How many wait.
    pub(super) waiting: usize,
    pub(super) bans: BTreeSet<String>,
    /// From how many participants on changes of the roster are gathered.
    pub(super) large_from: usize,
    pub(super) gathered: Gathered,
    pub(super) chat: ChatLog,
    /// Whose seats are to be written.
    pub(super) touched: BTreeSet<ParticipantId>,
    pub(super) missed: Missed,
    pub(super) joins: Limiter,
    pub(super) reactions: Limiter,
}

impl Meeting {
    /// A meeting that nobody has joined.
    #[must_use]
    pub fn new(id: MeetingId, settings: MeetingSettings, timing: MeetingTiming) -> Self {
        Self {
            id,
            preset: settings.preset,
            settings,
            timing,
            now: Time::ZERO,
            ended: false,
            locked: false,
            paused: false,
            recording: RecordingState::Off,
            sharer: None,
            spotlight: None,
            numbers: 0..0,
            next_request: 0,
            next_entry: 0,
            next_hand: 1,
            members: BTreeMap::new(),
            by_connection: BTreeMap::new(),
            requests: BTreeMap::new(),
            deadlines: BTreeMap::new(),
            inside: 0,
            waiting: 0,
            bans: BTreeSet::new(),
            large_from: LARGE_MEETING_PARTICIPANTS,
            gathered: Gathered::default(),
            chat: ChatLog::default(),
            touched: BTreeSet::new(),
            missed: Missed::default(),
            joins: Limiter::new(JOIN_RATE),
            reactions: Limiter::new(REACTION_RATE),
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
    pub const fn participants(&self) -> usize {
        self.inside
    }

    /// How many wait to be let in.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// When [`Event::TimedOut`] is due; `None` if nothing runs.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        let deadline = self.deadlines.values().copied().min();
        [deadline, self.gathered.due, self.gathered.counts_due].into_iter().flatten().min()
    }

    /// Takes an event in. Total: events about unknown connections, requests and sessions change nothing.
    #[must_use]
    pub fn handle(&mut self, now: Time, event: Event) -> Vec<Action> {
        self.now = now;
        let mut actions = Vec::new();
        let out = &mut actions;
        match event {
            Event::NumbersReserved(numbers) => self.numbers = numbers,
            Event::Join(arrival) => self.join(*arrival, out),
            Event::Resume { connection, participant, token, seq, can_replay } => {
                self.resume(connection, participant, &token, seq, can_replay, out);
            }
            Event::Said(connection, request) => self.said(connection, *request, out),
            Event::Disconnected { connection, may_resume } => self.disconnected(connection, may_resume, out),
            Event::SessionOpened(request, ticket) => self.session_opened(request, *ticket, out),
            Event::SessionRefused(request) => self.session_refused(request, out),
            Event::SessionLost { participant, session, reason } => {
                self.session_lost(participant, &session, reason, out);
            }
            Event::SessionFound { participant, session } => {
                if let Some(member) = self.members.get_mut(&participant) {
                    member.session = Some(session);
                    self.touch(participant);
                }
            }
            Event::SessionsAdopted => {
                out.push(Action::SetPreset(self.preset));
                self.renew_all_rights(out);
            }
            Event::SettingsChanged(settings) => self.settings_changed(*settings, out),
            Event::TimedOut => self.timed_out(out),
            Event::End(reason) => self.end(reason, out),
        }
        actions
    }

    fn disconnected(&mut self, connection: ConnectionId, may_resume: bool, out: &mut Vec<Action>) {
        let Some(id) = self.by_connection.remove(&connection) else { return };
        match self.members.get_mut(&id) {
            Some(member) if member.is_inside() && may_resume => {
                member.connection = None;
                member.away_since = Some(self.now);
                self.set_deadline(id);
            }
            _ => self.remove(id, LeftReason::Disconnected, CloseCode::Left, out),
        }
    }

    fn timed_out(&mut self, out: &mut Vec<Action>) {
        let is_due = |&(_, &at): &(&ParticipantId, &Time)| at <= self.now;
        let due: Vec<ParticipantId> = self.deadlines.iter().filter(is_due).map(|(&id, _)| id).collect();
        for id in due {
            let Some(member) = self.members.get(&id) else { continue };
            let connection = member.connection;
            let is_away = member.away_deadline(&self.timing).is_some_and(|at| at <= self.now);
            let reason = if is_away { LeftReason::Disconnected } else { LeftReason::MediaTimeout };
            self.remove(id, reason, CloseCode::Removed, out);
            if let Some(connection) = connection {
                refuse(connection, ErrorCode::MediaTimeout, "no media session for too long", out);
            }
        }
        self.tell_gathered(out);
    }

    fn end(&mut self, reason: EndedReason, out: &mut Vec<Action>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if self.recording != RecordingState::Off {
            let (by, action) = (None, RecordAction::Stop);
            out.push(Action::Record(Note::Recording { by, action, goes_on: true }));
            self.recording = RecordingState::Off;
        }
        (self.sharer, self.spotlight) = (None, None);
        let inside = self.all_inside();
        out.extend(
            inside.iter().map(|&participant| Action::Record(Note::Left { participant, reason: "ended" })),
        );
        broadcast(inside, DaemonMessage::MeetingEnded { reason }, out);
        for (id, member) in std::mem::take(&mut self.members) {
            match member.connection {
                Some(connection) if member.is_inside() => {
                    out.push(Action::Close(connection, CloseKind::Normal));
                }
                Some(connection) => {
                    refuse(connection, ErrorCode::MeetingEnded, "the meeting is over", out);
                }
                None => {}
            }
            if member.is_inside() {
                out.push(Action::Forget(id));
            }
        }
        self.by_connection.clear();
        self.deadlines.clear();
        self.touched.clear();
        self.missed = Missed::default();
        self.gathered = Gathered::default();
        (self.inside, self.waiting) = (0, 0);
        out.push(Action::CloseRoom(CloseCode::Removed));
    }

    /// Takes a member out: its session ends, those who saw it come are told that it went, and what it held goes on without it.
    pub(super) fn remove(
        &mut self,
        id: ParticipantId,
        reason: LeftReason,
        code: CloseCode,
        out: &mut Vec<Action>,
    ) {
        let Some(member) = self.members.remove(&id) else { return };
        if let Some(connection) = member.connection {
            self.by_connection.remove(&connection);
        }
        self.deadlines.remove(&id);
        self.touched.remove(&id);
        if self.returns(id).is_some() {
            self.forget_missed();
        }
        if member.is_waiting() {
            self.waiting -= 1;
            broadcast(self.hosts(), DaemonMessage::WaitingLeft { participant_id: id }, out);
        }
        if let Some(session) = member.session.clone() {
            out.push(Action::CloseSession { participant: id, session, code });
        }
        if !member.is_inside() {
            return;
        }
        self.inside -= 1;
        out.push(Action::Record(Note::Left { participant: id, reason: word(reason) }));
        out.push(Action::Forget(id));
        self.went(id, member.role, reason, out);
        let held = self.state();
        self.let_go(id);
        self.told_if_changed(&held, out);
        self.host_may_have_left(member.role, out);
    }

    /// What a member held is nobody's.
    pub(super) fn let_go(&mut self, id: ParticipantId) {
        self.sharer = self.sharer.filter(|&sharer| sharer != id);
        self.spotlight = self.spotlight.filter(|&spotlight| spotlight != id);
    }

    fn settings_changed(&mut self, settings: MeetingSettings, out: &mut Vec<Action>) {
        let before = self.state();
        // What people are in a meeting does not change while they are in it.
        let kind = self.settings.kind;
        let old = std::mem::replace(&mut self.settings, MeetingSettings { kind, ..settings });
        // A host's choice stands until the setting itself is changed.
        let preset = if old.preset == self.settings.preset { self.preset } else { self.settings.preset };
        self.change_preset(preset, out);
        if self.sharer.and_then(|id| self.members.get(&id)).is_some_and(|member| !self.may_share(member.role))
        {
            self.sharer = None;
        }
        if old.share != self.settings.share {
            self.renew_all_rights(out);
        }
        self.told_if_changed(&before, out);
        self.admit_who_need_not_wait(out);
    }

    /// How the meeting stands, as everybody is told.
    pub(super) const fn state(&self) -> MeetingState {
        MeetingState {
            kind: self.settings.kind,
            locked: self.locked,
            paused: self.paused,
            waiting_room: self.settings.waiting_room,
            share: self.settings.share,
            chat: self.settings.chat,
            recording: self.recording,
            sharer: self.sharer,
            spotlight: self.spotlight,
            preset: self.preset,
        }
    }

    /// Tells everybody how the meeting stands if it stood otherwise before.
    pub(super) fn told_if_changed(&self, before: &MeetingState, out: &mut Vec<Action>) {
        let meeting = self.state();
        if meeting != *before {
            broadcast(self.all_inside(), DaemonMessage::MeetingUpdate { meeting }, out);
        }
    }

    /// Sets or clears the time at which a member is removed.
    pub(super) fn set_deadline(&mut self, id: ParticipantId) {
        let Some(member) = self.members.get(&id) else { return };
        let deadlines = [member.media_deadline(&self.timing), member.away_deadline(&self.timing)];
        match deadlines.into_iter().flatten().min() {
            Some(at) => self.deadlines.insert(id, at),
            None => self.deadlines.remove(&id),
        };
    }

    /// Who is inside, by rising number.
    pub(super) fn all_inside(&self) -> Vec<ParticipantId> {
        self.inside_where(|_| true)
    }

    /// Host and co-hosts who are inside.
    pub(super) fn hosts(&self) -> Vec<ParticipantId> {
        self.inside_where(|member| member.role.is_host())
    }

    /// Who is inside and as described, by rising number.
    pub(super) fn inside_where(&self, is_meant: impl Fn(&Member) -> bool) -> Vec<ParticipantId> {
        let meant = self.members.iter().filter(|(_, member)| member.is_inside() && is_meant(member));
        meant.map(|(&id, _)| id).collect()
    }
}

/// Sends to several, if there are any.
pub(super) fn broadcast(to: Vec<ParticipantId>, message: DaemonMessage, out: &mut Vec<Action>) {
    if !to.is_empty() {
        out.push(Action::Broadcast(to, message));
    }
}

/// Sends a fatal error and closes.
pub(super) fn refuse(connection: ConnectionId, code: ErrorCode, message: &str, out: &mut Vec<Action>) {
    out.push(Action::Tell(connection, DaemonMessage::Error(ErrorMessage::new(code, message, true))));
    out.push(Action::Close(connection, CloseKind::Fatal));
}

const fn word(reason: LeftReason) -> &'static str {
    match reason {
        LeftReason::Left => "left",
        LeftReason::Disconnected => "disconnected",
        LeftReason::MediaTimeout => "media_timeout",
        LeftReason::Removed => "removed",
        LeftReason::OffStage | LeftReason::Other => "other",
    }
}
