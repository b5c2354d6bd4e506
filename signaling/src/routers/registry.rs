//! The state of all routers, without I/O: `(state, message, now) -> messages and events`.
//!
//! A session is *known* from the moment its `SessionOpened` came until it is closed from either side. One that a router brings
//! and that is not known is a *stranger*: see [`super::strangers`]. A room is bound to a router while it has a known session, a
//! stranger, or one that is being asked for.

use std::collections::BTreeMap;

use sluice_proto::v1::{
    self, CloseRoom, CloseSession, EndReason, Register, Registered, RouterMessage, SessionEnded,
    SignalingMessage, router_message, signaling_message,
};
use sluice_wire::signaling::MediaLostReason;
use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;

use super::event::{RegistryTiming, RouterEvent};
use super::records::{AttachmentId, Output, RegisterError, Request, Room, Router};
use crate::meeting::CloseCode;

/// Routers that may be attached: more than a daemon with one store should place rooms on.
pub(super) const MAX_ROUTERS: usize = 256;
/// A router is gone after so many heartbeats that did not come.
const MISSED_HEARTBEATS: u32 = 3;

/// See the module.
#[derive(Debug)]
pub(super) struct Registry {
    pub(super) timing: RegistryTiming,
    pub(super) routers: BTreeMap<String, Router>,
    pub(super) attachments: BTreeMap<AttachmentId, String>,
    pub(super) rooms: BTreeMap<String, Room>,
    pub(super) requests: BTreeMap<u64, Request>,
    pub(super) next_request: u64,
    /// Sessions of other daemons that ended lately, by room and name, and when.
    pub(super) ended: BTreeMap<(String, String), Time>,
    pub(super) output: Output,
}

impl Registry {
    pub(super) fn new(timing: RegistryTiming) -> Self {
        Self {
            timing,
            routers: BTreeMap::new(),
            attachments: BTreeMap::new(),
            rooms: BTreeMap::new(),
            requests: BTreeMap::new(),
            next_request: 1,
            ended: BTreeMap::new(),
            output: Output::default(),
        }
    }

    /// Routers with a stream.
    pub(super) fn attached(&self) -> usize {
        self.attachments.len()
    }

    /// Sessions that are known.
    pub(super) fn sessions(&self) -> usize {
        self.rooms.values().map(|room| room.sessions.len()).sum()
    }

    /// Takes a router in whose token and fields were checked.
    pub(super) fn register(
        &mut self,
        now: Time,
        attachment: AttachmentId,
        register: Register,
    ) -> Result<(), RegisterError> {
        let known = self.routers.get(&register.router_id).map(|router| (router.attachment, router.epoch));
        match known {
            None if self.routers.len() >= MAX_ROUTERS => return Err(RegisterError::Full),
            Some((Some(_), epoch)) if epoch > register.epoch => return Err(RegisterError::Stale),
            Some((Some(old), _)) => self.detach(old),
            Some((None, _)) | None => {}
        }
        let router = Router {
            attachment: Some(attachment),
            epoch: register.epoch,
            heard_at: now,
            region: register.region,
            shards: register.shards,
            draining: false,
            cpu_permille: 0,
            bits_per_second: 0,
            asked_since_heartbeat: 0,
            participants: 0,
            rooms: 0,
        };
        self.routers.insert(register.router_id.clone(), router);
        self.attachments.insert(attachment, register.router_id.clone());
        let heartbeat_interval_ms =
            u32::try_from(self.timing.heartbeat_interval.as_millis()).unwrap_or(u32::MAX);
        self.send(attachment, signaling_message::Kind::Registered(Registered { heartbeat_interval_ms }));
        self.reconcile(now, attachment, &register.router_id, register.sessions);
        Ok(())
    }

    /// Takes a message of a stream that registered.
    pub(super) fn message(&mut self, now: Time, attachment: AttachmentId, message: RouterMessage) {
        let Some(name) = self.attachments.get(&attachment).cloned() else { return };
        let Some(router) = self.routers.get_mut(&name) else { return };
        router.heard_at = now;
        match message.kind {
            Some(router_message::Kind::Heartbeat(heartbeat)) => {
                router.cpu_permille = heartbeat.cpu_permille;
                router.bits_per_second =
                    heartbeat.received_bits_per_second.saturating_add(heartbeat.sent_bits_per_second);
                router.asked_since_heartbeat = 0;
                router.participants = heartbeat.participants.into();
                router.rooms = heartbeat.rooms.into();
            }
            Some(router_message::Kind::Draining(v1::Draining {})) => router.draining = true,
            Some(router_message::Kind::SessionOpened(opened)) => {
                self.session_opened(&name, attachment, opened)
            }
            Some(router_message::Kind::SessionRefused(refused)) => {
                tracing::warn!(
                    router = name,
                    code = refused.code,
                    message = refused.message,
                    "session refused"
                );
                self.refuse(&name, refused.request_id);
            }
            Some(router_message::Kind::SessionEnded(ended)) => self.session_ended(now, &name, ended),
            Some(router_message::Kind::Register(_)) => {
                tracing::warn!(router = name, "registered twice on one stream");
                self.detach(attachment);
            }
            // A message of a later version.
            None => {}
        }
    }

    fn session_ended(&mut self, now: Time, router: &str, ended: SessionEnded) {
        let here = self.rooms.get(&ended.room).filter(|room| room.router == router);
        let is_here = here.is_some();
        if !here.is_some_and(|room| room.sessions.values().any(|session| *session == ended.session)) {
            self.note_end(now, &ended);
        }
        if !is_here {
            return;
        }
        let reason = match ended.reason() {
            EndReason::ClosedByClient => Some(MediaLostReason::Closed),
            EndReason::Idle => Some(MediaLostReason::Idle),
            EndReason::Unclaimed => Some(MediaLostReason::Unclaimed),
            EndReason::Shutdown | EndReason::Unspecified => Some(MediaLostReason::RouterGone),
            EndReason::Replaced => None,
        };
        self.lose(&ended.room, ended.participant, &ended.session, reason);
    }

