//! What members say.

use sluice_wire::signaling::{
    ClientMessage, ClientRequest, DaemonMessage, ErrorCode, ErrorMessage, LeftReason, Role,
};
use sluice_wire::track::ParticipantId;

use super::member::Member;
use super::rights::{Outcome, Refusal, not_allowed, refusal};
use super::{Action, CloseCode, CloseKind, ConnectionId, Meeting, Note};

impl Meeting {
    pub(super) fn said(&mut self, connection: ConnectionId, said: ClientRequest, out: &mut Vec<Action>) {
        let Some(&id) = self.by_connection.get(&connection) else { return };
        let ClientRequest { request, message } = said;
        if message == ClientMessage::Leave {
            self.remove(id, LeftReason::Left, CloseCode::Left, out);
            out.push(Action::Close(connection, CloseKind::Normal));
            return;
        }
        let done = self.obey(id, message, out);
        let is_inside = self.members.get(&id).is_some_and(Member::is_inside);
        let answer = match (done, request) {
            (Err(Refusal { code, message }), request) => {
                DaemonMessage::Error(ErrorMessage { request, ..ErrorMessage::new(code, message, false) })
            }
            (Ok(()), Some(request)) => DaemonMessage::Done { request },
            (Ok(()), None) => return,
        };
        out.push(if is_inside { Action::Send(id, answer) } else { Action::Tell(connection, answer) });
    }

    fn obey(&mut self, id: ParticipantId, message: ClientMessage, out: &mut Vec<Action>) -> Outcome {
        if message == ClientMessage::NewTicket {
            return self.new_ticket(id, out);
        }
        let Some(member) = self.members.get(&id).filter(|member| member.is_inside()) else {
            return Err(not_allowed("you have not been let in"));
        };
        let actor = Actor { id, role: member.role };
        let role = actor.role;
        self.audit(actor, &message, out);
        match message {
            ClientMessage::Join(_) => Err(refusal(ErrorCode::AlreadyJoined, "this connection has joined")),
            ClientMessage::NewTicket | ClientMessage::Leave | ClientMessage::Ping { .. } => Ok(()),
            ClientMessage::Mute { participant_id, muted } => self.mute(actor, participant_id, muted, out),
            ClientMessage::MuteAll => self.mute_all(actor, out),
            ClientMessage::AskToUnmute { participant_id } => self.ask_to_unmute(actor, participant_id, out),
            ClientMessage::Video { on } => self.video(actor, on, out),
            ClientMessage::Rename { participant_id, display_name } => {
                self.rename(actor, participant_id, display_name, out)
            }
            ClientMessage::Hand { participant_id, raised } => self.hand(actor, participant_id, raised, out),
            ClientMessage::React { reaction } => self.react(actor, reaction, out),
            ClientMessage::Spotlight { participant_id } => self.put_before_all(actor, participant_id, out),
            ClientMessage::Pin { participant_id } => self.pin(actor, participant_id),
            ClientMessage::SetPreset { preset } => self.set_preset(actor, preset, out),
            ClientMessage::SetRole { participant_id, role } => self.assign(actor, participant_id, role, out),
            ClientMessage::Remove { participant_id, ban } => self.put_out(actor, participant_id, ban, out),
            ClientMessage::Lock { locked } => self.lock(actor, locked, out),
            ClientMessage::Admit { participant_id } => self.admit(role, participant_id, out),
            ClientMessage::AdmitAll => self.admit_all(role, out),
            ClientMessage::Deny { participant_id, ban } => self.deny(role, participant_id, ban, out),
            ClientMessage::Share { active, take_over } => self.share(actor, active, take_over, out),
            ClientMessage::Chat { to, text } => self.write(actor, to, text, out),
            ClientMessage::Record { action } => self.record(actor, action, out),
            ClientMessage::Consent { given } => self.consent(actor, given, out),
            ClientMessage::EndMeeting => self.end_by_host(actor, out),
        }
    }

    /// Notes what a host asks for that others must bear. What is refused is noted as well: that is when one asks who tried.
    fn audit(&self, actor: Actor, message: &ClientMessage, out: &mut Vec<Action>) {
        let (action, whom) = match *message {
            ClientMessage::Mute { participant_id: Some(whom), .. } if whom != actor.id => {
                ("participant.mute", Some(whom))
            }
            ClientMessage::MuteAll => ("participants.mute", None),
            ClientMessage::SetRole { participant_id, .. } => ("participant.role", Some(participant_id)),
            ClientMessage::SetPreset { .. } => ("meeting.preset", None),
            ClientMessage::Remove { participant_id, ban: false } => {
                ("participant.remove", Some(participant_id))
            }
            ClientMessage::Remove { participant_id, ban: true } => ("participant.ban", Some(participant_id)),
            ClientMessage::Lock { locked: true } => ("meeting.lock", None),
            ClientMessage::Lock { locked: false } => ("meeting.unlock", None),
            ClientMessage::Admit { participant_id } => ("participant.admit", Some(participant_id)),
            ClientMessage::AdmitAll => ("participants.admit", None),
            ClientMessage::Deny { participant_id, .. } => ("participant.deny", Some(participant_id)),
            ClientMessage::EndMeeting => ("meeting.end", None),
            _ => return,
        };
        if actor.role.is_host() {
            out.push(Action::Record(Note::Audit { by: Some(actor.id), action, whom }));
        }
    }

    /// Somebody who is inside.
    pub(super) fn somebody(&mut self, id: ParticipantId) -> Result<&mut Member, Refusal> {
        let inside = self.members.get_mut(&id).filter(|member| member.is_inside());
        inside.ok_or(refusal(ErrorCode::NoSuchParticipant, "nobody of this number is inside"))
    }

    /// Refuses while the meeting waits for its host.
    pub(super) const fn unless_paused(&self) -> Outcome {
        if self.paused {
            return Err(refusal(ErrorCode::MeetingPaused, "the meeting waits for its host"));
        }
        Ok(())
    }
}

/// Who says it: somebody inside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Actor {
    pub(super) id: ParticipantId,
    pub(super) role: Role,
}
