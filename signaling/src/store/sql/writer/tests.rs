use std::path::Path;

use futures_util::join;
use sluice_wire::signaling::{DisplayName, MeetingName, Token};
use sluice_wire::time::Time;
use sqlx::Row as _;
use sqlx::any::AnyPoolOptions;
use tempfile::TempDir;

use super::super::{Database, SqlStore};
use super::*;
use crate::meeting::MeetingSettings;
use crate::secrets::TokenHash;
use crate::store::{Claim, Durable, Lease, MeetingStore as _, Message, NewMeeting, OwnershipStore as _};

const COUNT: &str = "SELECT COUNT(*) AS count FROM attendance";

/// A file with two meetings that are owned, and the connections of two who use it.
struct Scene {
    writer: Writer,
    leases: [Lease; 2],
    other: AnyPool,
    _directory: TempDir,
}

async fn lease(store: &SqlStore, id: &str) -> Lease {
    let meeting = NewMeeting {
        id: id.parse().unwrap(),
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
    match store.claim(&meeting.id, "a", None).await.unwrap() {
        Claim::Granted(lease) => lease,
        Claim::Taken(owner) => panic!("{owner:?}"),
    }
}

async fn pool(file: &Path) -> AnyPool {
    let url = format!("sqlite://{}", file.display());
    AnyPoolOptions::new().max_connections(1).connect(&url).await.unwrap()
}

async fn scene() -> Scene {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file.sqlite");
    let store = SqlStore::open(&Database::File(file.clone())).await.unwrap();
    let leases = [lease(&store, "23456789abcd").await, lease(&store, "bcdefghjkmnp").await];
    let (writer, other) = (Writer::start(pool(&file).await), pool(&file).await);
    Scene { writer, leases, other, _directory: directory }
}

async fn count(pool: &AnyPool) -> i64 {
    sqlx::query(COUNT).fetch_one(pool).await.unwrap().get("count")
}

fn joined(participant: u32) -> Durable {
    let display_name = DisplayName::try_from("Ada".to_owned()).unwrap().as_str().to_owned();
    Durable::Joined { participant, identity: None, display_name, role: "host".to_owned(), at: Time::ZERO }
}

fn message(seq: u64) -> Durable {
    Durable::Message(Message { seq, body: "{}".to_owned(), at: Time::ZERO })
}

impl Scene {
    /// Commits to a meeting; answers with how many stays another connection saw by then.
    async fn commit(&self, meeting: usize, writes: Vec<Durable>) -> Result<i64, StoreError> {
        let lease = self.leases[meeting].clone();
        self.writer.commit(Commit { lease, number: commit::UNNUMBERED, writes }).await?;
        Ok(count(&self.other).await)
    }

    async fn statement(&self, text: &'static str) -> Result<Done, StoreError> {
        self.writer.statement(sqlx::query(text).bind("x")).await
    }
}

#[tokio::test]
async fn what_waits_is_committed_together_and_answered_after_that() {
    let scene = scene().await;
    let rename = "UPDATE meetings SET name = $1 RETURNING id";
    let done = join!(
        scene.commit(0, vec![joined(1)]),
        scene.statement(rename),
        scene.commit(1, vec![joined(1)]),
        scene.commit(0, vec![joined(2)]),
        scene.statement("UPDATE meetings SET name = $1"),
    );
    assert_eq!((done.0.unwrap(), done.2.unwrap(), done.3.unwrap()), (3, 3, 3));
    assert_eq!((done.1.unwrap().rows.len(), done.4.unwrap().changed), (2, 2));
    assert_eq!(scene.commit(1, vec![joined(2)]).await.unwrap(), 4);
}

#[tokio::test]
async fn what_fails_leaves_nothing_and_takes_nothing_along() {
    let scene = scene().await;
    scene.commit(0, vec![message(1)]).await.unwrap();
    let again = || vec![joined(7), message(1)];
    let mut fenced = scene.leases[1].clone();
    fenced.fence += 1;
    let fenced = Commit { lease: fenced, number: 1, writes: vec![joined(8)] };
    let done = join!(
        scene.commit(0, vec![joined(1)]),
        scene.commit(0, again()),
        scene.writer.commit(fenced.clone()),
        scene.statement("INSERT INTO signing_keys (kid) VALUES ($1)"),
        scene.commit(1, vec![joined(1)]),
    );
    assert!(matches!(done.1, Err(StoreError::IdTaken)), "{done:?}");
    assert!(matches!(done.2, Err(StoreError::Fenced)), "{done:?}");
    assert!(matches!(done.3, Err(StoreError::Database(_))), "{done:?}");
    assert!(done.0.is_ok() && done.4.is_ok(), "{done:?}");
    assert!(matches!(scene.commit(0, again()).await, Err(StoreError::IdTaken)));
    assert!(matches!(scene.writer.commit(fenced).await, Err(StoreError::Fenced)));
    assert_eq!(count(&scene.other).await, 2);
}

#[tokio::test]
async fn nobody_is_told_that_it_is_done_if_the_commit_fails() {
    let scene = scene().await;
    let orphan = "INSERT INTO attendance (meeting_id, participant, display_name, role, joined_at) VALUES ($1, 9, '', '', 0)";
    let done = join!(
        scene.commit(0, vec![joined(1)]),
        scene.statement("PRAGMA defer_foreign_keys = ON"),
        scene.statement(orphan),
    );
    assert!(matches!(done.0, Err(StoreError::Database(_))), "{done:?}");
    assert!(matches!(done.2, Err(StoreError::Database(_))), "{done:?}");
    assert_eq!(count(&scene.other).await, 0);
    assert_eq!(scene.commit(0, vec![joined(1)]).await.unwrap(), 1);
}

#[tokio::test]
async fn what_came_first_is_written_first() {
    let scene = scene().await;
    // More than one transaction takes.
    let jobs = 3 * GROUP_JOBS as u32;
    let adding = futures_util::future::join_all((0..jobs).map(|id| scene.commit(0, vec![joined(id)])));
    // Hands all of them in at once, in order.
    let done = tokio::task::unconstrained(adding).await;
    let seen: Vec<i64> = done.into_iter().map(Result::unwrap).collect();
    let group = GROUP_JOBS as i64;
    assert!(seen.iter().zip(0..).all(|(&seen, id): (_, i64)| seen > id && seen % group == 0), "{seen:?}");
    assert!(seen.is_sorted());
}

#[tokio::test]
async fn what_waits_is_written_before_it_closes() {
    let scene = scene().await;
    let done =
        join!(scene.commit(0, vec![joined(1)]), scene.commit(1, vec![joined(1)]), scene.writer.close());
    assert!(done.0.is_ok() && done.1.is_ok(), "{done:?}");
    let late = scene.commit(0, vec![joined(3)]).await;
    assert!(matches!(late, Err(StoreError::Database(sqlx::Error::PoolClosed))));
    assert_eq!(count(&scene.other).await, 2);
}
