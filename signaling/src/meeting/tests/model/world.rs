//! The meeting, its people and its router, and what always holds between them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sluice_wire::signaling::{
    ClientMessage, DaemonMessage, EndedReason, MediaLostReason, Numbered, Participant, Role,
};
use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;

use super::super::super::*;
use super::super::{TIMING, granted, name, ticket, token};
use super::people::Person;
use super::{PEOPLE, Step};

pub(super) struct World {
    meeting: Meeting,
    now: Time,
    /// By the steps' numbers.
    people: [Option<Person>; PEOPLE],
    /// What the shell keeps for each participant, and where it sends it.
    streams: BTreeMap<ParticipantId, (Stream<String>, ConnectionId)>,
    numbers_given: BTreeSet<ParticipantId>,
    requests: Vec<(RequestId, ParticipantId, MediaRights)>,
    /// What the router has, with what each may do there.
    sessions: BTreeMap<ParticipantId, (String, MediaRights)>,
    /// The preset of its room, as far as there is one.
    preset: Option<QualityPreset>,
    sessions_opened: u32,
    next_connection: u64,
    next_number: u32,
}

/// All that a command could change, as far as others notice.
#[derive(Debug, PartialEq)]
struct Digest(sluice_wire::signaling::MeetingState, Vec<Participant>, Vec<ParticipantId>, usize);

impl World {
    pub(super) fn new(settings: MeetingSettings, large_from: usize) -> Self {
        let mut meeting = Meeting::new("23456789abcd".parse().unwrap(), settings, TIMING);
        meeting.large_from = large_from;
        Self {
            meeting,
            now: Time::from_nanos(1_000_000_000),
            people: std::array::from_fn(|_| None),
            streams: BTreeMap::new(),
            numbers_given: BTreeSet::new(),
            requests: Vec::new(),
            sessions: BTreeMap::new(),
            preset: None,
            sessions_opened: 0,
            next_connection: 0,
            next_number: 1,
        }
    }

    pub(super) fn step(&mut self, step: Step) {
        match step {
            Step::Join { who, role } => self.join(who, role),
            Step::Say { who, message } => self.say(who, message),
            Step::Deafen { who } => {
                if let Some(person) = self.people[who].as_mut().filter(|person| person.view.is_some()) {
                    person.is_deaf = true;
                }
            }
            Step::Break { who, may_resume } => self.break_off(who, may_resume),
            Step::Resume { who } => self.resume(who),
            Step::Answer { which, open } => {
                if !self.requests.is_empty() {
                    self.answer(which % self.requests.len(), open);
                }
            }
            Step::Lose { which } => {
                let lost = self.sessions.iter().nth(which % self.sessions.len().max(1));
                let Some((&participant, (session, _))) = lost else { return };
                let session = session.clone();
                self.drop_session(participant);
                self.feed(Event::SessionLost { participant, session, reason: MediaLostReason::RouterGone });
            }
            Step::Wait { millis } => {
                self.now += Duration::from_millis(millis);
                self.feed(Event::TimedOut);
                assert!(self.meeting.next_timeout().is_none_or(|deadline| deadline > self.now));
            }
            Step::Settings(settings) => self.feed(Event::SettingsChanged(settings)),
            Step::End => {
                self.feed(Event::End(EndedReason::EndedByHost));
                assert!(
                    self.people.iter().flatten().all(|person| !person.hears()),
                    "all were told and closed"
                );
            }
        }
    }

    fn join(&mut self, who: usize, role: Option<Role>) {
        if self.people[who].is_some() {
            return;
        }
        if self.meeting.needs_numbers() {
            let first = self.next_number;
            self.next_number += 2;
            self.feed(Event::NumbersReserved(first..self.next_number));
        }
        let connection = self.new_connection();
        self.people[who] = Some(Person::new(connection));
        let grant = role.map_or_else(Grant::default, granted);
        let arrival = Arrival { connection, display_name: name("x"), grant, resume_token: token(connection) };
        self.feed(Event::Join(Box::new(arrival)));
    }

