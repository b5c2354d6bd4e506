use futures_util::join;
use sqlx::Row as _;
use sqlx::any::{AnyPoolOptions, install_default_drivers};
use tempfile::TempDir;

use super::*;

const ADD: &str = "INSERT INTO things (id) VALUES ($1)";
const COUNT: &str = "SELECT COUNT(*) AS count FROM things";

/// A file with one table, and the connections of two who use it.
struct Scene {
    writer: Writer,
    other: AnyPool,
    _directory: TempDir,
}

async fn scene() -> Scene {
    install_default_drivers();
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", directory.path().join("file.sqlite").display());
    let pool = AnyPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
    for sql in [
        "PRAGMA journal_mode = WAL",
        "CREATE TABLE things (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES things (id))",
    ] {
        sqlx::query(sql).execute(&pool).await.unwrap();
    }
    let other = AnyPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
    Scene { writer: Writer::start(pool), other, _directory: directory }
}

async fn count(pool: &AnyPool) -> i64 {
    sqlx::query(COUNT).fetch_one(pool).await.unwrap().get("count")
}

impl Scene {
    /// Adds a thing; answers with how many another connection saw by then.
    async fn add(&self, id: i64) -> Result<i64, StoreError> {
        let other = self.other.clone();
        let done = self.writer.write(move |connection| {
            Box::pin(async move {
                sqlx::query(ADD).bind(id).execute(&mut *connection).await?;
                Ok(count(&other).await)
            })
        });
        done.await
    }

    /// Adds a thing, and fails after that.
    async fn add_and_fail(&self, id: i64) -> Result<(), StoreError> {
        let done = self.writer.write(move |connection| {
            Box::pin(async move {
                sqlx::query(ADD).bind(id).execute(connection).await?;
                Err(StoreError::Fenced)
            })
        });
        done.await
    }

    /// Adds a thing whose parent does not exist, which is found out when the transaction is committed.
    async fn add_orphan(&self, id: i64) -> Result<(), StoreError> {
        let done = self.writer.write(move |connection| {
            Box::pin(async move {
                sqlx::query("PRAGMA defer_foreign_keys = ON").execute(&mut *connection).await?;
                let add = sqlx::query("INSERT INTO things (id, parent) VALUES ($1, 99)").bind(id);
                add.execute(connection).await?;
                Ok(())
            })
        });
        done.await
    }
}

#[tokio::test]
async fn what_waits_is_committed_together_and_answered_after_that() {
    let scene = scene().await;
    let added = join!(scene.add(1), scene.add(2), scene.add(3));
    assert_eq!((added.0.unwrap(), added.1.unwrap(), added.2.unwrap()), (0, 0, 0));
    assert_eq!(count(&scene.other).await, 3);
    assert_eq!(scene.add(4).await.unwrap(), 3);
}

#[tokio::test]
async fn what_fails_leaves_nothing_and_takes_nothing_along() {
    let scene = scene().await;
    let done = join!(scene.add(1), scene.add_and_fail(2), scene.add(1), scene.add(3));
    assert!(matches!(done.1, Err(StoreError::Fenced)), "{done:?}");
    assert!(matches!(done.2, Err(StoreError::Database(_))), "{done:?}");
    assert!(done.0.is_ok() && done.3.is_ok(), "{done:?}");
    assert!(matches!(scene.add_and_fail(4).await, Err(StoreError::Fenced)));
    assert_eq!(count(&scene.other).await, 2);
}

#[tokio::test]
async fn nobody_is_told_that_it_is_done_if_the_commit_fails() {
    let scene = scene().await;
    let done = join!(scene.add(1), scene.add_orphan(2), scene.add_and_fail(3));
    assert!(matches!(done.0, Err(StoreError::Database(_))), "{done:?}");
    assert!(matches!(done.1, Err(StoreError::Database(_))), "{done:?}");
    assert!(matches!(done.2, Err(StoreError::Database(_))), "what it saw may not be so: {done:?}");
    assert_eq!(count(&scene.other).await, 0);
    assert_eq!(scene.add(1).await.unwrap(), 0);
}

#[tokio::test]
async fn what_came_first_is_written_first() {
    let scene = scene().await;
    // More than one transaction takes.
    let jobs = 3 * GROUP_JOBS as i64;
    let adding = futures_util::future::join_all((0..jobs).map(|id| scene.add(id)));
    // Hands all of them in at once, in order.
    let done = tokio::task::unconstrained(adding).await;
    let seen: Vec<i64> = done.into_iter().map(Result::unwrap).collect();
    let group = GROUP_JOBS as i64;
    assert_eq!(seen, (0..jobs).map(|id| id / group * group).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_waits_is_written_before_it_closes() {
    let scene = scene().await;
    let done = join!(scene.add(1), scene.add(2), scene.writer.close());
    assert!(done.0.is_ok() && done.1.is_ok(), "{done:?}");
    assert!(matches!(scene.add(3).await, Err(StoreError::Database(sqlx::Error::PoolClosed))));
    assert_eq!(count(&scene.other).await, 2);
}
