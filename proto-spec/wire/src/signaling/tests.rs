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
    let join =
        Join { password: Password::new("secret".into()), ..Join::new("23456789abcd".into(), name("Ada")) };
    let resume = Resume { participant_id: pid(7), token: Token::new("t".into()), seq: 41, only: true };
    let full = Join {
        versions: vec![2, 1],
        version: None,
        token: Some(Token::new("h".into())),
        capabilities: vec!["svc".into()],
        region: Some("eu".into()),
        resume: Some(resume),
        ..join.clone()
    };
    let someone = Some(pid(7));
    let text = ChatText::try_from("hi".to_owned()).unwrap();
    let cases = [
        (
            ClientMessage::Join(Box::new(join)),
            json!({"type": "join", "version": 1, "meeting_id": "23456789abcd", "password": "secret", "display_name": "Ada"}),
        ),
        (
            ClientMessage::Join(Box::new(full)),
            json!({"type": "join", "versions": [2, 1], "meeting_id": "23456789abcd", "password": "secret",
                "display_name": "Ada", "token": "h", "capabilities": ["svc"], "region": "eu",
                "resume": {"participant_id": 7, "token": "t", "seq": 41, "only": true}}),
        ),
        (ClientMessage::NewTicket, json!({"type": "new_ticket"})),
        (ClientMessage::Leave, json!({"type": "leave"})),
        (ClientMessage::Ping { token: Some(7) }, json!({"type": "ping", "token": 7})),
        (ClientMessage::Ping { token: None }, json!({"type": "ping"})),
        (ClientMessage::Mute { participant_id: None, muted: true }, json!({"type": "mute", "muted": true})),
        (
            ClientMessage::Hand { participant_id: someone, raised: false },
            json!({"type": "hand", "participant_id": 7, "raised": false}),
        ),
        (
            ClientMessage::SetRole { participant_id: pid(7), role: Role::CoHost },
            json!({"type": "set_role", "participant_id": 7, "role": "co_host"}),
        ),
        (ClientMessage::AdmitAll, json!({"type": "admit_all"})),
        (
            ClientMessage::Chat { to: ChatTo::Participant(pid(7)), text: text.clone() },
            json!({"type": "chat", "to": {"participant": 7}, "text": "hi"}),
        ),
        (
            ClientMessage::Chat { to: ChatTo::Everyone, text },
            json!({"type": "chat", "to": "everyone", "text": "hi"}),
        ),
        (ClientMessage::Record { action: RecordAction::Start }, json!({"type": "record", "action": "start"})),
    ];
    for (message, expected) in cases {
        assert_eq!(to_value(&message).unwrap(), expected);
        assert_eq!(from_value::<ClientMessage>(expected.clone()).unwrap(), message);
        let mut numbered = expected;
        numbered["request"] = json!(9);
        let request = ClientRequest { request: Some(9), message };
        assert_eq!(to_value(&request).unwrap(), numbered);
        assert_eq!(from_value::<ClientRequest>(numbered).unwrap(), request);
    }
}

fn pid(number: u32) -> ParticipantId {
    ParticipantId::new(number).unwrap()
}

fn ada() -> Participant {
    Participant {
        participant_id: pid(7),
        display_name: name("Ada"),
        role: Role::Host,
        muted: false,
        video: true,
        hand: None,
        consent: None,
    }
}

fn meeting_state() -> MeetingState {
    MeetingState {
        kind: MeetingKind::Meeting,
        locked: false,
        paused: false,
        waiting_room: true,
        share: SharePolicy::Everyone,
        chat: ChatPolicy::HostsOnly,
        recording: RecordingState::Off,
        sharer: Some(pid(7)),
        spotlight: None,
        preset: None,
    }
}

#[test]
fn daemon_messages_are_as_the_table_has_them() {
    let ticket_value = from_value::<crate::ticket::Ticket>(ticket()).unwrap();
    let state = json!({"kind": "meeting", "locked": false, "paused": false, "waiting_room": true, "share": "everyone",
        "chat": "hosts_only", "recording": "off", "sharer": 7});
    let line = json!({"participant_id": 7, "display_name": "Ada", "role": "host", "video": true});
    let joined = Joined {
        version: 1,
        meeting_id: id("23456789abcd"),
        participant_id: pid(7),
        room: "23456789abcd".into(),
        meeting: meeting_state(),
        roster: vec![ada()],
        counts: None,
        waiting: vec![],
        resume_token: Token::new("t".into()),
        resume_within_ms: 30_000,
        ticket: ticket_value.clone(),
    };
    let message = ChatMessage {
        message_id: 3,
        from: pid(7),
        from_name: name("Ada"),
        to: ChatTo::Hosts,
        text: ChatText::try_from("hi".to_owned()).unwrap(),
        sent_at_ms: 1_795_000_000_000,
    };
    let error = ErrorMessage::new(ErrorCode::JoinRefused, "no", true);
    let cases = [
        (
            DaemonMessage::Joined(Box::new(joined)),
            json!({
                "type": "joined", "version": 1, "meeting_id": "23456789abcd", "participant_id": 7, "room": "23456789abcd",
                "meeting": state, "roster": [line], "resume_token": "t", "resume_within_ms": 30_000, "ticket": ticket(),
            }),
        ),
        (
            DaemonMessage::Resumed { participant_id: pid(7), after: 41 },
            json!({"type": "resumed", "participant_id": 7, "after": 41}),
        ),
        (
            DaemonMessage::ParticipantJoined { participant: ada() },
            json!({"type": "participant_joined", "participant": line}),
        ),
        (
            DaemonMessage::ParticipantLeft { participant_id: pid(7), reason: LeftReason::MediaTimeout },
            json!({"type": "participant_left", "participant_id": 7, "reason": "media_timeout"}),
        ),
        (
            DaemonMessage::RosterDelta {
                set: vec![],
                left: vec![Left { participant_id: pid(7), reason: LeftReason::Left }],
            },
            json!({"type": "roster_delta", "left": [{"participant_id": 7, "reason": "left"}]}),
        ),
        (
            DaemonMessage::Counts(Counts { attendees: 5, on_stage: 2 }),
            json!({"type": "counts", "attendees": 5, "on_stage": 2}),
        ),
        (
            DaemonMessage::ChatMessage(message),
            json!({"type": "chat_message", "message_id": 3, "from": 7, "from_name": "Ada", "to": "hosts", "text": "hi",
                "sent_at_ms": 1_795_000_000_000_u64}),
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
        assert_eq!(from_value::<DaemonMessage>(expected.clone()).unwrap(), message);
        let mut with_number = expected;
        with_number["seq"] = json!(u64::MAX);
        let numbered = Numbered { seq: Some(u64::MAX), message };
        assert_eq!(to_value(&numbered).unwrap(), with_number);
        assert_eq!(from_value::<Numbered>(with_number).unwrap(), numbered);
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
        json!({"type": "mute"}),
        json!({"type": "hand", "participant_id": 0, "raised": true}),
        json!({"type": "set_role", "participant_id": 7, "role": "emperor"}),
        json!({"type": "chat", "to": "nobody", "text": "x"}),
        json!({"type": "chat", "to": "everyone", "text": ""}),
        json!({"type": "chat", "to": "everyone", "text": "\u{7}"}),
        json!({"type": "chat", "to": "everyone", "text": "x".repeat(4_097)}),
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
