//! What follows who speaks: voices, speakers' cameras, what a policy gives the active speaker, and the news of it all.

use sluice_wire::control::{Speaker, Want};
use sluice_wire::time::Time;
use sluice_wire::track::{ParticipantId, TrackNumber};

use super::Shard;
use super::subscribe::Tell;
use crate::core::ids::{RoomKey, SessionKey, SlotRef};
use crate::core::limits::{ROOM_TICK_PHASES, SPEAKERS_INTERVAL, SPEAKERS_INTERVAL_PER_PARTICIPANT};
use crate::core::policy::Policy;
use crate::core::speakers::{Moved, TickChanges};

impl Shard {
    /// A room has its first microphone: it is listened to from now on.
    pub(super) fn start_listening(&mut self, room: RoomKey) {
        if self.listening.iter().any(|rooms| rooms.contains(&room)) {
            return;
        }
        let emptiest = (0..ROOM_TICK_PHASES).min_by_key(|phase| self.listening[*phase].len()).unwrap_or(0);
        self.listening[emptiest].push(room);
    }

    /// Ticks the rooms whose turn it is.
    pub(super) fn tick_rooms(&mut self, now: Time, phase: usize) {
        let mut position = 0;
        while let Some(key) = self.listening[phase].get(position).copied() {
            if self.rooms.get(key).is_some_and(|room| !room.speakers.is_empty()) {
                self.tick_room(now, key);
                position += 1;
            } else {
                self.publish_speakers(now, key);
                self.listening[phase].swap_remove(position);
            }
        }
    }

    fn tick_room(&mut self, now: Time, key: RoomKey) {
        let Some(room) = self.rooms.get_mut(key) else { return };
        let tracks = &mut self.tracks;
        let changes = room.speakers.tick(now, |microphone| {
            tracks.get_mut(microphone).map_or(0, |microphone| microphone.level.read(now))
        });
        room.news.is_due |= changes.recent;
        let dominant = room.speakers.dominant().filter(|_| changes.dominant);
        self.counters.room_ticks += 1;
        self.follow_voices(now, key, &changes);
        if let Some(dominant) = dominant {
            self.counters.speaker_changes += 1;
            self.follow_speaker(now, key, dominant);
        }
        for participant in changes.muted_talkers {
            self.note_muted_talk(key, participant);
        }
        self.publish_speakers(now, key);
    }

    /// Lanes have other voices now.
    pub(super) fn follow_voices(&mut self, now: Time, key: RoomKey, changes: &TickChanges) {
        if changes.lanes == 0 {
            return;
        }
        let Some(room) = self.rooms.get(key) else { return };
        let voices = room.speakers.voice_count();
        self.counters.voice_changes += u64::from(changes.lanes.count_ones());
        if changes.lanes & (1 << voices) != 0 {
            // The spare lane is heard by those who own another one, in its place.
            let owners: Vec<(u32, SessionKey)> = (0..voices)
                .filter_map(|lane| Some((lane, *room.participants.get(&room.speakers.lane(lane)?)?)))
                .collect();
            for (lane, owner) in owners {
                self.resolve_who_of(now, owner, Want::Voice(lane));
            }
        }
        for lane in (0..voices).filter(|lane| changes.lanes & (1 << lane) != 0) {
            self.resolve_who_want(now, key, Want::Voice(lane), Tell::AtTick);
        }
    }

    /// Resolves the slots of one session that want something.
    fn resolve_who_of(&mut self, now: Time, session: SessionKey, want: Want) {
        let slots: Vec<u16> = self
            .sessions
            .get(session)
            .map(|session| {
                session
                    .listed_slots()
                    .filter(|(_, slot)| slot.want() == want)
                    .map(|(number, _)| number)
                    .collect()
            })
            .unwrap_or_default();
        for slot in slots {
            self.resolve(now, SlotRef { session, slot }, Tell::AtTick);
        }
    }

