//! What an owner leaves for the next, and how the next goes on from there.
//!
//! A *seat* is what is kept of a participant who is inside; how the meeting *stands* is kept beside them. What was written and
//! recorded is in the store anyway. Who was on the way in comes anew: nobody had told it that it was inside.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use sluice_wire::signaling::{
    ChatMessage, ChatTo, DaemonMessage, DisplayName, MeetingId, QualityPreset, RecordingState, Role,
};
use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;

use super::member::{Member, Phase};
use super::timing::{MAX_HISTORY_BYTES, MAX_HISTORY_MESSAGES};
use super::{Action, Meeting, MeetingSettings, MeetingTiming};
use crate::secrets::TokenHash;

/// Messages that are kept for those who are awaited: of a few people and to a few, so that each finds its own 100 among them.
const MAX_MISSED_MESSAGES: usize = 2 * MAX_HISTORY_MESSAGES;

/// A participant, as the store has it.
#[derive(Clone, Debug)]
pub struct Sitter {
    /// Who.
    pub participant: ParticipantId,
    /// Since when it is inside.
    pub joined_at: Time,
    /// Its seat in JSON: see [`Meeting::changed_seats`].
    pub seat: String,
}

/// What the last owner left.
#[derive(Clone, Debug, Default)]
pub struct Remains {
    /// How the meeting stood, in JSON: see [`Meeting::standing`].
    pub standing: Option<String>,
    /// Who was inside.
    pub sitters: Vec<Sitter>,
    /// What the last mark of a recording says.
    pub recording: RecordingState,
    /// The last messages, in order.
    pub messages: Vec<ChatMessage>,
    /// Requests for sessions are numbered from here on: above those of every owner before.
    pub first_request: u64,
}

/// What the participants of a meeting that was taken over may have missed.
#[derive(Debug, Default)]
pub(super) struct Missed {
    /// Who has not come back yet, and since when it was inside.
    awaited: BTreeMap<ParticipantId, Time>,
    messages: VecDeque<ChatMessage>,
}

#[derive(Serialize, Deserialize)]
struct Seat {
    order: u64,
    name: DisplayName,
    role: Role,
    #[serde(default, skip_serializing_if = "is_false")]
    granted_host: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
    /// The hash of the resume token in hexadecimal digits.
    token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    muted: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    video: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hand: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    consent: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pinned: Option<ParticipantId>,
}

