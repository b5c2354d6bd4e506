//! What a client's messages mean, and when there are too many bad ones. Without I/O.

use serde::Deserialize;
use sluice_wire::signaling::{
    ClientMessage, ClientRequest, ErrorCode, ErrorMessage, Join, MAX_CAPABILITIES, MAX_MESSAGE_BYTES,
    MAX_VERSIONS, SIGNALING_VERSION, is_region,
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
    Join(Box<Join>),
    /// Tell the meeting.
    Said(ClientRequest),
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
        let fatal = self.excess > MAX_EXCESS_MESSAGES;
        Some(ErrorMessage::new(ErrorCode::RateLimited, "too many messages", fatal))
    }

    /// Judges a text message.
    pub(super) fn text(&mut self, text: &str) -> Verdict {
        if text.len() > MAX_MESSAGE_BYTES {
            return Self::too_large();
        }
        let said = match serde_json::from_str::<ClientRequest>(text) {
            Ok(said) => said,
            // The join of another version may have other fields: its version is what to talk about.
            Err(_) if !self.joined && is_join_of_another_version(text) => return Self::unsupported_version(),
            Err(cause) => return self.bad(&cause.to_string()),
        };
        match said.message {
            ClientMessage::Join(_) if self.joined => {
                let error = ErrorMessage::new(ErrorCode::AlreadyJoined, "this connection has joined", false);
                Verdict::Error(ErrorMessage { request: said.request, ..error })
            }
            ClientMessage::Join(join) => self.join(join),
            _ if !self.joined => Verdict::Error(ErrorMessage::new(
                ErrorCode::JoinExpected,
                "the first message is to be join",
                true,
            )),
            ClientMessage::Leave => Verdict::Leave,
            ClientMessage::Ping { token } => Verdict::Pong(token),
            _ => Verdict::Said(said),
        }
    }

    fn join(&mut self, join: Box<Join>) -> Verdict {
        if join.version.is_none() && join.versions.is_empty() {
            return self.bad("missing field `version` or `versions`");
        }
        if join.versions.len() > MAX_VERSIONS || join.capabilities.len() > MAX_CAPABILITIES {
            return self.bad("too many versions or capabilities");
        }
        if !join.region.as_deref().is_none_or(is_region) {
            return self.bad("region has characters or a length that no region has");
        }
        if !join.speaks(SIGNALING_VERSION) {
            return Self::unsupported_version();
        }
        self.joined = true;
        Verdict::Join(join)
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
        let fatal = !self.joined || self.bad > MAX_BAD_MESSAGES;
        Verdict::Error(ErrorMessage::new(ErrorCode::BadMessage, cause, fatal))
    }

    fn too_large() -> Verdict {
        let message = format!("messages have at most {MAX_MESSAGE_BYTES} bytes");
        Verdict::Error(ErrorMessage::new(ErrorCode::TooLarge, message, true))
    }

    fn unsupported_version() -> Verdict {
        let message = format!("supported versions: {SIGNALING_VERSION}");
        Verdict::Error(ErrorMessage::new(ErrorCode::UnsupportedVersion, message, true))
    }
}

fn is_join_of_another_version(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Head {
        #[serde(rename = "type")]
        kind: String,
        version: Option<u64>,
        #[serde(default)]
        versions: Vec<u64>,
    }
    let this = u64::from(SIGNALING_VERSION);
    serde_json::from_str::<Head>(text).is_ok_and(|head| {
        let names_any = head.version.is_some() || !head.versions.is_empty();
        head.kind == "join" && names_any && head.version != Some(this) && !head.versions.contains(&this)
    })
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
        let said = inbound.text(r#"{"type":"new_ticket","request":3}"#);
        assert_eq!(
            said,
            Verdict::Said(ClientRequest { request: Some(3), message: ClientMessage::NewTicket })
        );
        assert_eq!(inbound.text(r#"{"type":"ping","token":7}"#), Verdict::Pong(Some(7)));
        assert_eq!(inbound.text(r#"{"type":"leave"}"#), Verdict::Leave);
    }

    #[test]
    fn another_version_is_told_so_whatever_else_it_says() {
        for join in [
            r#"{"type":"join","version":2,"meeting_id":"x","display_name":"Ada"}"#,
            r#"{"type":"join","version":2,"ticket":[]}"#,
            r#"{"type":"join","version":99999999999}"#,
            r#"{"type":"join","versions":[2,3],"meeting_id":"x","display_name":"Ada"}"#,
            r#"{"type":"join","versions":[2,99999999999],"who":"knows"}"#,
        ] {
            assert_eq!(code(Inbound::new().text(join)), (ErrorCode::UnsupportedVersion, true), "{join}");
        }
    }

    #[test]
    fn of_several_versions_one_that_both_speak_is_taken() {
        let join =
            |fields: &str| format!(r#"{{"type":"join","meeting_id":"x","display_name":"Ada"{fields}}}"#);
        for fields in [r#","versions":[1]"#, r#","versions":[3,2,1]"#, r#","version":9,"versions":[1]"#] {
            assert!(matches!(Inbound::new().text(&join(fields)), Verdict::Join(_)), "{fields}");
        }
        let many = format!(r#","versions":{:?}"#, [1; MAX_VERSIONS + 1]);
        for fields in ["", r#","versions":[]"#, &many, r#","version":1,"region":"Mars!""#] {
            assert_eq!(code(Inbound::new().text(&join(fields))), (ErrorCode::BadMessage, true), "{fields}");
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
