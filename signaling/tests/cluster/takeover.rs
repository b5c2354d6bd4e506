//! Daemons that find and replace one another. On one process's memory that stands for a shared bus, and on Redis.

use std::sync::Arc;
use std::time::Duration;

use sluice_signaling::bus::Bus;
use sluice_signaling::clock::Clock;
use sluice_signaling::cluster::{Change, Cluster, ClusterParts, Notice, Route};
use sluice_signaling::meeting::MeetingSettings;
use sluice_signaling::secrets::TokenHash;
use sluice_signaling::store::*;
use sluice_wire::signaling::{MeetingId, MeetingName, Token};
use sluice_wire::time::Time;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::buses::{Shared, local};

const ID: &str = "23456789abcd";
const PATIENCE: Duration = Duration::from_secs(10);
/// What the others take to go on with the meetings of a daemon that died.
const TAKEOVER_LIMIT: Duration = Duration::from_secs(3);

struct Member {
    cluster: Cluster,
    changes: mpsc::Receiver<Change>,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Member {
    fn start(id: &str, bus: Arc<dyn Bus>, store: &SqlStore) -> Self {
        let url = format!("ws://{id}.example");
        let parts =
            ClusterParts { id: id.to_owned(), url, bus, store: Arc::new(store.clone()), clock: Clock::new() };
        let cluster = Cluster::new(parts);
        let (sender, changes) = Cluster::changes();
        let shutdown = CancellationToken::new();
        let (running, stop) = (cluster.clone(), shutdown.clone());
        let task = tokio::spawn(async move { running.run(sender, stop).await });
        Self { cluster, changes, shutdown, task }
    }

    /// Dies at once, as if killed: its presence is not taken away.
    fn kill(&self) {
        self.task.abort();
    }
}

async fn store() -> SqlStore {
    let store = SqlStore::open(&Database::Memory).await.unwrap();
    create(&store, ID).await;
    store
}

async fn create(store: &SqlStore, text: &str) {
    let meeting = NewMeeting {
        id: text.parse().unwrap(),
        account: None,
        name: MeetingName::default(),
        settings: MeetingSettings::default(),
        password_hash: None,
        host_token_hash: TokenHash::of(&Token::new("host".to_owned())),
        schedule: None,
        duration_minutes: None,
        created_at: Time::ZERO,
    };
    store.create(&meeting).await.unwrap();
}

fn id() -> MeetingId {
    ID.parse().unwrap()
}

fn mark() -> Durable {
    Durable::Mark { kind: MarkKind::Started, actor: "host".to_owned(), at: Time::ZERO }
}

async fn here(cluster: &Cluster) -> Lease {
    match cluster.route(&id()).await.unwrap() {
        Route::Here(lease) => lease,
        Route::There { daemon, .. } => panic!("at {daemon}"),
    }
}

/// Waits until `cluster` knows where `daemon`, which owns the meeting, is.
async fn there(cluster: &Cluster, daemon: &str) {
    let route = timeout(PATIENCE, cluster.route(&id())).await.unwrap().unwrap();
    let expected = Route::There { daemon: daemon.to_owned(), url: format!("ws://{daemon}.example") };
    assert_eq!(route, expected);
}

async fn a_death_costs_nothing_that_was_acknowledged(bus: Arc<dyn Bus>) {
    let store = store().await;
    let first = Member::start("first", Arc::clone(&bus), &store);
    let mut second = Member::start("second", Arc::clone(&bus), &store);
    let before = here(&first.cluster).await;
    there(&second.cluster, "first").await;
    store.commit(&before, &[mark(), Durable::Snapshot("as it was".to_owned())]).await.unwrap();

    first.kill();
    let change = timeout(TAKEOVER_LIMIT, second.changes.recv()).await.expect("taken over in time").unwrap();
    let Change::Adopted(adopted) = change else { panic!("{change:?}") };
    assert_eq!((&adopted.meeting, adopted.daemon.as_str()), (&id(), "second"));
    assert!(adopted.fence > before.fence);
    assert_eq!(here(&second.cluster).await, adopted, "the same right, not a new one");
    assert_eq!(store.snapshot(&id()).await.unwrap().as_deref(), Some("as it was"));
    assert_eq!(store.marks(&id()).await.unwrap().len(), 1);
    // The dead one wakes up and knows nothing.
    assert!(matches!(store.commit(&before, &[mark()]).await, Err(StoreError::Fenced)));
    store.commit(&adopted, &[mark()]).await.unwrap();
}

#[tokio::test]
async fn a_death_costs_nothing_that_was_acknowledged_on_memory() {
    a_death_costs_nothing_that_was_acknowledged(Arc::new(Shared(local()))).await;
}

#[tokio::test]
async fn a_death_costs_nothing_that_was_acknowledged_on_redis() {
    let Some(bus) = crate::buses::redis("takeover").await else { return };
    a_death_costs_nothing_that_was_acknowledged(Arc::new(bus)).await;
}

#[tokio::test]
async fn a_thousand_joins_claim_once() {
    let store = store().await;
    let member = Member::start("a", Arc::new(Shared(local())), &store);
    let meeting = id();
    let routes = (0..1_000).map(|_| member.cluster.route(&meeting));
    let routes = futures_util::future::join_all(routes).await;
    assert!(routes.iter().all(|route| matches!(route, Ok(Route::Here(lease)) if lease.fence == 1)));
}

#[tokio::test]
async fn of_two_daemons_one_has_it() {
    let store = store().await;
    let bus = Shared(local());
    let (a, b) =
        (Member::start("a", Arc::new(bus.clone()), &store), Member::start("b", Arc::new(bus), &store));
    let meeting = id();
    let (at_a, at_b) = tokio::join!(a.cluster.route(&meeting), b.cluster.route(&meeting));
    let owners = [at_a.unwrap(), at_b.unwrap()].into_iter().filter(|route| matches!(route, Route::Here(_)));
    assert_eq!(owners.count(), 1);
}

#[tokio::test]
async fn a_meeting_that_is_given_back_goes_anywhere_at_once() {
    let store = store().await;
    let bus = Shared(local());
    let (a, b) =
        (Member::start("a", Arc::new(bus.clone()), &store), Member::start("b", Arc::new(bus), &store));
    let lease = here(&a.cluster).await;
    a.cluster.release(&lease).await.unwrap();
    assert_eq!(a.cluster.lease(&id()), None);
    assert!(here(&b.cluster).await.fence > lease.fence);
    there(&a.cluster, "b").await;
    a.cluster.release(&lease).await.unwrap();
    there(&a.cluster, "b").await;
}

/// An owner in the store that nobody has ever seen, as behind a restart of everything.
#[tokio::test]
async fn the_meetings_of_an_unknown_daemon_are_had_after_a_while() {
    let store = store().await;
    store.claim(&id(), "before the flood", None).await.unwrap();
    let member = Member::start("a", Arc::new(Shared(local())), &store);
    let lease = timeout(TAKEOVER_LIMIT, here(&member.cluster)).await.unwrap();
    assert_eq!(lease.fence, 2);
}

#[tokio::test]
async fn alone_there_is_nobody_to_wait_for() {
    let store = store().await;
    store.claim(&id(), "the process before", None).await.unwrap();
    let member = Member::start("a", Arc::new(local()), &store);
    let lease = timeout(Duration::from_millis(500), here(&member.cluster)).await.unwrap();
    assert_eq!(lease.fence, 2);
}

#[tokio::test]
async fn who_stops_is_not_missed_and_gives_nothing_away_by_force() {
    let store = store().await;
    let bus = Shared(local());
    let a = Member::start("a", Arc::new(bus.clone()), &store);
    let mut b = Member::start("b", Arc::new(bus.clone()), &store);
    let lease = here(&a.cluster).await;
    there(&b.cluster, "a").await;
    a.cluster.release(&lease).await.unwrap();
    a.shutdown.cancel();
    a.task.await.unwrap();
    assert!(!bus.fields("daemons").await.unwrap().contains_key("a"));
    sleep(Duration::from_millis(1_500)).await;
    assert!(b.changes.try_recv().is_err(), "what was given back is nobody's until somebody joins");
}

#[tokio::test]
async fn daemons_hear_what_others_did() {
    let store = store().await;
    let bus = Shared(local());
    let (a, b) = (
        Member::start("a", Arc::new(bus.clone()), &store),
        Member::start("b", Arc::new(bus.clone()), &store),
    );
    let mut heard = b.cluster.notices().await.unwrap();
    bus.publish("notices", "{\"what\":\"of a later version\"}").await.unwrap();
    for notice in [Notice::Ended { meeting: id() }, Notice::SigningKeys] {
        a.cluster.tell(&notice).await;
        assert_eq!(timeout(PATIENCE, heard.next()).await.unwrap(), Some(notice));
    }
}
