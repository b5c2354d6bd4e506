//! One load, measured.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use hdrhistogram::Histogram;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use sluice_wire::ssrc::{MIN_BLOCK_SSRCS, SsrcBlock, StreamIndex, StreamRole};
use sluice_wire::ticket::{Direction, MasterKey, PROTOCOL_VERSION, Secret, Suite, Ticket};
use sluice_wire::track::TrackNumber;

use super::child::{Child, Kind};
use super::load::{Load, Mode, Sockets, Tally};
use super::protocol::{Answer, Ask, FloorPlan, FloorSession, FloorSource, Stats};
use super::system::{self, CoreTimes, ThreadTimes};
use crate::peer::{CAMERA_STREAM, MICROPHONE_STREAM};
use crate::scenario::{Scenario, participant};

/// Which core does what.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cores {
    /// The measured process.
    pub measured: usize,
    /// The load.
    pub load: usize,
}

/// Sessions asked for with one question.
const SESSIONS_PER_ASK: usize = 64;
/// SSRCs of a floor's downlinks.
const DOWNLINK_SSRCS: u32 = 256;
/// Time for the counters to be shown, and for caches and clocks to warm up, before the time that counts.
const WARM_UP: Duration = Duration::from_millis(400);
/// Rounds in classes from this one on took more than [`MAX_LAG`] (`sluice_router::ROUND_BOUNDS`).
pub(super) const LONG_ROUNDS: usize = 5;
/// At most one round in so many may take longer than [`MAX_LAG`]: one that the hypervisor interrupted says nothing of the load.
pub(super) const ROUNDS_PER_LONG_ONE: u64 = 1_000;
/// A thread that uses so much of its core has no reserve that other programs and interrupts leave it.
const NEARLY_ALL: f64 = 0.88;
/// The load counts as held if 999 of 1,000 rounds of the shard's loop do not take longer: what comes in waits for one at most.
pub const MAX_LAG: Duration = Duration::from_millis(5);

/// Percentiles in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Micros {
    /// The median.
    pub p50: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1,000.
    pub p999: f64,
    /// The largest.
    pub max: f64,
}

impl Micros {
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Self { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: histogram.max() as f64 / 1e3 }
    }
}

/// Nanoseconds of the measured thread per forwarded packet.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Cost {
    /// CPU time; soft interrupts that run on the thread's back are in it, unless the kernel accounts for them apart.
    pub total: f64,
    /// Of it in user mode, by the kernel's ticks.
    pub user: f64,
    /// Of it in the kernel, by the kernel's ticks.
    pub system: f64,
    /// Soft interrupts of the core, by the kernel's ticks, whoever caused them.
    pub core_softirq: f64,
}

/// What came of a load.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Rooms.
    pub rooms: usize,
    /// Sessions.
    pub sessions: usize,
    /// Slots that show a track.
    pub subscriptions: usize,
    /// How long the costs were measured.
    pub seconds: f64,
    /// Packets that came in, a second.
    pub inbound_pps: f64,
    /// Packets that were forwarded, a second.
    pub forwarded_pps: f64,
    /// What a forwarded packet cost.
    pub ns_per_packet: Cost,
    /// CPU time of the measured thread, as part of the time that passed.
    pub utilisation: f64,
    /// Packets that should have come, in the whole step.
    pub expected: u64,
    /// Of them, those that did not.
    pub lost: u64,
    /// Everything that the measured process dropped meanwhile, by reason.
    pub drops: BTreeMap<String, u64>,
    /// From sender to receiver's socket.
    pub latency_us: Micros,
    /// Rounds of the shard's loop.
    pub rounds: u64,
    /// Of them, those that took more than [`MAX_LAG`].
    pub long_rounds: u64,
    /// Allocations of the measured thread per forwarded packet.
    pub allocations_per_packet: f64,
    /// Datagrams per message that was received.
    pub datagrams_per_receive: f64,
    /// Datagrams per message that was sent.
    pub datagrams_per_send: f64,
    /// Messages per send call.
    pub messages_per_call: f64,
    /// The load's side.
    pub load: LoadSide,
    /// Percent of the measured core that others used meanwhile, the hypervisor included.
    pub others_on_core_percent: f64,
}

