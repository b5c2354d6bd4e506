//! The measured bitrate of an encoding's layers: what a choice of layers costs.

use std::time::Duration;

use sluice_wire::control::MAX_LAYERS;
use sluice_wire::ext::FrameMarking;
use sluice_wire::time::Time;

use super::Layers;

const LAYERS: usize = MAX_LAYERS as usize;
/// Over how long bytes are counted: a few periods of any temporal pattern, and a group of pictures is not seen as a burst.
const WINDOW: Duration = Duration::from_secs(1);
/// What was measured says nothing any more when no packet came for so long.
const STALE_AFTER: Duration = Duration::from_secs(2);

/// Bytes by spatial and temporal layer. Layers beyond [`MAX_LAYERS`] count as the last.
type Grid = [[u32; LAYERS]; LAYERS];

/// Counts what comes in of an encoding. Plain additions per packet.
#[derive(Debug, Default)]
pub(crate) struct LayerRates {
    began: Time,
    counted: Grid,
    measured: Grid,
    /// How long the measured window was; zero before the first.
    measured_over: Duration,
}

impl LayerRates {
    /// Takes in a packet whose payload has `bytes` bytes.
    pub(crate) fn on_packet(&mut self, marking: FrameMarking, bytes: usize, now: Time) {
        let elapsed = now.saturating_since(self.began);
        if elapsed >= WINDOW {
            self.turn(now, elapsed);
        }
        let [spatial, temporal] =
            [marking.layer_id, marking.temporal_id].map(|layer| usize::from(layer).min(LAYERS - 1));
        let cell = &mut self.counted[spatial][temporal];
        *cell = cell.saturating_add(bytes as u32);
    }

    fn turn(&mut self, now: Time, elapsed: Duration) {
        // The first window, and one that a silence stretched, measured nothing.
        let is_whole = elapsed < STALE_AFTER;
        self.measured_over = if is_whole { elapsed } else { Duration::ZERO };
        self.measured = std::mem::take(&mut self.counted);
        self.began = now;
    }

    /// Bit/s of payload of everything up to and including the layers, over the last whole second. `None` if that is not known:
    /// the encoding just began, or is silent.
    pub(crate) fn bitrate(&self, layers: Layers, now: Time) -> Option<u32> {
        if self.measured_over.is_zero() || now.saturating_since(self.began) >= STALE_AFTER {
            return None;
        }
        let up_to = |layer: u8| usize::from(layer).min(LAYERS - 1);
        let rows = &self.measured[..=up_to(layers.spatial)];
        let bytes: u64 =
            rows.iter().flat_map(|row| &row[..=up_to(layers.temporal)]).copied().map(u64::from).sum();
        let bits_per_second = bytes * 8 * 1_000 / (self.measured_over.as_millis() as u64).max(1);
        Some(u32::try_from(bits_per_second).unwrap_or(u32::MAX))
    }
}
