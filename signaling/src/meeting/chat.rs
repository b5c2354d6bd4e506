//! What people write, and what those who come late are given of it.

use std::collections::VecDeque;
use std::time::Duration;

use sluice_wire::signaling::{ChatMessage, ChatText, ChatTo, DaemonMessage, ErrorCode};
use sluice_wire::time::Time;
use sluice_wire::track::ParticipantId;

use super::commands::Actor;
use super::rights::{Outcome, may_write, only_if, refusal};
use super::state::broadcast;
use super::timing::{CHAT_RATE, MAX_HISTORY_BYTES, MAX_HISTORY_MESSAGES};
use super::{Action, Meeting, Note};
use crate::rate::Limiter;

/// The last messages to everyone.
#[derive(Debug)]
pub(super) struct ChatLog {
    next_message: u64,
    messages: VecDeque<ChatMessage>,
    bytes: usize,
    rate: Limiter,
}

impl Default for ChatLog {
    fn default() -> Self {
        Self { next_message: 1, messages: VecDeque::new(), bytes: 0, rate: Limiter::new(CHAT_RATE) }
    }
}

impl ChatLog {
    /// Takes in what was written under an owner before: numbers go on behind it.
    pub(super) fn recall(&mut self, message: &ChatMessage) {
        self.next_message = self.next_message.max(message.message_id + 1);
        if message.to == ChatTo::Everyone {
            self.keep(message.clone());
        }
    }

    fn keep(&mut self, message: ChatMessage) {
        self.bytes += message.text.as_str().len();
        self.messages.push_back(message);
        while self.messages.len() > MAX_HISTORY_MESSAGES || self.bytes > MAX_HISTORY_BYTES {
            let Some(oldest) = self.messages.pop_front() else { return };
            self.bytes -= oldest.text.as_str().len();
        }
    }
}

impl Meeting {
    pub(super) fn write(
        &mut self,
        actor: Actor,
        to: ChatTo,
        text: ChatText,
        out: &mut Vec<Action>,
    ) -> Outcome {
        only_if(may_write(self.settings.chat, actor.role, to), "the meeting does not allow to write so")?;
        self.unless_paused()?;
        let readers = self.readers(actor, to)?;
        let now = self.now;
        let writer = self.somebody(actor.id)?;
        let from_name = writer.display_name.clone();
        if !writer.chat.take(now) || !self.chat.rate.take(now) {
            return Err(refusal(ErrorCode::RateLimited, "too many messages are written"));
        }
        let message_id = self.chat.next_message;
        self.chat.next_message += 1;
        let sent_at_ms = unix_millis(now);
        let message = ChatMessage { message_id, from: actor.id, from_name, to, text, sent_at_ms };
        out.push(Action::Record(Note::Chat(message.clone())));
        if to == ChatTo::Everyone {
            self.chat.keep(message.clone());
        }
        self.keep_for_the_awaited(&message);
        broadcast(readers, DaemonMessage::ChatMessage(message), out);
        Ok(())
    }

    /// Who gets what `actor` writes, itself included.
    fn readers(&mut self, actor: Actor, to: ChatTo) -> Result<Vec<ParticipantId>, super::rights::Refusal> {
        Ok(match to {
            ChatTo::Everyone => self.all_inside(),
            ChatTo::Hosts => {
                let mut readers = self.hosts();
                if !actor.role.is_host() {
                    readers.push(actor.id);
                    readers.sort_unstable();
                }
                readers
            }
            ChatTo::Participant(whom) => {
                let sees_all = self.sees_all(actor.role);
                if !(self.somebody(whom)?.role.is_on_stage() || sees_all) {
                    return Err(refusal(ErrorCode::NoSuchParticipant, "nobody of this number is inside"));
                }
                let mut readers = vec![actor.id, whom];
                readers.sort_unstable();
                readers.dedup();
                readers
            }
        })
    }

    /// Gives somebody who came what was written to everyone, if the meeting does so.
    pub(super) fn send_history(&self, id: ParticipantId, out: &mut Vec<Action>) {
        if self.settings.chat_history_for_late_joiners && !self.chat.messages.is_empty() {
            let messages = self.chat.messages.iter().cloned().collect();
            out.push(Action::Send(id, DaemonMessage::ChatHistory { messages }));
        }
    }
}

pub(super) fn unix_millis(time: Time) -> u64 {
    u64::try_from(Duration::from_nanos(time.as_nanos()).as_millis()).unwrap_or(u64::MAX)
}
