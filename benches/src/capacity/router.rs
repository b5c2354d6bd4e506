//! The measured process: a router of one shard.

use std::collections::BTreeMap;
use std::num::NonZero;

use anyhow::{Context as _, Result, bail};
use sluice_router::core::DropReason;
use sluice_router::io::SendDrop;
use sluice_router::{RouterConfig, RouterHandle, ShardSnapshot, start};
use sluice_wire::ticket::{Suite, Ticket};
use sluice_wire::track::ParticipantId;
use tokio::runtime::Builder;

use super::protocol::{Answer, Ask, Stats};
use super::{allocations, child, system};

/// Runs a router on `core` until nobody asks any more.
///
/// # Errors
/// If the router cannot start.
pub fn run(core: usize) -> Result<()> {
    system::pin_to(core)?;
    // What is left is the shard's own thread.
    allocations::leave_this_thread_out();
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .on_thread_start(allocations::leave_this_thread_out)
        .enable_all()
        .build()?;
    let config = RouterConfig { shards: NonZero::new(1), pin_shards: true, ..RouterConfig::loopback() };
    let router = runtime.block_on(start(config))?;
    child::answer_all(|ask| match ask {
        Ask::Open(seats) => runtime.block_on(open(&router, seats)).map(Answer::Tickets),
        Ask::Stats => stats(&router).map(|stats| Answer::Stats(Box::new(stats))),
        Ask::Forward(_) => bail!("a router makes its own plans"),
    })
}

async fn open(router: &RouterHandle, seats: Vec<(String, u32)>) -> Result<Vec<Ticket>> {
    let mut tickets = Vec::with_capacity(seats.len());
    for (room, participant) in seats {
        let participant = ParticipantId::new(participant)?;
        tickets.push(router.open_session(&room, participant, Suite::AeadAes128Gcm).await?);
    }
    Ok(tickets)
}

fn stats(router: &RouterHandle) -> Result<Stats> {
    let snapshot = router.snapshot();
    let shard = snapshot.shards.first().context("a router without shards")?;
    Ok(Stats {
        taken_at_ns: shard.taken_at.as_nanos(),
        cpu_ns: shard.cpu_time.as_nanos() as u64,
        rtp_in: shard.counters.rtp_in,
        rtp_out: shard.counters.rtp_out,
        receive_calls: shard.io.receive_calls,
        messages_in: shard.io.messages_in,
        datagrams_in: shard.io.datagrams_in,
        send_calls: shard.io.send_calls,
        messages_out: shard.io.messages_out,
        datagrams_out: shard.io.datagrams_out,
        drops: drops(shard),
        rounds: shard.rounds.by_duration.to_vec(),
        allocations: allocations::counted(),
        sessions: shard.gauges.sessions as u64,
    })
}

fn drops(shard: &ShardSnapshot) -> BTreeMap<String, u64> {
    let core = DropReason::ALL.iter().map(|reason| (reason.name(), shard.counters.dropped(*reason)));
    let sent = SendDrop::ALL.iter().map(|reason| (reason.name(), shard.io.dropped_out(*reason)));
    let received = [
        ("receive_overflow", shard.io.overflowed_in),
        ("receive_errors", shard.io.receive_errors),
        ("truncated", shard.io.truncated_in),
    ];
    let all = core.chain(sent).chain(received).filter(|(_, count)| *count > 0);
    all.map(|(name, count)| (name.to_owned(), count)).collect()
}
