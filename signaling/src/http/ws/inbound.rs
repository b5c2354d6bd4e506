//! What a client's messages mean, and when there are too many bad ones. Without I/O.

use serde::Deserialize;
use sluice_wire::signaling::{
    ClientMessage, ErrorCode, ErrorMessage, Join, MAX_MESSAGE_BYTES, SIGNALING_VERSION,
};
use sluice_wire::time::Time;

use crate::rate::{Limiter, Rate};

/// Messages of a client: a person makes a few a minute, a reconnecting client a few a second.
const MESSAGE_RATE: Rate = Rate { per_second: 10, burst: 40 };
/// Messages above the rate that are answered; then the connection closes.
const MAX_EXCESS_MESSAGES: u32 = 20;
/// Bad messages that are answered; then the connection closes.
const MAX_BAD_MESSAGES: u32 = 10;

/// What is to be done about a message.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// Let the client in, if it may come in.
    Join(Join),
    /// Ask for a new ticket.
    NewTicket,
    /// Leave.
    Leave,
    /// Answer a ping.
    Pong(Option<u64>),
    /// Tell the client what was wrong.
    Error(ErrorMessage),
}

/// The state of one connection's incoming side.
#[derive(Debug)]
pub(super) struct Inbound {
    joined: bool,
    rate: Limiter,
    excess: u32,
    bad: u32,
}

impl Inbound {
    pub(super) const fn new() -> Self {
        Self { joined: false, rate: Limiter::new(MESSAGE_RATE), excess: 0, bad: 0 }
    }

    /// Counts a message or a ping of the transport; an error if there were too many.
    pub(super) fn count(&mut self, now: Time) -> Option<ErrorMessage> {
        if self.rate.take(now) {
            return None;
        }
        self.excess += 1;
        Some(error(ErrorCode::RateLimited, "too many messages", self.excess > MAX_EXCESS_MESSAGES))
    }

    /// Judges a text message.
    pub(super) fn text(&mut self, text: &str) -> Verdict {
        if text.len() > MAX_MESSAGE_BYTES {
            return Self::too_large();
        }
        let message = serde_json::from_str::<ClientMessage>(text);
        match message {
            Ok(ClientMessage::Join(_)) if self.joined => {
                Verdict::Error(error(ErrorCode::AlreadyJoined, "this connection has joined", false))
            }
            Ok(ClientMessage::Join(join)) if join.version == SIGNALING_VERSION => {
                self.joined = true;
                Verdict::Join(join)
            }
            Ok(ClientMessage::Join(_)) => Self::unsupported_version(),
            Ok(_) if !self.joined => {
                Verdict::Error(error(ErrorCode::JoinExpected, "the first message is to be join", true))
            }
            Ok(ClientMessage::NewTicket) => Verdict::NewTicket,
            Ok(ClientMessage::Leave) => Verdict::Leave,
            Ok(ClientMessage::Ping { token }) => Verdict::Pong(token),
            // The join of another version may have other fields: its version is what to talk about.
            Err(_) if !self.joined && is_join_of_another_version(text) => Self::unsupported_version(),
            Err(cause) => self.bad(&cause.to_string()),
        }
    }

    /// Judges a binary message.
    pub(super) fn binary(&mut self, len: usize) -> Verdict {
        if len > MAX_MESSAGE_BYTES {
            Self::too_large()
        } else {
            self.bad("binary messages mean nothing here")
        }
    }

    fn bad(&mut self, cause: &str) -> Verdict {
        self.bad += 1;
        Verdict::Error(error(ErrorCode::BadMessage, cause, !self.joined || self.bad > MAX_BAD_MESSAGES))
    }

    fn too_large() -> Verdict {
        let message = format!("messages have at most {MAX_MESSAGE_BYTES} bytes");
        Verdict::Error(error(ErrorCode::TooLarge, &message, true))
    }

    fn unsupported_version() -> Verdict {
        let message = format!("supported versions: {SIGNALING_VERSION}");
        Verdict::Error(error(ErrorCode::UnsupportedVersion, &message, true))
    }
}

