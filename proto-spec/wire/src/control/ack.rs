//! Acknowledgements of state pages, `proto-spec/spec/04-control.md` section 4.3.

use super::{MAX_PAGES, StateKind};
use crate::rtp::{BufferTooSmall, Put};

const ENTRY_BYTES: usize = 8;

/// What became of a state page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AckStatus {
    /// Its content holds.
    Applied = 0,
    /// Its entries are malformed; it changed nothing.
    Malformed = 1,
    /// It exceeds a limit; it changed nothing.
    LimitExceeded = 2,
    /// The sender may not say this; it changed nothing.
    NotAllowed = 3,
}

impl AckStatus {
    /// The status of a byte from the wire.
    #[must_use]
    pub const fn from_u8(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Applied),
            1 => Some(Self::Malformed),
            2 => Some(Self::LimitExceeded),
            3 => Some(Self::NotAllowed),
            _ => None,
        }
    }
}

/// The acknowledgement of one version of one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AckEntry {
    /// The state.
    pub kind: StateKind,
    /// The number of the page.
    pub page: u8,
    /// What became of it.
    pub status: AckStatus,
    /// The version of the page.
    pub version: u32,
}

impl AckEntry {
    fn parse(&[kind, page, status, _, v0, v1, v2, v3]: &[u8; ENTRY_BYTES]) -> Option<Self> {
        if page >= MAX_PAGES {
            return None;
        }
        let kind = StateKind::from_u8(kind)?;
        let status = AckStatus::from_u8(status)?;
        Some(Self { kind, page, status, version: u32::from_be_bytes([v0, v1, v2, v3]) })
    }

    pub(super) fn put(&self, put: &mut Put<'_>) -> Result<(), BufferTooSmall> {
        put.bytes(&[self.kind as u8, self.page, self.status as u8, 0])?;
        put.u32(self.version)
    }
}

/// A view of an ack message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acks<'a> {
    entries: &'a [[u8; ENTRY_BYTES]],
}

impl<'a> Acks<'a> {
    pub(super) fn parse(data: &'a [u8]) -> Option<Self> {
        let (entries, rest) = data.as_chunks();
        let well_formed = rest.is_empty() && entries.iter().all(|entry| AckEntry::parse(entry).is_some());
        well_formed.then_some(Self { entries })
    }

    /// The entries.
    pub fn entries(&self) -> impl Iterator<Item = AckEntry> + Clone + 'a {
        self.entries.iter().filter_map(AckEntry::parse)
    }
}
