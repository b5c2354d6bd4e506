//! One participant of a run.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sluice_client::clock::Clock;
use sluice_client::driver::{JoinConfig, JoinError, Participant, ParticipantStats};
use sluice_client::media::clip::Clip;
use sluice_client::player::Player;
use sluice_client::session::SlotStats;
use sluice_client::signaling::SignalingError;
use sluice_wire::control::{Want, WantedSlot};
use sluice_wire::signaling::{DisplayName, ErrorCode};
use sluice_wire::track::{TrackId, TrackKind, TrackNumber};
use tokio::time::{sleep, timeout};

use super::plan::{RoomTrack, choose, subscriptions, wanted};
use super::record::{Record, Recorder, Shared};
use crate::audit::{Directory, SlotAudit};
use crate::dump::Dump;
use crate::ledger::{TrackLedger, lock};
use crate::media::MediaSet;
use crate::progress::add;

/// How long the router may take to answer a participant whom signaling let in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a participant is told that too many join at once before it gives up.
const MAX_ATTEMPTS: u32 = 10;
/// How long it waits in between.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Players begin within so much of each other, so that many publishers do not send in the same instant: a frame of 30 a second.
const STAGGER: Duration = Duration::from_millis(33);

/// A participant before it joins.
#[derive(Clone, Debug)]
pub(super) struct Invitation {
    pub(super) websocket_url: String,
    pub(super) meeting_id: String,
    pub(super) room: usize,
    /// Position among all participants of the run, from 0.
    pub(super) number: usize,
    /// What it publishes, from whose clips.
    pub(super) tracks: Vec<(TrackNumber, TrackKind)>,
    pub(super) seed: u64,
    pub(super) clock: Clock,
}

/// A participant that is in.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) room: usize,
    pub(super) number: usize,
    pub(super) participant: Participant,
    pub(super) record: Arc<Mutex<Record>>,
    pub(super) tracks: Vec<RoomTrack>,
    pub(super) join_time: Duration,
}

impl Invitation {
    /// Joins, begins to publish, and waits for the router. An error is in words: it is for the report.
    pub(super) async fn accept(self, shared: Arc<Shared>, media: &MediaSet) -> Result<Member, String> {
        let describe = |what: &dyn std::fmt::Display| format!("participant {}: {what}", self.number);
        let record = Arc::new(Mutex::new(Record::new()));
        let ledgers: Vec<(TrackNumber, Arc<Mutex<TrackLedger>>)> =
            self.tracks.iter().map(|(number, _)| (*number, Arc::default())).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed.wrapping_add(self.number as u64));
        let mut attempts = 0;
        let (participant, when_connected, begun) = loop {
            let (recorder, when_connected) =
                Recorder::new(Arc::clone(&shared), Arc::clone(&record), ledgers.clone());
            let begun = self.clock.now();
            match Participant::join(self.config(&mut rng)?, recorder).await {
                Ok(participant) => break (participant, when_connected, begun),
                Err(error) if is_temporary(&error) && attempts < MAX_ATTEMPTS => {
                    attempts += 1;
                    sleep(RETRY_AFTER).await;
                }
                Err(error) => return Err(describe(&chain(&error))),
            }
        };
        add(&shared.progress.joined, 1);
        for (number, kind) in &self.tracks {
            let player = self.player(media, *number, *kind, &mut rng).map_err(|error| describe(&error))?;
            participant.play(player).await.map_err(|error| describe(&error))?;
            add(&shared.progress.tracks_published, 1);
        }
        match timeout(CONNECT_TIMEOUT, when_connected).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(describe(&"it was put out before the router answered")),
            Err(_) => return Err(describe(&format!("no answer of the router within {CONNECT_TIMEOUT:?}"))),
        }
        let join_time = self.clock.now().saturating_since(begun);
        let id = participant.id();
        let tracks = self.tracks.iter().zip(ledgers);
        let tracks = tracks.map(|((number, kind), (_, ledger))| RoomTrack {
            id: id.track(*number),
            kind: *kind,
            ledger,
        });
        Ok(Member {
            room: self.room,
            number: self.number,
            tracks: tracks.collect(),
            participant,
            record,
            join_time,
        })
    }

    fn config(&self, rng: &mut ChaCha8Rng) -> Result<JoinConfig, String> {
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        Ok(JoinConfig {
            websocket_url: self.websocket_url.clone(),
            meeting_id: self.meeting_id.clone(),
            password: None,
            display_name: DisplayName::try_from(format!("load {}", self.number))
                .map_err(|error| error.to_string())?,
            seed,
            clock: self.clock,
        })
    }

    fn player(
        &self,
        media: &MediaSet,
        number: TrackNumber,
        kind: TrackKind,
        rng: &mut ChaCha8Rng,
    ) -> Result<Player, String> {
        let clips: &[Clip] = match kind {
            TrackKind::Camera => &media.camera,
            TrackKind::Screen => media.screen.as_slice(),
            TrackKind::Microphone | TrackKind::ScreenAudio => {
                let voice = self.number.checked_rem(media.microphones.len()).unwrap_or(0);
                media.microphones.get(voice..=voice).unwrap_or_default()
            }
        };
        let delay = STAGGER.mul_f64(f64::from(rng.next_u32()) / f64::from(u32::MAX));
        let player = Player::new(number, kind, clips).map_err(|error| error.to_string())?;
        Ok(player.delayed_by(delay))
    }
}

impl Member {
    /// Asks for the tracks of the others in the room. Returns for how many.
    pub(super) async fn watch(&self, room: &[RoomTrack]) -> usize {
        let is_own = |id: TrackId| id.participant() == self.participant.id();
        let chosen = choose(room, is_own, usize::from(self.participant.slot_limit()), self.number);
        lock(&self.record).subscriptions = subscriptions(&chosen);
        // Whoever is gone is found at the end, with subscriptions that never flowed.
        drop(self.participant.want(wanted(&chosen)).await);
        chosen.len()
    }

    /// Takes a seat in a scenario: its slots are audited, and asked for.
    pub(super) async fn take_seat(
        &self,
        slots: Vec<WantedSlot>,
        first_encoding: u8,
        directory: &Arc<Directory>,
        dump: Option<Dump>,
    ) -> usize {
        let audit = |wanted: &WantedSlot| {
            let asked = matches!(wanted.want, Want::Track(_)).then_some(first_encoding);
            SlotAudit::new(Arc::clone(directory), asked)
        };
        {
            let mut record = lock(&self.record);
            record.audits = slots.iter().map(audit).collect();
            record.dump = dump;
        }
        let count = slots.len();
        // As above.
        drop(self.participant.want(slots).await);
        count
    }

    /// What came on its slots until now.
    pub(super) async fn slot_stats(&self) -> Vec<SlotStats> {
        self.participant.slot_stats().await.unwrap_or_default()
    }

    /// What has been counted until now, or until the end if it came before.
    pub(super) async fn stats(&self) -> ParticipantStats {
        match self.participant.stats().await {
            Ok(stats) => stats,
            Err(_) => lock(&self.record).stats,
        }
    }
}

/// Whether it may work a moment later: the daemon limits how many may join at once from one address.
fn is_temporary(error: &JoinError) -> bool {
    matches!(error, JoinError::Signaling(SignalingError::Refused(refusal)) if refusal.code == ErrorCode::RateLimited)
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
