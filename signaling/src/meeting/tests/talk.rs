use sluice_wire::signaling::{ChatText, ChatTo, Reaction, RecordAction, RecordingState};

use super::*;

fn chat(to: ChatTo, text: &str) -> ClientMessage {
    ClientMessage::Chat { to, text: ChatText::try_from(text.to_owned()).unwrap() }
}

fn share(active: bool, take_over: bool) -> ClientMessage {
    ClientMessage::Share { active, take_over }
}

/// Host 1, co-host 2, participants 3 and 4.
fn four(settings: MeetingSettings) -> Stage {
    let mut stage = Stage::new(settings);
    stage.enter_as(1, granted(Role::Host));
    stage.enter_as(2, granted(Role::CoHost));
    stage.enter(3);
    stage.enter(4);
    stage
}

fn readers(actions: &[Action]) -> Vec<u32> {
    match &told(actions)[..] {
        [(to, DaemonMessage::ChatMessage(_))] => to.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn messages_go_to_those_they_are_for() {
    let mut stage = four(MeetingSettings::default());
    assert_eq!(readers(&stage.say(3, chat(ChatTo::Everyone, "hello"))), [1, 2, 3, 4]);
    assert_eq!(readers(&stage.say(3, chat(ChatTo::Hosts, "help"))), [1, 2, 3]);
    assert_eq!(readers(&stage.say(1, chat(ChatTo::Hosts, "soon"))), [1, 2]);
    assert_eq!(readers(&stage.say(4, chat(ChatTo::Participant(id(3)), "psst"))), [3, 4]);
    let nobody = stage.say(4, chat(ChatTo::Participant(id(9)), "?"));
    assert_eq!(refused(&nobody), Some(ErrorCode::NoSuchParticipant));
}

#[test]
fn settings_say_who_writes_to_whom() {
    let mut stage = four(MeetingSettings { chat: ChatPolicy::HostsOnly, ..MeetingSettings::default() });
    assert_eq!(refused(&stage.say(3, chat(ChatTo::Everyone, "x"))), Some(ErrorCode::NotAllowed));
    assert_eq!(refused(&stage.say(3, chat(ChatTo::Participant(id(4)), "x"))), Some(ErrorCode::NotAllowed));
    assert_eq!(readers(&stage.say(3, chat(ChatTo::Hosts, "x"))), [1, 2, 3]);
    assert_eq!(readers(&stage.say(2, chat(ChatTo::Everyone, "x"))), [1, 2, 3, 4]);
    let off = MeetingSettings { chat: ChatPolicy::Off, ..MeetingSettings::default() };
    let actions = stage.handle(Event::SettingsChanged(Box::new(off)));
    assert!(matches!(told(&actions)[..], [(_, DaemonMessage::MeetingUpdate { .. })]));
    assert_eq!(refused(&stage.say(1, chat(ChatTo::Everyone, "x"))), Some(ErrorCode::NotAllowed));
}

#[test]
fn who_comes_late_reads_what_everyone_was_written() {
    let history = |stage: &mut Stage, number| {
        let actions = stage.enter(number);
        let found = told(&actions).into_iter().find_map(|(_, message)| match message {
            DaemonMessage::ChatHistory { messages } => {
                Some(messages.iter().map(|message| message.text.as_str().to_owned()).collect::<Vec<_>>())
            }
            _ => None,
        });
        found.unwrap_or_default()
    };
    let mut stage = four(MeetingSettings::default());
    stage.say(1, chat(ChatTo::Everyone, "first"));
    stage.say(1, chat(ChatTo::Hosts, "secret"));
    stage.say(3, chat(ChatTo::Everyone, "second"));
    assert_eq!(history(&mut stage, 5), ["first", "second"]);
    for number in 0..150 {
        stage.now += Duration::from_secs(1);
        stage.say(1, chat(ChatTo::Everyone, &number.to_string()));
    }
    let kept = history(&mut stage, 6);
    assert_eq!((kept.len(), kept[0].as_str(), kept[99].as_str()), (100, "50", "149"));
    for _ in 0..20 {
        stage.now += Duration::from_secs(1);
        stage.say(1, chat(ChatTo::Everyone, &"x".repeat(4_096)));
    }
    assert_eq!(history(&mut stage, 7).len(), 8, "32 KiB");
    let mut secret =
        four(MeetingSettings { chat_history_for_late_joiners: false, ..MeetingSettings::default() });
    secret.say(1, chat(ChatTo::Everyone, "first"));
    assert_eq!(history(&mut secret, 5), [""; 0]);
}

#[test]
fn nobody_floods_the_chat_and_neither_do_all_together() {
    let mut stage = four(MeetingSettings::default());
    let written = (0..20).filter(|_| refused(&stage.say(3, chat(ChatTo::Everyone, "x"))).is_none()).count();
    assert_eq!(written, 10);
    for number in 5..=20 {
        stage.enter(number);
    }
    let mut written = written;
    for number in 4..=20 {
        written +=
            (0..10).filter(|_| refused(&stage.say(number, chat(ChatTo::Everyone, "x"))).is_none()).count();
    }
    assert_eq!(written, 100);
}

#[test]
fn one_screen_is_shared_at_a_time() {
    let mut stage = four(MeetingSettings::default());
    stage.say(3, share(true, false));
    assert_eq!(stage.state().sharer, Some(id(3)));
    assert_eq!(refused(&stage.say(4, share(true, true))), Some(ErrorCode::ShareTaken));
    assert_eq!(refused(&stage.say(2, share(true, false))), Some(ErrorCode::ShareTaken), "not by mistake");
    assert_eq!(refused(&stage.say(4, share(false, false))), Some(ErrorCode::NotAllowed));
    let actions = stage.say(2, share(true, true));
    assert!(
        matches!(told(&actions)[..], [(_, DaemonMessage::MeetingUpdate { meeting })] if meeting.sharer == Some(id(2)))
    );
    stage.say(1, share(false, false));
    assert_eq!(stage.state().sharer, None);
    stage.say(4, share(true, false));
    stage.say(4, ClientMessage::Leave);
    assert_eq!(stage.state().sharer, None);
    let mut hosts = four(MeetingSettings { share: SharePolicy::Hosts, ..MeetingSettings::default() });
    assert_eq!(refused(&hosts.say(3, share(true, false))), Some(ErrorCode::NotAllowed));
    hosts.say(2, share(true, false));
    hosts.say(1, ClientMessage::SetRole { participant_id: id(2), role: Role::Participant });
    assert_eq!(hosts.state().sharer, None, "who may share no more does not");
}

#[test]
fn hands_are_in_the_order_in_which_they_went_up() {
    let mut stage = four(MeetingSettings::default());
    let hand = |participant_id, raised| ClientMessage::Hand { participant_id, raised };
    stage.say(4, hand(None, true));
    stage.say(3, hand(None, true));
    assert_eq!(stage.say(4, hand(None, true)), [], "it is up already");
    assert_eq!([3, 4].map(|number| stage.line(number).hand), [Some(2), Some(1)]);
    assert_eq!(refused(&stage.say(3, hand(Some(id(4)), false))), Some(ErrorCode::NotAllowed));
    assert_eq!(refused(&stage.say(1, hand(Some(id(4)), true))), Some(ErrorCode::NotAllowed));
    stage.say(1, hand(Some(id(4)), false));
    stage.say(4, hand(None, true));
    assert_eq!([3, 4].map(|number| stage.line(number).hand), [Some(2), Some(3)]);
}

#[test]
fn names_spotlights_and_reactions() {
    let mut stage = four(MeetingSettings::default());
    let rename =
        |participant_id, text: &str| ClientMessage::Rename { participant_id, display_name: name(text) };
    stage.say(3, rename(None, "Ada"));
    assert_eq!(refused(&stage.say(3, rename(Some(id(4)), "Fool"))), Some(ErrorCode::NotAllowed));
    stage.say(1, rename(Some(id(4)), "Bob"));
    assert_eq!([3, 4].map(|number| stage.line(number).display_name), [name("Ada"), name("Bob")]);
    let spotlight = |participant_id| ClientMessage::Spotlight { participant_id };
    assert_eq!(refused(&stage.say(3, spotlight(Some(id(3))))), Some(ErrorCode::NotAllowed));
    stage.say(1, spotlight(Some(id(4))));
    assert_eq!(stage.state().spotlight, Some(id(4)));
    stage.say(4, ClientMessage::Leave);
    assert_eq!(stage.state().spotlight, None);
    let actions = stage.say(3, ClientMessage::React { reaction: Reaction::Clap });
    let shown = DaemonMessage::Reaction { participant_id: id(3), reaction: Reaction::Clap };
    assert_eq!(told(&actions), [(vec![1, 2, 3], &shown)]);
    assert_eq!(
        stage.say(3, ClientMessage::Pin { participant_id: Some(id(1)) }),
        [],
        "nobody else's business"
    );
}

#[test]
fn a_recording_asks_everybody_and_those_who_come_later() {
    let record = |action| ClientMessage::Record { action };
    let mut off = four(MeetingSettings::default());
    assert_eq!(refused(&off.say(1, record(RecordAction::Start))), Some(ErrorCode::NotAllowed));
    let settings = MeetingSettings { recording: RecordingPolicy::WithConsent, ..MeetingSettings::default() };
    let mut stage = four(settings);
    assert_eq!(refused(&stage.say(3, record(RecordAction::Start))), Some(ErrorCode::NotAllowed));
    assert_eq!(refused(&stage.say(1, record(RecordAction::Pause))), Some(ErrorCode::NotAllowed));
    let asked = |actions: &[Action]| -> Vec<u32> {
        let asked = told(actions).into_iter().filter(|(_, message)| **message == DaemonMessage::ConsentAsked);
        asked.flat_map(|(to, _)| to).collect()
    };
    let said = Event::Said(connection(1), Box::new(record(RecordAction::Start).into()));
    let actions = stage.meeting.handle(stage.now, said);
    let note = Note::Recording { by: Some(id(1)), action: RecordAction::Start, goes_on: false };
    assert_eq!(actions[0], Action::Record(note), "written down before anybody is told");
    assert_eq!(asked(&actions), [2, 3, 4]);
    stage.say(3, ClientMessage::Consent { given: true });
    stage.say(4, ClientMessage::Consent { given: false });
    let consents = |stage: &Stage| [1, 2, 3, 4].map(|number| stage.line(number).consent);
    assert_eq!(consents(&stage), [Some(true), None, Some(true), Some(false)]);
    assert_eq!(asked(&stage.enter(5)), [5]);
    stage.say(2, record(RecordAction::Pause));
    assert_eq!(asked(&stage.say(2, record(RecordAction::Start))), [0; 0]);
    stage.say(1, record(RecordAction::Stop));
    assert_eq!((stage.state().recording, consents(&stage)), (RecordingState::Off, [None; 4]));
    assert_eq!(refused(&stage.say(3, ClientMessage::Consent { given: true })), Some(ErrorCode::NotAllowed));
}
