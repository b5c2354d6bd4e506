//! Published tracks and their encodings: where packets come in and who wants them.

use sluice_wire::control::{PublishedEncoding, PublishedTrack};
use sluice_wire::descriptor::{Descriptors, vp8};
use sluice_wire::ext::FrameMarking;
use sluice_wire::payload_type::PayloadType;
use sluice_wire::reception::Reception;
use sluice_wire::time::Time;
use sluice_wire::track::{TrackId, TrackKind};

use super::header::HeaderTemplate;
use super::ids::{RoomKey, SessionKey, SlotRef};
use super::key_frame::KeyFrameLimiter;
use super::layers::{LayerRates, Layers};
use super::limits::{EXPECTED_PENDING_PACKETS, MAX_PENDING_PACKETS, PACING_QUANTUM_PACKETS};
use super::pool::PoolSlot;
use super::rewrite::{Incoming, PictureNumbers};

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
    pub(crate) key_frames: KeyFrameLimiter,
    /// What each layer brings, whether or not anybody wants it.
    pub(crate) rates: LayerRates,
    /// Reads the layers of packets without frame marking.
    pub(crate) descriptors: Descriptors,
}

impl Encoding {
    fn new(published: PublishedEncoding, ssrc: u32) -> Self {
        Self {
            published,
            ssrc,
            subscribers: Vec::new(),
            pending: Vec::with_capacity(EXPECTED_PENDING_PACKETS),
            flushing: 0,
            flushed_subscribers: 0,
            stats: Reception::default(),
            key_frames: KeyFrameLimiter::default(),
            rates: LayerRates::default(),
            descriptors: Descriptors::default(),
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

    pub(crate) fn unsubscribe(&mut self, subscriber: SlotRef) {
        self.subscribers.retain(|other| *other != subscriber);
    }
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
}

impl Track {
    /// A track as `published` by `owner`; `ssrc_of` names the uplink SSRC of each encoding.
    pub(crate) fn new(
        id: TrackId,
        owner: SessionKey,
        room: RoomKey,
        published: &PublishedTrack,
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
                .map(|encoding| Encoding::new(*encoding, ssrc_of(encoding)))
                .collect(),
        }
    }

    /// Whether `published` describes the same streams; if so only its flags may differ.
    pub(crate) fn has_streams_of(&self, published: &PublishedTrack) -> bool {
        self.kind == published.kind
            && self.payload_type == published.payload_type
            && self.encodings.iter().map(|encoding| &encoding.published).eq(published.encodings.as_slice())
    }

    /// The best encoding of at most `max_height` (0: no limit), or the smallest if all are higher.
    pub(crate) fn encoding_for_height(&self, max_height: u16) -> u8 {
        let fits = |encoding: &Encoding| max_height == 0 || encoding.published.height <= max_height;
        self.encodings.iter().rposition(fits).unwrap_or(0) as u8
    }
}
