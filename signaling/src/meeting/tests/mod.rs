//! One meeting, event by event; and random events against a model.

mod entry;
mod hosts;
mod model;
mod resume;
mod roster;
mod sessions;
mod talk;

use std::time::Duration;

use sluice_wire::signaling::{
    ClientMessage, DaemonMessage, DisplayName, ErrorCode, ErrorMessage, MeetingState, Role, Token,
};
use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;

use super::*;
use crate::test_ticket::ticket;

const MEDIA_TIMEOUT: Duration = Duration::from_secs(30);
const RESUME_TIMEOUT: Duration = Duration::from_secs(30);
const TIMING: MeetingTiming = MeetingTiming { media_timeout: MEDIA_TIMEOUT, resume_timeout: RESUME_TIMEOUT };

fn name(text: &str) -> DisplayName {
    DisplayName::try_from(text.to_owned()).unwrap()
}

fn id(number: u32) -> ParticipantId {
    ParticipantId::new(number).unwrap()
}

fn connection(number: u64) -> ConnectionId {
    ConnectionId(number)
}

fn token(connection: ConnectionId) -> Token {
    Token::new(format!("token-{}", connection.0))
}

fn granted(role: Role) -> Grant {
    Grant { role: Some(role), identity: None }
}

/// A meeting whose connections are numbered like its participants, as long as nobody is refused and nobody resumes.
struct Stage {
    meeting: Meeting,
    now: Time,
}

impl Stage {
    fn new(settings: MeetingSettings) -> Self {
        let mut meeting = Meeting::new("23456789abcd".parse().unwrap(), settings, TIMING);
        let now = Time::from_nanos(1_000_000_000);
        assert_eq!(meeting.handle(now, Event::NumbersReserved(1..1 + NUMBERS_PER_BLOCK)), []);
        Self { meeting, now }
    }

    fn plain() -> Self {
        Self::new(MeetingSettings::default())
    }

    /// The actions behind an event, without what is only written down.
    fn handle(&mut self, event: Event) -> Vec<Action> {
        let mut actions = self.meeting.handle(self.now, event);
        actions.retain(|action| !matches!(action, Action::Record(_)));
        actions
    }

    fn join_as(&mut self, number: u64, text: &str, grant: Grant) -> Vec<Action> {
        let connection = connection(number);
        let arrival =
            Arrival { connection, display_name: name(text), grant, resume_token: token(connection) };
        self.handle(Event::Join(Box::new(arrival)))
    }

    fn join(&mut self, number: u64) -> Vec<Action> {
        self.join_as(number, &format!("p{number}"), Grant::default())
    }

    /// The router opens what these actions ask for.
    fn open(&mut self, actions: &[Action]) -> Vec<Action> {
        let mut all = Vec::new();
        for action in actions {
            if let Action::OpenSession(request, participant, _) = action {
                let ticket = Box::new(ticket(&format!("s{}", participant.get())));
                all.extend(self.handle(Event::SessionOpened(*request, ticket)));
            }
        }
        all
    }

    /// Joins and gets inside; the actions behind that.
    fn enter_as(&mut self, number: u64, grant: Grant) -> Vec<Action> {
        let actions = self.join_as(number, &format!("p{number}"), grant);
        assert!(matches!(actions[..], [Action::OpenSession(..)]), "{actions:?}");
        self.open(&actions)
    }

    fn enter(&mut self, number: u64) -> Vec<Action> {
        self.enter_as(number, Grant::default())
    }

    fn say(&mut self, number: u64, message: ClientMessage) -> Vec<Action> {
        self.handle(Event::Said(connection(number), Box::new(message.into())))
    }

    fn drop_connection(&mut self, number: u64) -> Vec<Action> {
        self.handle(Event::Disconnected { connection: connection(number), may_resume: true })
    }

    fn wait(&mut self, time: Duration) -> Vec<Action> {
        self.now += time;
        self.handle(Event::TimedOut)
    }

    fn state(&self) -> MeetingState {
        self.meeting.state()
    }

    fn role(&self, number: u32) -> Role {
        self.meeting.members[&id(number)].role
    }

    fn line(&self, number: u32) -> sluice_wire::signaling::Participant {
        self.meeting.members[&id(number)].line(id(number))
    }
}

/// Who gets which message, whatever way it is addressed.
fn told(actions: &[Action]) -> Vec<(Vec<u32>, &DaemonMessage)> {
    let numbers = |ids: &[ParticipantId]| ids.iter().map(|id| id.get()).collect();
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Send(to, message) => Some((vec![to.get()], message)),
            Action::Broadcast(to, message) => Some((numbers(to), message)),
            _ => None,
        })
        .collect()
}

/// The code of a command's refusal, if that is all that came of it.
fn refused(actions: &[Action]) -> Option<ErrorCode> {
    match actions {
        [Action::Send(_, DaemonMessage::Error(ErrorMessage { code, fatal: false, .. }))] => Some(*code),
        _ => None,
    }
}

/// Whether a connection was sent away for this.
fn sent_away(actions: &[Action], number: u64, code: ErrorCode) -> bool {
    actions.windows(2).any(|pair| {
        matches!(&pair[0], Action::Tell(to, DaemonMessage::Error(error))
            if *to == connection(number) && error.code == code && error.fatal)
            && pair[1] == Action::Close(connection(number), CloseKind::Fatal)
    })
}
