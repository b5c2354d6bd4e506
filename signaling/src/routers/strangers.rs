//! Sessions that this daemon did not ask for: those of daemons before it and beside it.
//!
//! Routers are attached to every daemon and bring along all that they have. A session that is not known here is left alone: it is
//! another daemon's, or the daemon that asked for it has died and somebody takes its meeting over. Only when it has been strange
//! for long is it asked whose it is, and closed if it is nobody's.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sluice_proto::v1::{CloseSession, SessionEnded, SessionRef, signaling_message};
use sluice_wire::signaling::MediaLostReason;
use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;

use super::event::Home;
use super::records::{AttachmentId, Room, Router, Stranger};
use super::registry::Registry;
use crate::meeting::CloseCode;

/// How long a stranger is left alone: as long as participants have to resume.
pub(super) const STRANGER_GRACE: Duration = Duration::from_secs(30);
/// How long a router that is not attached may take to come (back) to the daemon that has taken its meetings over: the longest
/// pause between its attempts is 10 s.
const COMING_GRACE: Duration = Duration::from_secs(12);

/// How long it is remembered that a session of another daemon's ended: if that daemon had died before it could write so, the next owner
/// would believe that the session goes on. Twice as long as a meeting takes to have one.
const END_MEMORY: Duration = Duration::from_secs(10);
/// Such ends that are remembered, those of a large router whose sessions all end: more show by clients that ask for new tickets.
const MAX_ENDS: usize = 16_384;

impl Registry {
    /// A session that is not known here has ended.
    pub(super) fn note_end(&mut self, at: Time, ended: &SessionEnded) {
        if self.ended.len() < MAX_ENDS {
            self.ended.insert((ended.room.clone(), ended.session.clone()), at);
        }
    }

    /// Forgets ends that nobody asks for any more.
    pub(super) fn forget_ends(&mut self, now: Time) {
        self.ended.retain(|_, at| *at + END_MEMORY > now);
    }

    /// What this side has and the router has not is lost. What the router has and this side has not is a stranger, unless
    /// something else is known in its place: then it is closed.
    pub(super) fn reconcile(
        &mut self,
        now: Time,
        attachment: AttachmentId,
        router: &str,
        theirs: Vec<SessionRef>,
    ) {
        let mut unconfirmed = BTreeSet::new();
        for (name, room) in self.rooms.iter().filter(|(_, room)| room.router == router) {
            unconfirmed
                .extend(room.sessions.iter().map(|(&id, session)| (name.clone(), id.get(), session.clone())));
        }
        for SessionRef { room, participant, session } in theirs {
            let key = (room, participant, session);
            if !unconfirmed.remove(&key) && !self.shelter(now, router, &key) {
                let (room, participant, session) = key;
                self.turn_away(attachment, room, participant, session);
            }
        }
        for (room, participant, session) in unconfirmed {
            self.lose(&room, participant, &session, Some(MediaLostReason::RouterGone));
        }
        self.say_terms_again(attachment, router);
    }

    /// Keeps a stranger for a while; `false` if it cannot stay.
    fn shelter(
        &mut self,
        now: Time,
        router: &str,
        (room, participant, session): &(String, u32, String),
    ) -> bool {
        let Ok(participant) = ParticipantId::new(*participant) else { return false };
        let bound = self.rooms.entry(room.clone()).or_insert_with(|| Room::on(router.to_owned()));
        if bound.router != router {
            // A meeting of this daemon is at one router. Where another daemon's is, that one knows.
            return bound.sessions.is_empty() && bound.pending == 0;
        }
        if bound.sessions.contains_key(&participant) {
            return false;
        }
        let until = now + STRANGER_GRACE;
        let stranger = Stranger { session: session.clone(), until };
        // A stream that breaks again and again does not make the grace any longer.
        let known = bound.strangers.entry(participant).or_insert(stranger);
        known.session.clone_from(session);
        true
    }