#[derive(Default, Serialize, Deserialize)]
struct Standing {
    #[serde(default)]
    locked: bool,
    #[serde(default)]
    paused: bool,
    #[serde(default)]
    sharer: Option<ParticipantId>,
    #[serde(default)]
    spotlight: Option<ParticipantId>,
    #[serde(default)]
    preset: Option<QualityPreset>,
    #[serde(default)]
    bans: BTreeSet<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl Meeting {
    /// A meeting as its last owner left it: everybody is inside and has no connection, and the time to resume begins anew.
    #[must_use]
    pub fn restore(
        id: MeetingId,
        settings: MeetingSettings,
        timing: MeetingTiming,
        now: Time,
        remains: Remains,
    ) -> Self {
        let mut meeting = Self::new(id, settings, timing);
        meeting.now = now;
        meeting.next_request = remains.first_request;
        meeting.recording = remains.recording;
        for Sitter { participant, joined_at, seat } in remains.sitters {
            let Some(member) = member(&seat, now) else {
                tracing::error!(meeting = %meeting.id, participant = participant.get(), "a seat is damaged");
                continue;
            };
            if let Phase::Inside(order) = member.phase {
                meeting.next_entry = meeting.next_entry.max(order + 1);
            }
            meeting.next_hand = meeting.next_hand.max(member.hand.map_or(0, |hand| hand + 1));
            meeting.members.insert(participant, member);
            meeting.missed.awaited.insert(participant, joined_at);
            meeting.set_deadline(participant);
        }
        meeting.inside = meeting.members.len();
        let standing = remains.standing.and_then(|text| serde_json::from_str(&text).ok());
        let unknown = Standing { preset: meeting.preset, ..Standing::default() };
        let Standing { locked, paused, sharer, spotlight, preset, bans } = standing.unwrap_or(unknown);
        meeting.preset = preset;
        (meeting.locked, meeting.paused, meeting.bans) = (locked, paused, bans);
        let inside = |id: &ParticipantId| meeting.members.contains_key(id);
        (meeting.sharer, meeting.spotlight) = (sharer.filter(inside), spotlight.filter(inside));
        for message in &remains.messages {
            meeting.chat.recall(message);
        }
        meeting.missed.messages = remains.messages.into();
        meeting
    }

    /// The seats that have changed since [`Self::seats_written`], in JSON.
    #[must_use]
    pub fn changed_seats(&self) -> Vec<(ParticipantId, String)> {
        let seats = self.touched.iter().filter_map(|id| Some((*id, seat(self.members.get(id)?)?)));
        seats.collect()
    }

    /// Whether a seat has changed since [`Self::seats_written`].
    #[must_use]
    pub fn has_changed_seats(&self) -> bool {
        !self.touched.is_empty()
    }

    /// All seats are in the store as they are now.
    pub fn seats_written(&mut self) {
        self.touched.clear();
    }

    /// How the meeting stands beyond its seats, in JSON.
    #[must_use]
    pub fn standing(&self) -> String {
        let Self { locked, paused, sharer, spotlight, preset, .. } = *self;
        let standing = Standing { locked, paused, sharer, spotlight, preset, bans: self.bans.clone() };
        // A struct of strings, numbers and flags: it cannot fail.
        serde_json::to_string(&standing).unwrap_or_default()
    }

    /// The sessions that participants have.
    #[must_use]
    pub fn sessions(&self) -> Vec<(ParticipantId, String)> {
        let sessions = self.members.iter().filter_map(|(&id, member)| Some((id, member.session.clone()?)));
        sessions.collect()
    }

    /// Somebody inside is not as its seat says.
    pub(super) fn touch(&mut self, id: ParticipantId) {
        self.touched.insert(id);
    }

    /// Whether a participant resumes for the first time since the meeting was taken over, and since when it was inside.
    pub(super) fn returns(&mut self, id: ParticipantId) -> Option<Time> {
        self.missed.awaited.remove(&id)
    }

    /// Gives somebody who returns what it may have missed of the chat: what was written to it since it came, the last of it.
    pub(super) fn send_missed(&mut self, id: ParticipantId, joined_at: Time, out: &mut Vec<Action>) {
        let Some(is_host) = self.members.get(&id).map(|member| member.role.is_host()) else { return };
        let since = super::chat::unix_millis(joined_at);
        let concerns = |message: &&ChatMessage| {
            let to = match message.to {
                ChatTo::Everyone => true,
                ChatTo::Hosts => is_host,
                ChatTo::Participant(whom) => whom == id,
            };
            message.sent_at_ms >= since && (to || message.from == id)
        };
        let mut bytes = 0;
        let fits = |message: &&ChatMessage| {
            bytes += message.text.as_str().len();
            bytes <= MAX_HISTORY_BYTES
        };
        let last = self.missed.messages.iter().rev().filter(concerns).take(MAX_HISTORY_MESSAGES);
        let mut messages: Vec<ChatMessage> = last.take_while(fits).cloned().collect();
        messages.reverse();
        if !messages.is_empty() {
            out.push(Action::Send(id, DaemonMessage::ChatHistory { messages }));
        }
        self.forget_missed();
    }

    /// Who has not come back yet is sent nothing by number, but reads this when it comes.
    pub(super) fn keep_for_the_awaited(&mut self, message: &ChatMessage) {
        if self.missed.awaited.is_empty() {
            return;
        }
        self.missed.messages.push_back(message.clone());
        if self.missed.messages.len() > MAX_MISSED_MESSAGES {
            self.missed.messages.pop_front();
        }
    }

    /// Nobody asks for what was missed when everybody is back or has gone.
    pub(super) fn forget_missed(&mut self) {
        if self.missed.awaited.is_empty() {
            self.missed.messages = VecDeque::new();
        }
    }
}

fn member(seat: &str, now: Time) -> Option<Member> {
    let seat: Seat = serde_json::from_str(seat).ok()?;
    Some(Member {
        connection: None,
        phase: Phase::Inside(seat.order),
        display_name: seat.name,
        role: seat.role,
        is_granted_host: seat.granted_host,
        identity: seat.identity,
        entry_token: None,
        resume_token: TokenHash::from_hex(&seat.token)?,
        lost_at: seat.session.is_none().then_some(now),
        session: seat.session,
        session_rights: None,
        opening: None,
        away_since: Some(now),
        muted: seat.muted,
        video: seat.video,
        hand: seat.hand,
        consent: seat.consent,
        pinned: seat.pinned,
        chat: Member::chat_limiter(),
    })
}

fn seat(member: &Member) -> Option<String> {
    let Phase::Inside(order) = member.phase else { return None };
    let seat = Seat {
        order,
        name: member.display_name.clone(),
        role: member.role,
        granted_host: member.is_granted_host,
        identity: member.identity.clone(),
        token: member.resume_token.to_hex(),
        session: member.session.clone(),
        muted: member.muted,
        video: member.video,
        hand: member.hand,
        consent: member.consent,
        pinned: member.pinned,
    };
    serde_json::to_string(&seat).ok()
}
