//! Synchronised states: versions, acknowledgements and repeats of pages (`proto-spec/spec/04-control.md` section 4.4).
//!
//! Both ends use both halves: a client sends `published` and `wanted` and receives `shown`, a router the reverse.

use std::time::Duration;

use crate::time::Time;

/// Pages that a state may have.
pub const MAX_PAGES: usize = 16;
/// First repeat of an unacknowledged page.
pub const REPEAT_MIN: Duration = Duration::from_millis(100);
/// Slowest repeat of an unacknowledged page.
pub const REPEAT_MAX: Duration = Duration::from_secs(1);

/// What to do with a page that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It is new: apply it, then [`PageInbox::accept`] it.
    New,
    /// It is known or outdated: acknowledge this version again, change nothing.
    Known(u32),
    /// Its page number or count is out of range.
    OutOfRange,
}

/// The receiving half of a state: the last version of each page.
#[derive(Clone, Copy, Debug, Default)]
pub struct PageInbox {
    versions: [u32; MAX_PAGES],
}

impl PageInbox {
    /// Judges page `page` of `pages` at `version`.
    #[must_use]
    pub fn judge(&self, page: u8, pages: u8, version: u32) -> Arrival {
        if page >= pages || usize::from(pages) > MAX_PAGES || version == 0 {
            return Arrival::OutOfRange;
        }
        match self.versions.get(usize::from(page)) {
            Some(known) if version > *known => Arrival::New,
            Some(known) => Arrival::Known(*known),
            None => Arrival::OutOfRange,
        }
    }

    /// Notes that a page judged [`Arrival::New`] was applied.
    pub fn accept(&mut self, page: u8, version: u32) {
        if let Some(known) = self.versions.get_mut(usize::from(page)) {
            *known = version;
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct OutPage {
    version: u32,
    acknowledged: u32,
    next_at: Time,
    repeat: Duration,
}

/// The sending half of a state: which pages wait for an acknowledgement, and when each is due again.
#[derive(Clone, Debug, Default)]
pub struct PageOutbox {
    pages: Vec<OutPage>,
    /// Versions go on growing when a page number is dropped and used again.
    last_version: u32,
}

impl PageOutbox {
    /// How many pages the state has.
    #[must_use]
    pub const fn pages(&self) -> u8 {
        self.pages.len() as u8
    }

    /// Sets how many pages the state has. If that changes, every page is new, since each page says how many there are.
    ///
    /// # Panics
    /// If `count` is above [`MAX_PAGES`].
    pub fn set_pages(&mut self, count: u8) {
        assert!(usize::from(count) <= MAX_PAGES, "a state has at most {MAX_PAGES} pages, not {count}");
        if usize::from(count) == self.pages.len() {
            return;
        }
        let new = OutPage { version: 0, acknowledged: 0, next_at: Time::ZERO, repeat: REPEAT_MIN };
        self.pages.resize(usize::from(count), new);
        for page in 0..count {
            self.touch(page);
        }
    }

    /// The content of `page` changed: it gets a new version and is due at once.
    pub fn touch(&mut self, page: u8) {
        if let Some(out) = self.pages.get_mut(usize::from(page)) {
            self.last_version += 1;
            *out = OutPage {
                version: self.last_version,
                acknowledged: out.acknowledged,
                next_at: Time::ZERO,
                repeat: REPEAT_MIN,
            };
        }
    }

    /// The peer has `version` of `page`.
    pub fn acknowledge(&mut self, page: u8, version: u32) {
        if let Some(out) = self.pages.get_mut(usize::from(page))
            && version <= out.version
        {
            out.acknowledged = out.acknowledged.max(version);
        }
    }

    /// A page to send now, with its version: lowest number first.
    #[must_use]
    pub fn due(&self, now: Time) -> Option<(u8, u32)> {
        let is_due = |out: &OutPage| out.acknowledged < out.version && out.next_at <= now;
        let page = self.pages.iter().position(is_due)?;
        Some((page as u8, self.pages[page].version))
    }

    /// When the next page is due; `None` if all are acknowledged.
    #[must_use]
    pub fn next_at(&self) -> Option<Time> {
        self.pages.iter().filter(|out| out.acknowledged < out.version).map(|out| out.next_at).min()
    }

    /// Notes that `page` was sent.
    pub fn on_sent(&mut self, page: u8, now: Time) {
        if let Some(out) = self.pages.get_mut(usize::from(page)) {
            out.next_at = now + out.repeat;
            out.repeat = (out.repeat * 2).min(REPEAT_MAX);
        }
    }

    /// Whether every page is acknowledged.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.next_at().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn a_page_repeats_ever_slower_until_it_is_acknowledged() {
        let mut outbox = PageOutbox::default();
        outbox.set_pages(1);
        let mut sent = Vec::new();
        for millis in 0..4_000 {
            if let Some((page, _)) = outbox.due(at(millis)) {
                outbox.on_sent(page, at(millis));
                sent.push(millis);
            }
        }
        assert_eq!(sent, [0, 100, 300, 700, 1_500, 2_500, 3_500]);
        outbox.acknowledge(0, 1);
        assert!(outbox.is_settled());
    }

    #[test]
    fn a_change_makes_a_new_version_that_an_old_acknowledgement_does_not_settle() {
        let mut outbox = PageOutbox::default();
        outbox.set_pages(2);
        outbox.touch(0);
        assert_eq!(outbox.due(at(0)), Some((0, 3)));
        outbox.acknowledge(0, 1);
        assert_eq!(outbox.due(at(0)), Some((0, 3)));
        outbox.acknowledge(0, 3);
        assert_eq!(outbox.due(at(0)), Some((1, 2)));
    }

    #[test]
    fn an_acknowledgement_from_the_future_is_ignored() {
        let mut outbox = PageOutbox::default();
        outbox.set_pages(1);
        outbox.acknowledge(0, 9);
        outbox.acknowledge(200, 1);
        assert!(!outbox.is_settled());
    }

    #[test]
    fn another_number_of_pages_makes_every_page_new() {
        let mut outbox = PageOutbox::default();
        outbox.set_pages(1);
        outbox.acknowledge(0, 1);
        outbox.set_pages(2);
        assert_eq!(outbox.due(at(0)), Some((0, 2)));
        outbox.set_pages(2);
        assert_eq!(outbox.due(at(0)), Some((0, 2)));
    }

    #[test]
    fn the_inbox_takes_each_version_once_and_none_that_is_older() {
        let mut inbox = PageInbox::default();
        assert_eq!(inbox.judge(0, 1, 5), Arrival::New);
        inbox.accept(0, 5);
        assert_eq!(inbox.judge(0, 1, 5), Arrival::Known(5));
        assert_eq!(inbox.judge(0, 1, 4), Arrival::Known(5));
        assert_eq!(inbox.judge(0, 1, 6), Arrival::New);
        for (page, pages, version) in [(1, 1, 1), (0, 0, 1), (16, 17, 1), (0, 1, 0)] {
            assert_eq!(inbox.judge(page, pages, version), Arrival::OutOfRange);
        }
    }
}
