//! Published tracks and their encodings: where packets come in and who wants them.

use sluice_wire::control::{Encodings, MAX_LAYERS, PublishedEncoding, PublishedTrack};
use sluice_wire::descriptor::{Descriptors, vp8};
use sluice_wire::ext::FrameMarking;
use sluice_wire::payload_type::PayloadType;
use sluice_wire::reception::Reception;
use sluice_wire::repair::LossDetector;
use sluice_wire::time::Time;
use sluice_wire::track::{TrackId, TrackKind, TrackNumber};

use super::demand::{Demand, Wanted};
use super::header::HeaderTemplate;
use super::history;
use super::ids::{RoomKey, SessionKey, SlotRef};
use super::key_frame::KeyFrameLimiter;
use super::layers::{LayerRates, Layers};
use super::limits::{
    EXPECTED_PENDING_PACKETS, INDEXED_AUDIO_PACKETS, INDEXED_VIDEO_PACKETS, MAX_PENDING_PACKETS,
    PACING_QUANTUM_PACKETS,
};
use super::pool::PoolSlot;
use super::rewrite::{Incoming, PictureNumbers};
use super::speakers::LevelMeter;

/// A part of a pool slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PayloadRange {
    pub(crate) start: u16,
    pub(crate) len: u16,
}

impl PayloadRange {
    /// The bytes, of those of the slot.
    pub(crate) fn of(self, slot: &[u8]) -> &[u8] {
        let start = usize::from(self.start);
        slot.get(start..start + usize::from(self.len)).unwrap_or_default()
    }
}

/// An opened packet that waits for the flush.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) slot: PoolSlot,
    /// Where the payload is within the slot.
    pub(crate) payload: PayloadRange,
    pub(crate) header: HeaderTemplate,
    /// Its place in the publisher's stream.
    pub(crate) incoming: Incoming,
    /// Its place in its frame and layers. Every audio packet is an independent frame of its own.
    pub(crate) marking: FrameMarking,
    /// Where its VP8 payload's running numbers are.
    pub(crate) vp8: Option<vp8::Descriptor>,
}

impl Packet {
    /// Lowers the running numbers of a copy of the payload.
    #[inline]
    pub(crate) fn renumber(&self, payload: &mut [u8], offset: PictureNumbers) {
        if offset != PictureNumbers::default()
            && let (Some(descriptor), Some(numbers)) = (self.vp8, self.incoming.vp8)
        {
            let numbers = numbers.lowered_by(offset);
            descriptor.renumber(payload, numbers.picture_id, numbers.tl0_pic_idx);
        }
    }
}

/// One RTP stream of a track.
#[derive(Debug)]
pub(crate) struct Encoding {
    pub(crate) published: PublishedEncoding,
    /// The SSRC that the publisher sends with.
    pub(crate) ssrc: u32,
    pub(crate) subscribers: Vec<SlotRef>,
    pub(crate) pending: Vec<Packet>,
    /// How many of the pending packets the flush that is under way forwards; 0 when none is.
    pub(crate) flushing: usize,
    /// Subscribers before this one have got those packets.
    pub(crate) flushed_subscribers: usize,
    pub(crate) stats: Reception,
    /// What is missing of it, while anybody wants it.
    pub(crate) losses: LossDetector,
    /// It is in the shard's list of encodings with losses.
    pub(crate) is_lossy: bool,
    pub(crate) key_frames: KeyFrameLimiter,
    /// What each layer brings, whether or not anybody wants it.
    pub(crate) rates: LayerRates,
    /// When a packet came last, or when the encoding was published or asked for.
    pub(crate) last_sign: Time,
    /// It is wanted and does not come.
    pub(crate) is_silent: bool,
    /// What all subscribers want together.
    pub(crate) wanted: Wanted,
    pub(crate) demand: Demand,
    /// A subscriber left or wants less: `subscribers` may name slots that show something else, and `wanted` too much.
    pub(crate) is_stale: bool,
    /// Reads the layers of packets without frame marking.
    pub(crate) descriptors: Descriptors,
    /// Where its forwarded packets are in the shard's history.
    pub(crate) history: history::Index,
}

