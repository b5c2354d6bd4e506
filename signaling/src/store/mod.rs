//! Where meetings are kept. One trait; SQLite behind it.

mod sqlite;

pub use sqlite::{Database, SqliteStore};

use std::ops::Range;

use futures_util::future::BoxFuture;
use sluice_wire::signaling::{MeetingId, MeetingName};
use sluice_wire::time::Time;

use crate::secrets::{PasswordHash, TokenHash};

#[cfg(test)]
mod tests;

/// A meeting to be kept.
#[derive(Clone, Debug)]
pub struct NewMeeting {
    /// Its id.
    pub id: MeetingId,
    /// What it is called.
    pub name: MeetingName,
    /// The hash of its password, if it has one.
    pub password_hash: Option<PasswordHash>,
    /// The hash of the token that ends it.
    pub host_token_hash: TokenHash,
    /// How many participants it takes.
    pub max_participants: u32,
    /// When it was made.
    pub created_at: Time,
}

/// A meeting as it is kept.
#[derive(Clone, Debug)]
pub struct MeetingRecord {
    /// Its id.
    pub id: MeetingId,
    /// What it is called.
    pub name: MeetingName,
    /// The hash of its password, if it has one.
    pub password_hash: Option<PasswordHash>,
    /// The hash of the token that ends it.
    pub host_token_hash: TokenHash,
    /// How many participants it takes.
    pub max_participants: u32,
    /// Whether it is over.
    pub ended: bool,
}

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is a meeting of this id already.
    #[error("the meeting id is taken")]
    IdTaken,
    /// There is no such meeting, or it has used its 16 million participant numbers up.
    #[error("no participant number is to be had")]
    NoNumbers,
    /// What is stored is not what was written.
    #[error("the stored meeting is damaged: {0}")]
    Damaged(&'static str),
    /// The database failed.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("migration: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
}

/// What a call of the store comes to.
pub type StoreFuture<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// Keeps meetings over restarts. Every call is atomic.
pub trait MeetingStore: Send + Sync + 'static {
    /// Keeps a new meeting.
    fn create<'a>(&'a self, meeting: &'a NewMeeting) -> StoreFuture<'a, ()>;

    /// Finds a meeting, ended ones too.
    fn find<'a>(&'a self, id: &'a MeetingId) -> StoreFuture<'a, Option<MeetingRecord>>;

    /// Notes that a meeting is over. The first time counts.
    fn end<'a>(&'a self, id: &'a MeetingId, at: Time) -> StoreFuture<'a, ()>;

    /// Reserves `count` participant numbers that no other call ever returns.
    fn reserve_numbers<'a>(&'a self, id: &'a MeetingId, count: u32) -> StoreFuture<'a, Range<u32>>;

    /// Whether the store answers.
    fn ping(&self) -> StoreFuture<'_, ()>;

    /// Lets go of files and connections.
    fn close(&self) -> BoxFuture<'_, ()>;
}
