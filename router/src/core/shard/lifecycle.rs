//! Sessions begin and end.

use sluice_wire::control::CloseCode;
use sluice_wire::state_sync::PageOutbox;
use sluice_wire::ticket::{PROTOCOL_VERSION, Ticket};
use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;

use rand::Rng;

use super::{EndReason, Event, OpenRefused, OpenRequest, Shard};
use crate::core::allocation::RaisePause;
use crate::core::ids::{RoomKey, SessionKey, SessionName};
use crate::core::limits::{
    CLOSE_REPEATS, DOWNLINK_SSRCS, MAX_DOWNLINK_BPS, MAX_ROOM_NAME_BYTES, MAX_SESSIONS_PER_SHARD,
    REPORT_INTERVAL, TICK, TICK_PHASES, UPLINK_SSRCS,
};
use crate::core::path::Paths;
use crate::core::resends::Resends;
use crate::core::room::Room;
use crate::core::session::{Budget, Duties, Listed, Phase, Session, SessionKeys, draw_keys};

impl Shard {
    pub(super) fn open_session(&mut self, now: Time, request: OpenRequest) {
        let number = request.request;
        let event = match self.try_open(now, &request) {
            Ok(ticket) => Event::Opened { request: number, ticket: Box::new(ticket) },
            Err(reason) => Event::Refused { request: number, reason },
        };
        self.emit(event);
    }

    fn try_open(&mut self, now: Time, request: &OpenRequest) -> Result<Ticket, OpenRefused> {
        if self.is_shutting_down {
            return Err(OpenRefused::ShuttingDown);
        }
        if request.room.is_empty() || request.room.len() > MAX_ROOM_NAME_BYTES {
            return Err(OpenRefused::RoomName);
        }
        if self.sessions.len() >= MAX_SESSIONS_PER_SHARD {
            return Err(OpenRefused::Full);
        }
        let room = self.room_named(&request.room);
        let previous = self.rooms.get(room).and_then(|room| room.participants.get(&request.participant));
        if let Some(previous) = previous.copied() {
            self.end_session(now, previous, CloseCode::Replaced, EndReason::Replaced);
        }
        // The room may have been emptied by the line above.
        let room = self.room_named(&request.room);
        let opened = self.insert_session(now, request, room);
        if opened.is_err() {
            self.drop_room_if_empty(room);
        }
        opened
    }

    fn insert_session(
        &mut self,
        now: Time,
        request: &OpenRequest,
        room: RoomKey,
    ) -> Result<Ticket, OpenRefused> {
        // The key must exist before the SSRCs that point to it, and the session only after its keys.
        let mut keys = None;
        let start_bps = self.start_bps.unwrap_or(u64::MAX);
        let (rng, ssrcs) = (&mut self.rng, &mut self.ssrcs);
        let name = SessionName(rng.next_u64());
        let inserted = self.sessions.try_insert_with_key(|key| {
            let uplink = ssrcs.take(UPLINK_SSRCS, key).ok_or(OpenRefused::Full)?;
            let Some(downlink) = ssrcs.take(DOWNLINK_SSRCS, key) else {
                ssrcs.give_back(uplink);
                return Err(OpenRefused::Full);
            };
            let SessionKeys { uplink: up, downlink: down, inbound, outbound } =
                draw_keys(rng, request.suite, uplink, downlink).map_err(|_| {
                    ssrcs.give_back(uplink);
                    ssrcs.give_back(downlink);
                    OpenRefused::Keys
                })?;
            keys = Some((up, down));
            Ok(Session {
                name,
                participant: request.participant,
                room,
                rights: request.rights,
                uplink,
                downlink,
                inbound,
                outbound,
                paths: Paths::default(),
                phase: Phase::Unclaimed,
                opened_at: now,
                last_heard: now,
                last_sent: now,
                newest_transport_in: None,
                next_transport_out: 0,
                next_padding_index: 0,
                down: None,
                arrivals: None,
                published: Listed::default(),
                tracks: Vec::new(),
                refused: Vec::new(),
                streams: vec![None; usize::from(uplink.streams())].into_boxed_slice(),
                wanted: Listed::default(),
                slots: Vec::new(),
                shown: PageOutbox::default(),
                demand: PageOutbox::default(),
                speakers: PageOutbox::default(),
                muted_talk: None,
                budget: Budget {
                    stated_bps: u64::MAX,
                    limit_bps: start_bps,
                    wanted_bps: MAX_DOWNLINK_BPS,
                    pause: RaisePause::default(),
                },
                is_crowded: false,
                share_is_due: false,
                duties: Duties { next_report: now + REPORT_INTERVAL, ..Duties::default() },
                resends: Resends::default(),
                rtt: None,
                close_code: CloseCode::Normal,
            })
        });
        let key = inserted?;
        let (uplink, downlink) = keys.ok_or(OpenRefused::Keys)?;
        self.start_ticking(now, key);
        if let Some(room) = self.rooms.get_mut(room) {
            room.participants.insert(request.participant, key);
            if let Some(session) = self.sessions.get_mut(key).filter(|_| !room.news.told.is_empty()) {
                session.touch_speakers();
            }
        }
        self.counters.sessions_opened += 1;
        Ok(Ticket {
            protocol_version: PROTOCOL_VERSION,
            session: name.to_string(),
            addresses: self.addresses.clone(),
            suite: request.suite,
            uplink,
            downlink,
            alternate: None,
        })
    }

