//! Where meetings and what is recorded of them are kept, and the truth about who owns a meeting that goes on.
//!
//! Four traits, one for each kind of data, and [`Store`], which is all of them; behind them one implementation in SQL that
//! speaks SQLite and PostgreSQL. Every call is atomic: it happened as a whole and will be found after a crash, or it did not
//! happen. What a participant or a caller is told "done" about is written by then.

mod keys;
mod meetings;
mod ownership;
mod records;
mod sql;

use futures_util::future::BoxFuture;

pub use keys::{ApiKeyRecord, KeyStore, SigningKeyRecord};
pub use meetings::{
    MeetingPage, MeetingQuery, MeetingRecord, MeetingState, MeetingStore, MeetingUpdate, NewMeeting, Schedule,
};
pub use ownership::{Claim, Lease, Owner, OwnershipStore};
pub use records::{
    Attendance, AuditEntry, AuditRecord, Durable, MarkKind, Message, RecordStore, RecordingMark, Seat,
};
pub use sql::{Database, SqlStore};

/// The most lines that one page of a listing has, whatever is asked for.
pub const MAX_PAGE: u32 = 200;

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is one of this id already.
    #[error("the id is taken")]
    IdTaken,
    /// There is no such meeting, or it has used its 16 million participant numbers up.
    #[error("no participant number is to be had")]
    NoNumbers,
    /// Somebody else changed it since it was read.
    #[error("it was changed in between")]
    Conflict,
    /// Another daemon owns the meeting by now: nothing was written, and nothing more may be told to anybody.
    #[error("another daemon owns the meeting")]
    Fenced,
    /// What is stored is not what was written.
    #[error("what is stored is damaged: {0}")]
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

/// All that is kept.
pub trait Store: MeetingStore + OwnershipStore + RecordStore + KeyStore {
    /// Whether the store answers.
    fn ping(&self) -> StoreFuture<'_, ()>;

    /// Lets go of files and connections.
    fn close(&self) -> BoxFuture<'_, ()>;
}
