//! What sessions and subscriptions cost in memory: the growth of a router's resident memory, over their number.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::child::{Child, Kind};
use super::step::{Cores, move_in, set_flowing};
use super::system::resident_bytes;
use crate::scenario::{Camera, Scenario};

/// Meetings of ten with pictures of one small packet: all the state of media and hardly any work.
const SCENARIO: Scenario = Scenario {
    name: "memory",
    camera: Camera { fps: 5, packets: 1, key_packets: 1, payload_bytes: 100 },
    ..Scenario::MEETINGS
};
/// Meetings before the first reading, so that what a shard has once is there: code, batches, pools.
const WARM_UP_ROOMS: usize = 10;
const ROOMS: usize = 100;
/// Every session is heard from within this.
const SETTLING: Duration = Duration::from_millis(500);

/// What came of it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Memory {
    /// Per session that was claimed and publishes and wants nothing.
    pub bytes_per_idle_session: f64,
    /// What publishing a camera and, in three of ten, a voice adds per session.
    pub bytes_per_publishing_session: f64,
    /// What a slot that shows a track adds, once packets flow.
    pub bytes_per_subscription: f64,
    /// Sessions.
    pub sessions: usize,
    /// Subscriptions.
    pub subscriptions: usize,
}

/// Measures a router of its own.
///
/// # Errors
/// If the router does not do what it should.
pub fn measure(cores: Cores) -> Result<Memory> {
    let mut child = Child::start(Kind::Router, cores.measured)?;
    let mut load = move_in(&mut child, &SCENARIO, "warm-up", WARM_UP_ROOMS)?;
    set_flowing(&mut load)?;
    let process = child.number();
    // The sessions of the warm-up time out after all is read: nothing is freed in between.
    let empty = resident_bytes(process)?;
    let mut load = move_in(&mut child, &SCENARIO, "room", ROOMS)?;
    load.run_for(SETTLING)?;
    let idle = resident_bytes(process)?;
    load.publish();
    load.settle()?;
    let publishing = resident_bytes(process)?;
    load.want();
    load.settle()?;
    load.start_media()?;
    load.run_for(SETTLING)?;
    let flowing = resident_bytes(process)?;
    let (sessions, subscriptions) = (ROOMS * SCENARIO.people, ROOMS * SCENARIO.subscriptions());
    let growth = |from: u64, to: u64, count: usize| (to as f64 - from as f64) / count as f64;
    Ok(Memory {
        bytes_per_idle_session: growth(empty, idle, sessions),
        bytes_per_publishing_session: growth(idle, publishing, sessions),
        bytes_per_subscription: growth(publishing, flowing, subscriptions),
        sessions,
        subscriptions,
    })
}