/// How the load itself did.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LoadSide {
    /// CPU time of its thread, as part of the time that passed.
    pub utilisation: f64,
    /// How late it sent.
    pub lag_us: Micros,
    /// A receiver's socket was full.
    pub overflowed: bool,
    /// Datagrams that it could not send.
    pub unsent: u64,
    /// Packets counted by sequence number.
    pub counted: u64,
    /// Of them, those that were opened and compared with what was sent.
    pub verified: u64,
    /// Packets that were not what they should be.
    pub wrong: u64,
}

impl Step {
    /// No loss, and no lag.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.lost == 0
            && self.load.wrong == 0
            && self.long_rounds * ROUNDS_PER_LONG_ONE <= self.rounds
            && self.drops.values().all(|count| *count == 0)
    }

    /// Who was at his end when the load was not held.
    #[must_use]
    pub fn limit(&self) -> Limit {
        let is_late = self.load.lag_us.p99 > MAX_LAG.as_micros() as f64;
        if self.utilisation > NEARLY_ALL {
            Limit::Router
        } else if self.load.utilisation > NEARLY_ALL || self.load.overflowed || is_late {
            Limit::Load
        } else {
            Limit::Router
        }
    }
}

/// Who was at his end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// What is measured.
    Router,
    /// The load. Other programs on its core do that too.
    Load,
    /// Neither: the scenario has one load.
    Scenario,
}

/// A measured process with clients that all get what they want, and no media on its way.
struct Setting {
    child: Child,
    load: Load,
}

/// A router with the clients of `rooms`, who have not said anything yet.
fn set_up_router(scenario: &Scenario, rooms: usize, cores: Cores) -> Result<Setting> {
    let mut child = Child::start(Kind::Router, cores.measured)?;
    let load = move_in(&mut child, scenario, "room", rooms)?;
    Ok(Setting { child, load })
}

/// Opens sessions for `rooms`, whose names start with `name`, and makes their clients.
pub(super) fn move_in(child: &mut Child, scenario: &Scenario, name: &str, rooms: usize) -> Result<Load> {
    let sockets = Sockets::bind(rooms * scenario.people)?;
    let people = || (0..scenario.people).map(|person| participant(person).get());
    let seats: Vec<(String, u32)> =
        (0..rooms).flat_map(|room| people().map(move |person| (format!("{name}-{room}"), person))).collect();
    let mut tickets: Vec<Ticket> = Vec::with_capacity(seats.len());
    for seats in seats.chunks(SESSIONS_PER_ASK) {
        match child.ask(&Ask::Open(seats.to_vec()))? {
            Answer::Tickets(more) => tickets.extend(more),
            answer => bail!("unexpected answer {answer:?}"),
        }
    }
    let router = *tickets.first().and_then(|ticket| ticket.addresses.first()).context("no address")?;
    Load::new(*scenario, Mode::Protocol, sockets, &tickets, router)
}

fn set_up_floor(scenario: &Scenario, rooms: usize, cores: Cores) -> Result<Setting> {
    let sockets = Sockets::bind(rooms * scenario.people)?;
    let mut child = Child::start(Kind::Floor, cores.measured)?;
    let addresses = sockets.addresses();
    let tickets = floor_tickets(addresses.len())?;
    let plan = floor_plan(scenario, &addresses, &tickets)?;
    let router = match child.ask(&Ask::Forward(plan))? {
        Answer::Ready(address) => address,
        answer => bail!("unexpected answer {answer:?}"),
    };
    Ok(Setting { child, load: Load::new(*scenario, Mode::MediaOnly, sockets, &tickets, router)? })
}

