//! Meetings that are going on: one task per meeting owns its state and has a bounded mailbox.

mod deeds;
mod directory;
mod journal;
mod membership;
mod outbox;
mod takeover;
mod task;

pub use directory::{JoinRefusal, Meetings, MeetingsParts};
pub use membership::Membership;
pub use outbox::{Outbox, Outgoing, outbox};
