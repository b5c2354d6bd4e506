//! Random events against a model: people who believe what they are told over connections that break, and a router that opens what
//! it is asked for.

mod people;
mod world;

use proptest::prelude::*;
use sluice_wire::signaling::{ChatText, ChatTo, ClientMessage, Reaction, RecordAction, Role};

use super::super::*;
use super::{id, name};
use world::World;

/// People at a time; each may come, go and come again as somebody new.
const PEOPLE: usize = 7;
/// Participant numbers that commands are about: those of the first who come, and some of nobody.
const NUMBERS: u32 = 14;

#[derive(Clone, Debug)]
enum Step {
    /// A person joins, unless it is inside.
    Join {
        who: usize,
        role: Option<Role>,
    },
    Say {
        who: usize,
        message: ClientMessage,
    },
    /// From now on nothing reaches the person, until its connection is found broken.
    Deafen {
        who: usize,
    },
    Break {
        who: usize,
        may_resume: bool,
    },
    /// The person resumes, whether it knows that its connection is broken or not.
    Resume {
        who: usize,
    },
    /// The router answers one of the requests.
    Answer {
        which: usize,
        open: bool,
    },
    /// The router loses one of the sessions.
    Lose {
        which: usize,
    },
    Wait {
        millis: u64,
    },
    Settings(Box<MeetingSettings>),
    End,
}

fn role() -> impl Strategy<Value = Role> {
    prop::sample::select(vec![Role::Host, Role::CoHost, Role::Participant, Role::Panelist, Role::Attendee])
}

fn participant() -> impl Strategy<Value = ParticipantId> {
    (1..=NUMBERS).prop_map(id)
}

fn message() -> impl Strategy<Value = ClientMessage> {
    use ClientMessage as Say;
    let whom = || prop::option::of(participant());
    let chat_to =
        prop_oneof![Just(ChatTo::Everyone), Just(ChatTo::Hosts), participant().prop_map(ChatTo::Participant)];
    let action = prop::sample::select(vec![RecordAction::Start, RecordAction::Pause, RecordAction::Stop]);
    prop_oneof![
        1 => Just(Say::Leave),
        1 => Just(Say::NewTicket),
        3 => (whom(), any::<bool>()).prop_map(|(participant_id, muted)| Say::Mute { participant_id, muted }),
        1 => Just(Say::MuteAll),
        1 => participant().prop_map(|participant_id| Say::AskToUnmute { participant_id }),
        2 => any::<bool>().prop_map(|on| Say::Video { on }),
        2 => (whom(), "[a-c]").prop_map(|(participant_id, text)| Say::Rename { participant_id, display_name: name(&text) }),
        3 => (whom(), any::<bool>()).prop_map(|(participant_id, raised)| Say::Hand { participant_id, raised }),
        1 => Just(Say::React { reaction: Reaction::Heart }),
        2 => whom().prop_map(|participant_id| Say::Spotlight { participant_id }),
        1 => whom().prop_map(|participant_id| Say::Pin { participant_id }),
        6 => (participant(), role()).prop_map(|(participant_id, role)| Say::SetRole { participant_id, role }),
        2 => (participant(), prop::bool::weighted(0.3)).prop_map(|(participant_id, ban)| Say::Remove { participant_id, ban }),
        2 => any::<bool>().prop_map(|locked| Say::Lock { locked }),
        2 => preset().prop_map(|preset| Say::SetPreset { preset }),
        3 => participant().prop_map(|participant_id| Say::Admit { participant_id }),
        2 => Just(Say::AdmitAll),
        1 => participant().prop_map(|participant_id| Say::Deny { participant_id, ban: false }),
        3 => (any::<bool>(), any::<bool>()).prop_map(|(active, take_over)| Say::Share { active, take_over }),
        3 => chat_to.prop_map(|to| Say::Chat { to, text: ChatText::try_from("hi".to_owned()).unwrap() }),
        2 => action.prop_map(|action| Say::Record { action }),
        1 => any::<bool>().prop_map(|given| Say::Consent { given }),
        1 => Just(Say::EndMeeting),
    ]
}

fn preset() -> impl Strategy<Value = Option<QualityPreset>> {
    prop::option::of(prop::sample::select(vec![QualityPreset::AudioOnly, QualityPreset::Webinar]))
}

fn settings() -> impl Strategy<Value = MeetingSettings> {
    let kinds = prop::sample::select(vec![MeetingKind::Meeting, MeetingKind::Webinar]);
    let shares = prop::sample::select(vec![SharePolicy::Hosts, SharePolicy::Everyone]);
    let chats = prop::sample::select(vec![ChatPolicy::Everyone, ChatPolicy::HostsOnly, ChatPolicy::Off]);
    let leaves = prop::sample::select(vec![HostLeaves::Successor, HostLeaves::Pause]);
    let flags = prop::array::uniform3(prop::bool::weighted(0.3));
    (kinds, shares, chats, leaves, flags, 3..7u32, preset()).prop_map(
        |(kind, share, chat, when_host_leaves, flags, max, preset)| MeetingSettings {
            kind,
            share,
            chat,
            when_host_leaves,
            waiting_room: flags[0],
            mute_on_entry: flags[1],
            join_before_host: !flags[2],
            recording: RecordingPolicy::WithConsent,
            max_participants: max,
            preset,
            ..MeetingSettings::default()
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0..PEOPLE;
    let host = prop::option::weighted(0.5, role());
    prop_oneof![
        12 => (who(), host).prop_map(|(who, role)| Step::Join { who, role }),
        24 => (who(), message()).prop_map(|(who, message)| Step::Say { who, message }),
        3 => who().prop_map(|who| Step::Deafen { who }),
        4 => (who(), prop::bool::weighted(0.8)).prop_map(|(who, may_resume)| Step::Break { who, may_resume }),
        6 => who().prop_map(|who| Step::Resume { who }),
        14 => (any::<usize>(), prop::bool::weighted(0.9)).prop_map(|(which, open)| Step::Answer { which, open }),
        2 => any::<usize>().prop_map(|which| Step::Lose { which }),
        4 => prop::sample::select(vec![50, 100, 1_000, 29_999, 30_000]).prop_map(|millis| Step::Wait { millis }),
        1 => settings().prop_map(|settings| Step::Settings(Box::new(settings))),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    (prop::collection::vec(step(), 0..160), prop::bool::weighted(0.2)).prop_map(|(mut steps, end)| {
        if end {
            steps.insert(steps.len() / 2, Step::End);
        }
        steps
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// In a meeting that tells each change at once (a large number) and in one that gathers them (a small one).
    #[test]
    fn people_and_router_always_agree_with_the_meeting(
        settings in settings(),
        large_from in prop::sample::select(vec![1usize, 4, 100]),
        steps in steps(),
    ) {
        let mut world = World::new(settings, large_from);
        for step in steps {
            world.step(step);
        }
        world.wind_down();
    }
}
