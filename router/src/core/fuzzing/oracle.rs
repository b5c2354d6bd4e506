//! What a rewriter should do, with everything remembered and nothing clever.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::model::Sent;
use crate::core::limits::MAX_FORWARDED_GAP;
use crate::core::rewrite::{Rewriter, Rewritten};

/// A rewriter remembers as many output indices.
const WINDOW: u64 = 1_024;
/// And the input across as many places at which something was left out.
const BREAKS: u64 = 60;
/// And as many sources.
const SWITCHES: u64 = 8;
const MAX_SWITCH_GAP: Duration = Duration::from_secs(10);

/// What became of an index of the source that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Lost or late: this output index waits for it.
    Open {
        out: u64,
        /// How many breaks there were when it was left.
        breaks: u64,
    },
    Sent,
    /// It has no output index.
    LeftOut,
}

#[derive(Clone, Copy, Debug)]
struct Origin {
    sent: Sent,
    /// What it became.
    rewritten: Rewritten,
    /// How many breaks and switches there were when it was sent.
    breaks: u64,
    switches: u64,
}

/// The slow rewriter.
pub(super) struct Oracle {
    next_out: u64,
    /// By input index since the switch.
    fates: BTreeMap<u64, Fate>,
    newest: Option<Sent>,
    given: BTreeMap<u64, Origin>,
    breaks: u64,
    switches: u64,
    /// Frames that were left out since the switch.
    skipped_frames: BTreeSet<u64>,
    /// The first packet of the source, as it came in and as it should leave.
    first: Option<(Sent, Numbers)>,
    /// The newest packet that was forwarded in order, as it should have left.
    last: Option<(Sent, Numbers)>,
    /// Its output index.
    last_out: u64,
}

/// The running numbers of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Numbers {
    timestamp: u32,
    tl0_pic_idx: u8,
    /// Of 15 bits.
    picture_id: u16,
    vp8_tl0_pic_idx: u8,
}

impl Oracle {
    pub(super) fn new(random: u64) -> Self {
        Self {
            next_out: random & 0x3FFF,
            fates: BTreeMap::new(),
            newest: None,
            given: BTreeMap::new(),
            breaks: 0,
            switches: 0,
            skipped_frames: BTreeSet::new(),
            first: None,
            last: None,
            last_out: 0,
        }
    }

    pub(super) fn switch(&mut self, first: &Sent, rate_hz: u32) {
        let vp8 = first.packet.vp8.expect("the model speaks VP8");
        let numbers = match &self.last {
            None => Numbers {
                timestamp: first.packet.timestamp,
                tl0_pic_idx: first.packet.tl0_pic_idx,
                picture_id: vp8.picture_id,
                vp8_tl0_pic_idx: vp8.tl0_pic_idx,
            },
            Some((last, numbers)) => {
                let elapsed = if first.source.track == last.source.track {
                    first.captured.saturating_since(last.captured)
                } else {
                    first.packet.arrival.saturating_since(last.packet.arrival)
                };
                let ticks =
                    (elapsed.min(MAX_SWITCH_GAP).as_secs_f64() * f64::from(rate_hz)).round().max(1.0) as u32;
                Numbers {
                    timestamp: numbers.timestamp.wrapping_add(ticks),
                    tl0_pic_idx: numbers.tl0_pic_idx.wrapping_add(1),
                    picture_id: (numbers.picture_id + 1) & 0x7FFF,
                    vp8_tl0_pic_idx: numbers.vp8_tl0_pic_idx.wrapping_add(1),
                }
            }
        };
        self.first = Some((*first, numbers));
        self.fates.clear();
        self.newest = None;
        self.skipped_frames.clear();
        self.breaks += 1;
        self.switches += 1;
    }

    pub(super) fn skip(&mut self, sent: &Sent) {
        if self.fates.contains_key(&sent.packet.index) || self.is_old(sent) {
            return;
        }
        self.account_for_gap(sent);
        self.fates.insert(sent.packet.index, Fate::LeftOut);
        self.skipped_frames.insert(sent.frame);
        self.breaks += 1;
        self.newest = Some(*sent);
    }

    pub(super) fn check(&mut self, sent: &Sent, rewritten: Option<Rewritten>) {
        let left_at = match self.fates.get(&sent.packet.index) {
            Some(Fate::Open { breaks, .. }) => *breaks,
            _ => self.breaks,
        };
        let expected = self.output_of(sent);
        match (expected, rewritten) {
            (None, None) => {}
            (None, Some(rewritten)) => panic!("{sent:?} must not be sent, but became {rewritten:?}"),
            (Some(out), None) => {
                let is_in_order = out + 1 == self.next_out;
                let is_recent = self.next_out - out <= WINDOW && self.breaks - left_at < BREAKS;
                assert!(!is_in_order && !is_recent, "{sent:?} should be {out} and was refused");
            }
            (Some(out), Some(rewritten)) => {
                assert_eq!(rewritten.index, out, "{sent:?}");
                let numbers = self.numbers_of(sent);
                assert_eq!(numbers, written(sent, rewritten), "{sent:?} {rewritten:?}");
                // What is late may yet be the newest that the receiver has.
                if out >= self.last_out {
                    (self.last, self.last_out) = (Some((*sent, numbers)), out);
                }
                let origin = Origin { sent: *sent, rewritten, breaks: left_at, switches: self.switches };
                assert!(self.given.insert(out, origin).is_none(), "{out} was given twice");
            }
        }
    }