    fn new_connection(&mut self) -> ConnectionId {
        self.next_connection += 1;
        ConnectionId(self.next_connection)
    }

    fn say(&mut self, who: usize, message: ClientMessage) {
        let Some(person) = self.people[who].as_ref().filter(|person| !person.is_broken) else { return };
        let connection = person.connection;
        let member = self.meeting.by_connection.get(&connection).map(|id| (*id, &self.meeting.members[id]));
        let is_forbidden = match member {
            Some((id, member)) if member.is_inside() => self.forbids(id, member.role, &message),
            Some(_) => !matches!(message, ClientMessage::Leave),
            None => true,
        };
        let before = self.digest();
        self.feed(Event::Said(connection, Box::new(message.clone().into())));
        if is_forbidden {
            assert_eq!(self.digest(), before, "{message:?} changed something");
        }
    }

    /// What a role must never be able to do, said once more and in other words than in the meeting itself.
    fn forbids(&self, actor: ParticipantId, role: Role, message: &ClientMessage) -> bool {
        use ClientMessage as Say;
        let inside = |id: &ParticipantId| self.meeting.members.get(id).filter(|member| member.is_inside());
        let rank = |role: Role| match role {
            Role::Host => 2,
            Role::CoHost => 1,
            _ => 0,
        };
        let is_guest = rank(role) == 0;
        let is_above = |id: &ParticipantId| inside(id).is_some_and(|whom| rank(role) > rank(whom.role));
        let not_about = |whom: &Option<ParticipantId>| whom.is_some_and(|id| id != actor && !is_above(&id));
        match message {
            Say::Mute { participant_id, muted: true } => not_about(participant_id),
            Say::Mute { participant_id, muted: false } => {
                participant_id.is_some_and(|id| id != actor) || role == Role::Attendee || self.meeting.paused
            }
            Say::Video { on } => *on && (role == Role::Attendee || self.meeting.paused),
            Say::Rename { participant_id, .. } => not_about(participant_id),
            Say::Hand { participant_id, raised } => {
                not_about(participant_id) || (*raised && participant_id.is_some_and(|id| id != actor))
            }
            Say::SetRole { participant_id, role: new } => {
                !is_above(participant_id) || (rank(*new) > 0 && role != Role::Host)
            }
            Say::Remove { participant_id, .. } => !is_above(participant_id),
            Say::Share { active: true, .. } => {
                role == Role::Attendee
                    || self.meeting.paused
                    || (self.meeting.settings.share == SharePolicy::Hosts && is_guest)
                    || self.meeting.sharer.is_some_and(|id| id != actor && !is_above(&id))
            }
            Say::Share { active: false, .. } => {
                self.meeting.sharer.is_some_and(|id| id != actor && !is_above(&id))
            }
            Say::MuteAll
            | Say::Spotlight { .. }
            | Say::Lock { .. }
            | Say::Admit { .. }
            | Say::AdmitAll
            | Say::Deny { .. }
            | Say::SetPreset { .. }
            | Say::Record { .. } => is_guest,
            Say::EndMeeting => role != Role::Host,
            Say::Consent { .. } => role == Role::Attendee,
            _ => false,
        }
    }

    fn digest(&self) -> Digest {
        let waiting = self.meeting.waiting_list().iter().map(|one| one.participant_id).collect();
        Digest(self.meeting.state(), self.everybody(), waiting, self.meeting.bans.len())
    }

    fn everybody(&self) -> Vec<Participant> {
        let inside = self.meeting.members.iter().filter(|(_, member)| member.is_inside());
        inside.map(|(&id, member)| member.line(id)).collect()
    }

    fn break_off(&mut self, who: usize, may_resume: bool) {
        let Some(person) = self.people[who].as_mut().filter(|person| !person.is_broken) else { return };
        person.is_broken = true;
        let connection = person.connection;
        // Who was not inside, or may not come back, is nobody any more.
        if person.view.is_none() || !may_resume {
            self.people[who] = None;
        }
        self.feed(Event::Disconnected { connection, may_resume });
    }

