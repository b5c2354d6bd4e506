//! Random events against a model: clients that believe what they are told, and a router that opens what it is asked for.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sluice_wire::signaling::{DaemonMessage, EndedReason, MediaLostReason};
use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;

use super::tests::{MEDIA_TIMEOUT, meeting, name, ticket};
use super::*;

const MAX_PARTICIPANTS: u32 = 4;
const CONNECTIONS: u64 = 8;

#[derive(Clone, Debug)]
enum Step {
    Join(u64),
    Leave(u64),
    Disconnect(u64),
    NewTicket(u64),
    Answer { which: usize, open: bool },
    Lose { which: usize },
    Wait,
    End,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..CONNECTIONS).prop_map(Step::Join),
        2 => (0..CONNECTIONS).prop_map(Step::Leave),
        2 => (0..CONNECTIONS).prop_map(Step::Disconnect),
        2 => (0..CONNECTIONS).prop_map(Step::NewTicket),
        8 => (any::<usize>(), prop::bool::weighted(0.8)).prop_map(|(which, open)| Step::Answer { which, open }),
        3 => any::<usize>().prop_map(|which| Step::Lose { which }),
        1 => Just(Step::Wait),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    (prop::collection::vec(step(), 0..80), prop::bool::weighted(0.3)).prop_map(|(mut steps, end)| {
        if end {
            steps.insert(steps.len() / 2, Step::End);
        }
        steps
    })
}

/// What a client knows.
#[derive(Debug)]
enum Client {
    Asked,
    Inside { own: ParticipantId, roster: BTreeSet<ParticipantId> },
}

struct World {
    meeting: Meeting,
    now: Time,
    /// By the number of the connection in use; a connection that was closed is never used again.
    clients: BTreeMap<ConnectionId, Client>,
    /// The present connection of each of the steps' numbers.
    connections: Vec<ConnectionId>,
    ids_given: BTreeSet<ParticipantId>,
    requests: Vec<(RequestId, ParticipantId)>,
    /// What the router has.
    sessions: BTreeMap<ParticipantId, String>,
    sessions_opened: u32,
    next_connection: u64,
    next_number: u32,
    ended: bool,
}

impl World {
    fn new() -> Self {
        Self {
            meeting: meeting(MAX_PARTICIPANTS),
            now: Time::ZERO,
            clients: BTreeMap::new(),
            connections: (0..CONNECTIONS).map(ConnectionId).collect(),
            ids_given: BTreeSet::new(),
            requests: Vec::new(),
            sessions: BTreeMap::new(),
            sessions_opened: 0,
            next_connection: CONNECTIONS,
            next_number: 1 + NUMBERS_PER_BLOCK,
            ended: false,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Join(number) => {
                let connection = self.connections[number as usize];
                let fresh = !self.clients.contains_key(&connection);
                if fresh {
                    self.clients.insert(connection, Client::Asked);
                }
                self.feed(Event::Join { connection, display_name: name("x") });
            }
            Step::Leave(number) => self.feed(Event::Leave(self.connections[number as usize])),
            Step::Disconnect(number) => {
                let connection = self.connections[number as usize];
                self.forget(connection);
                self.feed(Event::Disconnected(connection));
            }
            Step::NewTicket(number) => self.feed(Event::NewTicket(self.connections[number as usize])),
            Step::Answer { which, open } => {
                if !self.requests.is_empty() {
                    self.answer(which % self.requests.len(), open);
                }
            }
            Step::Lose { which } => {
                let Some((&participant, session)) =
                    self.sessions.iter().nth(which % self.sessions.len().max(1))
                else {
                    return;
                };
                let session = session.clone();
                self.sessions.remove(&participant);
                self.feed(Event::SessionLost { participant, session, reason: MediaLostReason::RouterGone });
            }
            Step::Wait => {
                self.now += MEDIA_TIMEOUT;
                self.feed(Event::TimedOut);
                assert!(self.meeting.next_timeout().is_none_or(|deadline| deadline > self.now));
            }
            Step::End => {
                self.ended = true;
                self.feed(Event::End(EndedReason::EndedByHost));
                assert!(self.clients.is_empty(), "all were told and closed");
            }
        }
    }

