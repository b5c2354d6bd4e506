//! Source descriptions, RFC 3550 section 6.5.

use super::split_u32;

/// The item type of a canonical name, RFC 3550 section 6.5.1.
pub const CNAME: u8 = 1;

/// The item type that ends a chunk.
const END: u8 = 0;

/// A view of a source description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sdes<'a> {
    count: u8,
    body: &'a [u8],
}

/// What is said of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SdesChunk<'a> {
    /// The source.
    pub ssrc: u32,
    items: &'a [u8],
}

/// One item of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SdesItem<'a> {
    /// The item type, never 0; [`CNAME`] is one.
    pub kind: u8,
    /// The text, which should be UTF-8; at most 255 bytes.
    pub text: &'a [u8],
}

impl<'a> Sdes<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let mut rest = body;
        for _ in 0..count {
            (_, rest) = SdesChunk::split(rest)?;
        }
        Some(Self { count, body })
    }

    /// The chunks, at most 31.
    pub fn chunks(&self) -> impl Iterator<Item = SdesChunk<'a>> + Clone + 'a {
        let mut rest = self.body;
        (0..self.count).map_while(move |_| {
            let (chunk, behind) = SdesChunk::split(rest)?;
            rest = behind;
            Some(chunk)
        })
    }
}

impl<'a> SdesChunk<'a> {
    /// Splits a chunk off: its SSRC, its items, an end mark, and zeros up to a multiple of 4 bytes.
    fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (ssrc, content) = split_u32(bytes)?;
        let mut rest = content;
        while let Some((_, behind)) = SdesItem::split(rest) {
            rest = behind;
        }
        if *rest.first()? != END {
            return None;
        }
        let items_len = content.len() - rest.len();
        let behind = content.get((items_len + 1).next_multiple_of(4)..)?;
        Some((Self { ssrc, items: &content[..items_len] }, behind))
    }

    /// The items.
    pub fn items(&self) -> impl Iterator<Item = SdesItem<'a>> + Clone + 'a {
        let mut rest = self.items;
        std::iter::from_fn(move || {
            let (item, behind) = SdesItem::split(rest)?;
            rest = behind;
            Some(item)
        })
    }

    /// The canonical name, if there is one in UTF-8.
    #[must_use]
    pub fn cname(&self) -> Option<&'a str> {
        self.items().find(|item| item.kind == CNAME).and_then(|item| str::from_utf8(item.text).ok())
    }
}

impl<'a> SdesItem<'a> {
    /// Splits an item off; `None` at the end mark or if it does not fit.
    fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&[kind, len], rest) = bytes.split_first_chunk::<2>()?;
        if kind == END {
            return None;
        }
        let (text, rest) = rest.split_at_checked(usize::from(len))?;
        Some((Self { kind, text }, rest))
    }
}