fn floor_tickets(count: usize) -> Result<Vec<Ticket>> {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut direction = |base: u32, ssrcs: u32| -> Result<Direction> {
        let mut secret = |len| {
            let mut bytes = vec![0; len];
            rng.fill_bytes(&mut bytes);
            Secret::new(bytes)
        };
        let master = MasterKey { key: secret(16), salt: secret(12) };
        Ok(Direction { master, ssrcs: SsrcBlock::new(base, ssrcs)? })
    };
    (0..count as u32)
        .map(|number| {
            Ok(Ticket {
                protocol_version: PROTOCOL_VERSION,
                session: format!("{number:016x}"),
                addresses: Vec::new(),
                suite: Suite::AeadAes128Gcm,
                uplink: direction(number * MIN_BLOCK_SSRCS, MIN_BLOCK_SSRCS)?,
                downlink: direction(number * DOWNLINK_SSRCS, DOWNLINK_SSRCS)?,
                alternate: None,
            })
        })
        .collect()
}

fn floor_plan(scenario: &Scenario, addresses: &[SocketAddr], tickets: &[Ticket]) -> Result<FloorPlan> {
    let session = |(remote, ticket): (&SocketAddr, &Ticket)| FloorSession {
        remote: *remote,
        uplink: ticket.uplink.clone(),
    };
    let mut sources = Vec::new();
    for sender in 0..tickets.len() {
        let person = sender % scenario.people;
        let first = sender - person;
        let streams = [
            (person < scenario.cameras).then_some((TrackNumber::CAMERA, CAMERA_STREAM)),
            (person < scenario.voices).then_some((TrackNumber::MICROPHONE, MICROPHONE_STREAM)),
        ];
        for (number, stream) in streams.into_iter().flatten() {
            let track = participant(person).track(number);
            let mut routes = Vec::new();
            for (other, receiver) in
                (first..first + scenario.people).enumerate().filter(|(other, _)| *other != person)
            {
                let slot = scenario
                    .tracks_for(other)
                    .iter()
                    .position(|wanted| *wanted == track)
                    .context("no slot")?;
                let stream = StreamIndex(slot as u16 + 1);
                let ssrc =
                    tickets[receiver].downlink.ssrcs.ssrc(stream, StreamRole::Media).context("no SSRC")?;
                routes.push((receiver, ssrc));
            }
            let ssrc = tickets[sender].uplink.ssrcs.ssrc(stream, StreamRole::Media).context("no SSRC")?;
            sources.push(FloorSource { ssrc, session: sender, routes });
        }
    }
    Ok(FloorPlan { sessions: addresses.iter().zip(tickets).map(session).collect(), sources })
}

/// Everybody publishes, wants and gets.
pub(super) fn set_flowing(load: &mut Load) -> Result<()> {
    load.publish();
    load.want();
    load.settle()?;
    load.start_media()?;
    load.stop_media()
}

/// What the system and the process say at one moment.
struct Moment {
    thread: ThreadTimes,
    core: CoreTimes,
}

impl Moment {
    /// Also asks the process for its counters; the answer is fetched later, since the load must go on.
    fn now(child: &mut Child, thread: u32, cores: Cores) -> Result<Self> {
        child.say(&Ask::Stats)?;
        Ok(Self {
            thread: system::thread_times(child.number(), thread)?,
            core: system::core_times(cores.measured)?,
        })
    }
}

