//! Stores to test, each empty.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Once;

use sluice_signaling::store::{Database, SqlStore, Store as _};
use sqlx::{Connection as _, Executor as _};
use tempfile::TempDir;

/// Names a server, such as `postgres://sluice@127.0.0.1:5432/sluice`.
const POSTGRES: &str = "SLUICE_TEST_POSTGRES";

pub(crate) async fn memory() -> SqlStore {
    SqlStore::open(&Database::Memory).await.unwrap()
}

pub(crate) struct File {
    pub(crate) store: SqlStore,
    directory: TempDir,
}

impl File {
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("with a space.sqlite")
    }
}

pub(crate) async fn file() -> File {
    let directory = tempfile::tempdir().unwrap();
    let store = open_file(directory.path().join("with a space.sqlite")).await;
    File { store, directory }
}

pub(crate) async fn open_file(path: impl AsRef<Path>) -> SqlStore {
    SqlStore::open(&Database::File(path.as_ref().to_owned())).await.unwrap()
}

/// A schema of its own in PostgreSQL.
pub(crate) struct Scratch {
    pub(crate) store: SqlStore,
    server: String,
    url: String,
    schema: String,
}

/// `None`, and a line that nobody overlooks, if no server is named.
pub(crate) async fn postgres(name: &str) -> Option<Scratch> {
    let Ok(server) = std::env::var(POSTGRES) else {
        static TOLD: Once = Once::new();
        TOLD.call_once(|| {
            // Past the test harness, which would keep it for itself.
            let line = format!(
                "\n!!! SKIPPED: {POSTGRES} is not set, so the store was NOT tested on PostgreSQL\n\n"
            );
            std::io::stderr().write_all(line.as_bytes()).unwrap();
        });
        return None;
    };
    let schema = format!("test_{}_{name}", std::process::id());
    execute(&server, &format!("CREATE SCHEMA {schema}")).await;
    let separator = if server.contains('?') { '&' } else { '?' };
    let url = format!("{server}{separator}options[search_path]={schema}");
    let store = SqlStore::open(&Database::from(url.as_str())).await.unwrap();
    Some(Scratch { store, server, url, schema })
}

impl Scratch {
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Another daemon's store on the same data.
    pub(crate) async fn again(&self) -> SqlStore {
        SqlStore::open(&Database::from(self.url.as_str())).await.unwrap()
    }

    pub(crate) async fn drop(self) {
        self.store.close().await;
        execute(&self.server, &format!("DROP SCHEMA {} CASCADE", self.schema)).await;
    }
}

async fn execute(server: &str, sql: &str) {
    let mut connection = sqlx::PgConnection::connect(server).await.unwrap();
    connection.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
    connection.close().await.unwrap();
}

/// The first release's schema, through its own migration, with a meeting in it.
pub(crate) async fn write_first_schema(path: &Path) {
    let migrations = sqlx::migrate!("src/store/migrations/sqlite");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    migrations.run_direct(Some(1), &mut connection, false).await.unwrap();
    let insert = "INSERT INTO meetings (id, name, host_token_hash, max_participants, next_participant, created_at) \
                  VALUES ('23456789abcd', 'Retro', zeroblob(32), 7, 65, 1000)";
    connection.execute(insert).await.unwrap();
    connection.close().await.unwrap();
}
