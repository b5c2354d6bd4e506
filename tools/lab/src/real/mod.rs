//! The runner between real sockets: clients with their tokio driver, who join through signaling and reach a real router through the
//! proxy of `sluice-netsim`, which puts the very links of the scenario in between.
//!
//! Bounded by the scenario's length; everything is on loopback. What a seed decides is what the network and the sources draw; when
//! tasks run is decided by the machine, so that no two runs are alike. Attacks are for virtual time alone.

mod desk;
mod member;
mod sampler;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sluice_client::clock::Clock;
use sluice_client::driver::JoinError;
use sluice_client::signaling::{Api, SignalingError};
use sluice_netsim::config::ConfigError;
use sluice_netsim::proxy::{ClientLinks, Proxy, ProxyConfig, ProxyError, ProxyStats, SharedLink};
use sluice_wire::signaling::CreateMeeting;
use sluice_wire::time::Time;
use sluice_wire::track::TrackId;
use tokio::net::UdpSocket;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::SAMPLE;
use crate::layout::{Conditions, Layout, mix};
use crate::record::{Published, Run, samples};
use crate::scenario::{Person, Scenario};
use desk::Desk;
use member::{Member, Outset};
use sampler::Sampler;

/// Sets the seed of the network apart from those of people.
const NETWORK_LABEL: u64 = 1 << 32;

/// Where a run takes place.
#[derive(Debug)]
pub struct Place {
    /// The signaling daemon: `http://127.0.0.1:8080`.
    pub server: String,
    /// The router's media socket.
    pub router: SocketAddr,
    /// A socket whose address the router gives out as its own.
    pub socket: std::net::UdpSocket,
}

