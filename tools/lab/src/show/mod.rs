//! Results for people: tables and plots.

mod plot;
mod table;

pub use plot::{PlotError, plot};
pub use table::{listing, report_table, summary_table};
