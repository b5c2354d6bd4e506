//! What an application tells its participant to do.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use sluice_wire::control::WantedSlot;
use sluice_wire::time::Time;
use sluice_wire::track::TrackNumber;
use tokio::sync::oneshot;

use super::stats::ParticipantStats;
use crate::media::packetize::FrameLayer;
use crate::player::Player;
use crate::session::{PublishError, SlotStats, TrackConfig};

/// A frame from the application's own encoder.
#[derive(Clone, Debug)]
pub struct FrameToSend {
    /// The track.
    pub track: TrackNumber,
    /// The encoding's position within the track.
    pub encoding: u8,
    /// A VP8 frame, an H.264 access unit with start codes, or an Opus packet.
    pub data: Arc<[u8]>,
    /// Whether decoding can start here.
    pub key: bool,
    /// Its temporal layer.
    pub layer: FrameLayer,
    /// RFC 6464 level of audio, in -dBov.
    pub audio_level: Option<u8>,
    /// When it was captured, on the participant's clock; later than the frame before.
    pub captured_at: Time,
}

pub(super) enum Command {
    Publish(TrackConfig, oneshot::Sender<Result<(), PublishError>>),
    Play(Box<Player>, oneshot::Sender<Result<(), PublishError>>),
    StopPlaying,
    Unpublish(TrackNumber),
    SetMuted(TrackNumber, bool),
    SetLevel(TrackNumber, Option<u8>),
    SetReceiveLimit(u64),
    Want(Vec<WantedSlot>),
    Send(FrameToSend),
    Rebind(oneshot::Sender<io::Result<SocketAddr>>),
    Stats(oneshot::Sender<ParticipantStats>),
    SlotStats(oneshot::Sender<Vec<SlotStats>>),
    Leave,
}
