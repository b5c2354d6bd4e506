//! What came of a campaign: the fields by which others judge, and a text for people.

use std::collections::BTreeMap;

use serde::Serialize;

use super::campaign::{Campaign, Pair};
use super::child::Kind;
use super::memory::Memory;
use super::step::{Cores, Cost, Limit, Micros, Step};
use super::system::Machine;
use crate::scenario::Scenario;

const RATIO_GOAL: f64 = 1.25;
const MEETINGS_BAR: f64 = 45.0;
const MEETINGS_GOAL: f64 = 60.0;
const LATENCY_GOAL_US: f64 = 1_000.0;
const IDLE_SESSION_GOAL_BYTES: f64 = 8_192.0;
const SUBSCRIPTION_GOAL_BYTES: f64 = 4_096.0;

/// A goal and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Goal {
    /// What it is about.
    pub name: &'static str,
    /// What it asks for.
    pub goal: String,
    /// What was measured.
    pub measured: f64,
    /// Whether it is met.
    pub met: bool,
    /// If not, what the figures say about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// The report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether every goal is met.
    pub ok: bool,
    /// The scenario.
    pub scenario: Scenario,
    /// Where it was measured.
    pub machine: Machine,
    /// When it was measured, in seconds since 1970.
    pub measured_at: u64,
    /// Which core did what.
    pub cores: Cores,
    /// CPU nanoseconds of the floor per forwarded packet, at the highest load.
    pub floor_ns_per_packet: f64,
    /// Of them in user mode, in the kernel, and soft interrupts of the core.
    pub floor_ns: Cost,
    /// CPU nanoseconds of the router's shard per forwarded packet, at the highest load.
    pub router_ns_per_packet: f64,
    /// Of them in user mode, in the kernel, and soft interrupts of the core.
    pub router_ns: Cost,
    /// The router over the floor.
    pub ratio_to_floor: f64,
    /// The same by percent of the highest load.
    pub ratio_by_load: BTreeMap<usize, f64>,
    /// Packets a second that one core forwards without loss.
    pub max_pps_per_core: f64,
    /// Meetings of ten that one core holds; `null` in other scenarios.
    pub meetings_of_ten_per_core: Option<usize>,
    /// Packets lost at the highest load, of those expected.
    pub loss_at_max: f64,
    /// From sender to receiver's socket by percent of the highest load.
    pub latency_us: BTreeMap<usize, Micros>,
    /// Memory per idle session.
    pub bytes_per_idle_session: Option<f64>,
    /// Memory per slot that shows a track.
    pub bytes_per_subscription: Option<f64>,
    /// Allocations of the shard's thread per forwarded packet at the highest load.
    pub allocations_per_packet: f64,
    /// Who was at the end at the highest load: `router` or `load`; `scenario` if the load was given.
    pub limited_by: Limit,
    /// The goals.
    pub goals: Vec<Goal>,
    /// What was checked, and how.
    pub method: &'static str,
    /// The memory in more detail.
    pub memory: Option<Memory>,
    /// All steps.
    pub campaign: Campaign,
}

const METHOD: &str = "Every media packet is counted by SSRC and sequence number at its receiver's socket, which shows every gap; \
the sum is held against what was sent. One packet in 61 of every slot is also opened, and its track and its payload are compared \
with what was sent; latencies are of these, from before sealing in the load to the kernel's receive stamp. The floor's packets are \
counted only. Costs are CPU time of the forwarding thread; without CONFIG_IRQ_TIME_ACCOUNTING they include the soft interrupts in \
which loopback delivers.";

impl Report {
    /// Sums a campaign up. `None` without a single measured load.
    #[must_use]
    pub fn new(
        scenario: &Scenario,
        campaign: Campaign,
        memory: Option<Memory>,
        cores: Cores,
        measured_at: u64,
    ) -> Option<Self> {
        let Pair { router, floor, .. } = campaign.pairs.last()?;
        let is_of_meetings = *scenario == Scenario::MEETINGS && campaign.pairs.len() > 1;
        let mut report = Self {
            ok: false,
            scenario: *scenario,
            machine: Machine::this(),
            measured_at,
            cores,
            floor_ns_per_packet: floor.ns_per_packet.total,
            floor_ns: floor.ns_per_packet,
            router_ns_per_packet: router.ns_per_packet.total,
            router_ns: router.ns_per_packet,
            ratio_to_floor: router.ns_per_packet.total / floor.ns_per_packet.total,
            ratio_by_load: campaign.pairs.iter().map(|pair| (pair.percent, pair.ratio())).collect(),
            max_pps_per_core: router.forwarded_pps,
            meetings_of_ten_per_core: is_of_meetings.then_some(router.rooms),
            loss_at_max: router.lost as f64 / router.expected.max(1) as f64,
            latency_us: campaign.pairs.iter().map(|pair| (pair.percent, pair.router.latency_us)).collect(),
            bytes_per_idle_session: memory.map(|memory| memory.bytes_per_idle_session),
            bytes_per_subscription: memory.map(|memory| memory.bytes_per_subscription),
            allocations_per_packet: router.allocations_per_packet,
            limited_by: limited_by(&campaign),
            goals: Vec::new(),
            method: METHOD,
            memory,
            campaign: campaign.clone(),
        };
        report.goals = report.judge();
        report.ok = report.goals.iter().all(|goal| goal.met);
        Some(report)
    }

