//! Sessions that are asked for: of which router, and what becomes of the question.

use sluice_proto::v1::{self, CloseSession, OpenSession, SessionOpened, signaling_message};
use sluice_wire::ticket::{PROTOCOL_VERSION, Suite, Ticket};
use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;

use super::event::{NoRouter, RouterEvent};
use super::placement::{Candidate, Load, Wishes, place};
use super::records::{AttachmentId, Request, Room, Router};
use super::registry::Registry;
use super::terms::{policy_of, rights_of};
use crate::meeting::{CloseCode, MediaTerms, RequestId};

/// Requests that a router may owe answers to: at a millisecond each it is a time-out behind.
const MAX_REQUESTS_PER_ROUTER: usize = 4_096;

impl Registry {
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

    pub(super) fn session_opened(&mut self, router: &str, attachment: AttachmentId, opened: SessionOpened) {
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
    pub(super) fn settle(&mut self, room: &str) {
        if let Some(bound) = self.rooms.get_mut(room) {
            bound.pending = bound.pending.saturating_sub(1);
        }
        self.release(room);
    }

    pub(super) fn refuse(&mut self, router: &str, id: u64) {
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
}