/// Why a run came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum RealError {
    /// The scenario cannot be run so.
    #[error("{0}")]
    Scenario(&'static str),
    /// A socket is of no use.
    #[error("the proxy's socket: {0}")]
    Socket(#[from] std::io::Error),
    /// The proxy does not run.
    #[error("the proxy: {0}")]
    Proxy(#[from] ProxyError),
    /// A shared link makes no sense.
    #[error("a shared link: {0}")]
    Link(#[from] ConfigError),
    /// There is no meeting.
    #[error("no meeting can be created: {0}")]
    Meeting(#[source] SignalingError),
    /// Somebody could not join.
    #[error("{name} cannot join: {source}")]
    Join {
        /// Who.
        name: String,
        /// Why.
        source: JoinError,
    },
    /// Something else happened to somebody.
    #[error("{name}: {what}")]
    Member {
        /// Whom.
        name: String,
        /// What.
        what: String,
    },
    /// It was asked to end.
    #[error("it was interrupted")]
    Interrupted,
}

/// Runs a scenario. Ends early, with [`RealError::Interrupted`], when `stop` is cancelled.
///
/// # Errors
/// [`RealError`].
pub async fn run(
    scenario: &Scenario,
    seed: u64,
    place: Place,
    stop: CancellationToken,
) -> Result<Run, RealError> {
    if scenario.people.iter().any(|group| !group.hostile.is_empty()) {
        return Err(RealError::Scenario("attacks are for virtual time: real clients do not know how"));
    }
    let persons = scenario.persons();
    let api = Api::new(&place.server).map_err(RealError::Meeting)?;
    let wish = CreateMeeting { max_participants: Some(persons.len() as u32), ..CreateMeeting::default() };
    let meeting = api.create_meeting(&wish).await.map_err(RealError::Meeting)?;
    let clock = Clock::process();
    let start = clock.now();
    let layout = Layout::new(scenario, &persons, seed);
    let shared = (0..)
        .zip(&layout.shared)
        .map(|(number, link)| SharedLink::new(link, mix(seed, number + 2 * NETWORK_LABEL)));
    let shared = shared.collect::<Result<Vec<_>, _>>()?;
    let order = joining_order(&persons);
    let desks: Vec<Arc<Desk>> =
        persons.iter().map(|person| Arc::new(Desk::new(scenario, person, start))).collect();
    let clients = order.iter().map(|number| {
        let place = &layout.people[*number];
        let behind = place.behind.and_then(|link| shared.get(link).cloned());
        let tap = Some(Arc::clone(&desks[*number]).tap(clock));
        ClientLinks { up: place.up.clone(), down: place.down.clone(), behind, tap }
    });
    let config = ProxyConfig {
        clients: clients.collect(),
        seed: mix(seed, NETWORK_LABEL),
        ..ProxyConfig::new(place.socket.local_addr()?, place.router)
    };
    place.socket.set_nonblocking(true)?;
    let proxy = Proxy::on(UdpSocket::from_std(place.socket)?, config)?;
    let proxy_clock = proxy.clock();
    let (stats, shutdown) = (ProxyStats::default(), stop.child_token());
    let _shutdown_on_return = shutdown.clone().drop_guard();
    let proxy_task = tokio::spawn(proxy.run(shutdown.clone(), stats.clone()));

    let outset = Outset {
        scenario: scenario.clone(),
        websocket_url: api.websocket_url(),
        meeting_id: meeting.meeting_id.to_string(),
        clock,
        start,
        seed,
        published: Arc::default(),
        stop: shutdown.clone(),
    };
    let conditions = Conditions::new(scenario.clone(), persons.clone(), layout);
    let mut sampler = Sampler::new(scenario, conditions, stats, proxy_clock, shared, order.clone());
    let mut members: Vec<Option<Member>> = persons.iter().map(|_| None).collect();
    let mut left = order.iter().peekable();
    for sample in 0..samples(scenario) {
        let at = start + SAMPLE * (sample as u32 + 1);
        while let Some(number) = left.next_if(|number| joins_at(start, &persons[**number]) <= at) {
            wait_until(clock, joins_at(start, &persons[*number]), &stop).await?;
            let desk = Arc::clone(&desks[*number]);
            members[*number] = Some(Member::join(&outset, *number, &persons[*number], desk).await?);
            for member in members.iter().flatten() {
                member.watch(&persons, &members, scenario, clock.now()).await?;
            }
        }
        sampler.until(clock, at, &stop).await?;
        for member in members.iter().flatten() {
            member.turn(&persons, &members, scenario, clock.now()).await?;
        }
        sampler.sample(sample, &members).await?;
    }
    let (conditions, records) = sampler.finish();
    let run = finish(seed, &outset, &conditions, records, members, &desks).await;
    shutdown.cancel();
    // What the proxy says when it is told to stop says nothing of the run.
    drop(proxy_task.await);
    Ok(run)
}

/// People in the order in which they join: that in which the proxy sees them first.
fn joining_order(persons: &[Person]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..persons.len()).collect();
    order.sort_by(|a, b| persons[*a].joins_s.total_cmp(&persons[*b].joins_s));
    order
}

fn joins_at(start: Time, person: &Person) -> Time {
    start + Duration::from_secs_f64(person.joins_s)
}

async fn wait_until(clock: Clock, at: Time, stop: &CancellationToken) -> Result<(), RealError> {
    tokio::select! {
        () = stop.cancelled() => Err(RealError::Interrupted),
        () = tokio::time::sleep_until(Instant::from_std(clock.instant(at))) => Ok(()),
    }
}

async fn finish(
    seed: u64,
    outset: &Outset,
    conditions: &Conditions,
    shared: Vec<crate::record::SharedRecord>,
    members: Vec<Option<Member>>,
    desks: &[Arc<Desk>],
) -> Run {
    let end = outset.start + SAMPLE * samples(&outset.scenario) as u32;
    let ids: Vec<_> = members.iter().map(|member| member.as_ref().map(Member::id)).collect();
    for member in members.into_iter().flatten() {
        member.leave().await;
    }
    let published = lock(&outset.published);
    let records = desks.iter().enumerate().map(|(number, desk)| {
        let delay = |track: TrackId, at: Time| {
            let from = ids.iter().position(|id| *id == Some(track.participant())).unwrap_or(number);
            conditions.delay(at.saturating_since(outset.start).as_secs_f64(), from, number)
        };
        conditions.record(number, desk.close().finish(end, &published, delay))
    });
    Run { seed, people: records.collect(), shared }
}

/// The lock's content, whoever panicked with it: figures stay figures.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is published, by all.
type SharedPublished = Arc<Mutex<Published>>;
