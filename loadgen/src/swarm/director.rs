//! Directs a scenario: who takes which seat when, who talks, who wants what, and what was measured meanwhile.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use sluice_client::clock::Clock;
use sluice_client::driver::ParticipantStats;
use sluice_client::media::clip::Clip;
use sluice_client::media::freezes::FreezeStats;
use sluice_wire::control::{Want, WantedSlot};
use sluice_wire::time::Time;
use sluice_wire::track::{TrackId, TrackKind, TrackNumber};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::config::SwarmConfig;
use super::member::Member;
use crate::audit::{Directory, SlotAudit};
use crate::dump::Dump;
use crate::ledger::lock;
use crate::scenario::{Scenario, height_of};

/// Before anybody asks for the speaker there shall be one.
const TALK_BEFORE_SEATING: Duration = Duration::from_millis(1_000);
/// People who may see the same camera ask this far apart: routers ask an encoding for a key frame every 500 ms at most
/// (`proto-spec/spec/07-limits.md`), and what is measured is how fast the answer is, not how many share it.
const WAVE_INTERVAL: Duration = Duration::from_millis(600);

/// A screen comes before cameras.
const SCREEN_PRIORITY: u8 = 200;

/// What was counted while it was measured.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// By member: what came and what was selected, in bytes.
    pub(super) bytes: Vec<(u64, u64)>,
    pub(super) freezes: FreezeStats,
    pub(super) first_frames: Vec<Duration>,
    pub(super) withheld_bytes: u64,
}

/// What was counted for one member at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    received: u64,
    selected: u64,
    withheld: u64,
    freezes: FreezeStats,
}

pub(super) struct Director {
    scenario: Scenario,
    heights: Vec<u16>,
    clock: Clock,
    dump: Option<std::path::PathBuf>,
    /// By member.
    wanted: Vec<Vec<WantedSlot>>,
    turn: usize,
    next_turn: Time,
    step: usize,
    next_step: Option<Time>,
    counts: Vec<Count>,
    window: Window,
}

impl Director {
    pub(super) fn new(scenario: Scenario, config: &SwarmConfig) -> Self {
        Self {
            scenario,
            heights: config.media.camera.iter().map(Clip::height).collect(),
            clock: config.clock,
            dump: config.dump.clone(),
            wanted: Vec::new(),
            turn: 0,
            next_turn: Time::MAX,
            step: 0,
            next_step: None,
            counts: Vec::new(),
            window: Window::default(),
        }
    }

