//! What the application wants, whatever becomes of the session.

use sluice_wire::control::WantedSlot;
use sluice_wire::track::TrackNumber;

use crate::session::{ClientSession, PublishError, TrackConfig};

/// Outlives sessions: a new one is told all of it.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    tracks: Vec<(TrackConfig, bool)>,
    wanted: Vec<WantedSlot>,
    receive_limit: Option<u64>,
}

impl Wishes {
    /// Tells a new session everything.
    pub(super) fn tell(&self, session: &mut ClientSession) {
        for (track, muted) in &self.tracks {
            // The session before took it; a ticket with a smaller block may have no room, and then the track stays out.
            if session.publish(track).is_ok() {
                session.set_muted(track.number, *muted);
            }
        }
        session.want(self.wanted_within(session));
        if let Some(limit) = self.receive_limit {
            session.set_receive_limit(limit);
        }
    }

    pub(super) const fn set_receive_limit(
        &mut self,
        session: Option<&mut ClientSession>,
        bits_per_second: u64,
    ) {
        self.receive_limit = Some(bits_per_second);
        if let Some(session) = session {
            session.set_receive_limit(bits_per_second);
        }
    }

    /// Publishes a track, with or without a session.
    pub(super) fn publish(
        &mut self,
        session: Option<&mut ClientSession>,
        track: TrackConfig,
    ) -> Result<(), PublishError> {
        if self.tracks.iter().any(|(other, _)| other.number == track.number) {
            return Err(PublishError::NumberTaken(track.number));
        }
        if let Some(session) = session {
            session.publish(&track)?;
        }
        self.tracks.push((track, false));
        Ok(())
    }

    pub(super) fn unpublish(&mut self, session: Option<&mut ClientSession>, number: TrackNumber) {
        self.tracks.retain(|(track, _)| track.number != number);
        if let Some(session) = session {
            session.unpublish(number);
        }
    }

    pub(super) fn set_muted(
        &mut self,
        session: Option<&mut ClientSession>,
        number: TrackNumber,
        muted: bool,
    ) {
        if let Some((_, known)) = self.tracks.iter_mut().find(|(track, _)| track.number == number) {
            *known = muted;
        }
        if let Some(session) = session {
            session.set_muted(number, muted);
        }
    }

    pub(super) fn want(&mut self, session: Option<&mut ClientSession>, wanted: Vec<WantedSlot>) {
        self.wanted = wanted;
        if let Some(session) = session {
            session.want(self.wanted_within(session));
        }
    }

    /// As many as the session's block has room for.
    fn wanted_within(&self, session: &ClientSession) -> &[WantedSlot] {
        &self.wanted[..self.wanted.len().min(usize::from(session.slot_limit()))]
    }
}
