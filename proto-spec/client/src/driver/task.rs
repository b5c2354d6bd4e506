//! The task that is a participant.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sluice_wire::signaling::DaemonMessage;
use sluice_wire::ticket::Ticket;
use sluice_wire::time::Time;
use sluice_wire::track::TrackNumber;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep_until};

use super::EndCause;
use super::command::{Command, FrameToSend};
use super::line::Line;
use super::observer::{Event, Observer, SentFrame};
use super::stats::{ParticipantStats, sum};
use super::wishes::Wishes;
use crate::clock::Clock;
use crate::media::hash::frame_hash;
use crate::player::Player;
use crate::session::{self, ClientSession, OutgoingFrame, PublishError, SendError};
use crate::signaling::{Ending, Membership, SignalingEvent};

/// How often a ticket is asked for while none comes. The daemon answers all questions about one ticket with that ticket.
const TICKET_RETRY: Duration = Duration::from_secs(2);
/// How long leaving may take: three closes 100 ms apart, and a round trip to signaling.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(1_500);
/// How often the observer is told what has been counted.
const STATS_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct Task<O> {
    clock: Clock,
    rng: ChaCha8Rng,
    observer: O,
    /// `None` once signaling is gone.
    membership: Option<Membership>,
    /// `None` while a new ticket is awaited.
    line: Option<Line>,
    wishes: Wishes,
    players: Vec<Player>,
    /// Of sessions before the one at work.
    past: ParticipantStats,
    next_stats_at: Time,
    ask_ticket_at: Option<Time>,
    give_up_at: Option<Time>,
    end: Option<EndCause>,
}

/// What woke the task.
enum Wake {
    Command(Option<Command>),
    Signaling(Option<SignalingEvent>),
    Datagram,
    Timer,
}

impl<O: Observer> Task<O> {
    pub(super) fn new(clock: Clock, seed: [u8; 32], membership: Membership, observer: O) -> Self {
        Self {
            clock,
            rng: ChaCha8Rng::from_seed(seed),
            observer,
            membership: Some(membership),
            line: None,
            wishes: Wishes::default(),
            players: Vec::new(),
            past: ParticipantStats::default(),
            next_stats_at: clock.now() + STATS_INTERVAL,
            ask_ticket_at: None,
            give_up_at: None,
            end: None,
        }
    }

