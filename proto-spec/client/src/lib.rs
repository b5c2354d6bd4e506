//! The reference native client: a sans-IO session core and a tokio driver.
//!
//! * [`clock`]: the one place that reads time.
//! * [`media`]: clips, packetizers, de-packetizers: what goes into packets and comes out of them.
//! * [`session`]: the sans-IO session core: a ticket in, then datagrams and frames both ways.

pub mod clock;
pub mod media;
pub mod session;