    /// Everybody takes his seat, wave by wave. Gives how many slots there are.
    ///
    /// # Errors
    /// In words, if what is received cannot be written.
    pub(super) async fn seat(&mut self, members: &[Member], stop: &CancellationToken) -> Result<u64, String> {
        self.take_turns(members).await;
        sleep(TALK_BEFORE_SEATING).await;
        let rooms = members.iter().map(|member| member.room + 1).max().unwrap_or(0);
        let directories: Vec<Arc<Directory>> = (0..rooms).map(|room| directory(members, room)).collect();
        self.wanted = vec![Vec::new(); members.len()];
        for (number, member) in members.iter().enumerate() {
            let (cameras, place) = seats(members, member);
            self.wanted[number] = self.scenario.slots(place, &cameras, &self.heights);
            watch_screen(members, member, &mut self.wanted[number]);
        }
        let mut dump = self.dump.as_deref().map(Dump::new).transpose().map_err(|error| error.to_string())?;
        let waves = members.iter().map(|member| self.scenario.wave(seats(members, member).1) + 1).max();
        let mut slots = 0;
        for wave in 0..waves.unwrap_or(0) {
            let mut seating = Vec::new();
            for (number, member) in members.iter().enumerate() {
                if self.scenario.wave(seats(members, member).1) == wave {
                    let wanted = self.wanted[number].clone();
                    let dump = if number == 0 { dump.take() } else { None };
                    let directory = &directories[member.room];
                    seating.push(member.take_seat(wanted, self.scenario.first_encoding(), directory, dump));
                }
            }
            slots += join_all(seating).await.into_iter().sum::<usize>();
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep(WAVE_INTERVAL) => {}
            }
        }
        Ok(slots as u64)
    }

    /// The measured time begins.
    pub(super) async fn begin(&mut self, members: &[Member], stats: &[ParticipantStats]) {
        self.counts = counts(members, stats).await;
        let now = self.clock.now();
        self.next_turn = now + self.scenario.turn();
        self.next_step = self.scenario.step_interval().map(|interval| now + interval);
    }

    /// Does what is due.
    pub(super) async fn direct(&mut self, members: &[Member]) {
        let now = self.clock.now();
        if self.next_turn <= now {
            self.turn += 1;
            self.next_turn += self.scenario.turn();
            self.take_turns(members).await;
        }
        if let (Some(due), Some(interval)) = (self.next_step, self.scenario.step_interval())
            && due <= now
        {
            self.next_step = Some(due + interval);
            self.change_wishes(members).await;
            self.step += 1;
        }
    }

    /// The measured time is over.
    pub(super) async fn end(&mut self, members: &[Member], stats: &[ParticipantStats]) {
        let after = counts(members, stats).await;
        let now = self.clock.now();
        for (before, after) in self.counts.iter().zip(&after) {
            let window = &mut self.window;
            let since = |of: fn(&Count) -> u64| of(after).saturating_sub(of(before));
            window.bytes.push((since(|count| count.received), since(|count| count.selected)));
            window.withheld_bytes += since(|count| count.withheld);
            window.freezes.count += since(|count| count.freezes.count);
            window.freezes.frozen += after.freezes.frozen.saturating_sub(before.freezes.frozen);
            window.freezes.watched += after.freezes.watched.saturating_sub(before.freezes.watched);
        }
        for (member, wanted) in members.iter().zip(&self.wanted) {
            let slots = member.slot_stats().await;
            let is_asked = |slot: u16| wanted.iter().any(|wanted| wanted.slot == slot);
            let first_frames = slots.iter().filter(|stats| is_asked(stats.slot));
            self.window.first_frames.extend(first_frames.filter_map(|stats| stats.first_frame));
            lock(&member.record).audits.iter_mut().for_each(|audit| audit.finish(now));
        }
    }

    pub(super) fn into_window(self) -> Window {
        self.window
    }

    /// Whoever's turn it is talks, others murmur, everybody else is silent.
    async fn take_turns(&self, members: &[Member]) {
        let talking = members.iter().map(|member| {
            let (cameras, place) = seats(members, member);
            let level = self.scenario.level(self.turn, place, cameras.len());
            member.participant.set_level(TrackNumber::MICROPHONE, Some(level))
        });
        // Whoever is gone is silent.
        join_all(talking).await;
    }

    async fn change_wishes(&mut self, members: &[Member]) {
        let mut asking = Vec::new();
        for (member, wanted) in members.iter().zip(&mut self.wanted) {
            let is_camera = |slot: &&WantedSlot| matches!(slot.want, Want::Track(id) if id.number() == TrackNumber::CAMERA);
            let seen = wanted.iter().filter(is_camera).count();
            let wishes = self.scenario.step(self.step, seen);
            let now = self.clock.now();
            for wish in &wishes {
                let slot = usize::from(wish.slot);
                if let Some(slot) = wanted.get_mut(slot) {
                    slot.max_height = height_of(&self.heights, wish.encoding);
                }
                let encoding = wish.encoding.min((self.heights.len() as u8).saturating_sub(1));
                if let Some(audit) = lock(&member.record).audits.get_mut(slot) {
                    audit.ask(now, encoding);
                }
            }
            if !wishes.is_empty() {
                asking.push(member.participant.want(wanted.clone()));
            }
        }
        join_all(asking).await;
    }
}

/// A screen that somebody else in the room shares is watched in a slot behind the others, whatever the screenplay.
fn watch_screen(members: &[Member], of: &Member, wanted: &mut Vec<WantedSlot>) {
    let others = members.iter().filter(|member| member.room == of.room && member.number != of.number);
    let mut tracks = others.flat_map(|member| &member.tracks);
    if let Some(screen) = tracks.find(|track| track.kind == TrackKind::Screen) {
        let slot = wanted.len() as u16;
        let want = Want::Track(screen.id);
        wanted.push(WantedSlot {
            slot,
            want,
            paused: false,
            max_height: 0,
            max_fps: 0,
            priority: SCREEN_PRIORITY,
        });
    }
}

/// All tracks of a room.
fn directory(members: &[Member], room: usize) -> Arc<Directory> {
    let tracks = members.iter().filter(|member| member.room == room).flat_map(|member| &member.tracks);
    Arc::new(tracks.map(|track| (track.id, Arc::clone(&track.ledger))).collect())
}

/// The cameras of a member's room by place, and the member's own place.
fn seats(members: &[Member], of: &Member) -> (Vec<TrackId>, usize) {
    let room = members.iter().filter(|member| member.room == of.room);
    let place = room.clone().position(|member| member.number == of.number).unwrap_or(0);
    let is_camera = |kind: TrackKind| kind == TrackKind::Camera;
    let cameras = room.flat_map(|member| member.tracks.iter().filter(|track| is_camera(track.kind)));
    (cameras.map(|track| track.id).collect(), place)
}

async fn counts(members: &[Member], stats: &[ParticipantStats]) -> Vec<Count> {
    let slots = join_all(members.iter().map(Member::slot_stats)).await;
    let count = |((member, stats), slots): ((&Member, &ParticipantStats), _)| {
        let slots: &Vec<sluice_client::session::SlotStats> = slots;
        let mut freezes = FreezeStats::default();
        for slot in slots {
            freezes.count += slot.freezes.count;
            freezes.frozen += slot.freezes.frozen;
            freezes.watched += slot.freezes.watched;
        }
        Count {
            received: stats.media.bytes_received,
            selected: lock(&member.record).audits.iter().map(SlotAudit::selected_bytes).sum(),
            withheld: stats.media.bytes_withheld,
            freezes,
        }
    };
    members.iter().zip(stats).zip(&slots).map(count).collect()
}
