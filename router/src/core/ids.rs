//! Keys of what a shard owns. A key of something that is gone finds nothing.

use std::fmt;

slotmap::new_key_type! {
    /// A session of this shard.
    pub struct SessionKey;
    /// A room of this shard.
    pub struct RoomKey;
    /// A published track of this shard.
    pub struct TrackKey;
}

/// A slot of a session: where a subscription ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SlotRef {
    /// The receiving session.
    pub(crate) session: SessionKey,
    /// The slot's number.
    pub(crate) slot: u16,
}

/// One encoding of a track: where a subscription starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EncodingRef {
    /// The track.
    pub(crate) track: TrackKey,
    /// The encoding's position within the track.
    pub(crate) encoding: u8,
}

/// A session's name in logs and on the control connection: not a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionName(pub u64);

impl fmt::Display for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