    fn start_ticking(&mut self, now: Time, key: SessionKey) {
        if self.sessions.len() == 1 {
            self.next_tick = now + TICK / TICK_PHASES as u32;
        }
        let emptiest = (0..TICK_PHASES).min_by_key(|phase| self.phases[*phase].len()).unwrap_or(0);
        self.phases[emptiest].push(key);
        // All may have something to say at once, and then nobody should wait for memory.
        self.talkative.reserve(self.sessions.len().saturating_sub(self.talkative.len()));
    }

    fn room_named(&mut self, name: &str) -> RoomKey {
        if let Some(key) = self.room_names.get(name) {
            return *key;
        }
        let key = self.rooms.insert(Room::new(name, self.policy));
        self.room_names.insert(name.into(), key);
        key
    }

    fn drop_room_if_empty(&mut self, key: RoomKey) {
        if self.rooms.get(key).is_some_and(|room| room.participants.is_empty())
            && let Some(room) = self.rooms.remove(key)
        {
            self.room_names.remove(&room.name);
        }
    }

    /// Ends a session: its tracks and wishes leave the room at once; its keys stay until the close was repeated.
    pub(super) fn end_session(&mut self, now: Time, key: SessionKey, code: CloseCode, reason: EndReason) {
        if !self.is_live(key) {
            return;
        }
        self.detach_all(key);
        self.forget_wishes(key);
        let Some(session) = self.sessions.get_mut(key) else { return };
        // The first goes out with the next flush.
        session.phase = Phase::Closing { repeats: CLOSE_REPEATS - 1 };
        session.close_code = code;
        session.duties.close = Some(code);
        let (room_key, participant, name) = (session.room, session.participant, session.name);
        for (_, track) in session.tracks.clone() {
            self.unpublish(now, track);
        }
        let Some(room) = self.rooms.get_mut(room_key) else { return };
        room.participants.remove(&participant);
        let room_name = room.name.clone();
        self.drop_room_if_empty(room_key);
        self.counters.sessions_ended += 1;
        self.emit(Event::Ended { room: room_name, participant, session: name, reason });
        self.has_something_to_say(key);
    }

    /// Forgets a session that is over, with its keys.
    pub(super) fn remove_session(&mut self, key: SessionKey) {
        if let Some(session) = self.sessions.remove(key) {
            self.ssrcs.give_back(session.uplink);
            self.ssrcs.give_back(session.downlink);
        }
    }

    pub(super) fn close_by_command(
        &mut self,
        now: Time,
        room: &str,
        participant: ParticipantId,
        only: Option<SessionName>,
        code: CloseCode,
    ) {
        let room = self.room_names.get(room).and_then(|key| self.rooms.get(*key));
        let Some(key) = room.and_then(|room| room.participants.get(&participant)).copied() else { return };
        let is_meant = |session: &Session| only.is_none_or(|name| name == session.name);
        if self.sessions.get(key).is_some_and(is_meant) {
            self.end_session(now, key, code, EndReason::ClosedByCommand);
        }
    }

    pub(super) fn close_room(&mut self, now: Time, room: &str, code: CloseCode) {
        let room = self.room_names.get(room).and_then(|key| self.rooms.get(*key));
        let members: Vec<_> =
            room.map(|room| room.participants.values().copied().collect()).unwrap_or_default();
        for key in members {
            self.end_session(now, key, code, EndReason::ClosedByCommand);
        }
    }

    pub(super) fn shut_down(&mut self, now: Time) {
        self.is_shutting_down = true;
        let all: Vec<_> = self.sessions.keys().collect();
        for key in all {
            self.end_session(now, key, CloseCode::Shutdown, EndReason::Shutdown);
        }
    }
}
