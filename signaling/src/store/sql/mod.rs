//! The store in SQL: SQLite in a file or in memory, or PostgreSQL. The statements are the same for both; what differs is the
//! schema and how connections are set up.

mod bulk;
mod commit;
mod keys;
mod meetings;
mod ownership;
mod records;
mod writer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sluice_wire::signaling::MeetingId;
use sluice_wire::time::Time;
use sqlx::any::{Any, AnyArguments, AnyPoolOptions, AnyRow, install_default_drivers};
use sqlx::query::Query;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AnyPool, ConnectOptions as _, Row as _};

use self::bulk::Dialect;
use self::commit::Commit;
use self::writer::Writer;
use super::{MAX_PAGE, Store, StoreError, StoreFuture};
use crate::clock::from_unix_millis;

/// Connections to a SQLite file: it has one writer, and reads are short.
const SQLITE_CONNECTIONS: u32 = 4;
/// Connections to PostgreSQL: a server takes 100 by default, which has to do for several daemons.
const POSTGRES_CONNECTIONS: u32 = 16;
/// How long a call waits for a connection, and in SQLite a writer for the one before it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// [`BUSY_TIMEOUT`] for SQLite.
const BUSY_TIMEOUT_PRAGMA: &str = "PRAGMA busy_timeout = 5000";
/// Survives a crash of the process, and readers do not wait for the writer.
const WAL_PRAGMA: &str = "PRAGMA journal_mode = WAL";
/// What was acknowledged survives a power cut as well: each commit is on the disk when it returns.
const SYNCHRONOUS_PRAGMA: &str = "PRAGMA synchronous = FULL";

/// Which database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file of SQLite, made if it does not exist.
    File(PathBuf),
    /// SQLite, gone with the process.
    Memory,
    /// PostgreSQL, by its URL.
    Postgres(String),
}

impl Database {
    /// The word in configuration that stands for [`Database::Memory`].
    pub const MEMORY: &str = ":memory:";
    const POSTGRES_SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
}

impl From<&str> for Database {
    fn from(text: &str) -> Self {
        if Self::POSTGRES_SCHEMES.iter().any(|scheme| text.starts_with(scheme)) {
            Self::Postgres(text.to_owned())
        } else if text == Self::MEMORY {
            Self::Memory
        } else {
            Self::File(Path::new(text).to_owned())
        }
    }
}

/// The store in SQL. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SqlStore {
    pool: AnyPool,
    /// Who writes to SQLite. It has one writer at a time and lets the others try again and again, some of them for seconds; here they
    /// come in order, and those that wait are committed together. PostgreSQL needs none.
    writer: Option<Writer>,
}

/// A statement with what is bound to it.
type Statement = Query<'static, Any, AnyArguments>;

impl SqlStore {
    /// Opens the database and brings its schema up to date.
    ///
    /// # Errors
    /// If it cannot be opened or reached, or holds something else or the schema of a later version.
    pub async fn open(database: &Database) -> Result<Self, StoreError> {
        install_default_drivers();
        let pool = AnyPoolOptions::new().acquire_timeout(BUSY_TIMEOUT);
        let pool = match database {
            Database::File(path) => {
                // What is asked of a file is answered, and asking first would cost as much as what is asked.
                let pool = pool.test_before_acquire(false);
                let url = SqliteConnectOptions::new().filename(path).create_if_missing(true).to_url_lossy();
                let pool = pool.max_connections(SQLITE_CONNECTIONS).after_connect(|connection, _| {
                    Box::pin(async move {
                        // In this order: the others may have to wait for another connection.
                        for pragma in [BUSY_TIMEOUT_PRAGMA, WAL_PRAGMA, SYNCHRONOUS_PRAGMA] {
                            sqlx::query(pragma).execute(&mut *connection).await?;
                        }
                        Ok(())
                    })
                });
                pool.connect(url.as_str()).await?
            }
            Database::Memory => {
                // The database lives as long as its one connection.
                let pool = pool.max_connections(1).min_connections(1).idle_timeout(None).max_lifetime(None);
                pool.connect("sqlite::memory:").await?
            }
            Database::Postgres(url) => pool.max_connections(POSTGRES_CONNECTIONS).connect(url).await?,
        };
        match database {
            Database::Postgres(_) => sqlx::migrate!("src/store/migrations/postgres").run(&pool).await?,
            Database::File(_) | Database::Memory => {
                sqlx::migrate!("src/store/migrations/sqlite").run(&pool).await?
            }
        }
        let has_one_writer = !matches!(database, Database::Postgres(_));
        let writer = has_one_writer.then(|| Writer::start(pool.clone()));
        Ok(Self { pool, writer })
    }

    /// Writes a commit in a transaction: when this has answered well it is on the disk, and otherwise nothing of it is.
    async fn write(&self, commit: Commit) -> Result<(), StoreError> {
        if let Some(writer) = &self.writer {
            return writer.commit(commit).await;
        }
        let mut transaction = self.pool.begin().await?;
        let verdicts = commit::write(&mut transaction, Dialect::Postgres, &[commit]).await?;
        transaction.commit().await?;
        verdicts.into_iter().collect()
    }

    /// Writes by one statement; answers with the number of rows that it changed.
    async fn execute(&self, statement: Statement) -> Result<u64, StoreError> {
        match &self.writer {
            Some(writer) => Ok(writer.statement(statement).await?.changed),
            None => Ok(statement.execute(&self.pool).await.map_err(taken)?.rows_affected()),
        }
    }

    /// Writes by one statement; answers with the rows that it returns.
    async fn write_returning(&self, statement: Statement) -> Result<Vec<AnyRow>, StoreError> {
        match &self.writer {
            Some(writer) => Ok(writer.statement(statement).await?.rows),
            None => Ok(statement.fetch_all(&self.pool).await?),
        }
    }
}

impl Store for SqlStore {
    fn ping(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            sqlx::query("SELECT 1").execute(&self.pool).await?;
            Ok(())
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Some(writer) = &self.writer {
                writer.close().await;
            }
            self.pool.close().await;
        })
    }
}

/// `IdTaken` in place of a violated uniqueness.
fn taken(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Database(cause) if cause.is_unique_violation() => StoreError::IdTaken,
        _ => error.into(),
    }
}

fn page(limit: u32) -> i64 {
    i64::from(limit.min(MAX_PAGE))
}

/// A number that the schema keeps as a signed one and that is never negative.
fn unsigned<T: TryFrom<i64>>(row: &AnyRow, column: &'static str) -> Result<T, StoreError> {
    T::try_from(row.try_get::<i64, _>(column)?).map_err(|_| StoreError::Damaged(column))
}

/// A fencing token, version or sequence number as the schema keeps it. They grow by one: none is ever that large.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn time(row: &AnyRow, column: &'static str) -> Result<Time, StoreError> {
    Ok(from_unix_millis(row.try_get(column)?))
}

fn maybe_time(row: &AnyRow, column: &'static str) -> Result<Option<Time>, StoreError> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(from_unix_millis))
}

fn meeting_id(row: &AnyRow, column: &'static str) -> Result<MeetingId, StoreError> {
    MeetingId::try_from(row.try_get::<String, _>(column)?).map_err(|_| StoreError::Damaged(column))
}
