//! A client for load: the protocol of `sluice-client`, without codecs, jitter buffers or queues.
//!
//! It counts every packet by its sequence number, which is in clear, and opens and checks one of [`VERIFY_EVERY`]. Sans-IO:
//! what it sends is sealed straight into a transmit batch.

mod control;
mod receive;
mod send;

use std::time::Duration;

use sluice_router::core::Path;
use sluice_wire::payload_type::PayloadType;
use sluice_wire::srtp::{Cryptex, InboundSrtp, KeyError, OutboundSrtp};
use sluice_wire::ssrc::{SsrcBlock, StreamIndex, StreamRole};
use sluice_wire::ticket::Ticket;
use sluice_wire::time::Time;
use sluice_wire::track::{ParticipantId, TrackId};

use self::control::Control;
pub use self::receive::{Received, SlotCounts, VERIFY_EVERY};
use self::send::Uplink;
pub use self::send::{FrameShape, HEADER_BYTES, MAX_PAYLOAD_BYTES};

/// How often [`Peer::tend`] must be called.
pub const TEND_INTERVAL: Duration = Duration::from_millis(50);
/// The stream of the uplink that carries the camera.
pub const CAMERA_STREAM: StreamIndex = StreamIndex(1);
/// The stream of the uplink that carries the microphone.
pub const MICROPHONE_STREAM: StreamIndex = StreamIndex(2);

/// A client.
#[derive(Debug)]
pub struct Peer {
    participant: ParticipantId,
    path: Path,
    uplink: SsrcBlock,
    downlink: SsrcBlock,
    outbound: OutboundSrtp,
    inbound: InboundSrtp,
    next_transport: u16,
    camera: Uplink,
    microphone: Uplink,
    slots: Vec<receive::Slot>,
    control: Control,
}

impl Peer {
    /// The client of `ticket`, which sends by `path` (its `remote` is the router's address). `seed` places the first sequence
    /// numbers.
    ///
    /// # Errors
    /// [`KeyError`] if the ticket's keys do not fit its suite.
    pub fn new(participant: ParticipantId, ticket: &Ticket, path: Path, seed: u32) -> Result<Self, KeyError> {
        let (up, down) = (&ticket.uplink, &ticket.downlink);
        // Streams 1 and 2 are within the smallest block.
        let ssrc = |stream| up.ssrcs.ssrc(stream, StreamRole::Media).unwrap_or(up.ssrcs.control());
        Ok(Self {
            participant,
            path,
            uplink: up.ssrcs,
            downlink: down.ssrcs,
            outbound: OutboundSrtp::new(ticket.suite, &up.master, up.ssrcs, Cryptex::Required)?,
            inbound: InboundSrtp::new(ticket.suite, &down.master, down.ssrcs, Cryptex::Required)?,
            next_transport: 0,
            camera: Uplink::new(ssrc(CAMERA_STREAM), PayloadType::Vp8, seed),
            microphone: Uplink::new(ssrc(MICROPHONE_STREAM), PayloadType::Opus, seed.rotate_left(16)),
            slots: Vec::new(),
            control: Control::default(),
        })
    }

    /// Who it is.
    #[must_use]
    pub const fn participant(&self) -> ParticipantId {
        self.participant
    }

    /// Sets what the slots are to show, from slot 0 on. The router is told by [`Self::tend`].
    pub fn want(&mut self, tracks: &[TrackId]) {
        // Wherever the addresses of blocks start, different slots check at different times.
        let phase = u64::from(self.downlink.base() / self.downlink.count()) * 7;
        self.slots = (phase..).zip(tracks).map(|(phase, track)| receive::Slot::new(*track, phase)).collect();
        self.control.renew_wanted();
    }

    /// Declares the camera, the microphone or both. The router is told by [`Self::tend`].
    pub fn publish(&mut self, camera: bool, microphone: bool) {
        self.control.renew_published(camera, microphone);
    }

    /// Whether the router has acknowledged all that was published and wanted.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.control.is_settled()
    }

    /// Whether every slot has shown something.
    #[must_use]
    pub fn is_flowing(&self) -> bool {
        self.slots.iter().all(receive::Slot::has_begun)
    }

    /// Whether the router ended the session.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.control.is_closed
    }

    /// Whether the router asked for a key frame since this was asked last.
    pub const fn take_key_frame_request(&mut self) -> bool {
        std::mem::replace(&mut self.control.wants_key_frame, false)
    }

    /// What the slots counted since [`Self::reset_counts`], all together.
    #[must_use]
    pub fn counts(&self) -> SlotCounts {
        self.slots.iter().fold(SlotCounts::default(), |sum, slot| sum + slot.counts())
    }

    /// Counts from zero on; the streams go on.
    pub fn reset_counts(&mut self) {
        self.slots.iter_mut().for_each(receive::Slot::reset_counts);
    }

    const fn note_sent(&mut self, now: Time) {
        self.control.last_sent = Some(now);
    }
}
