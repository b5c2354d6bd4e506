//! Speech activity after I. Volfin and I. Cohen, "Dominant Speaker Identification for Multipoint Videoconferencing" (Computer
//! Speech and Language 27, 2013): how probable it is that somebody speaks, seen over one frame, over a word, over a sentence.
//!
//! A frame is one tick of the room. Where the paper counts active sub-bands of the spectrum, which a router does not have, the
//! loudness is cut into as many steps. The constants of the score are the paper's.

use std::sync::LazyLock;

/// Steps of loudness: the paper's number of sub-bands.
const IMMEDIATE_STEPS: u32 = 13;
/// Loudness of the first step, dB above the quietest: -64 dBov, above the noise of most rooms.
const FIRST_STEP_DB: u8 = 63;
/// Loudness of one step, dB.
const STEP_DB: u8 = 4;
/// The most steps of a frame, from -28 dBov: as a voice never fills all sub-bands. Above it the score would fall.
const LOUDEST_STEPS: u32 = 9;
/// A frame of at least this many steps is active: where the score of a frame begins to speak for speech.
const ACTIVE_STEPS: u32 = 4;
/// Frames of a block: a syllable of 120 ms.
const BLOCK_FRAMES: u32 = 3;
/// A block with this many active frames is active.
const ACTIVE_FRAMES: u32 = 2;
/// Blocks of the long interval: a phrase of 1.2 s.
const LONG_BLOCKS: u32 = 10;
/// Parameters of the exponential distribution of activity without speech, over a frame, a block and the long interval.
const IMMEDIATE_LAMBDA: f64 = 0.78;
const MEDIUM_LAMBDA: f64 = 24.0;
const LONG_LAMBDA: f64 = 47.0;
/// The least score: what speaks against speech only says no.
const LEAST_SCORE: f64 = 1e-10;
/// By how much a challenger's score must exceed the dominant speaker's, as a logarithm of the ratio.
const IMMEDIATE_THRESHOLD: f64 = 3.0;
const MEDIUM_THRESHOLD: f64 = 2.0;
const LONG_THRESHOLD: f64 = 0.0;

const BLOCK_MASK: u64 = (1 << BLOCK_FRAMES) - 1;
const HISTORY_MASK: u64 = (1 << (BLOCK_FRAMES * LONG_BLOCKS)) - 1;

/// Scores by the number of active parts, for each interval.
struct Scores {
    immediate: [f64; LOUDEST_STEPS as usize + 1],
    medium: [f64; BLOCK_FRAMES as usize + 1],
    long: [f64; LONG_BLOCKS as usize + 1],
}

static SCORES: LazyLock<Scores> = LazyLock::new(|| Scores {
    immediate: std::array::from_fn(|active| score(active, IMMEDIATE_STEPS as usize, IMMEDIATE_LAMBDA)),
    medium: std::array::from_fn(|active| score(active, BLOCK_FRAMES as usize, MEDIUM_LAMBDA)),
    long: std::array::from_fn(|active| score(active, LONG_BLOCKS as usize, LONG_LAMBDA)),
});

/// The logarithm of the likelihood of `active` of `parts` with speech (binomial, 1/2) over that without (exponential).
fn score(active: usize, parts: usize, lambda: f64) -> f64 {
    let choices: f64 = (0..active).map(|k| (parts - k) as f64 / (k + 1) as f64).product();
    let speech = choices.ln() + parts as f64 * 0.5f64.ln();
    (speech - lambda.ln() + lambda * active as f64).max(LEAST_SCORE)
}

/// The recent activity of one person.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Activity {
    /// Steps of the newest frame.
    steps: u8,
    /// Active frames, one bit each, the newest lowest.
    history: u64,
}

