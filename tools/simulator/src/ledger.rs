//! What was sent, held against what arrives: a frame that was never sent like this is a violation.

use std::collections::BTreeMap;

use sluice_client::media::hash::frame_hash;
use sluice_client::session::ReceivedFrame;
use sluice_wire::time::Time;
use sluice_wire::track::TrackId;

/// Hashes of all frames by track, capture time and encoding.
#[derive(Debug, Default)]
pub struct Ledger {
    sent: BTreeMap<(TrackId, Time), Vec<(u8, u64)>>,
    /// Frames found in the ledger.
    pub intact: u64,
}

impl Ledger {
    /// Notes a frame that is sent.
    pub fn on_sent(&mut self, track: TrackId, encoding: u8, captured_at: Time, data: &[u8]) {
        self.sent.entry((track, captured_at)).or_default().push((encoding, frame_hash(data)));
    }

    /// Checks a frame that arrived; tells of which encoding it is.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn on_received(&mut self, received: &ReceivedFrame) -> Result<u8, String> {
        let Some(captured_at) = received.captured_at else {
            return Err(format!("a frame of {:?} has no capture time", received.track));
        };
        // The capture time crosses the wire as NTP, which may round by a nanosecond.
        let around = (received.track, Time::from_nanos(captured_at.as_nanos().saturating_sub(1)))
            ..=(received.track, Time::from_nanos(captured_at.as_nanos() + 1));
        let hash = frame_hash(&received.frame.data);
        let mut candidates = self.sent.range(around).flat_map(|(_, frames)| frames);
        if let Some((encoding, _)) = candidates.find(|(_, sent)| *sent == hash) {
            self.intact += 1;
            return Ok(*encoding);
        }
        Err(format!(
            "slot {} shows a frame of {:?}, captured at {captured_at:?}, that was never sent",
            received.slot, received.track
        ))
    }
}