    fn judge(&self) -> Vec<Goal> {
        let (router, floor) = (self.router_ns, self.floor_ns);
        let ratio = at_most("ratio_to_floor", RATIO_GOAL, self.ratio_to_floor, || {
            format!(
                "user {:.0} ns of {:.0} in the floor, kernel {:.0} of {:.0}",
                router.user, floor.user, router.system, floor.system
            )
        });
        let mut goals = vec![ratio];
        if let Some(meetings) = self.meetings_of_ten_per_core {
            let why = || {
                let needed = 1e9 / MEETINGS_BAR / self.scenario.forwarded_per_second();
                format!(
                    "limited by the {:?}; {MEETINGS_BAR} meetings need {needed:.0} ns per packet or less, the floor is {:.0}",
                    self.limited_by, floor.total
                )
            };
            goals.push(at_least("meetings_of_ten_per_core (bar)", MEETINGS_BAR, meetings as f64, why));
            goals.push(at_least("meetings_of_ten_per_core", MEETINGS_GOAL, meetings as f64, why));
        }
        goals.push(at_most("loss_at_max", 0.0, self.loss_at_max, || self.last_step().drops_text()));
        if let Some(latency) = self.latency_us.get(&75) {
            goals.push(at_most("latency_us 75 p99", LATENCY_GOAL_US, latency.p99, || {
                format!("p50 is {:.0}, p99.9 {:.0}", latency.p50, latency.p999)
            }));
        }
        if let Some(memory) = self.memory {
            let why = || "by growth of resident memory".to_owned();
            let (idle, slot) = (memory.bytes_per_idle_session, memory.bytes_per_subscription);
            goals.push(at_most("bytes_per_idle_session", IDLE_SESSION_GOAL_BYTES, idle, why));
            goals.push(at_most("bytes_per_subscription", SUBSCRIPTION_GOAL_BYTES, slot, why));
        }
        goals.push(at_most("allocations_per_packet", 0.0, self.allocations_per_packet, || {
            "of the shard's thread, its RTCP and timers included".to_owned()
        }));
        goals
    }

    fn last_step(&self) -> &Step {
        // A report is made of at least one pair.
        &self.campaign.pairs[self.campaign.pairs.len() - 1].router
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut lines = Vec::new();
        let mut line = |what: std::fmt::Arguments<'_>| lines.push(what.to_string());
        line(format_args!(
            "{}: {:.0} packets/s forwarded on one core, {} rooms, limited by the {:?}",
            self.scenario.name,
            self.max_pps_per_core,
            self.last_step().rooms,
            self.limited_by
        ));
        line(format_args!(
            "router {:.0} ns per packet, floor {:.0}: ratio {:.2}",
            self.router_ns_per_packet, self.floor_ns_per_packet, self.ratio_to_floor
        ));
        for (percent, latency) in &self.latency_us {
            let Micros { p50, p99, p999, max } = latency;
            line(format_args!(
                "latency at {percent:>3} %: p50 {p50:.0} us, p99 {p99:.0}, p99.9 {p999:.0}, max {max:.0}; ratio {:.2}",
                self.ratio_by_load.get(percent).copied().unwrap_or_default()
            ));
        }
        if let Some(memory) = self.memory {
            line(format_args!(
                "memory: {:.0} bytes per idle session, {:.0} per subscription",
                memory.bytes_per_idle_session, memory.bytes_per_subscription
            ));
        }
        for Goal { name, goal, measured, met, why } in &self.goals {
            let verdict = if *met { "met" } else { "MISSED" };
            let why = why.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
            // A millionth is not nothing.
            let is_tiny = *measured != 0.0 && *measured < 0.01;
            let measured = if is_tiny { format!("{measured:.1e}") } else { format!("{measured:.2}") };
            line(format_args!("{verdict:>6}  {name} {goal}: {measured}{why}"));
        }
        lines.join("\n")
    }
}

impl Step {
    fn drops_text(&self) -> String {
        format!("{} of {} packets, drops {:?}", self.lost, self.expected, self.drops)
    }

    /// One line for people.
    #[must_use]
    pub fn line(&self, kind: Kind) -> String {
        let Cost { total, user, system, .. } = self.ns_per_packet;
        let name = if kind == Kind::Router { "router" } else { " floor" };
        let held = if kind == Kind::Floor || self.is_held() { "" } else { "  NOT HELD" };
        format!(
            "{name} {:>4} rooms {:>9.0} pps  {total:>5.0} ns ({user:.0} user, {system:.0} system)  core {:>3.0} %  others {:>3.0} %  load {:>3.0} %  \
             lag p99 {:>6.0} us  lost {}  long rounds {} of {}  latency p50 {:.0} p99 {:.0} p99.9 {:.0} us  in {:.1} out {:.1} per message{held}",
            self.rooms,
            self.forwarded_pps,
            self.utilisation * 100.0,
            self.others_on_core_percent,
            self.load.utilisation * 100.0,
            self.load.lag_us.p99,
            self.lost,
            self.long_rounds,
            self.rounds,
            self.latency_us.p50,
            self.latency_us.p99,
            self.latency_us.p999,
            self.datagrams_per_receive,
            self.datagrams_per_send,
        )
    }
}

fn limited_by(campaign: &Campaign) -> Limit {
    let failed = campaign.search.iter().filter(|step| !step.is_held()).min_by_key(|step| step.rooms);
    failed.map_or(Limit::Scenario, Step::limit)
}

fn at_most(name: &'static str, goal: f64, measured: f64, why: impl Fn() -> String) -> Goal {
    judged(name, format!("<= {goal}"), measured, measured <= goal, why)
}

fn at_least(name: &'static str, goal: f64, measured: f64, why: impl Fn() -> String) -> Goal {
    judged(name, format!(">= {goal}"), measured, measured >= goal, why)
}

fn judged(name: &'static str, goal: String, measured: f64, met: bool, why: impl Fn() -> String) -> Goal {
    Goal { name, goal, measured, met, why: (!met).then(why) }
}