    fn answer(&mut self, index: usize, open: bool) {
        let (request, participant) = self.requests.remove(index);
        if open {
            self.sessions_opened += 1;
            let session = format!("s{}", self.sessions_opened);
            self.sessions.insert(participant, session.clone());
            self.feed(Event::SessionOpened(request, Box::new(ticket(&session))));
        } else {
            self.feed(Event::SessionRefused(request));
        }
    }

    fn feed(&mut self, event: Event) {
        for action in self.meeting.handle(self.now, event) {
            match action {
                Action::Send(to, message) => self.receive(to, &message),
                Action::Broadcast(to, message) => to.into_iter().for_each(|to| self.receive(to, &message)),
                Action::Close(connection, _) => self.forget(connection),
                Action::OpenSession(request, participant) => self.requests.push((request, participant)),
                Action::CloseSession { participant, session, .. } => {
                    if self.sessions.get(&participant) == Some(&session) {
                        self.sessions.remove(&participant);
                    }
                }
                Action::CloseRoom(_) => self.sessions.clear(),
            }
        }
        self.check();
    }

    fn receive(&mut self, to: ConnectionId, message: &DaemonMessage) {
        let client = self.clients.get_mut(&to).expect("only who has come and not gone is spoken to");
        match (client, message) {
            (client @ Client::Asked, DaemonMessage::Joined(joined)) => {
                assert!(!self.ended);
                assert!(self.ids_given.insert(joined.participant_id), "a number was given twice");
                let roster = joined.roster.iter().map(|line| line.participant_id).collect();
                *client = Client::Inside { own: joined.participant_id, roster };
            }
            (Client::Asked, DaemonMessage::Error(_)) => {}
            (Client::Asked, other) => panic!("before an answer to the join: {other:?}"),
            (Client::Inside { roster, own }, DaemonMessage::ParticipantJoined { participant }) => {
                assert_ne!(*own, participant.participant_id);
                assert!(roster.insert(participant.participant_id), "came twice");
            }
            (Client::Inside { roster, own }, DaemonMessage::ParticipantLeft { participant_id, .. }) => {
                assert_ne!(own, participant_id);
                assert!(roster.remove(participant_id), "went without having come");
            }
            (Client::Inside { .. }, DaemonMessage::Joined(_)) => panic!("joined twice"),
            (Client::Inside { .. }, _) => {}
        }
    }

    /// The connection is gone; the next join from the same number comes by a new one.
    fn forget(&mut self, connection: ConnectionId) {
        self.clients.remove(&connection);
        for slot in &mut self.connections {
            if *slot == connection {
                *slot = ConnectionId(self.next_connection);
                self.next_connection += 1;
            }
        }
    }

    fn check(&self) {
        let inside: BTreeSet<ParticipantId> = self
            .clients
            .values()
            .filter_map(|client| if let Client::Inside { own, .. } = client { Some(*own) } else { None })
            .collect();
        assert_eq!(inside.len(), self.meeting.participants());
        assert!(inside.len() <= MAX_PARTICIPANTS as usize, "more than the meeting takes");
        for client in self.clients.values() {
            if let Client::Inside { roster, .. } = client {
                assert_eq!(roster, &inside, "the deltas add up to who is inside");
            }
        }
    }

    /// Everybody hangs up and every request is answered: nothing may be left anywhere.
    fn wind_down(&mut self) {
        while !self.requests.is_empty() {
            self.answer(0, true);
        }
        let asked = self.clients.values().filter(|client| matches!(client, Client::Asked)).count();
        assert_eq!(asked, 0, "a join without an answer");
        for connection in self.clients.keys().copied().collect::<Vec<_>>() {
            self.forget(connection);
            self.feed(Event::Disconnected(connection));
        }
        assert!(self.meeting.is_idle());
        assert_eq!(self.sessions, BTreeMap::new(), "a session that nobody holds");
    }
}

proptest! {
    #[test]
    fn clients_and_router_always_agree_with_the_meeting(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            if world.meeting.needs_numbers() {
                let first = world.next_number;
                world.next_number += 2;
                world.feed(Event::NumbersReserved(first..world.next_number));
            }
            world.step(step);
        }
        world.wind_down();
    }
}
