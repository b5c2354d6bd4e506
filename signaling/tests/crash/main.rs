//! kill -9 of a daemon, of Redis, of PostgreSQL and of a router, under load, and what the participants saw of it:
//!
//! ```sh
//! cargo test -p sluice-signaling --test crash -- --ignored --nocapture
//! ```
//!
//! Starts private servers of PostgreSQL and Redis (Debian's packages `postgresql` and `redis-server` are enough), three daemons,
//! and two routers without media, each a process of its own. People in many meetings write, record and raise hands all the time;
//! each comes back as the protocol says when its connection breaks. Then something is killed. Printed is how long each was not
//! served; checked is that nothing is lost that was acknowledged, that everybody is who it was, and that media was left alone
//! unless its router died.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![expect(clippy::disallowed_methods, reason = "it measures by the clock what people wait")]

mod books;
mod person;
mod processes;
mod router;
#[path = "../e2e/common/ticket.rs"]
mod ticket;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use books::Books;
use person::{Crowd, Report};
use processes::{Cluster, Victim};

/// Meetings that go on.
const MEETINGS: usize = 40;
/// People in each.
const PEOPLE: usize = 5;
/// How long all goes well before, and again behind the crash.
const CALM: Duration = Duration::from_secs(4);
/// How long after the crash everybody must be served again.
const LIMIT: Duration = Duration::from_secs(30);

async fn survives(victim: Victim) {
    let Some(mut cluster) = Cluster::start().await else { return };
    let stop = Arc::new(AtomicBool::new(false));
    let crowd = Crowd::gather(&cluster, MEETINGS, PEOPLE, Arc::clone(&stop)).await;
    tokio::time::sleep(CALM).await;
    let killed_at = Instant::now();
    cluster.kill(victim).await;
    tokio::time::sleep(CALM).await;
    crowd.all_served_since(killed_at, LIMIT).await;
    tokio::time::sleep(CALM).await;
    stop.store(true, Ordering::Relaxed);
    let reports: Vec<Report> = crowd.leave().await;
    books::print(victim, killed_at, &reports);
    let books = Books::read(&cluster, &reports).await;
    books.balance(&reports);
    if victim != Victim::Router {
        assert_eq!(
            reports.iter().map(|report| report.tickets.len()).sum::<usize>(),
            0,
            "media was left alone"
        );
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts servers and takes half a minute"]
async fn a_daemon_is_killed() {
    survives(Victim::Daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts servers and takes half a minute"]
async fn redis_is_killed() {
    survives(Victim::Redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts servers and takes half a minute"]
async fn postgres_is_killed() {
    survives(Victim::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts servers and takes half a minute"]
async fn a_router_is_killed() {
    survives(Victim::Router).await;
}