    fn resume(&mut self, who: usize) {
        let connection = self.new_connection();
        let Some(person) = self.people[who].as_mut() else { return };
        let Some(view) = &person.view else { return };
        let (participant, token, seq) = (view.own, view.token.clone(), view.seq);
        let can_replay = self.streams.get(&participant).is_some_and(|(stream, _)| stream.can_replay(seq));
        // What the old connection is told from now on does not concern anybody.
        person.connection = connection;
        (person.is_deaf, person.is_broken) = (false, false);
        self.feed(Event::Resume { connection, participant, token, seq, can_replay });
    }

    fn answer(&mut self, index: usize, open: bool) {
        let (request, participant, rights) = self.requests.remove(index);
        if open {
            self.sessions_opened += 1;
            let session = format!("s{}", self.sessions_opened);
            self.sessions.insert(participant, (session.clone(), rights));
            self.feed(Event::SessionOpened(request, Box::new(ticket(&session))));
        } else {
            self.feed(Event::SessionRefused(request));
        }
    }

    fn feed(&mut self, event: Event) {
        let mut more = Vec::new();
        for action in self.meeting.handle(self.now, event) {
            match action {
                Action::Record(_) => {}
                Action::Send(to, message) => self.send(to, &message),
                Action::Broadcast(to, message) => to.into_iter().for_each(|to| self.send(to, &message)),
                Action::Tell(to, message) => self.tell(to, &message),
                Action::Attach(id, connection) => {
                    let stream = self.streams.entry(id).or_insert_with(|| (Stream::new(), connection));
                    stream.1 = connection;
                }
                Action::Number(id, _) => panic!("{id:?} was never another owner's"),
                Action::Replay(id, after) => self.replay(id, after),
                Action::RefuseResume(connection) => self.hang_up(connection),
                Action::Forget(id) => assert!(self.streams.remove(&id).is_some(), "was never inside"),
                Action::Close(connection, _) => self.hang_up(connection),
                Action::OpenSession(request, participant, terms) => {
                    self.requests.push((request, participant, terms.rights));
                    self.preset = terms.preset;
                }
                Action::SetRights { participant, session, rights } => {
                    if let Some((name, may)) = self.sessions.get_mut(&participant)
                        && *name == session
                    {
                        assert_ne!(*may, rights, "it knows");
                        *may = rights;
                    }
                }
                Action::SetPreset(preset) => self.preset = preset,
                Action::CloseSession { participant, session, .. } => {
                    if self.sessions.get(&participant).is_some_and(|(name, _)| *name == session) {
                        self.drop_session(participant);
                    }
                }
                Action::CloseRoom(_) => self.sessions.clear(),
                Action::EndMeeting => more.push(Event::End(EndedReason::EndedByHost)),
            }
        }
        self.check();
        more.into_iter().for_each(|event| self.feed(event));
    }

    /// A room forgets its preset with its last session.
    fn drop_session(&mut self, participant: ParticipantId) {
        self.sessions.remove(&participant);
        if self.sessions.is_empty() && self.requests.is_empty() {
            self.preset = None;
        }
    }

    fn send(&mut self, to: ParticipantId, message: &DaemonMessage) {
        let (stream, connection) = self.streams.get_mut(&to).expect("only who is inside is sent anything");
        let connection = *connection;
        let numbering = stream.push(serde_json::to_string(message).unwrap());
        if matches!(message, DaemonMessage::Joined(_)) {
            assert!(self.numbers_given.insert(to), "a number was given twice");
        }
        self.deliver(connection, &numbering);
    }

    fn replay(&mut self, to: ParticipantId, after: u64) {
        let (stream, connection) = self.streams.get_mut(&to).unwrap();
        let connection = *connection;
        let missed: Vec<_> = stream.replay(after).collect();
        missed.iter().for_each(|numbering| self.deliver(connection, numbering));
    }

    fn deliver(&mut self, connection: ConnectionId, numbering: &Numbering<String>) {
        let message = serde_json::from_str(&numbering.message).unwrap();
        if let Some(person) = self.hearing(connection) {
            person.numbered(Numbered { seq: Some(numbering.seq), message });
        }
    }

