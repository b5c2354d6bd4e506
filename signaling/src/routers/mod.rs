//! Routers: who is attached, which room is where, and which sessions there are.
//!
//! `registry` is the state, without I/O, with `requests` and `strangers`; `service` is the gRPC end that routers dial; [`Routers`] is what the rest of the
//! daemon holds.

mod event;
mod handle;
mod placement;
mod records;
mod registry;
mod requests;
mod service;
mod strangers;
mod terms;

pub use event::{Home, NoRouter, RegistryTiming, RouterEvent};
pub use handle::Routers;
pub use placement::Wishes;
pub use service::RouterControlService;

#[cfg(test)]
mod tests;
