//! A participant of a real meeting.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sluice_client::clock::Clock;
use sluice_client::driver::{
    Event, FrameToSend, JoinConfig, Observer, Participant, ParticipantStats, SentFrame,
};
use sluice_client::session;
use sluice_wire::control::{Want, WantedSlot};
use sluice_wire::signaling::DisplayName;
use sluice_wire::time::Time;
use sluice_wire::track::{ParticipantId, TrackNumber};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::desk::Desk;
use super::{RealError, SharedPublished, lock};
use crate::layout::mix;
use crate::media;
use crate::publisher::{Made, Publisher};
use crate::record::{PublishedFrame, Receiver};
use crate::scenario::{Person, Scenario};

/// How long the router may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How loud everybody is, -dBov.
const LEVEL: u8 = 30;
/// Events that wait for the encoders; what is lost beyond that is asked for again.
const MAX_EVENTS: usize = 64;

/// What everybody of a run has in common.
pub(super) struct Outset {
    pub(super) scenario: Scenario,
    pub(super) websocket_url: String,
    pub(super) meeting_id: String,
    pub(super) clock: Clock,
    pub(super) start: Time,
    pub(super) seed: u64,
    pub(super) published: SharedPublished,
    pub(super) stop: CancellationToken,
}

/// Somebody who is in.
pub(super) struct Member {
    name: String,
    number: usize,
    group: usize,
    start: Time,
    participant: Arc<Participant>,
    desk: Arc<Desk>,
    sources: Option<JoinHandle<()>>,
    /// What was last wanted.
    wanted: Mutex<Vec<WantedSlot>>,
}

impl Member {
    /// Joins, waits for the router, and begins to publish.
    pub(super) async fn join(
        outset: &Outset,
        number: usize,
        person: &Person,
        desk: Arc<Desk>,
    ) -> Result<Self, RealError> {
        let failure = |what: String| RealError::Member { name: person.name.clone(), what };
        let mut rng = ChaCha8Rng::seed_from_u64(mix(outset.seed, number as u64));
        let (connected, when_connected) = oneshot::channel();
        let (told, heard) = mpsc::channel(MAX_EVENTS);
        let id = Arc::new(OnceLock::new());
        let observer = Notes {
            clock: outset.clock,
            desk: Arc::clone(&desk),
            connected: Some(connected),
            told,
            published: Arc::clone(&outset.published),
            id: Arc::clone(&id),
            begun: BTreeSet::new(),
        };
        let name = DisplayName::try_from(person.name.clone()).map_err(|error| failure(error.to_string()))?;
        let config = JoinConfig {
            websocket_url: outset.websocket_url.clone(),
            meeting_id: outset.meeting_id.clone(),
            password: None,
            display_name: name,
            seed: rng.random(),
            clock: outset.clock,
        };
        let joined = Participant::join(config, observer).await;
        let participant = joined.map_err(|source| RealError::Join { name: person.name.clone(), source })?;
        id.get_or_init(|| participant.id());
        desk.open(&participant.joined().ticket).map_err(|error| failure(error.to_string()))?;
        match tokio::time::timeout(CONNECT_TIMEOUT, when_connected).await {
            Ok(Ok(())) => {}
            _ => return Err(failure(format!("no answer of the router within {CONNECT_TIMEOUT:?}"))),
        }
        let mut member = Self {
            name: person.name.clone(),
            number,
            group: person.group,
            start: outset.start,
            participant: Arc::new(participant),
            desk,
            sources: None,
            wanted: Mutex::default(),
        };
        if outset.scenario.people[person.group].publishes {
            member.publish(outset, rng, heard).await?;
        }
        Ok(member)
    }

    async fn publish(
        &mut self,
        outset: &Outset,
        mut rng: ChaCha8Rng,
        heard: mpsc::Receiver<session::Event>,
    ) -> Result<(), RealError> {
        for track in media::tracks(&outset.scenario.media) {
            self.participant.publish(track).await.map_err(|error| self.failure(&error))?;
        }
        let publisher = Publisher::new(&outset.scenario.media, outset.clock.now(), &mut rng);
        let sending = Sending {
            clock: outset.clock,
            participant: Arc::clone(&self.participant),
            publisher,
            heard,
            stop: outset.stop.clone(),
        };
        self.sources = Some(tokio::spawn(sending.run()));
        Ok(())
    }

    pub(super) fn id(&self) -> ParticipantId {
        self.participant.id()
    }

