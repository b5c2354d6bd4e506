//! The numbered messages of one participant, and those that may be asked for again.

use std::collections::VecDeque;
use std::ops::Deref;

/// Messages that are kept for a participant whose connection may break: a minute of a busy meeting. Behind more there is a
/// snapshot. A message that several are sent is kept once, so that this is 4 KiB of references each.
const MAX_KEPT_MESSAGES: usize = 128;
/// And their bytes. One large roster fits.
const MAX_KEPT_BYTES: usize = 256 * 1024;
/// A number that no stream reaches: at a million messages a second it takes centuries.
const MAX_NUMBER: u64 = 1 << 53;

/// Numbers messages and keeps the last ones. `T` is a message in its encoded form, cheap to clone.
#[derive(Debug)]
pub struct Stream<T> {
    /// The number of the next message.
    next: u64,
    /// The last messages; the last of them has the number before `next`.
    kept: VecDeque<T>,
    bytes: usize,
}

/// A message with its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbering<T> {
    /// The number, from 1.
    pub seq: u64,
    /// The message.
    pub message: T,
}

impl<T: Clone + Deref<Target = str>> Stream<T> {
    /// A stream without a message.
    #[must_use]
    pub const fn new() -> Self {
        Self { next: 1, kept: VecDeque::new(), bytes: 0 }
    }

    /// A stream without a message that goes on behind number `after`. No client gets near the numbers where that would end.
    #[must_use]
    pub fn behind(after: u64) -> Self {
        Self { next: after.min(MAX_NUMBER) + 1, ..Self::new() }
    }

    /// Gives a message its number and keeps it.
    pub fn push(&mut self, message: T) -> Numbering<T> {
        let seq = self.next;
        self.next += 1;
        // Whoever resumes has the first message, which says how.
        if seq > 1 {
            self.bytes += message.len();
            self.kept.push_back(message.clone());
        }
        while self.kept.len() > MAX_KEPT_MESSAGES || self.bytes > MAX_KEPT_BYTES {
            self.forget_oldest();
        }
        Numbering { seq, message }
    }

    /// Whether every message behind number `after` is kept, and `after` was sent.
    #[must_use]
    pub fn can_replay(&self, after: u64) -> bool {
        after > 0 && after < self.next && after + 1 >= self.oldest()
    }

    /// All messages behind number `after`, in order. Those up to it have arrived, and are forgotten.
    pub fn replay(&mut self, after: u64) -> impl Iterator<Item = Numbering<T>> {
        while self.oldest() <= after && !self.kept.is_empty() {
            self.forget_oldest();
        }
        (self.oldest()..).zip(&self.kept).map(|(seq, message)| Numbering { seq, message: message.clone() })
    }

    fn oldest(&self) -> u64 {
        self.next - self.kept.len() as u64
    }

    fn forget_oldest(&mut self) {
        if let Some(message) = self.kept.pop_front() {
            self.bytes -= message.len();
        }
    }
}

impl<T: Clone + Deref<Target = str>> Default for Stream<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers(stream: &mut Stream<String>, after: u64) -> Vec<u64> {
        stream.replay(after).map(|message| message.seq).collect()
    }

    #[test]
    fn what_is_behind_a_number_comes_again_in_order() {
        let mut stream = Stream::new();
        for seq in 1..=5 {
            assert_eq!(stream.push(seq.to_string()), Numbering { seq, message: seq.to_string() });
        }
        assert!([1, 2, 3, 4, 5].iter().all(|&after| stream.can_replay(after)));
        assert!(!stream.can_replay(0) && !stream.can_replay(6) && !stream.can_replay(u64::MAX));
        assert_eq!(numbers(&mut stream, 3), [4, 5]);
        assert_eq!(numbers(&mut stream, 3), [4, 5], "as long as nobody said that they came");
        assert!(!stream.can_replay(2), "what has arrived is forgotten");
        assert_eq!(numbers(&mut stream, 5), [0; 0]);
    }

    #[test]
    fn more_than_is_kept_cannot_be_replayed() {
        let mut stream = Stream::new();
        (0..200).for_each(|_| drop(stream.push("x".repeat(10))));
        assert!(!stream.can_replay(200 - 129) && stream.can_replay(200 - 128));
        drop(stream.push("x".repeat(MAX_KEPT_BYTES)));
        assert!(!stream.can_replay(199) && stream.can_replay(200), "only the large one is left");
        drop(stream.push("x".repeat(MAX_KEPT_BYTES + 1)));
        assert!(!stream.can_replay(201) && stream.can_replay(202));
    }

    proptest! {
        #[test]
        fn each_message_arrives_once_and_in_order(breaks in prop::collection::vec((0u64..40, 0u64..40), 0..20)) {
            let mut stream = Stream::new();
            let mut seen: Vec<u64> = vec![stream.push(String::new()).seq];
            for (heard, lost) in breaks {
                // Some messages arrive, then the connection breaks and some do not.
                seen.extend((0..heard).map(|_| stream.push("x".to_owned()).seq));
                (0..lost).for_each(|_| drop(stream.push("x".to_owned())));
                let after = *seen.last().unwrap();
                prop_assert!(stream.can_replay(after));
                seen.extend(stream.replay(after).map(|message| message.seq));
            }
            prop_assert!(seen.iter().copied().eq(1..=seen.len() as u64));
        }
    }
}
