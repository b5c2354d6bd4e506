//! A voice and a picture of one participant over two different paths.

use super::*;
use crate::playout::audio::AudioPlayout;
use crate::playout::simulation::{Arrivals, CLOCK_OFFSET_US, Listener, PACKET_US, START_US, jittery, voice};
use crate::playout::time_of;
use crate::playout::video::{VideoFrame, VideoPlayout};

const FRAME_US: i64 = 33_333;
/// Half a minute.
const TICKS: i64 = 300;
const TICK_US: i64 = 100_000;

/// Plays both, and gives the picture's lag at each tick in milliseconds.
fn lags_ms(
    mode: Mode,
    audio: impl FnMut(u64) -> Option<i64>,
    video: impl FnMut(u64) -> Option<i64>,
) -> Vec<i64> {
    let mut sounds = Arrivals::of(2_000, (PACKET_US, 0), audio).0.into_iter().peekable();
    let mut pictures = Arrivals::of(1_200, (FRAME_US, 0), video).in_order().0.into_iter().peekable();
    let (mut voices, mut camera) = (AudioPlayout::new(48_000), VideoPlayout::new(mode));
    let (mut listener, mut sync, mut lags) = (Listener::default(), LipSync::new(mode), Vec::new());
    for millisecond in 1..=TICKS * TICK_US / 1_000 {
        let now_us = START_US + millisecond * 1_000;
        let now = time_of(now_us);
        while let Some((_, number)) = sounds.next_if(|next| next.0 <= now_us) {
            voices.push(now, voice(number));
        }
        while let Some((_, number)) = pictures.next_if(|next| next.0 <= now_us) {
            camera.push(now, picture(number));
        }
        listener.listen(&mut voices, now);
        while camera.poll(now).is_some() {}
        if millisecond * 1_000 % TICK_US == 0
            && let Some((audio, video)) = voices.latency().zip(camera.latency())
        {
            let added = sync.update(now, audio, video);
            voices.set_added_delay(added.audio);
            camera.set_added_delay(added.video);
            lags.push(picture_lag_us(audio, video) / 1_000);
        }
    }
    assert!(voices.stats().concealed < Duration::from_millis(400), "{:?}", voices.stats());
    lags
}

fn picture(number: u64) -> VideoFrame<u64> {
    VideoFrame {
        index: number,
        timestamp: (number as u32).wrapping_mul(3_000),
        source: 7,
        captured_at: Some(time_of(START_US + CLOCK_OFFSET_US + number as i64 * FRAME_US)),
        bytes: 3_000,
        frame: number,
    }
}

fn assert_in_sync(lags_ms: &[i64]) {
    let early = -(MAX_PICTURE_EARLY.as_millis() as i64);
    let late = MAX_PICTURE_LATE.as_millis() as i64;
    let bounds = (lags_ms.iter().min(), lags_ms.iter().max());
    println!("lag {bounds:?} ms");
    assert!(lags_ms.iter().all(|lag| (early..=late).contains(lag)), "{bounds:?}");
}

#[test]
fn a_picture_that_takes_longer_is_waited_for() {
    let mut slow = jittery(2, 10.0);
    let lags =
        lags_ms(Mode::Interactive, jittery(1, 3.0), move |number| slow(number).map(|delay| delay + 70_000));
    assert!(lags[0] > 45, "{}", lags[0]);
    assert_in_sync(&lags[60..]);
}

#[test]
fn a_voice_that_takes_longer_is_waited_for() {
    let mut slow = jittery(2, 5.0);
    let lags =
        lags_ms(Mode::Interactive, move |number| slow(number).map(|delay| delay + 150_000), jittery(1, 3.0));
    assert!(lags[0] < -60, "{}", lags[0]);
    assert_in_sync(&lags[60..]);
}

#[test]
fn the_long_delay_of_a_presentation_is_shared_by_the_voice() {
    let lags = lags_ms(Mode::Presentation, jittery(1, 3.0), jittery(2, 20.0));
    assert_in_sync(&lags[100..]);
}
