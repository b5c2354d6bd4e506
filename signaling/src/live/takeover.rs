//! What a meeting's task leaves for the next owner, and what it starts from when it is the next owner itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sluice_wire::signaling::{MediaLostReason, MeetingId, RecordingState};
use sluice_wire::track::ParticipantId;

use super::directory::MeetingsParts;
use crate::meeting::{Event, Meeting, Remains, Sitter};
use crate::routers::{Home, Routers};
use crate::store::{Durable, Lease, MAX_PAGE, MarkKind, RecordingMark, StoreError};

/// Requests for sessions that one owner makes at most: its numbers must not be taken for those of the next.
const REQUESTS_PER_OWNER: u64 = 1 << 32;

/// The token of a meeting's first owner, which has nobody to inherit from.
const FIRST_FENCE: u64 = 1;

/// What is kept beside the seats.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// See [`Meeting::standing`].
    standing: String,
    /// Where the room is.
    home: Option<Home>,
}

/// What another owner left: `None` if nobody was inside.
pub(super) struct Inheritance {
    pub(super) remains: Remains,
    home: Option<Home>,
}

/// Reads what the last owner left.
pub(super) async fn inheritance(
    parts: &MeetingsParts,
    lease: &Lease,
) -> Result<Option<Inheritance>, StoreError> {
    if lease.fence == FIRST_FENCE {
        return Ok(None);
    }
    let (store, id) = (parts.store.as_ref(), &lease.meeting);
    let seats = store.seats(id).await?;
    if seats.is_empty() {
        return Ok(None);
    }
    let kept: Option<Kept> = store.snapshot(id).await?.and_then(|text| serde_json::from_str(&text).ok());
    let (standing, home) = kept.map_or((None, None), |kept| (Some(kept.standing), kept.home));
    let recording = recording(&store.marks(id).await?);
    let messages = store.messages(id, MAX_PAGE).await?;
    let sitters = seats.into_iter().filter_map(|seat| {
        let participant = ParticipantId::new(seat.participant).ok()?;
        Some(Sitter { participant, joined_at: seat.joined_at, seat: seat.seat })
    });
    let remains = Remains {
        standing,
        sitters: sitters.collect(),
        recording,
        messages: messages.iter().filter_map(|message| serde_json::from_str(&message.body).ok()).collect(),
        first_request: lease.fence.saturating_mul(REQUESTS_PER_OWNER),
    };
    Ok(Some(Inheritance { remains, home }))
}

impl Inheritance {
    /// Goes on with the sessions where the room is; what has become of them is said by the events.
    pub(super) fn adopt_sessions(&self, routers: &Routers, meeting: &Meeting, id: &MeetingId) -> Vec<Event> {
        let had: BTreeMap<ParticipantId, String> = meeting.sessions().into_iter().collect();
        let has = match &self.home {
            Some(home) => routers.adopt_room(id.as_str(), home, &had),
            None => BTreeMap::new(),
        };
        let mut events = Vec::new();
        for (participant, session) in had {
            match has.get(&participant) {
                Some(now) if *now == session => {}
                Some(now) => events.push(Event::SessionFound { participant, session: now.clone() }),
                None => {
                    let reason = MediaLostReason::RouterGone;
                    events.push(Event::SessionLost { participant, session, reason });
                }
            }
        }
        events.push(Event::SessionsAdopted);
        events
    }
}

fn recording(marks: &[RecordingMark]) -> RecordingState {
    match marks.last().map(|mark| mark.kind) {
        Some(MarkKind::Started | MarkKind::Resumed) => RecordingState::On,
        Some(MarkKind::Paused) => RecordingState::Paused,
        Some(MarkKind::Stopped) | None => RecordingState::Off,
    }
}

/// What has been written so far for the next owner.
#[derive(Debug, Default)]
pub(super) struct Legacy {
    kept: String,
    /// The number of the lease's last commit.
    batch: u64,
}

/// What is to be written for the next owner now.
pub(super) struct Changes {
    pub(super) writes: Vec<Durable>,
    kept: String,
}

impl Legacy {
    /// The number of the next commit.
    pub(super) fn next_batch(&mut self) -> u64 {
        self.batch += 1;
        self.batch
    }

    /// What has changed since [`Self::written`].
    pub(super) fn changes(&self, meeting: &Meeting, home: Option<Home>) -> Changes {
        // Strings, numbers and flags: it cannot fail.
        let kept = serde_json::to_string(&Kept { standing: meeting.standing(), home }).unwrap_or_default();
        let seat =
            |(participant, seat): (ParticipantId, _)| Durable::Seat { participant: participant.get(), seat };
        let mut writes: Vec<Durable> = meeting.changed_seats().into_iter().map(seat).collect();
        if kept != self.kept {
            writes.push(Durable::Snapshot(kept.clone()));
        }
        Changes { writes, kept }
    }

    /// The changes are in the store.
    pub(super) fn written(&mut self, meeting: &mut Meeting, changes: Changes) {
        meeting.seats_written();
        self.kept = changes.kept;
    }
}