    /// Forgets a session that ended; tells its meeting if there is a reason to.
    pub(super) fn lose(
        &mut self,
        room: &str,
        participant: u32,
        session: &str,
        reason: Option<MediaLostReason>,
    ) {
        let Ok(participant) = ParticipantId::new(participant) else { return };
        if self.forget(room, participant, session)
            && let Some(reason) = reason
        {
            let (room, session) = (room.to_owned(), session.to_owned());
            self.output.events.push_back(RouterEvent::Lost { room, participant, session, reason });
        }
    }

    fn forget(&mut self, room: &str, participant: ParticipantId, session: &str) -> bool {
        let Some(bound) = self.rooms.get_mut(room) else { return false };
        if bound.strangers.get(&participant).is_some_and(|stranger| stranger.session == session) {
            bound.strangers.remove(&participant);
            self.release(room);
            return false;
        }
        let known = bound.sessions.get(&participant).is_some_and(|known| known == session);
        if known {
            bound.sessions.remove(&participant);
            bound.rights.remove(&participant);
            self.release(room);
        }
        known
    }

    /// Unbinds a room from its router once nothing holds it there.
    pub(super) fn release(&mut self, room: &str) {
        if self.rooms.get(room).is_some_and(Room::is_empty) {
            self.rooms.remove(room);
        }
    }

    /// Ends a session. If its router has no stream now, it will when it registers again.
    pub(super) fn close_session(
        &mut self,
        room: &str,
        participant: ParticipantId,
        session: String,
        code: CloseCode,
    ) {
        let Some(attachment) = self.attachment_of(room) else { return };
        self.forget(room, participant, &session);
        if let Some(attachment) = attachment {
            let (room, participant, code) = (room.to_owned(), participant.get(), code as u32);
            let close = CloseSession { room, participant, session, code };
            self.send(attachment, signaling_message::Kind::CloseSession(close));
        }
    }

    /// Ends every session of a room.
    pub(super) fn close_room(&mut self, room: &str, code: CloseCode) {
        let Some(attachment) = self.attachment_of(room) else { return };
        if let Some(bound) = self.rooms.get_mut(room) {
            bound.sessions.clear();
            bound.rights.clear();
            bound.strangers.clear();
        }
        self.release(room);
        if let Some(attachment) = attachment {
            let close = CloseRoom { room: room.to_owned(), code: code as u32 };
            self.send(attachment, signaling_message::Kind::CloseRoom(close));
        }
    }

    /// The stream of a bound room's router.
    pub(super) fn attachment_of(&self, room: &str) -> Option<Option<AttachmentId>> {
        let bound = self.rooms.get(room)?;
        Some(self.routers.get(&bound.router).and_then(|router| router.attachment))
    }

    /// A stream is over. The router's sessions go on: it may dial again.
    pub(super) fn detach(&mut self, attachment: AttachmentId) {
        let Some(name) = self.attachments.remove(&attachment) else { return };
        self.output.detached.push(attachment);
        if let Some(router) = self.routers.get_mut(&name) {
            router.attachment = None;
        }
        let owed: Vec<u64> =
            self.requests.iter().filter(|(_, request)| request.router == name).map(|(&id, _)| id).collect();
        for id in owed {
            self.refuse(&name, id);
        }
    }

    /// Gives up what has waited too long: requests without an answer, routers without a heartbeat.
    pub(super) fn expire(&mut self, now: Time) {
        let mut late = Vec::new();
        for request in
            self.requests.values_mut().filter(|request| request.deadline <= now && !request.given_up)
        {
            request.given_up = true;
            late.push((request.room.clone(), request.request));
        }
        for (room, request) in late {
            self.settle(&room);
            self.output.events.push_back(RouterEvent::Refused { room, request });
        }
        self.forget_ends(now);
        let silence = self.timing.heartbeat_interval * MISSED_HEARTBEATS;
        let silent = self.routers.iter().filter(|(_, router)| router.heard_at + silence <= now);
        for name in silent.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            self.bury(&name);
        }
    }

    fn bury(&mut self, name: &str) {
        tracing::error!(router = name, "router gone");
        if let Some(attachment) = self.routers.get(name).and_then(|router| router.attachment) {
            self.detach(attachment);
        }
        self.routers.remove(name);
        let mut lost = Vec::new();
        for (room, bound) in self.rooms.iter().filter(|(_, bound)| bound.router == name) {
            lost.extend(bound.sessions.iter().map(|(id, session)| (room.clone(), id.get(), session.clone())));
        }
        for (room, participant, session) in lost {
            self.lose(&room, participant, &session, Some(MediaLostReason::RouterGone));
        }
        // Strangers went with their router; nobody is to be told.
        let left: Vec<String> = self
            .rooms
            .iter()
            .filter(|(_, bound)| bound.router == name)
            .map(|(room, _)| room.clone())
            .collect();
        for room in left {
            if let Some(bound) = self.rooms.get_mut(&room) {
                bound.strangers.clear();
            }
            self.release(&room);
        }
    }

    pub(super) fn send(&mut self, attachment: AttachmentId, kind: signaling_message::Kind) {
        self.output.messages.push_back((attachment, SignalingMessage { kind: Some(kind) }));
    }
}
