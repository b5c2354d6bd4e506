//! Messages of the control stream, made of the router's own types.

use sluice_proto::v1::{self, RefusalCode, RouterMessage, router_message::Kind};
use sluice_wire::control::CloseCode;
use sluice_wire::ticket::{PROTOCOL_VERSION, Suite, Ticket};
use sluice_wire::track::ParticipantId;

use crate::core::{EndReason, MAX_VOICES, OpenRefused, Policy, Preset, Rights, SessionName};
use crate::shell::{Notice, OpenError, SessionRecord};

pub(super) fn message(kind: Kind) -> RouterMessage {
    RouterMessage { kind: Some(kind) }
}

/// A session as signaling knows it.
pub(super) fn session_ref(record: SessionRecord) -> v1::SessionRef {
    let SessionRecord { room, participant, session } = record;
    v1::SessionRef { room, participant: participant.get(), session: session.to_string() }
}

/// What signaling is told; `None` for what it knows already.
pub(super) fn of_notice(notice: Notice) -> Option<RouterMessage> {
    let kind = match notice {
        Notice::Answer { request, result } => return Some(answer(request, result.map_err(Refusal::from))),
        Notice::Ended { session, reason } => {
            let v1::SessionRef { room, participant, session } = session_ref(session);
            let reason = end_reason(reason)?.into();
            Kind::SessionEnded(v1::SessionEnded { room, participant, session, reason })
        }
        Notice::Draining => Kind::Draining(v1::Draining {}),
    };
    Some(message(kind))
}

/// `None` for what signaling asked for itself.
const fn end_reason(reason: EndReason) -> Option<v1::EndReason> {
    match reason {
        EndReason::ClosedByClient => Some(v1::EndReason::ClosedByClient),
        EndReason::ClosedByCommand => None,
        EndReason::Idle => Some(v1::EndReason::Idle),
        EndReason::Unclaimed => Some(v1::EndReason::Unclaimed),
        EndReason::Replaced => Some(v1::EndReason::Replaced),
        EndReason::Shutdown => Some(v1::EndReason::Shutdown),
    }
}

/// The answer to a request for a session.
pub(super) fn answer(request_id: u64, result: Result<Box<Ticket>, Refusal>) -> RouterMessage {
    message(match result {
        Ok(ticket) => {
            Kind::SessionOpened(v1::SessionOpened { request_id, ticket: Some(ticket.as_ref().into()) })
        }
        Err(Refusal { code, message }) => {
            Kind::SessionRefused(v1::SessionRefused { request_id, code: code.into(), message })
        }
    })
}

/// Why signaling gets no session.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: RefusalCode,
    pub(super) message: String,
}

impl From<OpenError> for Refusal {
    fn from(error: OpenError) -> Self {
        let code = match error {
            OpenError::Refused(OpenRefused::Full) | OpenError::Busy => RefusalCode::Full,
            OpenError::Refused(OpenRefused::RoomName) => RefusalCode::Invalid,
            OpenError::Refused(OpenRefused::ShuttingDown) => RefusalCode::Draining,
            OpenError::Refused(OpenRefused::Keys) | OpenError::Stopped => RefusalCode::Internal,
        };
        Self { code, message: error.to_string() }
    }
}

/// What of a request for a session is more than a number or a name.
pub(super) fn checked(open: &v1::OpenSession) -> Result<(ParticipantId, Suite, Rights), Refusal> {
    let refusal = |code, error: &dyn std::error::Error| Refusal { code, message: error.to_string() };
    if open.protocol_version != PROTOCOL_VERSION {
        let message = format!("protocol version {} is not spoken here", open.protocol_version);
        return Err(Refusal { code: RefusalCode::Unsupported, message });
    }
    let suite = sluice_proto::convert::suite_from_proto(open.suite)
        .map_err(|error| refusal(RefusalCode::Unsupported, &error))?;
    let participant =
        ParticipantId::new(open.participant).map_err(|error| refusal(RefusalCode::Invalid, &error))?;
    Ok((participant, suite, rights(open.rights.as_ref())))
}

/// What a participant may do; what somebody in a meeting may where nothing is said.
pub(super) fn rights(rights: Option<&v1::Rights>) -> Rights {
    rights.map_or_else(Rights::default, |rights| Rights {
        may_publish: !rights.receive_only,
        may_share: !rights.no_screen,
        may_take_screen: rights.may_take_screen,
    })
}

