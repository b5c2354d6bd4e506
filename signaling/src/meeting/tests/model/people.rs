//! What one person knows, from nothing but what it was told.

use std::collections::{BTreeMap, BTreeSet};

use sluice_wire::signaling::{
    ChatTo, DaemonMessage, LeftReason, MeetingState, Numbered, Participant, Role, Token,
};
use sluice_wire::track::ParticipantId;

use super::super::super::ConnectionId;

/// A person in the meeting, or on its way in.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) connection: ConnectionId,
    /// Nothing reaches it; it does not know yet.
    pub(super) is_deaf: bool,
    /// Its connection is known to be broken.
    pub(super) is_broken: bool,
    pub(super) view: Option<View>,
}

/// What a person who is inside has seen.
#[derive(Debug)]
pub(super) struct View {
    pub(super) own: ParticipantId,
    pub(super) token: Token,
    pub(super) seq: u64,
    pub(super) meeting: MeetingState,
    pub(super) roster: BTreeMap<ParticipantId, Participant>,
    pub(super) waiting: BTreeSet<ParticipantId>,
}

impl Person {
    pub(super) const fn new(connection: ConnectionId) -> Self {
        Self { connection, is_deaf: false, is_broken: false, view: None }
    }

    pub(super) const fn hears(&self) -> bool {
        !self.is_deaf && !self.is_broken
    }

    /// A message with a number has come.
    pub(super) fn numbered(&mut self, message: Numbered) {
        let seq = message.seq.unwrap();
        match (&mut self.view, message.message) {
            (view @ None, DaemonMessage::Joined(joined)) => {
                assert_eq!(seq, 1);
                *view = Some(View {
                    own: joined.participant_id,
                    token: joined.resume_token,
                    seq,
                    meeting: joined.meeting,
                    roster: by_id(joined.roster),
                    waiting: joined.waiting.iter().map(|one| one.participant_id).collect(),
                });
            }
            (None, other) => panic!("{other:?} for somebody who is not inside"),
            (Some(view), DaemonMessage::Snapshot(snapshot)) => {
                assert!(seq > view.seq);
                view.seq = seq;
                view.meeting = snapshot.meeting;
                view.roster = by_id(snapshot.roster);
                view.waiting = snapshot.waiting.iter().map(|one| one.participant_id).collect();
            }
            (Some(view), message) => {
                assert_eq!(seq, view.seq + 1, "each once and in order");
                view.seq = seq;
                view.take(message);
            }
        }
    }
}

impl View {
    pub(super) fn role(&self) -> Role {
        self.roster[&self.own].role
    }

    fn take(&mut self, message: DaemonMessage) {
        match message {
            DaemonMessage::ParticipantJoined { participant } => {
                assert_ne!(participant.participant_id, self.own);
                assert!(self.roster.insert(participant.participant_id, participant).is_none(), "came twice");
            }
            DaemonMessage::ParticipantUpdate { participant } => self.set(participant),
            DaemonMessage::ParticipantLeft { participant_id, reason } => {
                assert_ne!(participant_id, self.own);
                assert!(self.roster.remove(&participant_id).is_some(), "{reason:?} without having come");
            }
            DaemonMessage::RosterDelta { set, left } => {
                set.into_iter().for_each(|participant| self.set(participant));
                for gone in left {
                    self.roster.remove(&gone.participant_id);
                    assert!(gone.participant_id != self.own || gone.reason == LeftReason::OffStage);
                }
            }
            DaemonMessage::MeetingUpdate { meeting } => self.meeting = meeting,
            DaemonMessage::WaitingJoined { waiting } => {
                assert!(self.role().is_host());
                assert!(self.waiting.insert(waiting.participant_id));
            }
            DaemonMessage::WaitingLeft { participant_id } => {
                assert!(self.role().is_host());
                assert!(self.waiting.remove(&participant_id));
            }
            DaemonMessage::WaitingList { waiting } => {
                self.waiting = waiting.iter().map(|one| one.participant_id).collect();
            }
            DaemonMessage::UnmuteAsked { .. } | DaemonMessage::ConsentAsked => {
                assert!(self.role().is_on_stage());
            }
            DaemonMessage::ChatMessage(message) => match message.to {
                ChatTo::Everyone => {}
                ChatTo::Participant(to) => assert!(message.from == self.own || to == self.own),
                ChatTo::Hosts => assert!(message.from == self.own || self.role().is_host()),
            },
            DaemonMessage::Joined(_)
            | DaemonMessage::Waiting { .. }
            | DaemonMessage::Resumed { .. }
            | DaemonMessage::Snapshot(_)
            | DaemonMessage::GoingAway { .. }
            | DaemonMessage::Pong { .. } => panic!("{message:?} with a number"),
            DaemonMessage::Counts(_)
            | DaemonMessage::Reaction { .. }
            | DaemonMessage::ChatHistory { .. }
            | DaemonMessage::Ticket { .. }
            | DaemonMessage::MediaLost { .. }
            | DaemonMessage::MeetingEnded { .. }
            | DaemonMessage::Done { .. }
            | DaemonMessage::Error(_) => {}
        }
    }

    fn set(&mut self, participant: Participant) {
        if participant.participant_id == self.own && !participant.role.is_host() {
            self.waiting.clear();
        }
        self.roster.insert(participant.participant_id, participant);
    }
}

fn by_id(roster: Vec<Participant>) -> BTreeMap<ParticipantId, Participant> {
    roster.into_iter().map(|line| (line.participant_id, line)).collect()
}
