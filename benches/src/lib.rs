//! What forwarding costs: the parts that the micro-benchmarks and the capacity program share.
//!
//! [`peer`] is a client written for speed, [`bare`] what sealing costs alone, [`scenario`] says who sends what to whom, `capacity` measures a router against the
//! floor of the machine (Linux only).

pub mod bare;
#[cfg(target_os = "linux")]
pub mod capacity;
pub mod peer;
pub mod scenario;
