//! The load tester: many native participants in one process, and a verdict on what they received.
//!
//! * [`media`]: the clips that publishers play; those of the repository are in the program.
//! * [`swarm`]: joins participants, lets them publish and watch, and gives a [`report::Report`].
//! * [`scenario`]: runs with a screenplay: who sees what and who talks when.
//! * [`ledger`]: what was sent, frame by frame, against what was received.
//! * [`audit`]: the same of slots that show now this, now that.
//! * [`dump`]: what one receiver gets, as files.
//! * [`signal`]: participants without media, for the signaling daemon alone.
//! * [`progress`]: what a run has done so far; [`terminal`] shows it.

pub mod audit;
pub mod dump;
pub mod ledger;
pub mod media;
pub mod progress;
pub mod report;
pub mod scenario;
pub mod signal;
pub mod swarm;
pub mod terminal;