impl Activity {
    /// Another frame passed.
    pub(crate) fn push(&mut self, loudness: u8) {
        let steps = u32::from(loudness.saturating_sub(FIRST_STEP_DB) / STEP_DB).min(LOUDEST_STEPS);
        self.steps = steps as u8;
        self.history = ((self.history << 1) | u64::from(steps >= ACTIVE_STEPS)) & HISTORY_MASK;
    }

    fn blocks(self) -> u32 {
        let is_active = |block: &u32| {
            ((self.history >> (block * BLOCK_FRAMES)) & BLOCK_MASK).count_ones() >= ACTIVE_FRAMES
        };
        (0..LONG_BLOCKS).filter(is_active).count() as u32
    }

    /// Whether anything was heard within the long interval.
    pub(crate) const fn is_any(self) -> bool {
        self.history != 0
    }

    /// Whether the last block is speech.
    pub(crate) const fn speaks(self) -> bool {
        (self.history & BLOCK_MASK).count_ones() >= ACTIVE_FRAMES
    }

    /// How much better a claim than `dominant` this one has to be the dominant speaker; `None` if it has not.
    pub(crate) fn challenge(self, dominant: Self) -> Option<f64> {
        if self.history & BLOCK_MASK == 0 {
            return None;
        }
        let scores = &*SCORES;
        let immediate = |of: Self| scores.immediate[usize::from(of.steps)];
        let medium = |of: Self| scores.medium[(of.history & BLOCK_MASK).count_ones() as usize];
        let long = |of: Self| scores.long[of.blocks() as usize];
        let over = |score: &dyn Fn(Self) -> f64| (score(self) / score(dominant)).ln();
        let is_better = over(&immediate) > IMMEDIATE_THRESHOLD
            && over(&medium) > MEDIUM_THRESHOLD
            && over(&long) > LONG_THRESHOLD;
        // The paper takes the challenger whose medium activity exceeds most; the long one breaks ties here.
        is_better.then(|| over(&medium) + over(&long))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEECH: u8 = 105;
    const SILENCE: u8 = 20;

    fn after(frames: impl IntoIterator<Item = u8>) -> Activity {
        let mut activity = Activity::default();
        frames.into_iter().for_each(|loudness| activity.push(loudness));
        activity
    }

    #[test]
    fn scores_grow_with_activity_and_begin_where_frames_count_as_active() {
        for scores in [&SCORES.immediate[..], &SCORES.medium, &SCORES.long] {
            assert!(scores.is_sorted(), "{scores:?}");
        }
        let begin = SCORES.immediate.iter().position(|score| *score > LEAST_SCORE);
        assert_eq!(begin, Some(ACTIVE_STEPS as usize));
    }

    #[test]
    fn one_who_speaks_on_is_not_challenged() {
        let dominant = after([SPEECH; 30]);
        assert_eq!(after([SPEECH + 10; 30]).challenge(dominant), None);
    }

    #[test]
    fn the_floor_passes_when_its_owner_is_silent_for_longer_than_he_spoke() {
        let mut dominant = after([SPEECH; 30]);
        let mut challenger = Activity::default();
        let frames = (1..100).find(|_| {
            dominant.push(SILENCE);
            challenger.push(SPEECH);
            challenger.challenge(dominant).is_some()
        });
        assert!((14..=18).contains(&frames.unwrap()), "{frames:?}");
    }

    #[test]
    fn a_cough_takes_no_floor() {
        let mut dominant = after([SPEECH; 30]);
        let mut cough = Activity::default();
        for frame in 0..8 {
            dominant.push(SILENCE);
            cough.push(if frame < 5 { SPEECH + 15 } else { SILENCE });
            assert_eq!(cough.challenge(dominant), None);
        }
    }

    #[test]
    fn a_click_is_not_speech_even_where_nobody_speaks() {
        let click = after([SILENCE, SPEECH, SILENCE]);
        assert_eq!(click.challenge(Activity::default()), None);
        assert!(!click.speaks());
        assert!(after([SPEECH, SPEECH]).challenge(Activity::default()).is_some());
    }
}