    /// Another is the dominant speaker.
    fn follow_speaker(&mut self, now: Time, key: RoomKey, dominant: ParticipantId) {
        let Some(room) = self.rooms.get_mut(key) else { return };
        let before = room.places.first();
        let moved = room.places.promote(dominant);
        self.follow_places(now, key, &moved);
        let Some(room) = self.rooms.get(key) else { return };
        // Their places are of interest by themselves: what a policy gives them depends on them.
        let cameras: Vec<_> = [before, room.places.first()]
            .into_iter()
            .flatten()
            .map(|participant| participant.track(TrackNumber::CAMERA))
            .filter_map(|camera| room.tracks.get(&camera).copied())
            .collect();
        let all_depend = room.policy.tells_speakers_apart();
        if before == room.places.first() {
            return;
        }
        for camera in cameras {
            for slot in self.who_show(camera) {
                if all_depend || self.sessions.get(slot.session).is_some_and(|session| session.shares()) {
                    self.resolve(now, slot, Tell::AtTick);
                }
            }
        }
    }

    /// Somebody has a camera now: if he is the dominant speaker, others see him as such.
    pub(super) fn promote_if_dominant(&mut self, now: Time, key: RoomKey, participant: ParticipantId) {
        if self.rooms.get(key).is_some_and(|room| room.speakers.dominant() == Some(participant)) {
            self.follow_speaker(now, key, participant);
        }
    }

    /// People changed their places.
    pub(super) fn follow_places(&mut self, now: Time, key: RoomKey, moved: &Moved) {
        let Some(room) = self.rooms.get(key) else { return };
        match moved {
            Moved::Places(numbers) => {
                for number in numbers {
                    self.resolve_who_want(now, key, Want::Speaker(*number), Tell::AtTick);
                }
            }
            Moved::Everything => {
                let slots: Vec<SlotRef> = room.want_speakers().collect();
                for slot in slots {
                    self.resolve(now, slot, Tell::AtTick);
                }
            }
        }
    }

    /// Somebody began or ceased to talk while muted: he alone is told.
    pub(super) fn note_muted_talk(&mut self, key: RoomKey, participant: ParticipantId) {
        let Some(room) = self.rooms.get(key) else { return };
        let level = room.speakers.talks_muted(participant);
        let Some(session) = room.participants.get(&participant).and_then(|key| self.sessions.get_mut(*key))
        else {
            return;
        };
        if session.muted_talk != level {
            session.muted_talk = level;
            session.touch_speakers();
        }
    }

    /// Lets all sessions of a room be told of its speakers, each at its next tick, if there is news and it is time.
    fn publish_speakers(&mut self, now: Time, key: RoomKey) {
        let Some(room) = self.rooms.get_mut(key) else { return };
        if !room.news.is_due || now < room.news.not_before {
            return;
        }
        let people = room.participants.len() as u32;
        room.news.is_due = false;
        room.news.not_before = now + SPEAKERS_INTERVAL.max(SPEAKERS_INTERVAL_PER_PARTICIPANT * people);
        room.news.told = room
            .speakers
            .recent()
            .map(|speaker| Speaker {
                track: speaker.participant.track(TrackNumber::MICROPHONE),
                level: speaker.level,
                talking: speaker.talks,
                dominant: speaker.is_dominant,
                talking_while_muted: false,
            })
            .collect();
        for session in room.participants.values() {
            if let Some(session) = self.sessions.get_mut(*session) {
                session.touch_speakers();
            }
        }
    }

    /// Changes the policy of a room, if there is one of the name.
    pub(super) fn set_policy(&mut self, now: Time, room: &str, policy: Policy) {
        let Some(key) = self.room_names.get(room).copied() else { return };
        let Some(room) = self.rooms.get_mut(key) else { return };
        if room.policy == policy {
            return;
        }
        room.policy = policy;
        self.counters.policy_changes += 1;
        room.speakers.set_voices(policy.voices());
        let sessions: Vec<SessionKey> = room.participants.values().copied().collect();
        self.tick_room(now, key);
        for session in sessions {
            self.note_crowd(session);
            self.resolve_session(now, session, Tell::Now);
        }
    }
}