    fn tell(&mut self, to: ConnectionId, message: &DaemonMessage) {
        let Some(person) = self.hearing(to) else { return };
        let is_inside = person.view.is_some();
        match message {
            DaemonMessage::Waiting { .. } => assert!(!is_inside),
            DaemonMessage::Resumed { .. } => assert!(is_inside),
            DaemonMessage::Error(_) => {}
            other => panic!("{other:?} without a number"),
        }
    }

    fn hearing(&mut self, connection: ConnectionId) -> Option<&mut Person> {
        let mut people = self.people.iter_mut().flatten();
        people.find(|person| person.connection == connection && person.hears())
    }

    /// The daemon is done with a connection: whoever had it is nobody.
    fn hang_up(&mut self, connection: ConnectionId) {
        for slot in &mut self.people {
            if slot.as_ref().is_some_and(|person| person.connection == connection) {
                *slot = None;
            }
        }
    }

    fn check(&self) {
        let inside = self.everybody();
        assert_eq!(inside.len(), self.meeting.participants());
        assert!(inside.iter().map(|line| line.participant_id).eq(self.streams.keys().copied()));
        assert!(inside.iter().filter(|line| line.role == Role::Host).count() <= 1, "two hosts");
        let connections: BTreeSet<_> =
            self.meeting.members.values().filter_map(|member| member.connection).collect();
        let connected = self.meeting.members.values().filter(|member| member.connection.is_some()).count();
        assert_eq!((connections.len(), self.meeting.by_connection.len()), (connected, connected));
        for line in &inside {
            assert!(line.role.is_on_stage() || (line.muted && !line.video), "{line:?} is heard or seen");
        }
        let sharer = self.meeting.sharer.map(|id| self.meeting.members[&id].role);
        assert!(sharer.is_none_or(|role| role.is_on_stage()));
        for (id, (name, may)) in &self.sessions {
            let member = self.meeting.members.get(id).filter(|member| member.session.as_ref() == Some(name));
            let Some(role) = member.map(|member| member.role) else { continue };
            assert_eq!(self.meeting.preset, self.preset);
            assert_eq!(may.may_publish, role != Role::Attendee);
            assert_eq!(may.may_take_screen, matches!(role, Role::Host | Role::CoHost));
            let shares = role != Role::Attendee && self.meeting.settings.share == SharePolicy::Everyone;
            assert_eq!(may.may_share, may.may_take_screen || shares);
        }
        let mut owns = BTreeSet::new();
        for person in self.people.iter().flatten() {
            let Some(view) = &person.view else { continue };
            assert!(owns.insert(view.own), "two people are one participant");
            // Who does not hear knows nothing new; and what is gathered is not known to anybody yet.
            if !person.hears() || self.meeting.gathered.due.is_some() {
                continue;
            }
            let roster: Vec<Participant> = view.roster.values().cloned().collect();
            assert_eq!(roster, self.meeting.roster_for(view.own, view.role()), "for {:?}", view.own);
            assert_eq!(view.meeting, self.meeting.state());
            if view.role().is_host() {
                let waiting = self.meeting.waiting_list();
                assert!(waiting.iter().map(|one| one.participant_id).eq(view.waiting.iter().copied()));
            }
        }
    }

    /// Everybody comes back, and knows everything; everybody leaves and every request is answered: nothing is left.
    pub(super) fn wind_down(&mut self) {
        (0..PEOPLE).for_each(|who| self.resume(who));
        self.step(Step::Wait { millis: 1_000 });
        while !self.requests.is_empty() {
            self.answer(0, true);
        }
        (0..PEOPLE).for_each(|who| self.break_off(who, false));
        self.step(Step::Wait { millis: 30_000 });
        while !self.requests.is_empty() {
            self.answer(0, true);
        }
        assert!(self.meeting.is_idle());
        assert_eq!(self.sessions, BTreeMap::new(), "a session that nobody holds");
        assert!(self.streams.is_empty() && self.meeting.by_connection.is_empty());
    }
}
