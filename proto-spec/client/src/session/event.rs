//! What comes out of a session.

use sluice_wire::control::{AckStatus, CloseCode, ShownSlot, StateKind};
use sluice_wire::time::Time;
use sluice_wire::track::{TrackId, TrackNumber};

use crate::media::Codec;
use crate::media::depacketize::AssembledFrame;

/// A frame that arrived whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedFrame {
    /// The slot that it came on.
    pub slot: u16,
    /// The track that the slot shows.
    pub track: TrackId,
    /// The codec of its bytes.
    pub codec: Codec,
    /// The frame.
    pub frame: AssembledFrame,
    /// Whether all that it depends on came before it. A conservative guess: after a gap, only from the next key frame on.
    pub is_decodable: bool,
    /// When it was captured, on the sender's clock.
    pub captured_at: Option<Time>,
    /// When its last packet came.
    pub received_at: Time,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The router answered for the first time.
    Connected,
    /// A frame arrived whole.
    Frame(Box<ReceivedFrame>),
    /// A slot shows something else than before, or says why it does not.
    Shown(ShownSlot),
    /// The router wants a key frame.
    KeyFrameRequested {
        /// The track.
        track: TrackNumber,
        /// The encoding's position within the track.
        encoding: u8,
    },
    /// The router refused a page of a state; the page changed nothing.
    Refused {
        /// The state.
        state: StateKind,
        /// Why.
        status: AckStatus,
    },
    /// Nothing has come for 500 ms.
    PathSuspect,
    /// Something came again.
    PathRecovered,
    /// The session is over.
    Closed(CloseCode),
}

/// What happened to a session, in numbers since its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionStats {
    /// Datagrams handed in.
    pub datagrams_received: u64,
    /// Their UDP payload bytes.
    pub bytes_received: u64,
    /// RTP packets sent.
    pub rtp_sent: u64,
    /// UDP payload bytes of all datagrams sent.
    pub bytes_sent: u64,
    /// RTP packets that authenticated.
    pub rtp_received: u64,
    /// RTP packets that the slots' sequences lack.
    pub rtp_lost: u64,
    /// SRTCP datagrams sent.
    pub rtcp_sent: u64,
    /// SRTCP datagrams that authenticated.
    pub rtcp_received: u64,
    /// Frames handed in to be sent.
    pub frames_sent: u64,
    /// Frames that arrived whole.
    pub frames_received: u64,
    /// Frames that arrived in part.
    pub frames_broken: u64,
    /// Datagrams whose tag did not verify.
    pub auth_failures: u64,
    /// Datagrams that were seen before, or are too old to tell.
    pub replayed: u64,
    /// Datagrams that are none of the protocol's.
    pub malformed: u64,
    /// Key frames that this end asked for.
    pub key_frame_requests_sent: u64,
    /// Key frames that the router asked for.
    pub key_frame_requests_received: u64,
    /// Events that were not polled in time.
    pub events_lost: u64,
    /// Datagrams that were not polled in time.
    pub transmits_lost: u64,
}
