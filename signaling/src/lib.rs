//! Meetings, participants and the placement of rooms on routers.
//!
//! Where things are: [`bus`] and [`cluster`] make several daemons one; [`meeting`] is one meeting as a pure state machine; [`live`]
//! runs those that are going on, a task each; [`routers`] knows the attached routers and what is on them; [`store`] keeps meetings over restarts; [`http`] is REST and
//! WebSocket; [`server`] puts them together. The messages are in `sluice-wire` and `sluice-proto`, their meaning in
//! `proto-spec/spec/06-signaling.md` and `proto-spec/proto/router_control.proto`.
#![forbid(unsafe_code)]

pub mod bus;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod http;
pub mod live;
pub mod meeting;
pub mod metrics;
pub mod rate;
pub mod routers;
pub mod secrets;
pub mod server;
pub mod store;

#[cfg(test)]
#[path = "../tests/e2e/common/ticket.rs"]
mod test_ticket;

pub use config::SignalingConfig;
pub use server::{SignalingHandle, StartError, start, start_on};
