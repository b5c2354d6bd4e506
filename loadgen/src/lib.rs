//! The load tester: many native participants in one process, and a verdict on what they received.
//!
//! * [`media`]: the clips that publishers play; those of the repository are in the program.
//! * [`swarm`]: joins participants, lets them publish and watch, and gives a [`report::Report`].
//! * [`ledger`]: what was sent, frame by frame, against what was received.
//! * [`progress`]: what a run has done so far; [`terminal`] shows it.

pub mod ledger;
pub mod media;
pub mod progress;
pub mod report;
pub mod swarm;
pub mod terminal;
