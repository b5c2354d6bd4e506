//! The published JSON Schema of the WebSocket's messages, the specification's examples and the types say the same.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::collections::BTreeSet;
use std::path::Path;

use jsonschema::Validator;
use serde_json::{Value, from_value, json, to_value};
use sluice_wire::signaling::*;
use sluice_wire::track::ParticipantId;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn schema() -> Value {
    let text = std::fs::read_to_string(root().join("schema/signaling.schema.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The schema with one of its definitions at the top.
fn validator(definition: &str) -> Validator {
    let mut schema = schema();
    schema["anyOf"] = json!([{ "$ref": format!("#/$defs/{definition}") }]);
    jsonschema::draft202012::new(&schema).unwrap()
}

fn accept(validator: &Validator, message: &Value) {
    let errors: Vec<String> = validator.iter_errors(message).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{message}\n{errors:?}");
}

/// The types that the schema knows for one direction.
fn known_types(direction: &str) -> BTreeSet<String> {
    let schema = schema();
    let definitions = schema["$defs"].as_object().unwrap();
    let of_direction =
        definitions.values().filter_map(|definition| definition["properties"]["type"]["const"].as_str());
    let prefix = format!("{direction}_");
    of_direction
        .filter(|kind| definitions.contains_key(&format!("{prefix}{kind}")))
        .map(str::to_owned)
        .collect()
}

fn kind(message: &Value) -> String {
    message["type"].as_str().unwrap().to_owned()
}

fn somebody() -> ParticipantId {
    ParticipantId::new(7).unwrap()
}

fn name() -> DisplayName {
    DisplayName::try_from("Ada".to_owned()).unwrap()
}

fn text() -> ChatText {
    ChatText::try_from("one\n\ttwo \u{1F600}".to_owned()).unwrap()
}

/// One of each, with every field that is optional, and some without.
fn client_messages() -> Vec<ClientMessage> {
    use ClientMessage as Say;
    let participant_id = somebody();
    let resume = Resume { participant_id, token: Token::new("t".into()), seq: u64::MAX, only: true };
    let join = Join::new("23456789abcd".into(), name());
    let full = Join {
        versions: vec![1, 2],
        version: None,
        password: Password::new("secret".into()),
        token: Some(Token::new("t".into())),
        capabilities: vec!["svc".into()],
        region: Some("eu-1".into()),
        resume: Some(resume),
        ..join.clone()
    };
    let mut messages = vec![
        Say::Join(Box::new(join)),
        Say::Join(Box::new(full)),
        Say::NewTicket,
        Say::Leave,
        Say::Ping { token: Some(u64::MAX) },
        Say::MuteAll,
        Say::AskToUnmute { participant_id },
        Say::Video { on: true },
        Say::Remove { participant_id, ban: true },
        Say::Lock { locked: true },
        Say::Admit { participant_id },
        Say::AdmitAll,
        Say::Deny { participant_id, ban: false },
        Say::Share { active: true, take_over: true },
        Say::Consent { given: false },
        Say::EndMeeting,
    ];
    for participant_id in [None, Some(participant_id)] {
        messages.extend([
            Say::Mute { participant_id, muted: true },
            Say::Rename { participant_id, display_name: name() },
            Say::Hand { participant_id, raised: true },
            Say::Spotlight { participant_id },
            Say::Pin { participant_id },
        ]);
    }
    let roles = [Role::Host, Role::CoHost, Role::Participant, Role::Panelist, Role::Attendee];
    messages.extend(roles.map(|role| Say::SetRole { participant_id, role }));
    let presets = [
        QualityPreset::SmallMeeting,
        QualityPreset::MediumGallery,
        QualityPreset::LargeGallery,
        QualityPreset::Presentation,
        QualityPreset::Webinar,
        QualityPreset::AudioOnly,
    ];
    messages.extend(presets.map(|preset| Say::SetPreset { preset: Some(preset) }));
    messages.push(Say::SetPreset { preset: None });
    let reactions = [
        Reaction::Clap,
        Reaction::ThumbsUp,
        Reaction::Heart,
        Reaction::Laugh,
        Reaction::Surprise,
        Reaction::Celebrate,
    ];
    messages.extend(reactions.map(|reaction| Say::React { reaction }));
    let to = [ChatTo::Everyone, ChatTo::Hosts, ChatTo::Participant(participant_id)];
    messages.extend(to.map(|to| Say::Chat { to, text: text() }));
    let actions = [RecordAction::Start, RecordAction::Pause, RecordAction::Stop];
    messages.extend(actions.map(|action| Say::Record { action }));
    messages
}

fn meeting(recording: RecordingState, kind: MeetingKind, chat: ChatPolicy) -> MeetingState {
    MeetingState {
        kind,
        locked: true,
        paused: false,
        waiting_room: true,
        share: SharePolicy::Hosts,
        chat,
        recording,
        sharer: Some(somebody()),
        spotlight: None,
        preset: Some(QualityPreset::AudioOnly),
    }
}

fn ticket() -> Value {
    let direction = json!({"master_key": "AAECAwQFBgcICQoLDA0ODw==", "master_salt": "AAECAwQFBgcICQoL",
        "ssrc_base": 16_777_216, "ssrc_count": 64});
    json!({"protocol_version": 1, "session": "6f3c1f0a9b2e4d58", "addresses": ["203.0.113.7:5004"],
        "suite": "AEAD_AES_128_GCM", "uplink": direction, "downlink": direction, "alternate": null})
}

fn daemon_messages() -> Vec<DaemonMessage> {
    use DaemonMessage as Told;
    let participant_id = somebody();
    let participant = Participant {
        participant_id,
        display_name: name(),
        role: Role::Panelist,
        muted: true,
        video: true,
        hand: Some(3),
        consent: Some(false),
    };
    let waiting = Waiting { participant_id, display_name: name() };
    let left = |reason| Left { participant_id, reason };
    let state = meeting(RecordingState::Off, MeetingKind::Meeting, ChatPolicy::Everyone);
    let counts = Counts { attendees: 900, on_stage: 4 };
    let ticket: Box<sluice_wire::ticket::Ticket> = Box::new(from_value(ticket()).unwrap());
    let chat = ChatMessage {
        message_id: 1,
        from: participant_id,
        from_name: name(),
        to: ChatTo::Participant(participant_id),
        text: text(),
        sent_at_ms: 1_795_000_000_000,
    };
    let joined = Joined {
        version: 1,
        meeting_id: "23456789abcd".parse().unwrap(),
        participant_id,
        room: "23456789abcd".into(),
        meeting: state,
        roster: vec![participant.clone()],
        counts: Some(counts),
        waiting: vec![waiting.clone()],
        resume_token: Token::new("t".into()),
        resume_within_ms: 30_000,
        ticket: (*ticket).clone(),
    };
    let snapshot = Snapshot {
        meeting: state,
        roster: vec![participant.clone()],
        counts: Some(counts),
        waiting: vec![],
        pinned: Some(participant_id),
        session: Some("6f3c1f0a9b2e4d58".into()),
    };
    let mut messages = vec![
        Told::Joined(Box::new(joined)),
        Told::Waiting { reason: WaitingReason::WaitingRoom },
        Told::Waiting { reason: WaitingReason::NoHost },
        Told::Resumed { participant_id, after: 41 },
        Told::Snapshot(Box::new(snapshot)),
        Told::ParticipantJoined { participant: participant.clone() },
        Told::ParticipantUpdate { participant: participant.clone() },
        Told::RosterDelta { set: vec![participant], left: vec![left(LeftReason::OffStage)] },
        Told::RosterDelta { set: vec![], left: vec![] },
        Told::Counts(counts),
        Told::WaitingJoined { waiting: waiting.clone() },
        Told::WaitingLeft { participant_id },
        Told::WaitingList { waiting: vec![waiting] },
        Told::UnmuteAsked { by: participant_id },
        Told::Reaction { participant_id, reaction: Reaction::Clap },
        Told::ChatMessage(chat.clone()),
        Told::ChatHistory { messages: vec![chat] },
        Told::ConsentAsked,
        Told::Ticket { ticket },
        Told::MeetingEnded { reason: EndedReason::EndedByHost },
        Told::Done { request: u64::MAX },
        Told::GoingAway { retry_after_ms: 4_711 },
        Told::Pong { token: None },
        Told::Pong { token: Some(u64::MAX) },
    ];
    for (recording, kind, chat) in [
        (RecordingState::Off, MeetingKind::Meeting, ChatPolicy::Everyone),
        (RecordingState::On, MeetingKind::Webinar, ChatPolicy::HostsOnly),
        (RecordingState::Paused, MeetingKind::Webinar, ChatPolicy::Off),
    ] {
        messages.push(Told::MeetingUpdate { meeting: meeting(recording, kind, chat) });
    }
    let reasons = [
        LeftReason::Left,
        LeftReason::Disconnected,
        LeftReason::MediaTimeout,
        LeftReason::Removed,
        LeftReason::OffStage,
    ];
    messages.extend(reasons.map(|reason| Told::ParticipantLeft { participant_id, reason }));
    let reasons = [
        MediaLostReason::Closed,
        MediaLostReason::Idle,
        MediaLostReason::Unclaimed,
        MediaLostReason::RouterGone,
    ];
    messages.extend(reasons.map(|reason| Told::MediaLost { reason }));
    let codes = schema()["$defs"]["error_code"]["enum"].as_array().unwrap().clone();
    messages.extend(codes.into_iter().map(|code| {
        let code: ErrorCode = from_value(code.clone()).unwrap();
        assert_ne!(code, ErrorCode::Other, "a code that the types do not know");
        Told::Error(ErrorMessage {
            request: Some(1),
            retry_after_ms: Some(2),
            ..ErrorMessage::new(code, "no", true)
        })
    }));
    messages
}

#[test]
fn every_message_of_the_types_is_one_of_the_schema() {
    let (client, daemon) = (validator("client_message"), validator("daemon_message"));
    let mut seen = BTreeSet::new();
    for message in client_messages() {
        let request = to_value(ClientRequest { request: Some(7), message }).unwrap();
        accept(&client, &request);
        seen.insert(kind(&request));
    }
    assert_eq!(seen, known_types("client"), "every type of the schema was made");
    let mut seen = BTreeSet::new();
    for message in daemon_messages() {
        let numbered = to_value(Numbered { seq: Some(1), message }).unwrap();
        accept(&daemon, &numbered);
        seen.insert(kind(&numbered));
    }
    assert_eq!(seen, known_types("daemon"));
}

/// Each block of JSON in the specification's section that has a type.
fn examples() -> Vec<Value> {
    let text = std::fs::read_to_string(root().join("spec/06-signaling.md")).unwrap();
    let blocks = text.split("```json\n").skip(1).map(|block| block.split("```").next().unwrap());
    let lines = blocks.flat_map(|block| serde_json::Deserializer::from_str(block).into_iter::<Value>());
    lines.map(Result::unwrap).filter(|example| example["type"].is_string()).collect()
}

#[test]
fn every_example_of_the_specification_is_one_of_the_schema_and_of_the_types() {
    let (client, daemon) = (validator("client_message"), validator("daemon_message"));
    let examples = examples();
    assert!(examples.len() >= 12, "{}", examples.len());
    for example in examples {
        if known_types("daemon").contains(&kind(&example)) {
            accept(&daemon, &example);
            from_value::<Numbered>(example).unwrap();
        } else {
            accept(&client, &example);
            from_value::<ClientRequest>(example).unwrap();
        }
    }
}

#[test]
fn what_the_types_refuse_the_schema_refuses() {
    let client = validator("client_message");
    let join = |field: &str, value: Value| {
        let mut join = json!({"type": "join", "version": 1, "meeting_id": "x", "display_name": "Ada"});
        join[field] = value;
        join
    };
    for wrong in [
        json!([]),
        json!({}),
        json!({"type": "dance"}),
        join("display_name", json!("")),
        join("display_name", json!("x".repeat(65))),
        join("display_name", json!("line\nbreak")),
        join("version", json!("1")),
        join("password", json!("")),
        join("resume", json!({"participant_id": 0, "token": "t", "seq": 1})),
        json!({"type": "ping", "token": -1}),
        json!({"type": "mute"}),
        json!({"type": "hand", "participant_id": 16_777_216, "raised": true}),
        json!({"type": "set_role", "participant_id": 7, "role": "emperor"}),
        json!({"type": "set_preset", "preset": "cinema"}),
        json!({"type": "chat", "to": "nobody", "text": "x"}),
        json!({"type": "chat", "to": "everyone", "text": "\u{7}"}),
        json!({"type": "record", "action": "rewind"}),
    ] {
        assert!(!client.is_valid(&wrong), "{wrong}");
        assert!(from_value::<ClientRequest>(wrong.clone()).is_err(), "{wrong}");
    }
}