/// Measures `rooms` of a scenario against a router or the floor, for `duration` after a warm-up.
///
/// # Errors
/// If the measured process does not do what it should, or the system is short of something.
pub fn measure(
    kind: Kind,
    scenario: &Scenario,
    rooms: usize,
    duration: Duration,
    cores: Cores,
) -> Result<Step> {
    let Setting { mut child, mut load } = match kind {
        Kind::Router => set_up_router(scenario, rooms, cores)?,
        Kind::Floor => set_up_floor(scenario, rooms, cores)?,
    };
    set_flowing(&mut load)?;
    let thread = system::find_thread(child.number(), kind.thread())?;
    load.begin()?;
    load.run_for(WARM_UP)?;
    load.reset_histograms();
    let before = Moment::now(&mut child, thread, cores)?;
    load.run_for(duration)?;
    let after = Moment::now(&mut child, thread, cores)?;
    let side = load.tally()?;
    load.stop_media()?;
    let tally = load.tally()?;
    let (stats_before, stats_after) = (child.hear_stats()?, child.hear_stats()?);
    Ok(evaluate(scenario, rooms, &Figures { before, after, stats_before, stats_after, side, tally }))
}

struct Figures {
    before: Moment,
    after: Moment,
    stats_before: Stats,
    stats_after: Stats,
    /// At the end of the measured time.
    side: Tally,
    /// After everything arrived.
    tally: Tally,
}

fn evaluate(scenario: &Scenario, rooms: usize, figures: &Figures) -> Step {
    let Figures { before, after, stats_before: from, stats_after: to, side, tally } = figures;
    let nanos = to.taken_at_ns.saturating_sub(from.taken_at_ns).max(1) as f64;
    let packets = to.rtp_out.saturating_sub(from.rtp_out).max(1) as f64;
    let ratio = |more: fn(&Stats) -> u64, less: fn(&Stats) -> u64| {
        (more(to) - more(from)) as f64 / (less(to) - less(from)).max(1) as f64
    };
    let per_packet = |amount: Duration| amount.as_nanos() as f64 / packets;
    let cpu = to.cpu_ns.saturating_sub(from.cpu_ns) as f64;
    let core = after.core.since(before.core);
    let count_since = |(name, count): (&String, &u64)| {
        let new = count - from.drops.get(name).copied().unwrap_or_default();
        (new > 0).then(|| (name.clone(), new))
    };
    let busy = Duration::from_millis(core.busy_ms).as_nanos() as f64;
    Step {
        rooms,
        sessions: rooms * scenario.people,
        subscriptions: rooms * scenario.subscriptions(),
        seconds: nanos / 1e9,
        inbound_pps: (to.rtp_in - from.rtp_in) as f64 / nanos * 1e9,
        forwarded_pps: packets / nanos * 1e9,
        ns_per_packet: Cost {
            total: cpu / packets,
            user: per_packet(after.thread.user.saturating_sub(before.thread.user)),
            system: per_packet(after.thread.system.saturating_sub(before.thread.system)),
            core_softirq: per_packet(Duration::from_millis(core.softirq_ms)),
        },
        utilisation: cpu / nanos,
        expected: tally.expected,
        lost: tally.lost(),
        drops: to.drops.iter().filter_map(count_since).collect(),
        latency_us: Micros::of(&side.latency),
        rounds: rounds_from_class(to, 0) - rounds_from_class(from, 0),
        long_rounds: rounds_from_class(to, LONG_ROUNDS) - rounds_from_class(from, LONG_ROUNDS),
        allocations_per_packet: ratio(|stats| stats.allocations, |stats| stats.rtp_out),
        datagrams_per_receive: ratio(|stats| stats.datagrams_in, |stats| stats.messages_in),
        datagrams_per_send: ratio(|stats| stats.datagrams_out, |stats| stats.messages_out),
        messages_per_call: ratio(|stats| stats.messages_out, |stats| stats.send_calls),
        load: LoadSide {
            utilisation: side.cpu.as_secs_f64() / side.elapsed.as_secs_f64(),
            lag_us: Micros::of(&side.lag),
            overflowed: tally.overflowed,
            unsent: tally.unsent,
            counted: tally.counts.received,
            verified: tally.verified,
            wrong: tally.wrong,
        },
        others_on_core_percent: ((busy - cpu) / nanos * 100.0).max(0.0),
    }
}

pub(super) fn rounds_from_class(stats: &Stats, class: usize) -> u64 {
    stats.rounds.iter().skip(class).sum()
}
