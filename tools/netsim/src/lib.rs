//! A network in a box: delay, loss, reordering, rate, NAT rebinding and partition, sans-IO and seeded.
//!
//! * [`link::Link`] decides the fate of each packet of one direction; [`pipe::Pipe`] also carries the packets.
//! * [`nat::Nat`] maps addresses as a home router does.
//! * [`network::Network`] joins hosts, their links and their NATs; the deterministic simulator runs on it.
//! * [`proxy`] is the only part with sockets and a clock: it puts the same links between real UDP endpoints.
//!
//! The same seed, configuration and calls give the same fates on every machine: all draws come from ChaCha8 and are used in
//! integer arithmetic.
#![forbid(unsafe_code)]

pub mod config;
pub mod counters;
mod draws;
pub mod link;
pub mod nat;
pub mod network;
pub mod pipe;
pub mod proxy;
mod timed_queue;