    /// The output index of a packet that is forwarded. What is late takes the place that was left for it.
    fn output_of(&mut self, sent: &Sent) -> Option<u64> {
        let index = sent.packet.index;
        if let Some(fate) = self.fates.get_mut(&index) {
            return match std::mem::replace(fate, Fate::Sent) {
                Fate::Open { out, .. } => Some(out),
                other => {
                    *fate = other;
                    None
                }
            };
        }
        if self.is_old(sent) {
            return None;
        }
        self.account_for_gap(sent);
        self.fates.insert(index, Fate::Sent);
        self.newest = Some(*sent);
        self.next_out += 1;
        Some(self.next_out - 1)
    }

    /// Whether a packet is of before the switch.
    fn is_old(&self, sent: &Sent) -> bool {
        self.first.is_none_or(|(first, _)| sent.packet.index < first.packet.index)
    }

    /// Every index between the newest packet and this one either waits for its packet or belongs to what is left out.
    fn account_for_gap(&mut self, sent: &Sent) {
        let Some(newest) = self.newest else { return };
        let missing: Vec<u64> = (newest.packet.index + 1..sent.packet.index).collect();
        let (Some(&first), Some(&last)) = (missing.first(), missing.last()) else { return };
        self.breaks += 1;
        let lacks_end = !newest.packet.end;
        let lacks_start = !sent.packet.start;
        let is_one_frame = newest.packet.timestamp == sent.packet.timestamp;
        let is_jump = missing.len() as u64 > MAX_FORWARDED_GAP;
        for index in missing {
            // A packet between the end of one frame and the start of another is of either; one cannot be of both.
            let ends_skipped = index == first && lacks_end && newest.is_skipped;
            let starts_skipped = index == last && lacks_start && sent.is_skipped;
            let ends_sent = index == first && lacks_end && !newest.is_skipped;
            let starts_sent = index == last && lacks_start && !sent.is_skipped;
            let is_within_skipped =
                newest.is_skipped && sent.is_skipped && is_one_frame && lacks_end && lacks_start;
            let vanishes = (ends_skipped || starts_skipped) && !ends_sent && !starts_sent;
            let fate = if is_jump || is_within_skipped || vanishes {
                Fate::LeftOut
            } else {
                self.next_out += 1;
                Fate::Open { out: self.next_out - 1, breaks: self.breaks }
            };
            self.fates.insert(index, fate);
        }
    }

    /// What the running numbers of a packet should be: those of the source's first, plus what passed at the source, less what
    /// was left out.
    fn numbers_of(&self, sent: &Sent) -> Numbers {
        let (first, base) = self.first.expect("a source was chosen");
        let (now, then) = (sent.packet.vp8.expect("VP8"), first.packet.vp8.expect("VP8"));
        let left_out = self.skipped_frames.range(..sent.frame).count() as u16;
        Numbers {
            timestamp: base
                .timestamp
                .wrapping_add(sent.packet.timestamp.wrapping_sub(first.packet.timestamp)),
            tl0_pic_idx: base
                .tl0_pic_idx
                .wrapping_add(sent.packet.tl0_pic_idx.wrapping_sub(first.packet.tl0_pic_idx)),
            picture_id: base
                .picture_id
                .wrapping_add(now.picture_id.wrapping_sub(then.picture_id))
                .wrapping_sub(left_out)
                & 0x7FFF,
            vp8_tl0_pic_idx: base
                .vp8_tl0_pic_idx
                .wrapping_add(now.tl0_pic_idx.wrapping_sub(then.tl0_pic_idx)),
        }
    }

    /// Every output index of the last `count` that were given maps back to its packet and to the numbers that this left with.
    pub(super) fn check_sources(&self, rewriter: &Rewriter, count: usize) {
        for (&out, origin) in self.given.iter().rev().take(count) {
            let is_recent = self.next_out - out <= WINDOW
                && self.breaks - origin.breaks < BREAKS
                && self.switches - origin.switches < SWITCHES;
            match rewriter.source_of(out as u16) {
                Some(found) if is_recent || self.next_out - out < 1 << 15 => {
                    let of = (found.encoding, found.index);
                    assert_eq!(of, (origin.sent.source, origin.sent.packet.index), "the source of {out}");
                    let again = written(&origin.sent, found.rewrite(&origin.sent.packet));
                    assert_eq!(again, written(&origin.sent, origin.rewritten), "{out} again");
                }
                Some(_) => {}
                None => assert!(!is_recent, "the source of {out} is forgotten"),
            }
        }
    }
}

/// The numbers that a packet leaves with.
fn written(sent: &Sent, rewritten: Rewritten) -> Numbers {
    let vp8 = sent.packet.vp8.expect("VP8").lowered_by(rewritten.vp8_offset);
    Numbers {
        timestamp: rewritten.timestamp,
        tl0_pic_idx: rewritten.tl0_pic_idx,
        picture_id: vp8.picture_id & 0x7FFF,
        vp8_tl0_pic_idx: vp8.tl0_pic_idx,
    }
}
