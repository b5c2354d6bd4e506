//! What is written down of a meeting before anybody is told of it.

use sluice_wire::signaling::MeetingId;

use crate::meeting::Note;

/// Writes notes down. What hosts do goes to the log under a target of its own, so that a deployment can keep it elsewhere.
pub(super) fn note(meeting: &MeetingId, notes: &[Note]) {
    for note in notes {
        match note {
            Note::Audit { by, action, whom } => {
                let (by, whom) = (by.map(u32::from), whom.map(u32::from));
                tracing::info!(target: "audit", %meeting, action, by, whom);
            }
            Note::Recording { by, action, goes_on } => {
                tracing::info!(target: "audit", %meeting, ?action, by = by.map(u32::from), goes_on, "recording");
            }
            Note::Entered { participant, role, .. } => {
                tracing::debug!(%meeting, participant = u32::from(*participant), ?role, "entered");
            }
            Note::Left { participant, reason } => {
                tracing::debug!(%meeting, participant = u32::from(*participant), reason, "left");
            }
            Note::Chat(_) => {}
        }
    }
}
