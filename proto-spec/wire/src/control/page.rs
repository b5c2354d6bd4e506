//! State pages, `proto-spec/spec/04-control.md` section 4.4.

use super::{
    ControlError, Demand, MAX_PAGE_BODY_BYTES, MAX_PAGES, PublishedTrack, ShownSlot, Speaker, WantedSlot,
    demand, published, shown, speakers, wanted,
};
use crate::rtp::{BufferTooSmall, Put};

/// Bytes of a page's header.
pub(super) const HEADER_BYTES: usize = 8;

/// A synchronised state; its number is the subtype of its pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum StateKind {
    /// The tracks that a client publishes.
    Published = 8,
    /// What a client wants in its slots.
    Wanted = 9,
    /// What the router shows in them.
    Shown = 10,
    /// What anyone wants of the tracks that a client publishes.
    Demand = 11,
    /// Who spoke last in the room.
    Speakers = 12,
}

impl StateKind {
    /// The state of a subtype.
    #[must_use]
    pub const fn from_u8(subtype: u8) -> Option<Self> {
        match subtype {
            8 => Some(Self::Published),
            9 => Some(Self::Wanted),
            10 => Some(Self::Shown),
            11 => Some(Self::Demand),
            12 => Some(Self::Speakers),
            _ => None,
        }
    }

    /// Whether clients send it to the router; the router sends the others to clients.
    #[must_use]
    pub const fn is_from_client(self) -> bool {
        matches!(self, Self::Published | Self::Wanted)
    }
}

/// Which page of a state, and which version of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PageHeader {
    /// The page's version, from 1.
    pub version: u32,
    /// The number of the page, below `pages`.
    pub page: u8,
    /// How many pages the state has now, 1 to [`MAX_PAGES`].
    pub pages: u8,
}

impl PageHeader {
    /// Splits the header off a body: it, the number of entries, and the entries' bytes.
    fn split(body: &[u8]) -> Option<(Self, u16, &[u8])> {
        let (&[v0, v1, v2, v3, page, pages, e0, e1], rest) = body.split_first_chunk::<HEADER_BYTES>()?;
        let header = Self { version: u32::from_be_bytes([v0, v1, v2, v3]), page, pages };
        header.is_valid().then_some((header, u16::from_be_bytes([e0, e1]), rest))
    }

    const fn is_valid(self) -> bool {
        self.version > 0 && self.pages <= MAX_PAGES && self.page < self.pages
    }

    /// Writes the header and the entries that `put_entry` writes.
    pub(super) fn put_page<T>(
        self,
        put: &mut Put<'_>,
        entries: &[T],
        put_entry: impl Fn(&T, &mut Put<'_>) -> Result<(), BufferTooSmall>,
    ) -> Result<(), BufferTooSmall> {
        let start = put.len();
        put.u32(self.version)?;
        put.bytes(&[self.page, self.pages])?;
        put.u16(u16::try_from(entries.len()).map_err(|_| BufferTooSmall)?)?;
        for entry in entries {
            put_entry(entry, put)?;
        }
        if put.len() - start > MAX_PAGE_BODY_BYTES { Err(BufferTooSmall) } else { Ok(()) }
    }
}

/// A view of a page whose entries are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatePage<'a> {
    /// The state.
    pub kind: StateKind,
    /// The page's version, from 1.
    pub version: u32,
    /// The number of the page, below `pages`.
    pub page: u8,
    /// How many pages the state has now, 1 to [`MAX_PAGES`].
    pub pages: u8,
    count: u16,
    entries: &'a [u8],
}

impl<'a> StatePage<'a> {
    pub(super) fn parse(kind: StateKind, body: &'a [u8]) -> Result<Self, ControlError> {
        let (header, count, entries) =
            PageHeader::split(body).ok_or(ControlError::Malformed { subtype: kind as u8 })?;
        let PageHeader { version, page, pages } = header;
        let well_formed = body.len() <= MAX_PAGE_BODY_BYTES
            && match kind {
                StateKind::Published => published::are_valid(count, entries),
                StateKind::Wanted => wanted::are_valid(count, entries),
                StateKind::Shown => shown::are_valid(count, entries),
                StateKind::Demand => demand::are_valid(count, entries),
                StateKind::Speakers => speakers::are_valid(count, entries),
            };
        if !well_formed {
            return Err(ControlError::MalformedPage { kind, page, version });
        }
        Ok(Self { kind, version, page, pages, count, entries })
    }

    /// How many entries the page has.
    #[must_use]
    pub const fn entry_count(&self) -> u16 {
        self.count
    }

    /// The tracks of a page of [`StateKind::Published`]; none of another's.
    pub fn published(&self) -> impl Iterator<Item = PublishedTrack> + Clone + 'a {
        published::entries(self.entries_of(StateKind::Published))
    }

    /// The slots of a page of [`StateKind::Wanted`]; none of another's.
    pub fn wanted(&self) -> impl Iterator<Item = WantedSlot> + Clone + 'a {
        wanted::entries(self.entries_of(StateKind::Wanted))
    }

    /// The slots of a page of [`StateKind::Shown`]; none of another's.
    pub fn shown(&self) -> impl Iterator<Item = ShownSlot> + Clone + 'a {
        shown::entries(self.entries_of(StateKind::Shown))
    }

    /// The encodings of a page of [`StateKind::Demand`]; none of another's.
    pub fn demand(&self) -> impl Iterator<Item = Demand> + Clone + 'a {
        demand::entries(self.entries_of(StateKind::Demand))
    }

    /// The speakers of a page of [`StateKind::Speakers`], the most recent first; none of another's.
    pub fn speakers(&self) -> impl Iterator<Item = Speaker> + Clone + 'a {
        speakers::entries(self.entries_of(StateKind::Speakers))
    }

    fn entries_of(&self, kind: StateKind) -> &'a [u8] {
        if self.kind == kind { self.entries } else { &[] }
    }
}

/// Whether no name is there twice. Names that ascend, as writers send slots, are checked in one pass.
pub(super) fn are_distinct<T: Ord + Copy>(names: impl Iterator<Item = T> + Clone) -> bool {
    let mut highest = None;
    names.clone().enumerate().all(|(index, name)| {
        let distinct = Some(name) > highest || !names.clone().take(index).any(|earlier| earlier == name);
        highest = highest.max(Some(name));
        distinct
    })
}
