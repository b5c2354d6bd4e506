//! Goodbyes, RFC 3550 section 6.6.

/// A view of a goodbye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bye<'a> {
    ssrcs: &'a [[u8; 4]],
    reason: Option<&'a [u8]>,
}

impl<'a> Bye<'a> {
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let (ssrcs, rest) = body.split_at_checked(usize::from(count) * 4)?;
        let reason = match rest.split_first() {
            Some((len, text)) => Some(text.get(..usize::from(*len))?),
            None => None,
        };
        Some(Self { ssrcs: ssrcs.as_chunks().0, reason })
    }

    /// The sources that leave, at most 31.
    pub fn ssrcs(&self) -> impl ExactSizeIterator<Item = u32> + Clone + 'a {
        self.ssrcs.iter().map(|ssrc| u32::from_be_bytes(*ssrc))
    }

    /// Why they leave, at most 255 bytes that should be UTF-8.
    #[must_use]
    pub const fn reason(&self) -> Option<&'a [u8]> {
        self.reason
    }
}