    /// A seed for the next session: no two sessions draw the same numbers.
    pub(super) fn next_seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        seed
    }

    /// Goes on with a new session.
    pub(super) fn begin(&mut self, name: &str, mut line: Line) {
        self.wishes.tell(&mut line.session);
        self.line = Some(line);
        self.ask_ticket_at = None;
        self.observer.on_event(Event::SessionOpened { name: name.to_owned() });
    }

    /// Runs until the participant is out of the meeting.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) -> ParticipantStats {
        let mut timer = Box::pin(sleep_until(Instant::from_std(self.clock.instant(Time::ZERO))));
        let mut armed = Time::ZERO;
        loop {
            self.settle().await;
            if let Some(cause) = self.end.take() {
                self.observer.on_stats(&self.stats());
                self.observer.on_event(Event::Ended(cause));
                return self.stats();
            }
            let deadline = self.next_at();
            if deadline != armed {
                armed = deadline;
                timer.as_mut().reset(Instant::from_std(self.clock.instant(deadline)));
            }
            match self.wait(&mut commands, timer.as_mut()).await {
                Wake::Command(Some(command)) => self.obey(command),
                Wake::Command(None) => self.leave(),
                Wake::Signaling(event) => self.on_signaling(event),
                Wake::Datagram => self.receive(),
                Wake::Timer => {
                    armed = Time::ZERO;
                    self.on_timer();
                }
            }
        }
    }

    async fn wait(&mut self, commands: &mut mpsc::Receiver<Command>, timer: Pin<&mut Sleep>) -> Wake {
        let is_leaving = self.give_up_at.is_some();
        let has_membership = self.membership.is_some();
        let has_line = self.line.is_some();
        let signaling = async {
            match self.membership.as_mut() {
                Some(membership) => membership.next_event().await,
                None => None,
            }
        };
        let datagram = async {
            if let Some(line) = &self.line {
                line.readable().await;
            }
        };
        tokio::select! {
            command = commands.recv(), if !is_leaving => Wake::Command(command),
            event = signaling, if has_membership => Wake::Signaling(event),
            () = datagram, if has_line => Wake::Datagram,
            () = timer => Wake::Timer,
        }
    }

    /// Sends what waits to be sent and tells what happened, until neither is left.
    async fn settle(&mut self) {
        if let Some(line) = &mut self.line {
            self.past.sends_failed += line.flush().await;
        }
        self.tell_events();
        if self.line.as_ref().is_some_and(|line| line.session.is_closed()) {
            // The answer to the router's close.
            if let Some(line) = &mut self.line {
                self.past.sends_failed += line.flush().await;
            }
            self.drop_line();
            self.ask_for_ticket();
        }
        if self.give_up_at.is_some() && self.line.is_none() && self.membership.is_none() {
            self.end.get_or_insert(EndCause::Left);
        }
    }

    fn next_at(&self) -> Time {
        let line = self.line.as_ref().and_then(Line::next_at);
        let players = self.players.iter().filter_map(Player::next_at);
        let others = [line, self.ask_ticket_at, self.give_up_at, Some(self.next_stats_at)];
        others.into_iter().flatten().chain(players).min().unwrap_or(self.next_stats_at)
    }

    fn on_timer(&mut self) {
        let now = self.clock.now();
        if self.give_up_at.is_some_and(|at| at <= now) {
            self.end.get_or_insert(EndCause::Left);
            return;
        }
        if let Some(line) = &mut self.line {
            line.on_timeout(now);
        }
        if self.ask_ticket_at.is_some_and(|at| at <= now) {
            self.ask_for_ticket();
        }
        if self.next_stats_at <= now {
            self.next_stats_at = now + STATS_INTERVAL;
            self.observer.on_stats(&self.stats());
        }
        self.play(now);
    }

    // --- media ---

    fn receive(&mut self) {
        let Self { line, observer, players, clock, .. } = self;
        let Some(line) = line else { return };
        let mut connected = false;
        line.receive(*clock, |session| connected |= tell(session, players, observer));
        if connected {
            line.on_connected();
        }
    }

    fn tell_events(&mut self) {
        let Self { line, observer, players, .. } = self;
        if let Some(line) = line
            && tell(&mut line.session, players, observer)
        {
            line.on_connected();
        }
    }

    fn play(&mut self, now: Time) {
        let Self { line, observer, players, past, clock, .. } = self;
        for player in players {
            let track = player.config().number;
            player.play(now, |played| {
                let frame = OutgoingFrame {
                    data: &played.frame.data,
                    key: played.frame.key,
                    layer: played.frame.layer,
                    audio_level: played.audio_level,
                    captured_at: played.captured_at,
                };
                let session = line.as_mut().map(|line| &mut line.session);
                match send(session, clock.now(), (track, played.encoding), &frame, || played.frame.hash) {
                    Ok(sent) => observer.on_frame_sent(&sent),
                    Err(Unsent::NotWanted) => {}
                    Err(Unsent::Failed) => past.frames_unsent += 1,
                }
            });
        }
    }

    fn send_frame(&mut self, frame: &FrameToSend) {
        let outgoing = OutgoingFrame {
            data: &frame.data,
            key: frame.key,
            layer: frame.layer,
            audio_level: frame.audio_level,
            captured_at: frame.captured_at,
        };
        let session = self.line.as_mut().map(|line| &mut line.session);
        let hash = || frame_hash(&frame.data);
        match send(session, self.clock.now(), (frame.track, frame.encoding), &outgoing, hash) {
            Ok(sent) => self.observer.on_frame_sent(&sent),
            Err(Unsent::NotWanted) => {}
            Err(Unsent::Failed) => self.past.frames_unsent += 1,
        }
    }

    fn stats(&self) -> ParticipantStats {
        match &self.line {
            None => self.past,
            Some(line) => ParticipantStats {
                media: sum(&self.past.media, &line.session.stats()),
                rtt: line.session.rtt(),
                ..self.past
            },
        }
    }

    // --- orders ---

    fn obey(&mut self, command: Command) {
        let session = self.line.as_mut().map(|line| &mut line.session);
        // An application that does not wait for the answer does not get it.
        match command {
            Command::Publish(track, reply) => drop(reply.send(self.wishes.publish(session, track))),
            Command::Play(player, reply) => drop(reply.send(self.start(*player))),
            Command::StopPlaying => self.players.clear(),
            Command::Unpublish(number) => {
                self.wishes.unpublish(session, number);
                self.players.retain(|player| player.config().number != number);
            }
            Command::SetMuted(number, muted) => self.wishes.set_muted(session, number, muted),
            Command::SetLevel(number, level) => {
                let of_track = |player: &&mut Player| player.config().number == number;
                self.players.iter_mut().filter(of_track).for_each(|player| player.set_level(level));
            }
            Command::SetReceiveLimit(limit) => self.wishes.set_receive_limit(session, limit),
            Command::Want(slots) => self.wishes.want(session, slots),
            Command::Send(frame) => self.send_frame(&frame),
            Command::Rebind(reply) => {
                let none = || io::Error::new(io::ErrorKind::NotConnected, "there is no media session now");
                let rebound = self.line.as_mut().map_or_else(|| Err(none()), Line::rebind);
                drop(reply.send(rebound));
            }
            Command::Stats(reply) => drop(reply.send(self.stats())),
            Command::SlotStats(reply) => {
                let stats = session.map(|session| session.slot_stats()).unwrap_or_default();
                drop(reply.send(stats));
            }
            Command::Leave => self.leave(),
        }
        // New states leave at once, not with the next tick.
        if let Some(line) = &mut self.line {
            line.session.handle_timeout(self.clock.now());
        }
    }

    fn start(&mut self, mut player: Player) -> Result<(), PublishError> {
        let session = self.line.as_mut().map(|line| &mut line.session);
        self.wishes.publish(session, player.config().clone())?;
        player.start(self.clock.now());
        self.players.push(player);
        Ok(())
    }

    fn leave(&mut self) {
        let now = self.clock.now();
        self.give_up_at = Some(now + LEAVE_TIMEOUT);
        self.players.clear();
        self.ask_ticket_at = None;
        if let Some(line) = &mut self.line {
            line.session.close(now);
        }
        if self.membership.as_ref().is_some_and(|membership| membership.leave().is_err()) {
            self.membership = None;
        }
    }

    // --- signaling ---

    fn on_signaling(&mut self, event: Option<SignalingEvent>) {
        let Some(event) = event else {
            self.membership = None;
            return;
        };
        self.observer.on_event(Event::Signaling(event.clone()));
        match event {
            SignalingEvent::Ticket(ticket) => self.take_ticket(&ticket),
            // While a ticket is awaited this is news of the session that is known to be lost.
            SignalingEvent::MediaLost(_) if self.line.is_some() && self.give_up_at.is_none() => {
                self.drop_line();
                self.ask_for_ticket();
            }
            SignalingEvent::MeetingEnded(_) => self.end = Some(EndCause::MeetingEnded),
            SignalingEvent::Refused(error) if error.fatal => self.end = Some(EndCause::Refused(error)),
            SignalingEvent::Ended(ending) => self.on_signaling_ended(&ending),
            SignalingEvent::Told(message) => {
                // The snapshot behind a gap: a session that is not this one's was opened or lost in between.
                if let DaemonMessage::Snapshot(snapshot) = *message
                    && snapshot.session.is_none()
                    && self.give_up_at.is_none()
                {
                    self.drop_line();
                    self.ask_for_ticket();
                }
            }
            SignalingEvent::MediaLost(_)
            | SignalingEvent::Resumed
            | SignalingEvent::Refused(_)
            | SignalingEvent::ParticipantJoined(_)
            | SignalingEvent::ParticipantLeft(..) => {}
        }
    }

    fn on_signaling_ended(&mut self, ending: &Ending) {
        self.membership = None;
        // Media goes on without signaling for as long as it lasts.
        if self.line.is_none() && *ending != Ending::Left {
            self.end.get_or_insert(EndCause::Lost);
        }
    }

    fn take_ticket(&mut self, ticket: &Ticket) {
        if self.give_up_at.is_some() {
            return;
        }
        // A ticket means that the session before it has ended, whether this end knew it or not.
        self.drop_line();
        let seed = self.next_seed();
        match Line::open(ticket, self.clock.now(), seed) {
            Ok(line) => self.begin(&ticket.session, line),
            // Not for this client, or no network now: the next ticket may be better.
            Err(_) => self.ask_ticket_at = Some(self.clock.now() + TICKET_RETRY),
        }
    }

    /// Ends the session at work; its keys go with it.
    fn drop_line(&mut self) {
        let stats = self.stats();
        if self.line.take().is_some() {
            let is_loss = self.give_up_at.is_none();
            self.past = ParticipantStats { rtt: None, ..stats };
            self.past.sessions_lost += u64::from(is_loss);
            if is_loss {
                self.observer.on_event(Event::SessionLost);
            }
        }
    }

    fn ask_for_ticket(&mut self) {
        if self.give_up_at.is_some() {
            return;
        }
        match &self.membership {
            Some(membership) => {
                // If the connection is over its end is on its way here.
                drop(membership.ask_for_ticket());
                self.ask_ticket_at = Some(self.clock.now() + TICKET_RETRY);
            }
            None => {
                self.end.get_or_insert(EndCause::Lost);
            }
        }
    }
}