impl Encoding {
    fn new(published: PublishedEncoding, ssrc: u32, is_audio: bool, now: Time) -> Self {
        let indexed = if is_audio { INDEXED_AUDIO_PACKETS } else { INDEXED_VIDEO_PACKETS };
        Self {
            published,
            ssrc,
            subscribers: Vec::new(),
            pending: Vec::with_capacity(EXPECTED_PENDING_PACKETS),
            flushing: 0,
            flushed_subscribers: 0,
            stats: Reception::default(),
            losses: LossDetector::new(),
            is_lossy: false,
            key_frames: KeyFrameLimiter::default(),
            rates: LayerRates::default(),
            last_sign: now,
            is_silent: false,
            wanted: Wanted::default(),
            demand: Demand::new(layers_of(&published), now),
            is_stale: false,
            descriptors: Descriptors::default(),
            history: history::Index::new(indexed),
        }
    }

    /// How many layers those up to `layers` are, in terms of what was published.
    pub(crate) fn count_of(&self, layers: Layers) -> Wanted {
        let all = layers_of(&self.published);
        Wanted {
            temporal: layers.temporal.saturating_add(1).min(all.temporal),
            spatial: layers.spatial.saturating_add(1).min(all.spatial),
        }
    }

    /// How many of the pending packets may leave at once: a quantum, or all before the list overflows.
    pub(crate) fn quantum(&self) -> usize {
        let is_urgent = self.pending.len() >= MAX_PENDING_PACKETS / 2;
        if is_urgent { self.pending.len() } else { self.pending.len().min(PACING_QUANTUM_PACKETS) }
    }

    /// Bit/s of payload that `layers` of this encoding bring, as measured over the last whole second. `None` while that is not
    /// known: it just began, or the publisher does not send it.
    pub(crate) fn bitrate(&self, layers: Layers, now: Time) -> Option<u32> {
        self.rates.bitrate(layers, now)
    }
}

/// All layers of an encoding; where that was not said, as many as there may be.
fn layers_of(published: &PublishedEncoding) -> Wanted {
    let or_all = |layers: u8| if layers == 0 { MAX_LAYERS } else { layers };
    Wanted { temporal: or_all(published.temporal_layers), spatial: or_all(published.spatial_layers) }
}

/// A published source.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) id: TrackId,
    pub(crate) owner: SessionKey,
    pub(crate) room: RoomKey,
    pub(crate) kind: TrackKind,
    pub(crate) payload_type: PayloadType,
    pub(crate) muted: bool,
    pub(crate) encodings: Vec<Encoding>,
    /// Of a microphone: how loud it is.
    pub(crate) level: LevelMeter,
    /// The demand for it may have changed.
    pub(crate) is_stale: bool,
}

impl Track {
    /// A track as `published` by `owner`; `ssrc_of` names the uplink SSRC of each encoding.
    pub(crate) fn new(
        id: TrackId,
        owner: SessionKey,
        room: RoomKey,
        published: &PublishedTrack,
        now: Time,
        ssrc_of: impl Fn(&PublishedEncoding) -> u32,
    ) -> Self {
        Self {
            id,
            owner,
            room,
            kind: published.kind,
            payload_type: published.payload_type,
            muted: published.muted,
            encodings: published
                .encodings
                .as_slice()
                .iter()
                .map(|encoding| Encoding::new(*encoding, ssrc_of(encoding), published.kind.is_audio(), now))
                .collect(),
            level: LevelMeter::default(),
            is_stale: false,
        }
    }

    /// What was published under `number`.
    pub(crate) fn published(&self, number: TrackNumber) -> Option<PublishedTrack> {
        let encodings: Vec<PublishedEncoding> = self.encodings.iter().map(|of| of.published).collect();
        Some(PublishedTrack {
            number,
            kind: self.kind,
            payload_type: self.payload_type,
            muted: self.muted,
            encodings: Encodings::from_slice(&encodings)?,
        })
    }

    /// Whether `published` describes the same streams; if so only its flags may differ.
    pub(crate) fn has_streams_of(&self, published: &PublishedTrack) -> bool {
        self.kind == published.kind
            && self.payload_type == published.payload_type
            && self.encodings.iter().map(|encoding| &encoding.published).eq(published.encodings.as_slice())
    }
}
