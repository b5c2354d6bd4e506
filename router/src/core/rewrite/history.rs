//! What a slot's numbers came from, for what comes late and for what is asked for again.

use crate::core::ids::EncodingRef;

/// Runs that are remembered. A run ends where something is left out, which is at most once per picture: two seconds and more
/// of 30 pictures a second.
const RUNS: usize = 64;
/// Sources that are remembered: a slot changes its encoding or track at most at every key frame.
const SEGMENTS: usize = 8;
/// Output indices that are remembered one by one: as many as the sealing side's window (spec 2.4).
pub(super) const WINDOW: u64 = 1_024;

const INDEX_BITS: u32 = 48;
const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;

/// Output indices that stand in a row for input indices in a row, up to the output index at which the next run starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) in_start: u64,
    pub(super) out_start: u64,
    /// Modulo 256 the number of the segment that the run is of.
    pub(super) segment: u8,
    /// What is taken off picture ids.
    pub(super) picture_offset: u16,
}

/// A run in 16 bytes: indices have 48 bits.
#[derive(Clone, Copy, Debug, Default)]
struct Packed {
    in_start_and_segment: u64,
    out_start_and_picture_offset: u64,
}

impl Packed {
    const fn new(run: Run) -> Self {
        Self {
            in_start_and_segment: (run.in_start & INDEX_MASK) | (run.segment as u64) << INDEX_BITS,
            out_start_and_picture_offset: (run.out_start & INDEX_MASK)
                | (run.picture_offset as u64) << INDEX_BITS,
        }
    }

    const fn unpack(self) -> Run {
        Run {
            in_start: self.in_start_and_segment & INDEX_MASK,
            out_start: self.out_start_and_picture_offset & INDEX_MASK,
            segment: (self.in_start_and_segment >> INDEX_BITS) as u8,
            picture_offset: (self.out_start_and_picture_offset >> INDEX_BITS) as u16,
        }
    }
}

/// A source, and what is taken off its numbers while it is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) source: EncodingRef,
    pub(super) timestamp_offset: u32,
    pub(super) tl0_offset: u8,
    /// Of VP8's own TL0PICIDX.
    pub(super) vp8_tl0_offset: u8,
}

/// The past of a slot. It exists only once something was lost, left out, or switched.
#[derive(Debug)]
pub(super) struct History {
    /// A ring; the newest is number `runs_begun - 1`.
    runs: [Packed; RUNS],
    runs_begun: u64,
    segments: [Segment; SEGMENTS],
    holes: Holes,
}

impl History {
    /// A past that consists of one run.
    pub(super) fn new(run: Run, segment: Segment) -> Self {
        let mut history = Self {
            runs: [Packed::default(); RUNS],
            runs_begun: 0,
            segments: [segment; SEGMENTS],
            holes: Holes::default(),
        };
        history.begin(run, segment);
        history
    }

    /// From `run.out_start` on, `run` holds. An older one that has nothing before that is forgotten.
    pub(super) fn begin(&mut self, run: Run, segment: Segment) {
        let replaces = self.newest().is_some_and(|newest| newest.out_start == run.out_start);
        if !replaces {
            self.runs_begun += 1;
        }
        self.runs[Self::place(self.runs_begun)] = Packed::new(run);
        self.segments[usize::from(run.segment) % SEGMENTS] = segment;
    }

    /// The place of the run that was begun as number `nth`, from 1.
    const fn place(nth: u64) -> usize {
        (nth as usize).wrapping_sub(1) % RUNS
    }

    fn newest(&self) -> Option<Run> {
        (self.runs_begun > 0).then(|| self.runs[Self::place(self.runs_begun)].unpack())
    }

    /// The runs from the newest to the oldest, each with the output index at which it ends.
    fn runs(&self, next_out: u64) -> impl Iterator<Item = (Run, u64)> {
        let mut end = next_out;
        (0..self.runs_begun.min(RUNS as u64)).map(move |age| {
            let run = self.runs[Self::place(self.runs_begun - age)].unpack();
            (run, std::mem::replace(&mut end, run.out_start))
        })
    }

    /// What an input index of `segment` stands for: its output index and what is taken off its picture id. `None` if it was left
    /// out, or is too old.
    pub(super) fn output_of(&self, in_index: u64, segment: u8, next_out: u64) -> Option<(u64, u16)> {
        let mut of_segment = self.runs(next_out).take_while(|(run, _)| run.segment == segment);
        let (run, end) = of_segment.find(|(run, _)| run.in_start <= in_index)?;
        let out = run.out_start + (in_index - run.in_start);
        (out < end).then_some((out, run.picture_offset))
    }

    /// Where an output index came from: its segment, its input index, and what was taken off its picture id. `None` if that is
    /// forgotten.
    pub(super) fn source_of(&self, out: u64, segment: u8, next_out: u64) -> Option<(Segment, u64, u16)> {
        let (run, _) = self.runs(next_out).find(|(run, _)| run.out_start <= out)?;
        let age = usize::from(segment.wrapping_sub(run.segment));
        let source = self.segments[usize::from(run.segment) % SEGMENTS];
        (age < SEGMENTS).then_some((source, run.in_start + (out - run.out_start), run.picture_offset))
    }

    /// Remembers that `count` output indices from `first` on wait for packets that have not come.
    pub(super) fn leave_open(&mut self, first: u64, count: u64) {
        self.holes.open(first, count);
    }

    /// Takes the output index of a packet that had not come; `false` if it was used or is too old.
    pub(super) fn fill(&mut self, out: u64, next_out: u64) -> bool {
        next_out - out <= WINDOW && self.holes.take(out)
    }
}

/// Which of the latest output indices were left open for packets that have not come.
#[derive(Debug, Default)]
struct Holes {
    /// The highest index that the bits speak of.
    head: u64,
    /// The bit of index `i` is number `i` modulo the window, so that nothing shifts when the window moves.
    open: [u64; (WINDOW / 64) as usize],
}

impl Holes {
    fn place(out: u64) -> (usize, u64) {
        ((out % WINDOW / 64) as usize, 1 << (out % 64))
    }

    fn open(&mut self, first: u64, count: u64) {
        let end = first + count;
        let oldest = end.saturating_sub(WINDOW);
        // What lies between was sent in order.
        self.set((self.head + 1).max(oldest), first, false);
        self.set(first.max(oldest), end, true);
        self.head = end - 1;
    }

    /// Sets the bits from `from` up to, but not including, `to`, which is at most a window later.
    fn set(&mut self, mut from: u64, to: u64, open: bool) {
        while from < to {
            let (word, _) = Self::place(from);
            let run = (to - from).min(64 - from % 64);
            let bits = u64::MAX >> (64 - run) << (from % 64);
            self.open[word] = if open { self.open[word] | bits } else { self.open[word] & !bits };
            from += run;
        }
    }

    fn take(&mut self, out: u64) -> bool {
        if out > self.head || self.head - out >= WINDOW {
            return false;
        }
        let (word, bit) = Self::place(out);
        let was_open = self.open[word] & bit != 0;
        self.open[word] &= !bit;
        was_open
    }
}
