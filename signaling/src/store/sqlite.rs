//! Meetings in SQLite: a file in WAL mode, or memory.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sluice_wire::signaling::{MeetingId, MeetingName};
use sluice_wire::time::Time;
use sluice_wire::track::MAX_PARTICIPANT_ID;
use sqlx::Row as _;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};

use super::{MeetingRecord, MeetingStore, NewMeeting, StoreError, StoreFuture};
use crate::clock::unix_millis;
use crate::secrets::{PasswordHash, TokenHash};

/// Connections to a file: SQLite has one writer, and reads are short.
const MAX_CONNECTIONS: u32 = 4;
/// How long a call waits for a connection, and a writer for the one before it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Which database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file, made if it does not exist.
    File(PathBuf),
    /// Gone with the process.
    Memory,
}

impl Database {
    /// The word in configuration that stands for [`Database::Memory`].
    pub const MEMORY: &str = ":memory:";
}

impl From<&str> for Database {
    fn from(text: &str) -> Self {
        if text == Self::MEMORY { Self::Memory } else { Self::File(Path::new(text).to_owned()) }
    }
}

/// The store in SQLite.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    pub(super) pool: SqlitePool,
}

impl SqliteStore {
    /// Opens the database and brings its schema up to date.
    ///
    /// # Errors
    /// If the file cannot be opened or made, or holds something else or the schema of a later version.
    pub async fn open(database: &Database) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new().busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new().acquire_timeout(BUSY_TIMEOUT);
        let pool = match database {
            Database::File(path) => {
                // With WAL, NORMAL never corrupts; a power cut may undo the last commits, which reserve blocks of numbers
                // for participants whose connections the same power cut ended, or made meetings moments ago.
                let options = options
                    .filename(path)
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Normal);
                pool.max_connections(MAX_CONNECTIONS).connect_with(options).await?
            }
            Database::Memory => {
                // The database lives as long as its one connection.
                let pool = pool.max_connections(1).min_connections(1).idle_timeout(None).max_lifetime(None);
                pool.connect_with(options.in_memory(true)).await?
            }
        };
        sqlx::migrate!("src/store/migrations").run(&pool).await?;
        Ok(Self { pool })
    }
}

impl MeetingStore for SqliteStore {
    fn create<'a>(&'a self, meeting: &'a NewMeeting) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let inserted = sqlx::query(
                "INSERT INTO meetings (id, name, password_hash, host_token_hash, max_participants, created_at) \
                 VALUES (?, ?, ?, ?, ?, ?)",
            )
            .bind(meeting.id.as_str())
            .bind(meeting.name.as_str())
            .bind(meeting.password_hash.as_ref().map(PasswordHash::as_str))
            .bind(meeting.host_token_hash.as_bytes().as_slice())
            .bind(meeting.max_participants)
            .bind(unix_millis(meeting.created_at))
            .execute(&self.pool)
            .await;
            match inserted {
                Ok(_) => Ok(()),
                Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Err(StoreError::IdTaken),
                Err(error) => Err(error.into()),
            }
        })
    }

    fn find<'a>(&'a self, id: &'a MeetingId) -> StoreFuture<'a, Option<MeetingRecord>> {
        Box::pin(async move {
            let row = sqlx::query(
                "SELECT id, name, password_hash, host_token_hash, max_participants, ended_at FROM meetings WHERE id = ?",
            )
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await?;
            row.map(|row| record(&row)).transpose()
        })
    }

    fn end<'a>(&'a self, id: &'a MeetingId, at: Time) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            sqlx::query("UPDATE meetings SET ended_at = ? WHERE id = ? AND ended_at IS NULL")
                .bind(unix_millis(at))
                .bind(id.as_str())
                .execute(&self.pool)
                .await?;
            Ok(())
        })
    }

    fn reserve_numbers<'a>(&'a self, id: &'a MeetingId, count: u32) -> StoreFuture<'a, Range<u32>> {
        Box::pin(async move {
            let row = sqlx::query(
                "UPDATE meetings SET next_participant = next_participant + ?1 \
                 WHERE id = ?2 AND next_participant + ?1 <= ?3 RETURNING next_participant",
            )
            .bind(count)
            .bind(id.as_str())
            .bind(MAX_PARTICIPANT_ID + 1)
            .fetch_optional(&self.pool)
            .await?;
            let end: u32 = row.ok_or(StoreError::NoNumbers)?.try_get(0)?;
            Ok(end.saturating_sub(count)..end)
        })
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            sqlx::query("SELECT 1").execute(&self.pool).await?;
            Ok(())
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.pool.close())
    }
}

fn record(row: &SqliteRow) -> Result<MeetingRecord, StoreError> {
    let id: String = row.try_get("id")?;
    let name: String = row.try_get("name")?;
    let host_token_hash: Vec<u8> = row.try_get("host_token_hash")?;
    Ok(MeetingRecord {
        id: MeetingId::try_from(id).map_err(|_| StoreError::Damaged("id"))?,
        name: MeetingName::try_from(name).map_err(|_| StoreError::Damaged("name"))?,
        password_hash: row.try_get::<Option<String>, _>("password_hash")?.map(PasswordHash::from_stored),
        host_token_hash: TokenHash::from_stored(&host_token_hash)
            .ok_or(StoreError::Damaged("host_token_hash"))?,
        max_participants: row.try_get("max_participants")?,
        ended: row.try_get::<Option<i64>, _>("ended_at")?.is_some(),
    })
}