/// Hands on what the session says; players hear of key frame requests. `true` if the router answered for the first time.
fn tell(session: &mut ClientSession, players: &mut [Player], observer: &mut impl Observer) -> bool {
    let mut connected = false;
    while let Some(event) = session.poll_event() {
        connected |= matches!(event, session::Event::Connected);
        if let session::Event::KeyFrameRequested { track, encoding } = event
            && let Some(player) = players.iter_mut().find(|player| player.config().number == track)
        {
            player.request_key_frame(encoding);
        }
        observer.on_event(Event::Media(event));
    }
    connected
}

/// Why a frame did not become packets.
enum Unsent {
    /// Nobody wants it.
    NotWanted,
    /// Something else, which is counted.
    Failed,
}

fn send(
    session: Option<&mut ClientSession>,
    handed_at: Time,
    (track, encoding): (TrackNumber, u8),
    frame: &OutgoingFrame<'_>,
    hash: impl FnOnce() -> u64,
) -> Result<SentFrame, Unsent> {
    let session = session.ok_or(Unsent::Failed)?;
    match session.send_frame(handed_at, track, encoding, frame) {
        Ok(packets) => Ok(SentFrame {
            track,
            encoding,
            captured_at: frame.captured_at,
            handed_at,
            hash: hash(),
            packets,
            bytes: frame.data.len(),
            key: frame.key,
            layer: frame.layer,
        }),
        Err(SendError::NotWanted) => Err(Unsent::NotWanted),
        Err(_) => Err(Unsent::Failed),
    }
}
