//! How many repair packets a block is worth.
//!
//! Retransmission costs what was lost and nothing else, but a round trip; so FEC is for what that is too slow for, and never more
//! than a share of what is sent that follows the loss. Within it the most important frames come first.

use std::time::Duration;

use super::{MAX_REPAIRS, MAX_SOURCES};

/// Below this loss nothing is protected: retransmission of one packet in a hundred costs less than the smallest FEC.
pub const MIN_LOSS: f32 = 0.01;
/// Below this round trip a retransmission arrives before the next frame is due.
pub const MIN_RTT: Duration = Duration::from_millis(20);
/// From this round trip on a retransmission, which takes one and a half with the gap's detection, misses its frame's 150 ms.
pub const LONG_RTT: Duration = Duration::from_millis(100);
/// Most repair packets for each source packet of a key frame or the base layer.
pub const MAX_SHARE_OF_BASE: f32 = 0.5;
/// Most repair packets for each source packet of the other layers, which nothing depends on for long.
pub const MAX_SHARE_OF_OTHERS: f32 = 0.25;
/// Repair packets for each lost one, over all frames: with retransmissions, 5 % loss costs less than 20 %.
const SHARE_PER_LOSS: f32 = 3.0;
/// The same where retransmission comes too late.
const SHARE_PER_LOSS_LONG_RTT: f32 = 6.0;
/// What may be saved up of the share, in packets: a frame's worth of protection, so that a pause does not end in a burst.
const MAX_SAVED_PACKETS: f32 = 4.0;
/// What the other layers leave of it for the base layer and key frames.
const RESERVED_PACKETS: f32 = 2.0;
/// A mean burst is not taken for longer than this; the model is of bursts within a block.
const MAX_MEAN_BURST_PACKETS: f32 = 16.0;
/// Loss is not taken for more: beyond it no rate helps.
const MAX_LOSS: f32 = 0.5;

/// What a path is like, as measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    /// The part of the packets that is lost, 0 to 1, before any repair.
    pub loss: f32,
    /// Packets lost in a row, on average; 1 and below is loss without memory.
    pub mean_burst_packets: f32,
    /// The round trip.
    pub rtt: Duration,
}

/// What a frame is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Importance {
    /// No other frame needs it for long: a higher temporal or spatial layer.
    Other,
    /// All frames up to the next key frame need it.
    Base,
    /// Nothing is seen without it, and it is asked for again only at a great price.
    Key,
}

impl Importance {
    /// The part of its blocks that may stay incomplete, before retransmission.
    const fn tolerated(self, is_rtt_long: bool) -> f32 {
        match (self, is_rtt_long) {
            (Self::Other, false) => 0.12,
            (Self::Base, false) | (Self::Other, true) => 0.06,
            (Self::Key, false) | (Self::Base, true) => 0.02,
            (Self::Key, true) => 0.005,
        }
    }

    const fn max_share(self) -> f32 {
        match self {
            Self::Other => MAX_SHARE_OF_OTHERS,
            Self::Base | Self::Key => MAX_SHARE_OF_BASE,
        }
    }
}

/// Loss and arrival as a chain of two states (Gilbert): how many of a row of packets are lost.
struct Losses {
    loss_after_arrival: f32,
    loss_after_loss: f32,
    /// The probability of so many losses, where the last packet arrived, and where it was lost.
    arrived: [f32; MAX_REPAIRS + 1],
    lost: [f32; MAX_REPAIRS + 1],
}

impl Losses {
    fn new(conditions: &Conditions) -> Self {
        let loss = conditions.loss.min(MAX_LOSS);
        // Without memory a burst has 1 / (1 - loss) packets on average, and it cannot have fewer for long.
        let burst = conditions.mean_burst_packets.clamp(1.0 / (1.0 - loss), MAX_MEAN_BURST_PACKETS);
        let (mut arrived, mut lost) = ([0.0; MAX_REPAIRS + 1], [0.0; MAX_REPAIRS + 1]);
        (arrived[0], lost[0]) = (1.0 - loss, loss);
        Self {
            loss_after_arrival: loss / (burst * (1.0 - loss)),
            loss_after_loss: 1.0 - 1.0 / burst,
            arrived,
            lost,
        }
    }

    fn next_packet(&mut self) {
        let mut fewer = 0.0;
        for (arrived, lost) in self.arrived.iter_mut().zip(&mut self.lost) {
            let is_lost = *arrived * self.loss_after_arrival + *lost * self.loss_after_loss;
            *arrived = *arrived * (1.0 - self.loss_after_arrival) + *lost * (1.0 - self.loss_after_loss);
            *lost = std::mem::replace(&mut fewer, is_lost);
        }
    }

    /// The probability of more than `count` losses.
    fn more_than(&self, count: usize) -> f32 {
        1.0 - self
            .arrived
            .iter()
            .zip(&self.lost)
            .take(count + 1)
            .map(|(arrived, lost)| arrived + lost)
            .sum::<f32>()
    }
}

/// How many repair packets a block of `sources` packets needs, if only its own importance counts: so many that it stays
/// incomplete seldom enough, within the share of its kind (but one at least), and none where conditions do not ask for FEC.
#[must_use]
pub fn wanted(conditions: &Conditions, importance: Importance, sources: usize) -> usize {
    if !needs_repair(conditions) || sources == 0 {
        return 0;
    }
    let sources = sources.min(MAX_SOURCES);
    let most = ((sources as f32 * importance.max_share()) as usize).clamp(1, MAX_REPAIRS);
    let tolerated = importance.tolerated(conditions.rtt >= LONG_RTT);
    let mut losses = Losses::new(conditions);
    (0..sources).for_each(|_| losses.next_packet());
    for repairs in 0..most {
        if losses.more_than(repairs) <= tolerated {
            return repairs;
        }
        losses.next_packet();
    }
    most
}

/// Whether FEC is of any use. Measurements that are no numbers ask for none.
fn needs_repair(conditions: &Conditions) -> bool {
    conditions.loss >= MIN_LOSS && conditions.mean_burst_packets.is_finite() && conditions.rtt >= MIN_RTT
}

/// Shares out what a stream may spend on FEC.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Policy {
    saved_packets: f32,
}

impl Policy {
    /// How many repair packets to send of a block of `sources` packets, which is sent now.
    pub fn repairs(&mut self, conditions: &Conditions, importance: Importance, sources: usize) -> usize {
        if !needs_repair(conditions) {
            self.saved_packets = 0.0;
            return 0;
        }
        let per_loss = if conditions.rtt < LONG_RTT { SHARE_PER_LOSS } else { SHARE_PER_LOSS_LONG_RTT };
        let share = (conditions.loss * per_loss).min(MAX_SHARE_OF_BASE);
        self.saved_packets = self.saved_packets.min(MAX_SAVED_PACKETS) + share * sources as f32;
        let reserved = if importance == Importance::Other { RESERVED_PACKETS } else { 0.0 };
        let affordable = (self.saved_packets - reserved).max(0.0) as usize;
        let repairs = wanted(conditions, importance, sources).min(affordable);
        self.saved_packets -= repairs as f32;
        repairs
    }
}

#[cfg(test)]
mod tests;
