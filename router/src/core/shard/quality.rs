//! How a session fares, for whoever watches over it.

use std::time::Duration;

use sluice_wire::track::ParticipantId;

use super::Shard;

/// How one receiver's path and its share of it are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SessionQuality {
    /// What congestion control says that the path carries, bit/s; `None` before media was sent.
    pub estimate_bps: Option<u64>,
    /// What the slots share, bit/s; `None` if nothing limits them.
    pub limit_bps: Option<u64>,
    /// RTP sent in the last whole second, bit/s.
    pub sent_bps: u64,
    /// Round-trip time, by feedback or else by reports.
    pub rtt: Option<Duration>,
    /// Time in the path's queue above the least one, smoothed.
    pub queue_delay: Duration,
    /// The share of packets lost lately, 0 to 1.
    pub loss: f64,
    /// Bytes that wait for the receiver's pacer.
    pub paced_bytes: u64,
}

impl Shard {
    /// How the session of a participant fares; `None` if there is none.
    #[must_use]
    pub fn quality(&self, room: &str, participant: ParticipantId) -> Option<SessionQuality> {
        let room = self.rooms.get(*self.room_names.get(room)?)?;
        let session = self.sessions.get(*room.participants.get(&participant)?)?;
        let limit_bps = Some(session.budget.limit_bps).filter(|bps| *bps != u64::MAX);
        let Some(down) = session.down.as_deref() else {
            return Some(SessionQuality { limit_bps, rtt: session.rtt, ..SessionQuality::default() });
        };
        let stats = down.stats();
        Some(SessionQuality {
            estimate_bps: Some(stats.target_bps),
            limit_bps,
            sent_bps: down.sent_bps(),
            rtt: stats.rtt.or(session.rtt),
            queue_delay: stats.queue_delay,
            loss: stats.loss,
            paced_bytes: down.pacer.queued_bytes(),
        })
    }
}
