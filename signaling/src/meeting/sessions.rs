//! Media sessions of members: asked for, opened, lost.

use sluice_wire::signaling::{DaemonMessage, ErrorCode, ErrorMessage, LeftReason, MediaLostReason};
use sluice_wire::ticket::Ticket;
use sluice_wire::track::ParticipantId;

use super::rights::{Outcome, refusal};
use super::state::refuse;
use super::{Action, CloseCode, MediaTerms, Meeting, RequestId};

const NO_ROUTER: &str = "no router can take the session now";

impl Meeting {
    pub(super) fn open_session(&mut self, id: ParticipantId, out: &mut Vec<Action>) {
        let request = RequestId(self.next_request);
        self.next_request += 1;
        let Some(role) = self.members.get(&id).map(|member| member.role) else { return };
        let terms = MediaTerms { rights: self.media_rights(role), preset: self.preset };
        self.requests.insert(request, id);
        if let Some(member) = self.members.get_mut(&id) {
            member.opening = Some((request, terms.rights));
        }
        self.set_deadline(id);
        out.push(Action::OpenSession(request, id, terms));
    }

    pub(super) fn new_ticket(&mut self, id: ParticipantId, out: &mut Vec<Action>) -> Outcome {
        match self.members.get(&id) {
            None => {}
            Some(member) if member.is_waiting() => {
                return Err(refusal(ErrorCode::NotAllowed, "you have not been let in"));
            }
            // While a request is under way its ticket answers this one too.
            Some(member) if member.opening.is_some() => {}
            Some(_) => self.open_session(id, out),
        }
        Ok(())
    }

    pub(super) fn session_opened(&mut self, request: RequestId, ticket: Ticket, out: &mut Vec<Action>) {
        let Some(id) = self.requests.remove(&request) else { return };
        let Some(member) = self.members.get_mut(&id) else {
            // Whoever asked has left in the meantime.
            let (session, code) = (ticket.session, CloseCode::Left);
            out.push(Action::CloseSession { participant: id, session, code });
            return;
        };
        member.session_rights = member.opening.take().map(|(_, rights)| rights);
        member.lost_at = None;
        member.session = Some(ticket.session.clone());
        let token = member.entry_token.take();
        self.set_deadline(id);
        self.touch(id);
        match token {
            Some(token) => self.enter(id, ticket, token, out),
            None => out.push(Action::Send(id, DaemonMessage::Ticket { ticket: Box::new(ticket) })),
        }
        // A role or a rule may have changed since the session was asked for.
        self.renew_rights(id, out);
    }

    pub(super) fn session_refused(&mut self, request: RequestId, out: &mut Vec<Action>) {
        let Some(id) = self.requests.remove(&request) else { return };
        let Some(member) = self.members.get_mut(&id) else { return };
        member.opening = None;
        if member.is_inside() {
            let error = ErrorMessage::new(ErrorCode::NoRouter, NO_ROUTER, false);
            out.push(Action::Send(id, DaemonMessage::Error(error)));
            self.set_deadline(id);
        } else {
            let connection = member.connection;
            self.remove(id, LeftReason::Disconnected, CloseCode::Left, out);
            if let Some(connection) = connection {
                refuse(connection, ErrorCode::NoRouter, NO_ROUTER, out);
            }
        }
    }

    pub(super) fn session_lost(
        &mut self,
        id: ParticipantId,
        session: &str,
        reason: MediaLostReason,
        out: &mut Vec<Action>,
    ) {
        let now = self.now;
        let Some(member) = self.members.get_mut(&id) else { return };
        if member.session.as_deref() != Some(session) {
            return;
        }
        member.session = None;
        member.lost_at = Some(now);
        self.touch(id);
        self.set_deadline(id);
        out.push(Action::Send(id, DaemonMessage::MediaLost { reason }));
    }
}
