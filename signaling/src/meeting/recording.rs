//! Recording: whether it runs, and who may be recorded.

use sluice_wire::signaling::{DaemonMessage, RecordAction, RecordingPolicy, RecordingState};
use sluice_wire::track::ParticipantId;

use super::commands::Actor;
use super::rights::{Outcome, not_allowed, only_if};
use super::{Action, Meeting, Note};

impl Meeting {
    pub(super) fn record(&mut self, actor: Actor, action: RecordAction, out: &mut Vec<Action>) -> Outcome {
        only_if(actor.role.is_host(), "only hosts record")?;
        only_if(self.settings.recording == RecordingPolicy::WithConsent, "this meeting may not be recorded")?;
        self.unless_paused()?;
        let goes_on = self.recording != RecordingState::Off;
        let next = match (self.recording, action) {
            (RecordingState::Off | RecordingState::Paused, RecordAction::Start) => RecordingState::On,
            (RecordingState::On, RecordAction::Pause) => RecordingState::Paused,
            (RecordingState::On | RecordingState::Paused, RecordAction::Stop) => RecordingState::Off,
            _ => return Err(not_allowed("the recording is not at a place where this means something")),
        };
        out.push(Action::Record(Note::Recording { by: Some(actor.id), action, goes_on }));
        let before = self.state();
        self.recording = next;
        self.told_if_changed(&before, out);
        if !goes_on {
            self.set_consent(actor.id, Some(true), out);
            for id in self.inside_where(|member| member.role.is_on_stage()) {
                self.ask_consent(id, out);
            }
        } else if next == RecordingState::Off {
            // The next recording asks anew.
            for id in self.inside_where(|member| member.consent.is_some()) {
                self.set_consent(id, None, out);
            }
        }
        Ok(())
    }

    pub(super) fn consent(&mut self, actor: Actor, given: bool, out: &mut Vec<Action>) -> Outcome {
        only_if(self.recording != RecordingState::Off, "nothing is recorded")?;
        only_if(actor.role.is_on_stage(), "attendees are not recorded")?;
        self.set_consent(actor.id, Some(given), out);
        Ok(())
    }

    /// Asks somebody on stage who has not answered yet, if there is a recording.
    pub(super) fn ask_consent(&self, id: ParticipantId, out: &mut Vec<Action>) {
        let is_open = self.members.get(&id).is_some_and(|member| member.consent.is_none());
        if is_open && self.recording != RecordingState::Off {
            out.push(Action::Send(id, DaemonMessage::ConsentAsked));
        }
    }

    fn set_consent(&mut self, id: ParticipantId, consent: Option<bool>, out: &mut Vec<Action>) {
        let Some(member) = self.members.get_mut(&id) else { return };
        let role = member.role;
        if std::mem::replace(&mut member.consent, consent) != consent {
            self.changed(id, role, out);
        }
    }
}