/// The policy that a message names; where it leaves something out, that of `default`.
pub(super) fn policy(set: &v1::RoomPolicy, default: Policy) -> Option<Policy> {
    let preset = match v1::Preset::try_from(set.preset).ok()? {
        v1::Preset::Unspecified => default.preset,
        v1::Preset::SmallMeeting => Preset::SmallMeeting,
        v1::Preset::MediumGallery => Preset::MediumGallery,
        v1::Preset::LargeGallery => Preset::LargeGallery,
        v1::Preset::Presentation => Preset::Presentation,
        v1::Preset::Webinar => Preset::Webinar,
        v1::Preset::AudioOnly => Preset::AudioOnly,
    };
    let voices = match set.voices {
        0 => default.voices,
        voices => u8::try_from(voices).unwrap_or(MAX_VOICES),
    };
    let videos_per_receiver = match set.videos_per_receiver {
        0 => default.videos_per_receiver,
        videos => u16::try_from(videos).unwrap_or(u16::MAX),
    };
    Some(Policy { preset, voices, videos_per_receiver })
}

/// A session's name from its 16 digits.
pub(super) fn session_name(digits: &str) -> Option<SessionName> {
    let is_one = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|_| is_one).map(SessionName)
}

/// A close code; one that no client could be told is plain removal.
pub(super) fn close_code(code: u32) -> CloseCode {
    u16::try_from(code).map_or(CloseCode::Removed, CloseCode::from_u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> v1::OpenSession {
        v1::OpenSession {
            request_id: 1,
            room: "r".into(),
            participant: 5,
            suite: v1::Suite::AeadAes256Gcm.into(),
            protocol_version: PROTOCOL_VERSION,
            rights: None,
            policy: None,
        }
    }

    #[test]
    fn each_wrong_field_has_its_code() {
        let participant = ParticipantId::new(5).unwrap();
        assert_eq!(checked(&open()), Ok((participant, Suite::AeadAes256Gcm, Rights::default())));
        let code = |open| checked(&open).unwrap_err().code;
        assert_eq!(code(v1::OpenSession { protocol_version: 0, ..open() }), RefusalCode::Unsupported);
        assert_eq!(code(v1::OpenSession { suite: 0, ..open() }), RefusalCode::Unsupported);
        assert_eq!(code(v1::OpenSession { participant: 0, ..open() }), RefusalCode::Invalid);
        assert_eq!(code(v1::OpenSession { participant: 1 << 24, ..open() }), RefusalCode::Invalid);
    }

    #[test]
    fn rights_are_those_of_a_meeting_unless_something_else_is_said() {
        let of = |rights| checked(&v1::OpenSession { rights: Some(rights), ..open() }).unwrap().2;
        let nothing_said = v1::Rights::default();
        assert_eq!(of(nothing_said), Rights::default());
        let attendee = v1::Rights { receive_only: true, ..nothing_said };
        assert_eq!(of(attendee), Rights { may_publish: false, ..Rights::default() });
        let watched = v1::Rights { no_screen: true, ..nothing_said };
        assert_eq!(of(watched), Rights { may_share: false, ..Rights::default() });
        let host = v1::Rights { may_take_screen: true, ..nothing_said };
        assert_eq!(of(host), Rights { may_take_screen: true, ..Rights::default() });
    }

    #[test]
    fn a_policy_is_that_of_the_router_where_nothing_else_is_said() {
        let default = Policy { preset: Preset::Presentation, voices: 4, videos_per_receiver: 9 };
        let set = v1::RoomPolicy { preset: 0, voices: 0, videos_per_receiver: 0 };
        assert_eq!(policy(&set, default), Some(default));
        let set = v1::RoomPolicy { preset: v1::Preset::AudioOnly.into(), voices: 2, videos_per_receiver: 49 };
        let expected = Policy { preset: Preset::AudioOnly, voices: 2, videos_per_receiver: 49 };
        assert_eq!(policy(&set, default), Some(expected));
        assert_eq!(policy(&v1::RoomPolicy { preset: 99, ..set }, default), None);
    }

    #[test]
    fn signaling_is_not_told_of_what_it_asked_for() {
        let session = || SessionRecord {
            room: "r".into(),
            participant: ParticipantId::new(5).unwrap(),
            session: SessionName(0xAB),
        };
        assert!(
            of_notice(Notice::Ended { session: session(), reason: EndReason::ClosedByCommand }).is_none()
        );
        let told = of_notice(Notice::Ended { session: session(), reason: EndReason::Idle }).unwrap();
        let expected = v1::SessionEnded {
            room: "r".into(),
            participant: 5,
            session: "00000000000000ab".into(),
            reason: v1::EndReason::Idle.into(),
        };
        assert_eq!(told.kind, Some(Kind::SessionEnded(expected)));
    }

    #[test]
    fn names_have_sixteen_digits() {
        assert_eq!(session_name("00000000000000ab"), Some(SessionName(0xAB)));
        assert_eq!((session_name("ab"), session_name("")), (None, None));
        assert_eq!((session_name("zzzzzzzzzzzzzzzz"), session_name("+0000000000000ab")), (None, None));
    }
}
