//! The state of all routers, without I/O: `(state, message, now) -> messages and events`.
//!
//! A session is *known* from the moment its `SessionOpened` came until it is closed from either side. One that a router brings
//! and that is not known is a *stranger*: see [`super::strangers`]. A room is bound to a router while it has a known session, a
//! stranger, or one that is being asked for.

use std::collections::BTreeMap;

use sluice_proto::v1::{
    self, CloseRoom, CloseSession, EndReason, OpenSession, Register, Registered, RouterMessage, SessionEnded,
    SessionOpened, SignalingMessage, router_message, signaling_message,
};
use sluice_wire::signaling::MediaLostReason;
use sluice_wire::ticket::{PROTOCOL_VERSION, Suite, Ticket};
use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;

use super::event::{NoRouter, RegistryTiming, RouterEvent};
use super::placement::{Candidate, Load, Wishes, place};
use super::records::{AttachmentId, Output, RegisterError, Request, Room, Router};
use super::terms::{policy_of, rights_of};
use crate::meeting::{CloseCode, MediaTerms, RequestId};

/// Routers that may be attached: more than a daemon with one store should place rooms on.
pub(super) const MAX_ROUTERS: usize = 256;
/// Requests that a router may owe answers to: at a millisecond each it is a time-out behind.
const MAX_REQUESTS_PER_ROUTER: usize = 4_096;
/// A router is gone after so many heartbeats that did not come.
const MISSED_HEARTBEATS: u32 = 3;

/// See the module.
#[derive(Debug)]
pub(super) struct Registry {
    pub(super) timing: RegistryTiming,
    pub(super) routers: BTreeMap<String, Router>,
    attachments: BTreeMap<AttachmentId, String>,
    pub(super) rooms: BTreeMap<String, Room>,
    requests: BTreeMap<u64, Request>,
    next_request: u64,
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
            Some(router_message::Kind::SessionEnded(ended)) => self.session_ended(&name, ended),
            Some(router_message::Kind::Register(_)) => {
                tracing::warn!(router = name, "registered twice on one stream");
                self.detach(attachment);
            }
            // A message of a later version.
            None => {}
        }
    }

    fn session_opened(&mut self, router: &str, attachment: AttachmentId, opened: SessionOpened) {
        let Some(request) = self.take_request(router, opened.request_id) else { return };
        let session = opened.ticket.as_ref().map(|ticket| ticket.session.clone()).unwrap_or_default();
        match opened.ticket.unwrap_or_default().try_into() {
            Ok(ticket) if !request.given_up => self.opened(request, ticket),
            Ok(Ticket { .. }) => self.close_unwanted(attachment, &request, session),
            Err(error) => {
                tracing::error!(router, %error, "the router granted a ticket that is none");
                self.close_unwanted(attachment, &request, session);
                self.refused(request);
            }
        }
    }

    fn opened(&mut self, request: Request, ticket: Ticket) {
        let Request { router, room, participant, request, .. } = request;
        let bound = self.rooms.entry(room.clone()).or_insert_with(|| Room::on(router));
        // The router has ended whatever the participant had there before.
        bound.strangers.remove(&participant);
        bound.rights.remove(&participant);
        bound.sessions.insert(participant, ticket.session.clone());
        let ticket = Box::new(ticket);
        self.output.events.push_back(RouterEvent::Opened { room, request, participant, ticket });
    }

    fn close_unwanted(&mut self, attachment: AttachmentId, request: &Request, session: String) {
        let (room, participant) = (request.room.clone(), request.participant.get());
        let code = CloseCode::Left as u32;
        let close = CloseSession { room, participant, session, code };
        self.send(attachment, signaling_message::Kind::CloseSession(close));
    }

    fn session_ended(&mut self, router: &str, ended: SessionEnded) {
        if self.rooms.get(&ended.room).is_none_or(|room| room.router != router) {
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

    /// Asks the room's router for a session on these terms, or binds the room to one first.
    pub(super) fn open_session(
        &mut self,
        now: Time,
        room: &str,
        participant: ParticipantId,
        request: RequestId,
        terms: MediaTerms,
        wishes: &Wishes,
    ) -> Result<(), NoRouter> {
        let name = match self.rooms.get(room) {
            Some(bound) => bound.router.clone(),
            None => self.place(wishes).ok_or(NoRouter)?.to_owned(),
        };
        let owed = self.requests.values().filter(|request| request.router == name).count();
        let router = self.routers.get_mut(&name).ok_or(NoRouter)?;
        let attachment = router.attachment.ok_or(NoRouter)?;
        if owed >= MAX_REQUESTS_PER_ROUTER {
            return Err(NoRouter);
        }
        router.asked_since_heartbeat += 1;
        let bound = self.rooms.entry(room.to_owned()).or_insert_with(|| Room::on(name.clone()));
        bound.pending += 1;
        let request_id = self.next_request;
        self.next_request += 1;
        let deadline = now + self.timing.open_timeout;
        let room = room.to_owned();
        let open = OpenSession {
            request_id,
            room: room.clone(),
            participant: participant.get(),
            suite: v1::Suite::from(Suite::default()).into(),
            protocol_version: PROTOCOL_VERSION,
            rights: Some(rights_of(terms.rights)),
            policy: Some(policy_of(terms.preset)),
        };
        let request = Request { router: name, room, participant, request, deadline, given_up: false };
        self.requests.insert(request_id, request);
        self.send(attachment, signaling_message::Kind::OpenSession(open));
        Ok(())
    }

    fn place(&self, wishes: &Wishes) -> Option<&str> {
        let takes_rooms = |router: &Router| router.attachment.is_some() && !router.draining;
        let candidates =
            self.routers.iter().filter(|(_, router)| takes_rooms(router)).map(|(name, router)| {
                let here = || self.rooms.values().filter(|room| &room.router == name);
                let participants =
                    here().map(|room| room.sessions.len() + room.strangers.len() + room.pending);
                let load = Load {
                    cpu_permille: router.cpu_permille,
                    bits_per_second: router.bits_per_second,
                    shards: router.shards,
                    asked: router.asked_since_heartbeat,
                    // What other daemons have there is in the router's own figures.
                    participants: router.participants.max(participants.sum::<usize>() as u64),
                    rooms: router.rooms.max(here().count() as u64),
                };
                Candidate { router: name, region: &router.region, load }
            });
        place(candidates, wishes)
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

    fn take_request(&mut self, router: &str, id: u64) -> Option<Request> {
        if self.requests.get(&id)?.router != router {
            return None;
        }
        let request = self.requests.remove(&id)?;
        if !request.given_up {
            // Bound again at once if the session opened.
            self.settle(&request.room);
        }
        Some(request)
    }

    /// A room has one request less under way.
    fn settle(&mut self, room: &str) {
        if let Some(bound) = self.rooms.get_mut(room) {
            bound.pending = bound.pending.saturating_sub(1);
        }
        self.release(room);
    }

    fn refuse(&mut self, router: &str, id: u64) {
        if let Some(request) = self.take_request(router, id) {
            self.refused(request);
        }
    }

    fn refused(&mut self, request: Request) {
        if !request.given_up {
            let Request { room, request, .. } = request;
            self.output.events.push_back(RouterEvent::Refused { room, request });
        }
    }

    pub(super) fn send(&mut self, attachment: AttachmentId, kind: signaling_message::Kind) {
        self.output.messages.push_back((attachment, SignalingMessage { kind: Some(kind) }));
    }
}
