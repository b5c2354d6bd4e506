use serde_json::{Value, from_value, json, to_value};

use super::*;
use crate::track::ParticipantId;

fn name(text: &str) -> DisplayName {
    DisplayName::try_from(text.to_owned()).unwrap()
}

fn id(text: &str) -> MeetingId {
    text.parse().unwrap()
}

fn ticket() -> Value {
    json!({
        "protocol_version": 1,
        "session": "6f3c1f0a9b2e4d58",
        "addresses": ["203.0.113.7:5004", "[2001:db8::7]:5004"],
        "suite": "AEAD_AES_128_GCM",
        "uplink": {
            "master_key": "AAECAwQFBgcICQoLDA0ODw==", "master_salt": "AAECAwQFBgcICQoL",
            "ssrc_base": 16_777_216, "ssrc_count": 64,
        },
        "downlink": {
            "master_key": "AAECAwQFBgcICQoLDA0ODw==", "master_salt": "AAECAwQFBgcICQoL",
            "ssrc_base": 16_777_472, "ssrc_count": 256,
        },
        "alternate": null,
    })
}

#[test]
fn client_messages_are_as_the_table_has_them() {
    let join = Join {
        version: 1,
        meeting_id: "23456789abcd".into(),
        password: Password::new("secret".into()),
        display_name: name("Ada"),
    };
    let cases = [
        (
            ClientMessage::Join(join.clone()),
            json!({"type": "join", "version": 1, "meeting_id": "23456789abcd", "password": "secret", "display_name": "Ada"}),
        ),
        (
            ClientMessage::Join(Join { password: None, ..join }),
            json!({"type": "join", "version": 1, "meeting_id": "23456789abcd", "display_name": "Ada"}),
        ),
        (ClientMessage::NewTicket, json!({"type": "new_ticket"})),
        (ClientMessage::Leave, json!({"type": "leave"})),
        (ClientMessage::Ping { token: Some(7) }, json!({"type": "ping", "token": 7})),
        (ClientMessage::Ping { token: None }, json!({"type": "ping"})),
    ];
    for (message, expected) in cases {
        assert_eq!(to_value(&message).unwrap(), expected);
        assert_eq!(from_value::<ClientMessage>(expected).unwrap(), message);
    }
}

#[test]
fn daemon_messages_are_as_the_table_has_them() {
    let ada = Participant { participant_id: ParticipantId::new(7).unwrap(), display_name: name("Ada") };
    let ticket_value = from_value::<crate::ticket::Ticket>(ticket()).unwrap();
    let joined = Joined {
        version: 1,
        meeting_id: id("23456789abcd"),
        participant_id: ada.participant_id,
        room: "23456789abcd".into(),
        roster: vec![ada.clone()],
        ticket: ticket_value.clone(),
    };
    let error = ErrorMessage { code: ErrorCode::JoinRefused, message: "no".into(), fatal: true };
    let cases = [
        (
            DaemonMessage::Joined(Box::new(joined)),
            json!({
                "type": "joined", "version": 1, "meeting_id": "23456789abcd", "participant_id": 7, "room": "23456789abcd",
                "roster": [{"participant_id": 7, "display_name": "Ada"}], "ticket": ticket(),
            }),
        ),
        (
            DaemonMessage::ParticipantJoined { participant: ada.clone() },
            json!({"type": "participant_joined", "participant": {"participant_id": 7, "display_name": "Ada"}}),
        ),
        (
            DaemonMessage::ParticipantLeft {
                participant_id: ada.participant_id,
                reason: LeftReason::MediaTimeout,
            },
            json!({"type": "participant_left", "participant_id": 7, "reason": "media_timeout"}),
        ),
        (
            DaemonMessage::Ticket { ticket: Box::new(ticket_value) },
            json!({"type": "ticket", "ticket": ticket()}),
        ),
        (
            DaemonMessage::MediaLost { reason: MediaLostReason::RouterGone },
            json!({"type": "media_lost", "reason": "router_gone"}),
        ),
        (
            DaemonMessage::MeetingEnded { reason: EndedReason::EndedByHost },
            json!({"type": "meeting_ended", "reason": "ended_by_host"}),
        ),
        (DaemonMessage::Pong { token: Some(u64::MAX) }, json!({"type": "pong", "token": u64::MAX})),
        (
            DaemonMessage::Error(error),
            json!({"type": "error", "code": "join_refused", "message": "no", "fatal": true}),
        ),
    ];
    for (message, expected) in cases {
        assert_eq!(to_value(&message).unwrap(), expected);
        assert_eq!(from_value::<DaemonMessage>(expected).unwrap(), message);
    }
}

#[test]
fn later_versions_may_add_fields_reasons_and_codes() {
    let left =
        json!({"type": "participant_left", "participant_id": 7, "reason": "beamed_up", "by": "Scotty"});
    let expected = DaemonMessage::ParticipantLeft {
        participant_id: ParticipantId::new(7).unwrap(),
        reason: LeftReason::Other,
    };
    assert_eq!(from_value::<DaemonMessage>(left).unwrap(), expected);
    let error = json!({"code": "tea_break", "message": "", "fatal": false});
    assert_eq!(from_value::<ErrorMessage>(error).unwrap().code, ErrorCode::Other);
}

#[test]
fn wrong_client_messages_are_refused() {
    let join = |field: &str, value: Value| {
        let mut message = json!({"type": "join", "version": 1, "meeting_id": "x", "display_name": "Ada"});
        message[field] = value;
        message
    };
    for wrong in [
        json!({}),
        json!([]),
        json!({"type": "dance"}),
        join("version", json!("1")),
        join("version", json!(-1)),
        join("meeting_id", json!(null)),
        join("display_name", json!("")),
        join("display_name", json!("x".repeat(65))),
        join("display_name", json!("line\nbreak")),
        join("password", json!("")),
        join("password", json!("x".repeat(257))),
        json!({"type": "ping", "token": "x"}),
    ] {
        assert!(from_value::<ClientMessage>(wrong.clone()).is_err(), "{wrong}");
    }
    assert!(from_value::<ClientMessage>(join("display_name", json!("\u{e9}".repeat(64)))).is_ok());
    assert!(from_value::<ClientMessage>(join("password", json!(null))).is_ok());
}

#[test]
fn meeting_ids_are_twelve_of_the_alphabet() {
    assert!("23456789abcd".parse::<MeetingId>().is_ok());
    for wrong in ["", "23456789abc", "23456789abcde", "23456789abcl", "23456789ABCD", "23456789abc\u{e9}"] {
        assert!(wrong.parse::<MeetingId>().is_err(), "{wrong}");
    }
}

#[test]
fn rest_bodies_are_as_written() {
    assert_eq!(from_value::<CreateMeeting>(json!({})).unwrap(), CreateMeeting::default());
    let full = json!({"name": "Retro", "password": null, "max_participants": 5});
    let expected = CreateMeeting {
        name: Some(MeetingName::try_from("Retro".to_owned()).unwrap()),
        password: None,
        max_participants: Some(5),
    };
    assert_eq!(from_value::<CreateMeeting>(full).unwrap(), expected);
    let error = ApiError { code: ApiErrorCode::UnsupportedMediaType, message: "JSON only".into() };
    let body = json!({"error": {"code": "unsupported_media_type", "message": "JSON only"}});
    assert_eq!(to_value(ApiErrorBody { error }).unwrap(), body);
}

#[test]
fn secrets_are_not_printed() {
    let printed = format!("{:?} {:?}", Password::new("hush".into()).unwrap(), Token::new("hush".into()));
    assert!(!printed.contains("hush"));
}
