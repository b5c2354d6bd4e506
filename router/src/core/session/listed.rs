//! A state that a client lists in pages: published tracks, wanted slots. The whole list is checked before any of it applies.

use sluice_wire::state_sync::{Arrival, PageInbox};

/// Entries of a state with the page each came by.
#[derive(Debug)]
pub(crate) struct Listed<T> {
    inbox: PageInbox,
    entries: Vec<(u8, T)>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { inbox: PageInbox::default(), entries: Vec::new() }
    }
}

impl<T: Copy> Listed<T> {
    pub(crate) fn judge(&self, page: u8, pages: u8, version: u32) -> Arrival {
        self.inbox.judge(page, pages, version)
    }

    /// The entries as they would be with `page` of `pages` replaced by `new`.
    pub(crate) fn with_page(&self, page: u8, pages: u8, new: impl Iterator<Item = T>) -> Vec<(u8, T)> {
        let kept = self.entries.iter().filter(|(of, _)| *of != page && *of < pages).copied();
        kept.chain(new.map(|entry| (page, entry))).collect()
    }

    /// Takes over what [`Self::with_page`] gave.
    pub(crate) fn accept(&mut self, page: u8, version: u32, entries: Vec<(u8, T)>) {
        self.inbox.accept(page, version);
        self.entries = entries;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_replaces_itself_and_ends_those_past_the_count() {
        let mut listed = Listed::default();
        for (page, values) in [(0, vec!['a', 'b']), (1, vec!['c']), (2, vec!['d'])] {
            let entries = listed.with_page(page, 3, values.into_iter());
            listed.accept(page, 1, entries);
        }
        let entries = listed.with_page(0, 2, ['x'].into_iter());
        listed.accept(0, 2, entries);
        let mut left: Vec<_> = listed.entries.iter().map(|(_, entry)| *entry).collect();
        left.sort_unstable();
        assert_eq!(left, ['c', 'x']);
        assert_eq!(listed.judge(0, 2, 2), Arrival::Known(2));
    }
}
