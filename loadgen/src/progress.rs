//! What a run has done so far. Written by all participants, read by whoever shows it.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// Where a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Meetings are created.
    #[default]
    Creating = 0,
    /// Participants come in.
    Joining = 1,
    /// Everybody is in; the first frames are on their way.
    Settling = 2,
    /// The time that counts.
    Measuring = 3,
    /// Publishers have stopped; what is on its way arrives.
    Draining = 4,
    /// Everybody leaves.
    Leaving = 5,
    /// The report is ready.
    Done = 6,
}

impl Phase {
    const ALL: [Self; 7] = [
        Self::Creating,
        Self::Joining,
        Self::Settling,
        Self::Measuring,
        Self::Draining,
        Self::Leaving,
        Self::Done,
    ];

    /// What a person reads.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Creating => "creating meetings",
            Self::Joining => "joining",
            Self::Settling => "waiting for first frames",
            Self::Measuring => "measuring",
            Self::Draining => "draining",
            Self::Leaving => "leaving",
            Self::Done => "done",
        }
    }
}

/// Numbers that grow while a run goes on. They are for showing: the report is counted anew at the end.
#[derive(Debug, Default)]
pub struct Progress {
    phase: AtomicU8,
    measured_ms: AtomicU64,
    pub(crate) joined: AtomicU64,
    pub(crate) connected: AtomicU64,
    pub(crate) tracks_published: AtomicU64,
    pub(crate) subscriptions: AtomicU64,
    pub(crate) subscriptions_flowing: AtomicU64,
    pub(crate) rtp_sent: AtomicU64,
    pub(crate) rtp_received: AtomicU64,
    pub(crate) rtp_lost: AtomicU64,
    pub(crate) bytes_sent: AtomicU64,
    pub(crate) frames_sent: AtomicU64,
    pub(crate) frames_intact: AtomicU64,
    pub(crate) frames_corrupt: AtomicU64,
    pub(crate) auth_failures: AtomicU64,
}

/// [`Progress`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Where the run is.
    pub phase: Phase,
    /// How much of the measured time is over, in milliseconds.
    pub measured_ms: u64,
    /// Participants whom signaling let in.
    pub joined: u64,
    /// Participants whom the router answered.
    pub connected: u64,
    /// Tracks published.
    pub tracks_published: u64,
    /// Slots that are to show a track.
    pub subscriptions: u64,
    /// Of these, how many have shown a frame.
    pub subscriptions_flowing: u64,
    /// RTP packets sent; a second old at most.
    pub rtp_sent: u64,
    /// RTP packets received; a second old at most.
    pub rtp_received: u64,
    /// RTP packets missing in the sequences of receivers; a second old at most.
    pub rtp_lost: u64,
    /// UDP payload bytes sent; a second old at most.
    pub bytes_sent: u64,
    /// Frames sent.
    pub frames_sent: u64,
    /// Frames received as they were sent.
    pub frames_intact: u64,
    /// Frames received otherwise.
    pub frames_corrupt: u64,
    /// Datagrams that did not authenticate; a second old at most.
    pub auth_failures: u64,
}

impl Progress {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The numbers now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let phase = usize::from(self.phase.load(Ordering::Relaxed));
        Snapshot {
            phase: Phase::ALL.get(phase).copied().unwrap_or_default(),
            measured_ms: read(&self.measured_ms),
            joined: read(&self.joined),
            connected: read(&self.connected),
            tracks_published: read(&self.tracks_published),
            subscriptions: read(&self.subscriptions),
            subscriptions_flowing: read(&self.subscriptions_flowing),
            rtp_sent: read(&self.rtp_sent),
            rtp_received: read(&self.rtp_received),
            rtp_lost: read(&self.rtp_lost),
            bytes_sent: read(&self.bytes_sent),
            frames_sent: read(&self.frames_sent),
            frames_intact: read(&self.frames_intact),
            frames_corrupt: read(&self.frames_corrupt),
            auth_failures: read(&self.auth_failures),
        }
    }

    pub(crate) fn measured(&self, time: Duration) {
        self.measured_ms.store(u64::try_from(time.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }
}

/// Adds to a number of [`Progress`].
pub(crate) fn add(number: &AtomicU64, more: u64) {
    number.fetch_add(more, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_survive_the_atomic() {
        let progress = Progress::new();
        for phase in Phase::ALL {
            progress.enter(phase);
            assert_eq!(progress.snapshot().phase, phase);
            assert!(!phase.label().is_empty());
        }
    }
}
