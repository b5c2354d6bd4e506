//! The reference native client: a sans-IO session core and a tokio driver.
//!
//! * [`driver`]: a whole participant on tokio: signaling, socket, session, players. Start here.
//! * [`signaling`]: the REST calls and the WebSocket.
//! * [`session`]: the sans-IO session core: a ticket in, then datagrams and frames both ways.
//! * [`player`]: plays clips as real-time tracks; sans-IO as well.
//! * [`playout`]: when what came in is played: jitter buffers, lip-sync, quality scores; sans-IO.
//! * [`media`]: clips, packetizers, de-packetizers: what goes into packets and comes out of them.
//! * [`clock`]: the one place that reads time.

pub mod clock;
pub mod driver;
pub mod media;
pub mod player;
pub mod playout;
pub mod session;
pub mod signaling;
