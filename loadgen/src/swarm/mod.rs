//! A run: participants join, publish, watch, and are judged.
//!
//! [`run`] creates a meeting per room and lets participants join one after the other at the given rate. Publishers begin at once,
//! as people do, so that later ones come into a meeting that is going on. When all are in, everybody asks for all tracks of the
//! others; when these flow, the measured time begins. At its end publishers stop, what is on its way arrives, and what came
//! is held against what was sent, frame by frame and packet by packet.

mod config;
mod director;
mod judge;
mod member;
mod plan;
mod record;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use sluice_client::driver::ParticipantStats;
use sluice_client::signaling::{Api, SignalingError};
use sluice_wire::signaling::{CreateMeeting, MeetingCreated};
use sluice_wire::track::{TrackKind, TrackNumber};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

pub use self::config::{ConfigError, DEFAULT_SERVER, MAX_DURATION, MAX_SWARM_PARTICIPANTS, SwarmConfig};
use self::director::Director;
use self::judge::{Outcome, Testimony, judge};
use self::member::{Invitation, Member, chain};
use self::plan::RoomTrack;
use self::record::Shared;
use crate::dump::Dump;
use crate::ledger::lock;
use crate::progress::{Phase, Progress, add};
use crate::report::Report;

/// How long first frames may take once everybody has asked for them.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long what is on its way may take when publishers have stopped: longer than a receiver waits for a gap to fill.
const MIN_DRAIN: Duration = Duration::from_millis(300);
/// How long it may take at most, on slow paths.
const MAX_DRAIN: Duration = Duration::from_secs(2);
/// How often it is looked whether something is so.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Why a run gave no report.
#[derive(Debug, thiserror::Error)]
pub enum SwarmError {
    /// The run makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The URL of the signaling daemon is none.
    #[error(transparent)]
    Server(SignalingError),
    /// The meetings could not be created.
    #[error("cannot create a meeting at {server}: {reason}")]
    CreateMeeting {
        /// The signaling daemon.
        server: String,
        /// Why.
        reason: String,
    },
}

/// Runs a swarm to its end, or until `stop` is cancelled, which ends it early with a report of what there is.
///
/// What goes wrong for participants is in the report; an error means that there was nothing to report on.
///
/// # Errors
/// [`SwarmError`] if the configuration makes no sense or meetings cannot be created.
pub async fn run(
    config: SwarmConfig,
    progress: Arc<Progress>,
    stop: CancellationToken,
) -> Result<Report, SwarmError> {
    config.check()?;
    let api = Api::new(&config.server).map_err(SwarmError::Server)?.with_token(config.api_token.clone());
    let meetings = create_meetings(&api, &config).await?;
    let shared = Arc::new(Shared::new(Arc::clone(&progress), config.clock));
    let director = config.scenario.map(|scenario| Director::new(scenario, &config));
    let run = Run { config, api, shared, stop, director, members: Vec::new(), outcome: Outcome::default() };
    let report = run.finish(&meetings).await;
    progress.enter(Phase::Done);
    Ok(report)
}

async fn create_meetings(api: &Api, config: &SwarmConfig) -> Result<Vec<MeetingCreated>, SwarmError> {
    let mut meetings = Vec::new();
    for room in 0..config.rooms {
        let wish = CreateMeeting {
            max_participants: Some(config.share(config.participants, room)),
            ..CreateMeeting::default()
        };
        let created = api.create_meeting(&wish).await.map_err(|error| SwarmError::CreateMeeting {
            server: config.server.clone(),
            reason: chain(&error),
        })?;
        meetings.push(created);
    }
    Ok(meetings)
}

struct Run {
    config: SwarmConfig,
    api: Api,
    shared: Arc<Shared>,
    stop: CancellationToken,
    /// Of a scenario.
    director: Option<Director>,
    members: Vec<Member>,
    outcome: Outcome,
}

impl Run {
    async fn finish(mut self, meetings: &[MeetingCreated]) -> Report {
        self.enter(Phase::Joining);
        self.join(meetings).await;
        self.enter(Phase::Settling);
        self.watch().await;
        self.settle().await;
        self.enter(Phase::Measuring);
        self.measure().await;
        self.enter(Phase::Draining);
        self.drain().await;
        let stats = self.stats().await;
        self.enter(Phase::Leaving);
        let report = self.judge(&stats);
        join_all(self.members.drain(..).map(|member| member.participant.leave())).await;
        for meeting in meetings {
            // The meetings were made for this run. If one cannot be ended it is empty all the same.
            drop(self.api.end_meeting(&meeting.meeting_id, &meeting.host_token).await);
        }
        report
    }