    fn turn_away(&mut self, attachment: AttachmentId, room: String, participant: u32, session: String) {
        let code = CloseCode::Removed as u32;
        let close = CloseSession { room, participant, session, code };
        self.send(attachment, signaling_message::Kind::CloseSession(close));
    }

    /// The rooms that have strangers.
    pub(super) fn rooms_with_strangers(&self) -> Vec<String> {
        let strange = self.rooms.iter().filter(|(_, room)| !room.strangers.is_empty());
        strange.map(|(name, _)| name.clone()).collect()
    }

    /// The rooms that have had strangers for too long.
    pub(super) fn rooms_with_overdue(&self, now: Time) -> Vec<String> {
        let is_due = |room: &Room| room.strangers.values().any(|stranger| stranger.until <= now);
        self.rooms.iter().filter(|(_, room)| is_due(room)).map(|(name, _)| name.clone()).collect()
    }

    /// Where a room is.
    pub(super) fn home(&self, room: &str) -> Option<Home> {
        let router = self.rooms.get(room)?.router.clone();
        let epoch = self.routers.get(&router)?.epoch;
        Some(Home { router, epoch })
    }

    /// Goes on with a room of a daemon that died: its participants have these sessions at `home`, as far as is known. Those that
    /// may well be there are known sessions from now on, and named in the answer; for a router that is not attached that shows
    /// when it is, or when it does not come.
    pub(super) fn adopt(
        &mut self,
        now: Time,
        name: &str,
        home: &Home,
        sessions: &BTreeMap<ParticipantId, String>,
    ) -> BTreeMap<ParticipantId, String> {
        let Home { router, epoch } = home;
        let known = self.routers.entry(router.clone()).or_insert_with(|| Router::awaited(*epoch, now));
        if known.attachment.is_none() {
            known.heard_at = now + COMING_GRACE;
        }
        if known.epoch != *epoch {
            // Sessions never outlive an epoch.
            self.forget_room(name);
            return BTreeMap::new();
        }
        let room = self.rooms.entry(name.to_owned()).or_insert_with(|| Room::on(router.clone()));
        if room.router != *router {
            (room.router, room.sessions) = (router.clone(), BTreeMap::new());
            room.strangers.clear();
        }
        for (&participant, session) in sessions {
            if self.ended.contains_key(&(name.to_owned(), session.clone())) {
                continue;
            }
            // What the router itself has said is true whatever was written down.
            let said = room.strangers.remove(&participant).map(|stranger| stranger.session);
            room.sessions.insert(participant, said.unwrap_or_else(|| session.clone()));
        }
        let adopted = room.sessions.clone();
        self.release(name);
        adopted
    }

    /// Lets go of a room that is another daemon's. Nothing is closed.
    pub(super) fn forget_room(&mut self, room: &str) {
        if let Some(bound) = self.rooms.get_mut(room) {
            bound.sessions.clear();
            bound.strangers.clear();
            self.release(room);
        }
    }

    /// Lets go of a room's strangers: they are another daemon's.
    pub(super) fn forget_strangers(&mut self, room: &str) {
        if let Some(bound) = self.rooms.get_mut(room) {
            bound.strangers.clear();
            self.release(room);
        }
    }

    /// Closes a room's strangers: they are nobody's.
    pub(super) fn close_strangers(&mut self, room: &str) {
        let attachment = self.attachment_of(room).flatten();
        let Some(bound) = self.rooms.get_mut(room) else { return };
        let strangers = std::mem::take(&mut bound.strangers);
        self.release(room);
        if let Some(attachment) = attachment {
            for (participant, stranger) in strangers {
                self.turn_away(attachment, room.to_owned(), participant.get(), stranger.session);
            }
        }
    }
}

impl Router {
    /// One that is said to be there and has not come yet.
    fn awaited(epoch: u64, now: Time) -> Self {
        Self {
            attachment: None,
            epoch,
            heard_at: now,
            region: String::new(),
            shards: 1,
            draining: false,
            cpu_permille: 0,
            bits_per_second: 0,
            asked_since_heartbeat: 0,
            participants: 0,
            rooms: 0,
        }
    }
}
