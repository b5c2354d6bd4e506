use super::*;
use crate::core::{Policy, Rights, Shard, ShardConfig};
use sluice_wire::time::Time;

/// A switchboard with one shard that works when it is told to.
struct Bench {
    switchboard: Switchboard,
    mailbox: mpsc::Receiver<Command>,
    shard: Shard,
    _poll: mio::Poll,
}

impl Bench {
    fn new(mailbox_size: usize) -> Self {
        let poll = mio::Poll::new().unwrap();
        let waker = Waker::new(poll.registry(), mio::Token(0)).unwrap();
        let (commands, mailbox) = mpsc::channel(mailbox_size);
        let config = ShardConfig {
            number: 0,
            addresses: vec!["127.0.0.1:9".parse().unwrap()],
            policy: Policy::default(),
            start_bps: None,
        };
        Self {
            switchboard: Switchboard::new(vec![Mailbox { commands, waker }], Arc::new([]), Clock::new()),
            mailbox,
            shard: Shard::new(config, [7; 32]),
            _poll: poll,
        }
    }

    fn work(&mut self) {
        while let Ok(command) = self.mailbox.try_recv() {
            self.shard.handle_command(Time::ZERO, command);
            while let Some(event) = self.shard.poll_event() {
                self.switchboard.handle_event(0, event);
            }
        }
    }

    fn ask(&self, listener: ListenerId, request: u64, number: u32) -> Result<(), OpenError> {
        let (suite, rights) = (Suite::AeadAes128Gcm, Rights::default());
        let origin = Origin::Listener { listener, request };
        self.switchboard.request("a", participant(number), suite, rights, origin)
    }
}

fn participant(number: u32) -> ParticipantId {
    ParticipantId::new(number).unwrap()
}

#[test]
fn the_listener_gets_answers_and_ends_in_order() {
    let mut bench = Bench::new(8);
    let Listener { id, sessions, mut notices } = bench.switchboard.attach_listener();
    assert!(sessions.is_empty());
    bench.ask(id, 10, 1).unwrap();
    bench.ask(id, 11, 1).unwrap();
    bench.work();
    let first = match notices.try_recv() {
        Ok(Notice::Answer { request: 10, result: Ok(ticket) }) => ticket.session.clone(),
        other => panic!("{other:?}"),
    };
    match notices.try_recv() {
        Ok(Notice::Ended { session, reason: EndReason::Replaced }) => {
            assert_eq!(session.session.to_string(), first);
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(notices.try_recv(), Ok(Notice::Answer { request: 11, result: Ok(_) })));
    assert_eq!(bench.switchboard.census(), (1, 1));
}

#[test]
fn an_answer_that_comes_too_late_for_its_listener_is_taken_back() {
    let mut bench = Bench::new(8);
    let old = bench.switchboard.attach_listener();
    bench.ask(old.id, 10, 1).unwrap();
    drop(old);
    let Listener { sessions, notices: mut new, .. } = bench.switchboard.attach_listener();
    assert!(sessions.is_empty());
    bench.work();
    assert!(matches!(new.try_recv(), Ok(Notice::Ended { reason: EndReason::ClosedByCommand, .. })));
    assert!(new.try_recv().is_err());
    assert_eq!(bench.switchboard.census(), (0, 0));
    assert_eq!(bench.switchboard.state().listeners.len(), 1, "who has gone is not kept");
}

#[test]
fn whoever_asks_is_answered_and_all_are_told_of_ends() {
    let mut bench = Bench::new(8);
    let mut first = bench.switchboard.attach_listener();
    let mut second = bench.switchboard.attach_listener();
    bench.ask(first.id, 7, 1).unwrap();
    bench.ask(second.id, 7, 2).unwrap();
    bench.work();
    for (listener, number) in [(&mut first, 1), (&mut second, 2)] {
        let answer = listener.notices.try_recv();
        assert!(matches!(answer, Ok(Notice::Answer { request: 7, result: Ok(_) })), "{number}: {answer:?}");
        assert!(listener.notices.try_recv().is_err(), "no answer for somebody else");
    }
    drop(first);
    bench.switchboard.close_room("a", CloseCode::Removed).unwrap();
    bench.work();
    let ended = |notice| match notice {
        Ok(Notice::Ended { session, .. }) => session.participant.get(),
        other => panic!("{other:?}"),
    };
    assert_eq!([ended(second.notices.try_recv()), ended(second.notices.try_recv())], [1, 2]);
    // One that comes later is given what there is.
    bench.ask(second.id, 8, 3).unwrap();
    bench.work();
    let third = bench.switchboard.attach_listener();
    assert_eq!(third.sessions.len(), 1);
}

#[test]
fn a_caller_that_gave_up_leaves_no_session_behind() {
    let mut bench = Bench::new(8);
    let (caller, answer) = oneshot::channel();
    let origin = Origin::Caller(caller);
    bench.switchboard.request("a", participant(1), Suite::AeadAes128Gcm, Rights::default(), origin).unwrap();
    drop(answer);
    bench.work();
    assert_eq!(bench.switchboard.census(), (0, 0));
}

#[test]
fn a_full_mailbox_is_said_and_holds_no_room() {
    let mut bench = Bench::new(1);
    let id = bench.switchboard.attach_listener().id;
    bench.ask(id, 1, 1).unwrap();
    assert_eq!(bench.ask(id, 2, 2), Err(OpenError::Busy));
    assert_eq!(bench.switchboard.close_room("a", CloseCode::Removed), Err(CommandError::Busy));
    assert_eq!(bench.switchboard.state().pending.len(), 1);
    bench.work();
    // The listener is gone: the answer is taken back, and with it the room.
    bench.work();
    assert_eq!(bench.switchboard.census(), (0, 0));
}

#[test]
fn a_listener_that_lost_a_notice_must_start_anew() {
    let bench = Bench::new(8);
    let Listener { id, mut notices, .. } = bench.switchboard.attach_listener();
    let other = bench.switchboard.attach_listener();
    let mut state = bench.switchboard.state();
    while state.tell(id, Notice::Draining) {}
    assert!(state.listeners.keys().eq([&other.id]), "the other goes on");
    drop(state);
    let mut told = 0;
    while notices.try_recv().is_ok() {
        told += 1;
    }
    assert_eq!(told, LISTENER_NOTICES);
    assert!(notices.is_closed());
}

#[test]
fn after_the_stop_nothing_is_opened() {
    let mut bench = Bench::new(8);
    let Listener { id, mut notices, .. } = bench.switchboard.attach_listener();
    bench.ask(id, 1, 1).unwrap();
    bench.work();
    bench.switchboard.stop();
    bench.switchboard.stop();
    bench.work();
    assert!(matches!(notices.try_recv(), Ok(Notice::Answer { .. })));
    assert!(matches!(notices.try_recv(), Ok(Notice::Draining)));
    assert!(matches!(notices.try_recv(), Ok(Notice::Ended { reason: EndReason::Shutdown, .. })));
    assert!(notices.try_recv().is_err());
    assert_eq!(bench.ask(id, 2, 2), Err(OpenError::Refused(OpenRefused::ShuttingDown)));
}

#[test]
fn a_failed_shard_leaves_nobody_waiting() {
    let bench = Bench::new(8);
    let (caller, mut answer) = oneshot::channel();
    let origin = Origin::Caller(caller);
    bench.switchboard.request("a", participant(1), Suite::AeadAes128Gcm, Rights::default(), origin).unwrap();
    bench.switchboard.fail();
    assert!(matches!(answer.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
}