    /// Lets everybody in, at the rate that was asked for.
    async fn join(&mut self, meetings: &[MeetingCreated]) {
        let media = Arc::new(self.config.media.clone());
        let mut pace = interval(Duration::from_secs(1) / self.config.joins_per_second);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut joining = JoinSet::new();
        for number in 0..self.config.participants {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                _ = pace.tick() => {}
            }
            let invitation = self.invite(number, meetings);
            let (shared, media) = (Arc::clone(&self.shared), Arc::clone(&media));
            joining.spawn(async move { invitation.accept(shared, &media).await });
        }
        while let Some(joined) = tokio::select! {
            joined = joining.join_next() => joined,
            // Those who are not in yet turn back.
            () = self.stop.cancelled() => None,
        } {
            match joined {
                Ok(Ok(member)) => self.members.push(member),
                Ok(Err(words)) => self.outcome.errors.push(words),
                Err(error) => self.outcome.errors.push(format!("a participant failed: {error}")),
            }
        }
        self.members.sort_by_key(|member| member.number);
        self.outcome.join_times = self.members.iter().map(|member| member.join_time).collect();
        self.outcome.tracks_published = self.members.iter().map(|member| member.tracks.len() as u64).sum();
    }

    fn invite(&self, number: u32, meetings: &[MeetingCreated]) -> Invitation {
        let Self { config, api, .. } = self;
        let (room, place) = (number % config.rooms, number / config.rooms);
        let mut tracks = Vec::new();
        if place < config.share(config.publishers, room) {
            tracks.push((TrackNumber::MICROPHONE, TrackKind::Microphone));
            if !config.media.camera.is_empty() {
                tracks.push((TrackNumber::CAMERA, TrackKind::Camera));
            }
            if place == 0 && config.screen_share && config.media.screen.is_some() {
                tracks.push((TrackNumber::SCREEN, TrackKind::Screen));
            }
        }
        Invitation {
            websocket_url: api.websocket_url(),
            meeting_id: meetings[room as usize].meeting_id.to_string(),
            room: room as usize,
            number: number as usize,
            tracks,
            seed: config.seed,
            clock: config.clock,
        }
    }

    /// Everybody asks for the tracks of the others, or for what the screenplay says.
    async fn watch(&mut self) {
        if let Some(director) = &mut self.director {
            match director.seat(&self.members, &self.stop).await {
                Ok(slots) => add(&self.shared.progress.subscriptions, slots),
                Err(words) => self.outcome.errors.push(words),
            }
            return;
        }
        let mut rooms: Vec<Vec<RoomTrack>> = vec![Vec::new(); self.config.rooms as usize];
        for member in &self.members {
            rooms[member.room].extend(member.tracks.iter().cloned());
        }
        let watching = self.members.iter().map(|member| member.watch(&rooms[member.room]));
        let subscriptions: usize = join_all(watching).await.into_iter().sum();
        add(&self.shared.progress.subscriptions, subscriptions as u64);
    }

    /// Waits until every subscription has shown a frame. What does not is told at the end.
    async fn settle(&self) {
        let began = self.config.clock.now();
        let is_settled = || {
            self.members.iter().all(|member| {
                let record = lock(&member.record);
                record.flowing == record.subscriptions.len() + record.audits.len()
            })
        };
        while !is_settled() && self.config.clock.now().saturating_since(began) < SETTLE_TIMEOUT {
            if self.is_stopped_within(CHECK_INTERVAL).await {
                return;
            }
        }
    }

    async fn measure(&mut self) {
        let began = self.config.clock.now();
        let before = self.stats().await;
        self.shared.measure_from(began);
        if let Some(director) = &mut self.director {
            director.begin(&self.members, &before).await;
        }
        loop {
            let passed = self.config.clock.now().saturating_since(began);
            self.shared.progress.measured(passed);
            let left = self.config.duration.saturating_sub(passed);
            if let Some(director) = &mut self.director {
                director.direct(&self.members).await;
            }
            if left.is_zero() || self.is_stopped_within(left.min(CHECK_INTERVAL)).await {
                break;
            }
        }
        let after = self.stats().await;
        self.outcome.duration = self.config.clock.now().saturating_since(began);
        if let Some(director) = &mut self.director {
            director.end(&self.members, &after).await;
        }
        let bytes = |stats: &[ParticipantStats]| {
            let media = stats.iter().map(|stats| &stats.media);
            media.fold((0, 0), |(up, down), media| (up + media.bytes_sent, down + media.bytes_received))
        };
        let (before, after) = (bytes(&before), bytes(&after));
        self.outcome.measured_bytes = (after.0.saturating_sub(before.0), after.1.saturating_sub(before.1));
    }

    /// Stops publishers, then waits until everything that was sent has come, or for as long as it may take.
    async fn drain(&self) {
        join_all(self.members.iter().map(|member| member.participant.stop_playing())).await;
        // An answer means that the order before it has been obeyed: from here on nobody sends.
        self.stats().await;
        sleep(MIN_DRAIN).await;
        let began = self.config.clock.now();
        while self.is_something_missing()
            && self.config.clock.now().saturating_since(began) < MAX_DRAIN - MIN_DRAIN
        {
            sleep(CHECK_INTERVAL).await;
        }
    }

    fn is_something_missing(&self) -> bool {
        self.members.iter().any(|member| {
            let record = lock(&member.record);
            record
                .subscriptions
                .iter()
                .any(|subscription| subscription.intact < subscription.expected().frames)
        })
    }

    async fn stats(&self) -> Vec<ParticipantStats> {
        join_all(self.members.iter().map(Member::stats)).await
    }

    fn judge(&mut self, stats: &[ParticipantStats]) -> Report {
        for member in &self.members {
            let failure = lock(&member.record).dump.as_mut().and_then(Dump::finish);
            self.outcome.errors.extend(failure);
        }
        if self.stop.is_cancelled() && self.outcome.duration < CHECK_INTERVAL {
            self.outcome.errors.push("stopped before anything was measured".to_owned());
        }
        let records: Vec<_> = self.members.iter().map(|member| lock(&member.record)).collect();
        let testimonies: Vec<Testimony<'_>> = self
            .members
            .iter()
            .zip(stats)
            .zip(&records)
            .map(|((member, stats), record)| Testimony { number: member.number, stats: *stats, record })
            .collect();
        if let Some(director) = self.director.take() {
            self.outcome.window = Some(director.into_window());
        }
        judge(&self.config, std::mem::take(&mut self.outcome), &testimonies)
    }

    /// Waits for so long; `true` if the run is to end early.
    async fn is_stopped_within(&self, time: Duration) -> bool {
        tokio::select! {
            () = self.stop.cancelled() => true,
            () = sleep(time) => false,
        }
    }

    fn enter(&self, phase: Phase) {
        self.shared.progress.enter(phase);
    }
}