/// An error message.
pub(super) fn error(code: ErrorCode, message: &str, fatal: bool) -> ErrorMessage {
    ErrorMessage { code, message: message.to_owned(), fatal }
}

fn is_join_of_another_version(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Head {
        #[serde(rename = "type")]
        kind: String,
        version: u64,
    }
    serde_json::from_str::<Head>(text)
        .is_ok_and(|head| head.kind == "join" && head.version != u64::from(SIGNALING_VERSION))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOIN: &str = r#"{"type":"join","version":1,"meeting_id":"x","display_name":"Ada"}"#;

    fn code(verdict: Verdict) -> (ErrorCode, bool) {
        let Verdict::Error(error) = verdict else { panic!("{verdict:?}") };
        (error.code, error.fatal)
    }

    #[test]
    fn the_first_message_is_join() {
        for other in [r#"{"type":"leave"}"#, r#"{"type":"new_ticket"}"#, r#"{"type":"ping","token":1}"#] {
            assert_eq!(code(Inbound::new().text(other)), (ErrorCode::JoinExpected, true));
        }
        assert!(matches!(Inbound::new().text(JOIN), Verdict::Join(_)));
    }

    #[test]
    fn before_the_join_a_bad_message_is_fatal() {
        for bad in ["", "{", "[]", "null", r#"{"type":"dance"}"#, r#"{"type":"join"}"#, &"[".repeat(60_000)] {
            assert_eq!(code(Inbound::new().text(bad)), (ErrorCode::BadMessage, true), "{bad:.20}");
        }
        assert_eq!(code(Inbound::new().binary(3)), (ErrorCode::BadMessage, true));
    }

    #[test]
    fn behind_the_join_ten_bad_messages_are_answered() {
        let mut inbound = Inbound::new();
        inbound.text(JOIN);
        for _ in 0..10 {
            assert_eq!(code(inbound.text("?")), (ErrorCode::BadMessage, false));
        }
        assert_eq!(code(inbound.text("?")), (ErrorCode::BadMessage, true));
    }

    #[test]
    fn a_second_join_is_told_so() {
        let mut inbound = Inbound::new();
        inbound.text(JOIN);
        assert_eq!(code(inbound.text(JOIN)), (ErrorCode::AlreadyJoined, false));
        assert_eq!(inbound.text(r#"{"type":"new_ticket"}"#), Verdict::NewTicket);
        assert_eq!(inbound.text(r#"{"type":"ping","token":7}"#), Verdict::Pong(Some(7)));
        assert_eq!(inbound.text(r#"{"type":"leave"}"#), Verdict::Leave);
    }

    #[test]
    fn another_version_is_told_so_whatever_else_it_says() {
        for join in [
            r#"{"type":"join","version":2,"meeting_id":"x","display_name":"Ada"}"#,
            r#"{"type":"join","version":2,"ticket":[]}"#,
            r#"{"type":"join","version":99999999999}"#,
        ] {
            assert_eq!(code(Inbound::new().text(join)), (ErrorCode::UnsupportedVersion, true), "{join}");
        }
    }

    #[test]
    fn large_messages_are_too_large() {
        let mut inbound = Inbound::new();
        inbound.text(JOIN);
        assert_eq!(code(inbound.text(&" ".repeat(MAX_MESSAGE_BYTES + 1))), (ErrorCode::TooLarge, true));
        assert_eq!(code(inbound.text(&" ".repeat(MAX_MESSAGE_BYTES))), (ErrorCode::BadMessage, false));
        assert_eq!(code(inbound.binary(MAX_MESSAGE_BYTES + 1)), (ErrorCode::TooLarge, true));
    }

    #[test]
    fn a_flood_is_told_and_then_ended() {
        let mut inbound = Inbound::new();
        let now = Time::from_nanos(1);
        let verdicts: Vec<_> = (0..61).map(|_| inbound.count(now).map(|error| error.fatal)).collect();
        assert!(verdicts[..40].iter().all(Option::is_none));
        assert!(verdicts[40..60].iter().all(|fatal| *fatal == Some(false)));
        assert_eq!(verdicts[60], Some(true));
    }
}
