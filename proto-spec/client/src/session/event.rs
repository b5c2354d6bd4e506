//! What comes out of a session.

use std::time::Duration;

use sluice_wire::control::{AckStatus, CloseCode, Demand, ShownSlot, Speaker, StateKind};
use sluice_wire::time::Time;
use sluice_wire::track::{TrackId, TrackNumber};

use crate::media::Codec;
use crate::media::depacketize::AssembledFrame;
use crate::media::freezes::FreezeStats;

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
    /// Whether all that it depends on came before it, as far as [`dependencies`](crate::media::dependencies) can tell.
    pub is_decodable: bool,
    /// The temporal layer, by frame marking; 0 of audio.
    pub temporal_id: u8,
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
    /// The packets of a slot are of another track than before, or the first of all. Told before the track's first frame.
    SourceChanged {
        /// The slot.
        slot: u16,
        /// The track that it shows from here on.
        track: TrackId,
    },
    /// What anybody wants of an encoding has changed. What is not wanted does not leave any more, whether it is handed in or not;
    /// an encoding that is wanted again asks for a key frame by itself.
    Demand(Demand),
    /// Who speaks has changed: the most recent speaker first.
    Speakers(Vec<Speaker>),
    /// A key frame is needed: the router asks for one, or an encoding is wanted again.
    KeyFrameRequested {
        /// The track.
        track: TrackNumber,
        /// The encoding's position within the track.
        encoding: u8,
    },
    /// The uplink carries this much now, all encodings and their overhead together.
    UplinkBitrate {
        /// Bit/s.
        bits_per_second: u64,
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

/// What came on a slot, in numbers since the session began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotStats {
    /// The slot.
    pub slot: u16,
    /// RTP packets that came.
    pub packets: u64,
    /// UDP payload bytes of the datagrams that they came in.
    pub bytes: u64,
    /// RTP packets that the slot's sequence lacks, whether or not they came by repair.
    pub packets_missing: u64,
    /// RTP packets that came by repair.
    pub packets_recovered: u64,
    /// Frames that arrived whole.
    pub frames: u64,
    /// Of these, frames that cannot be decoded, since something that they depend on did not come.
    pub frames_undecodable: u64,
    /// Freezes of the picture.
    pub freezes: FreezeStats,
    /// From the moment that the router was asked for what the slot is to show to the first frame of it that can be decoded. Absent
    /// until it comes, and for slots that show nothing.
    pub first_frame: Option<Duration>,
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
    /// Packets of padding sent, which are not among `rtp_sent`.
    pub padding_sent: u64,
    /// Packets of padding that came, which are not among `rtp_received`.
    pub padding_received: u64,
    /// UDP payload bytes of all datagrams sent.
    pub bytes_sent: u64,
    /// RTP packets that authenticated, without those sent again.
    pub rtp_received: u64,
    /// RTP packets that the slots' sequences lack, whether or not they came by repair.
    pub rtp_lost: u64,
    /// RTP packets that came by repair.
    pub rtp_recovered: u64,
    /// RTP packets that were missing and that nothing waits for any more.
    pub rtp_given_up: u64,
    /// NACKs sent, one per slot.
    pub nacks_sent: u64,
    /// Packets asked for in them.
    pub packets_nacked: u64,
    /// RTX packets that came for nothing: what they carry was there.
    pub rtx_useless: u64,
    /// NACKs of the router, one per stream.
    pub nacks_received: u64,
    /// Packets sent again.
    pub rtx_sent: u64,
    /// Packets that the router asked for and that were not sent again: too old, or too often.
    pub resends_refused: u64,
    /// SRTCP datagrams sent.
    pub rtcp_sent: u64,
    /// SRTCP datagrams that authenticated.
    pub rtcp_received: u64,
    /// Frames sent.
    pub frames_sent: u64,
    /// Frames handed in that did not leave, since nobody wanted them.
    pub frames_withheld: u64,
    /// Their bytes, without any headers.
    pub bytes_withheld: u64,
    /// Packets of muted microphones that say how loud it is.
    pub levels_sent: u64,
    /// Frames that arrived whole.
    pub frames_received: u64,
    /// Frames that arrived in part.
    pub frames_broken: u64,
    /// Frames that arrived whole and cannot be decoded.
    pub frames_undecodable: u64,
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
