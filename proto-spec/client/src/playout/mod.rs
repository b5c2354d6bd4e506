//! When received frames are played: the jitter buffers of a receiver, lip-sync, and what the result is worth. Sans-IO.
//!
//! * [`audio`]: frames of sound, gapless: at each playout instant a frame, or how to bridge its absence.
//! * [`video`]: decodable pictures, each at its capture time plus a delay that is the same for all.
//! * [`sync`]: sound and picture of one participant with the same delay.
//! * [`quality`]: scores from 1 to 5 and the "unstable connection" mark, from what the buffers counted.
//! * [`received`]: what a session received, as what a buffer takes.
//! * [`delay`]: the estimate behind both buffers: how much later than the fastest one packets come.
//!
//! No decoder and no clock is in here. A player that has them does for each slot:
//!
//! ```text
//!  ReceivedFrame ─▶ playable ─▶ push ─▶ AudioPlayout ─▶ poll at next_at ─▶ decode, stretch or conceal ─▶ sound card
//!  ReceivedFrame ─▶ playable ─▶ push ─▶ VideoPlayout ─▶ poll at next_at ─▶ decode ─▶ show
//!                                            │  latency             ▲ set_added_delay
//!                                            └──────▶ LipSync ──────┘     about ten times a second
//! ```
//!
//! **Order** is that of the packet index, which the session extends from the sequence number and the router never uses twice; so a
//! frame is given out at most once and never after a later one, whatever comes in. **Time** is mapped by differences alone: the
//! sender's clock may be off by years and may drift by hundreds of parts per million.
//!
//! **Bounds**: each buffer holds so many frames and bytes, the statistics are of fixed size, and a packet costs no allocation
//! beyond a buffer's growth to its bound.

pub mod audio;
pub mod delay;
pub mod quality;
pub mod received;
pub mod sync;
pub mod video;

#[cfg(test)]
mod simulation;
mod unwrap;

use std::time::Duration;

use sluice_wire::time::Time;

/// How a stream stands on its sender's capture clock.
///
/// Both are a time of this machine minus a time of the sender's clock, in microseconds, so that each alone means nothing; the
/// difference of two streams of one sender is what one of them lags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Of the fastest packets, plus the delay that the buffer needs for itself. What was added for lip-sync is not in it.
    pub needed_us: i64,
    /// Of what was played last.
    pub actual_us: i64,
}

/// What became of a frame that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It waits for its time.
    Buffered,
    /// Something that comes after it was given out already. It is gone.
    Late,
    /// It is there already, or was.
    Duplicate,
}

/// Microseconds since the epoch: the unit in which differences are safe from overflow.
const fn micros(time: Time) -> i64 {
    (time.as_nanos() / 1_000) as i64
}

/// Back from [`micros`].
fn time_of(micros: i64) -> Time {
    Time::from_nanos(micros.max(0).unsigned_abs().saturating_mul(1_000))
}

fn duration_us(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn duration_of(micros: i64) -> Duration {
    Duration::from_micros(micros.max(0).unsigned_abs())
}

/// RTP clock ticks as microseconds, rounded down.
fn ticks_us(ticks: i64, rate_hz: u32) -> i64 {
    let micros = i128::from(ticks) * 1_000_000 / i128::from(rate_hz.max(1));
    i64::try_from(micros).unwrap_or(if ticks < 0 { i64::MIN } else { i64::MAX })
}