    pub(super) fn receiver(&self) -> std::sync::MutexGuard<'_, Receiver> {
        self.desk.receiver()
    }

    pub(super) async fn stats(&self) -> Result<ParticipantStats, RealError> {
        self.participant.stats().await.map_err(|error| self.failure(&error))
    }

    /// Asks for the tracks of those who are there by now.
    pub(super) async fn watch(
        &self,
        persons: &[Person],
        members: &[Option<Self>],
        scenario: &Scenario,
        now: Time,
    ) -> Result<(), RealError> {
        let group = &scenario.people[self.group];
        let elapsed = now.saturating_since(self.start).as_secs_f64();
        let paused = group.pauses.iter().any(|pause| (pause.from_s..pause.to_s).contains(&elapsed));
        let mut wanted = Vec::new();
        for (place, other) in (0..).zip(&persons[self.number].watches) {
            let Some(other) = members[*other].as_ref() else { continue };
            for (offset, number) in [(0, TrackNumber::MICROPHONE), (1, TrackNumber::CAMERA)] {
                let track = other.id().track(number);
                self.receiver().watch(track);
                wanted.push(WantedSlot {
                    slot: 2 * place + offset,
                    want: Want::Track(track),
                    paused: paused && number == TrackNumber::CAMERA,
                    max_height: group.max_height,
                    max_fps: 0,
                    priority: 0,
                });
            }
        }
        if std::mem::replace(&mut *lock(&self.wanted), wanted.clone()) == wanted {
            return Ok(());
        }
        self.participant.want(wanted).await.map_err(|error| self.failure(&error))
    }

    /// Pauses and resumes, if it is time.
    pub(super) async fn turn(
        &self,
        persons: &[Person],
        members: &[Option<Self>],
        scenario: &Scenario,
        now: Time,
    ) -> Result<(), RealError> {
        if scenario.people[self.group].pauses.is_empty() {
            return Ok(());
        }
        self.watch(persons, members, scenario, now).await
    }

    /// Leaves.
    pub(super) async fn leave(self) {
        if let Some(sources) = self.sources {
            sources.abort();
            // That it was ended is all that it can say.
            drop(sources.await);
        }
        if let Some(participant) = Arc::into_inner(self.participant) {
            participant.leave().await;
        }
    }

    fn failure(&self, error: &dyn std::fmt::Display) -> RealError {
        RealError::Member { name: self.name.clone(), what: error.to_string() }
    }
}

/// Notes what the participant's session says.
struct Notes {
    clock: Clock,
    desk: Arc<Desk>,
    connected: Option<oneshot::Sender<()>>,
    told: mpsc::Sender<session::Event>,
    published: SharedPublished,
    id: Arc<OnceLock<ParticipantId>>,
    begun: BTreeSet<u8>,
}

impl Observer for Notes {
    fn on_event(&mut self, event: Event) {
        let Event::Media(event) = event else { return };
        match &event {
            session::Event::Connected => {
                if let Some(connected) = self.connected.take() {
                    // Who waited may have given up.
                    connected.send(()).ok();
                }
            }
            session::Event::KeyFrameRequested { .. }
            | session::Event::Demand(_)
            | session::Event::UplinkBitrate { .. } => {
                self.told.try_send(event.clone()).ok();
            }
            _ => {}
        }
        self.desk.receiver().on_event(self.clock.now(), &event);
    }

    fn on_frame_sent(&mut self, frame: &SentFrame) {
        let Some(id) = self.id.get() else { return };
        let key = frame.key && frame.track == TrackNumber::CAMERA;
        let sent = PublishedFrame {
            captured_at: frame.captured_at,
            encoding: frame.encoding,
            temporal_id: frame.layer.temporal_id,
            key,
        };
        lock(&self.published).note(id.track(frame.track), sent);
        if key && !self.begun.insert(frame.encoding) {
            self.desk.receiver().on_key_frame_sent(self.clock.now());
        }
    }
}

/// Makes and sends frames until it is told to stop.
struct Sending {
    clock: Clock,
    participant: Arc<Participant>,
    publisher: Publisher,
    heard: mpsc::Receiver<session::Event>,
    stop: CancellationToken,
}

impl Sending {
    async fn run(mut self) {
        while let Some(next_at) = self.publisher.next_at() {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep_until(Instant::from_std(self.clock.instant(next_at))) => {}
            }
            while let Ok(event) = self.heard.try_recv() {
                self.publisher.on_event(&event);
            }
            for made in self.publisher.due(self.clock.now()) {
                let Made { track, encoding, captured_at, frame } = made;
                let is_voice = track == TrackNumber::MICROPHONE;
                let frame = FrameToSend {
                    track,
                    encoding,
                    data: frame.data.into(),
                    key: frame.key,
                    layer: frame.layer,
                    audio_level: is_voice.then_some(LEVEL),
                    captured_at,
                };
                if self.participant.send_frame(frame).await.is_err() {
                    return;
                }
            }
        }
    }
}
