//! Application-defined packets, RFC 3550 section 6.7.

use super::split_u32;

/// A view of an application-defined packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct App<'a> {
    /// The subtype, 5 bits.
    pub subtype: u8,
    /// The sender.
    pub ssrc: u32,
    /// Whose application it is, in ASCII.
    pub name: [u8; 4],
    /// The application's data.
    pub data: &'a [u8],
}

impl<'a> App<'a> {
    pub(super) fn parse(subtype: u8, body: &'a [u8]) -> Option<Self> {
        let (ssrc, rest) = split_u32(body)?;
        let (name, data) = rest.split_first_chunk::<4>()?;
        Some(Self { subtype, ssrc, name: *name, data })
    }
}
