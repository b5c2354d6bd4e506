//! What a slot could be sent of a track, and what that costs: layers from the cheapest to the best that the slot can use.

use sluice_wire::control::{MAX_ENCODINGS, PublishedEncoding, SlotStatus};
use sluice_wire::time::Time;
use sluice_wire::track::TrackKind;

use super::MAX_RUNGS;
use crate::core::layers::Layers;
use crate::core::policy::Cap;
use crate::core::track::{Encoding, Track};

/// What a packet has beside its payload, in hundredths of what payloads are: headers, tag and UDP on packets of 1,100 bytes.
const OVERHEAD_PERCENT: u64 = 7;
/// Part of an encoding's bitrate up to each temporal layer, in thousandths, for one to four layers: as encoders split it.
const TEMPORAL_SHARES: [&[u64]; 4] = [&[1_000], &[600, 1_000], &[400, 600, 1_000], &[250, 400, 600, 1_000]];
/// The same for spatial layers, each of twice the width and height of the one below.
const SPATIAL_SHARES: [&[u64]; 4] = [&[1_000], &[250, 1_000], &[80, 300, 1_000], &[30, 100, 330, 1_000]];
/// Bit/s of an encoding whose publisher did not say, by its height.
const ASSUMED_BPS: [(u16, u64); 4] =
    [(180, 150_000), (360, 500_000), (720, 1_500_000), (u16::MAX, 3_000_000)];

/// What a slot can use of a video.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use {
    /// Pixels that the receiver asked for at most; 0 is no limit.
    pub(crate) max_height: u16,
    /// Frames per second that it asked for at most; 0 is no limit.
    pub(crate) max_fps: u8,
    /// What the room's policy leaves of it.
    pub(crate) cap: Cap,
}

/// The best layers for a slot, if their price did not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Best {
    pub(crate) layers: Layers,
    /// [`SlotStatus::Flowing`], or why it is less than the receiver asked for.
    pub(crate) status: SlotStatus,
}

/// An encoding, or a spatial layer of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    encoding: u8,
    spatial: u8,
}

/// The sizes of a track, smallest first.
fn sizes(track: &Track) -> impl DoubleEndedIterator<Item = Size> {
    let layers = match &track.encodings[..] {
        [only] => only.published.spatial_layers.max(1),
        _ => 1,
    };
    let whole = |encoding: &Encoding| encoding.published.spatial_layers.wrapping_sub(1);
    track.encodings.iter().enumerate().flat_map(move |(at, of)| {
        let spatial = move |layer| if layers > 1 { layer } else { whole(of) };
        (0..layers).map(move |layer| Size { encoding: at as u8, spatial: spatial(layer) })
    })
}

fn encoding(track: &Track, size: Size) -> Option<&Encoding> {
    track.encodings.get(usize::from(size.encoding))
}

fn height(track: &Track, size: Size) -> u16 {
    let Some(Encoding { published, .. }) = encoding(track, size) else { return 0 };
    let above = published.spatial_layers.saturating_sub(1).saturating_sub(size.spatial);
    published.height >> above.min(15)
}

/// The highest temporal layer with at most `max_fps` frames per second; each layer doubles them.
fn temporal(published: &PublishedEncoding, max_fps: u8) -> u8 {
    let Some(top) = published.temporal_layers.checked_sub(1) else { return u8::MAX };
    if max_fps == 0 || published.fps == 0 {
        return top;
    }
    let fits = |layer: &u8| published.fps.div_ceil(1 << (top - layer).min(7)) <= max_fps;
    (0..=top).rev().find(fits).unwrap_or(0)
}

/// The lower of two limits of which 0 is none.
fn lower<T: Ord + Default>(a: T, b: T) -> T {
    match (a == T::default(), b == T::default()) {
        (true, _) => b,
        (_, true) => a,
        _ => a.min(b),
    }
}

/// The best layers of a video for a slot. A track has at least one encoding.
pub(crate) fn best(track: &Track, slot: Use) -> Best {
    let within = |max_height: u16| {
        let fits = |size: &Size| max_height == 0 || height(track, *size) <= max_height;
        sizes(track).rfind(fits).or_else(|| sizes(track).next()).unwrap_or(Size { encoding: 0, spatial: 0 })
    };
    let asked = within(slot.max_height);
    let capped = within(lower(slot.max_height, slot.cap.height));
    let is_sent = |size: &Size| encoding(track, *size).is_some_and(|encoding| !encoding.is_silent);
    let mut up_to_capped = sizes(track).rev().skip_while(|size| *size != capped);
    let size = up_to_capped.find(is_sent).unwrap_or(capped);
    let published = encoding(track, size).map(|encoding| encoding.published);
    let temporal_within = |max_fps| published.map_or(u8::MAX, |published| temporal(&published, max_fps));
    let layers = Layers {
        encoding: size.encoding,
        spatial: size.spatial,
        temporal: temporal_within(lower(slot.max_fps, slot.cap.fps)),
    };
    let status = if size != capped {
        SlotStatus::NotSent
    } else if size != asked || layers.temporal != temporal_within(slot.max_fps) {
        SlotStatus::Limited
    } else {
        SlotStatus::Flowing
    };
    Best { layers, status }
}

/// Layers from the cheapest to the best.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ladder {
    layers: [Layers; MAX_RUNGS],
    prices_bps: [u64; MAX_RUNGS],
    len: usize,
    /// The first rung of the full size.
    pub(crate) protected: u8,
}

impl Ladder {
    fn empty() -> Self {
        Self { layers: [Layers::default(); MAX_RUNGS], prices_bps: [0; MAX_RUNGS], len: 0, protected: 0 }
    }

    /// The one rung of a sound.
    pub(crate) fn of_audio(track: &Track, now: Time) -> Self {
        let mut ladder = Self::empty();
        if let Some(encoding) = track.encodings.first() {
            ladder.push(Layers::whole(0), price(encoding, Layers::whole(0), 1_000, now));
        }
        ladder
    }

    /// What leads up to `best`.
    pub(crate) fn of_video(track: &Track, best: Best, now: Time) -> Self {
        let ratios = ratios(track, now);
        let top = Size { encoding: best.layers.encoding, spatial: best.layers.spatial };
        let mut ladder = Self::empty();
        for (at, size) in sizes(track).enumerate() {
            let Some(encoding) = encoding(track, size).filter(|encoding| size == top || !encoding.is_silent)
            else {
                continue;
            };
            let highest = temporal(&encoding.published, 0).min(best.layers.temporal);
            // Of larger pictures only the rates that are not worse to look at than the smaller picture in full.
            let lowest = match (at, track.kind, highest) {
                (_, _, u8::MAX) => u8::MAX,
                (0, ..) | (_, TrackKind::Screen, _) => 0,
                _ => highest.saturating_sub(1),
            };
            for temporal in lowest..=highest {
                let layers = Layers { encoding: size.encoding, spatial: size.spatial, temporal };
                ladder.push(layers, price(encoding, layers, ratios[usize::from(size.encoding)], now));
            }
            if size == top {
                break;
            }
        }
        let is_full = |layers: &Layers| (layers.encoding, layers.spatial) == (top.encoding, top.spatial);
        ladder.protected = ladder.layers[..ladder.len].iter().position(is_full).unwrap_or(0) as u8;
        ladder
    }

    /// Adds what is better than all before. What costs as much and is worse is no choice.
    fn push(&mut self, layers: Layers, price_bps: u64) {
        while self.len > 0 && self.prices_bps[self.len - 1] >= price_bps {
            self.len -= 1;
        }
        if self.len < MAX_RUNGS {
            self.layers[self.len] = layers;
            self.prices_bps[self.len] = price_bps;
            self.len += 1;
        }
    }

    /// Bit/s of each rung, ascending.
    pub(crate) fn prices_bps(&self) -> &[u64] {
        &self.prices_bps[..self.len]
    }

    /// The layers and the price of a rung.
    pub(crate) fn rung(&self, rung: u8) -> Option<(Layers, u64)> {
        let at = usize::from(rung);
        (at < self.len).then(|| (self.layers[at], self.prices_bps[at]))
    }

    /// The best rung that is no better than `layers`.
    pub(crate) fn rung_of(&self, layers: Layers) -> Option<u8> {
        let order = |layers: &Layers| (layers.encoding, layers.spatial, layers.temporal);
        let rungs = &self.layers[..self.len];
        rungs.iter().rposition(|rung| order(rung) <= order(&layers)).map(|at| at as u8)
    }

    /// The best rung of at most `price_bps`, or the cheapest.
    pub(crate) fn affordable(&self, price_bps: u64) -> u8 {
        self.prices_bps().iter().rposition(|price| *price <= price_bps).unwrap_or(0) as u8
    }
}

fn declared_bps(published: &PublishedEncoding) -> u64 {
    let assumed =
        || ASSUMED_BPS.iter().find(|(height, _)| published.height <= *height).map_or(0, |(_, bps)| *bps);
    match published.max_bitrate_bps {
        0 => assumed(),
        declared => declared.into(),
    }
}

/// Bit/s on the wire of layers of an encoding, as measured; where it does not flow, `ratio` thousandths of what was declared.
fn price(encoding: &Encoding, layers: Layers, ratio: u64, now: Time) -> u64 {
    let payload = encoding.bitrate(layers, now).map_or_else(
        || declared_bps(&encoding.published) * share(&encoding.published, layers) / 1_000 * ratio / 1_000,
        u64::from,
    );
    payload * (100 + OVERHEAD_PERCENT) / 100
}

/// The part of a whole encoding that `layers` are, in thousandths.
fn share(published: &PublishedEncoding, layers: Layers) -> u64 {
    let of = |shares: [&[u64]; 4], count: u8, layer: u8| {
        let shares = shares[usize::from(count.clamp(1, 4)) - 1];
        shares[usize::from(layer).min(shares.len() - 1)]
    };
    of(TEMPORAL_SHARES, published.temporal_layers, layers.temporal)
        * of(SPATIAL_SHARES, published.spatial_layers, layers.spatial)
        / 1_000
}

/// For each encoding, what part of its declared bitrate is to be expected while it is not sent, in thousandths: a larger picture
/// of the same that takes less than it might says so of the smaller ones too.
fn ratios(track: &Track, now: Time) -> [u64; MAX_ENCODINGS] {
    let mut ratios = [1_000; MAX_ENCODINGS];
    let mut ratio = 1_000;
    for (at, encoding) in track.encodings.iter().enumerate().rev() {
        if let Some(measured) = encoding.bitrate(Layers::whole(at as u8), now) {
            ratio = (u64::from(measured) * 1_000 / declared_bps(&encoding.published).max(1)).clamp(1, 1_000);
        }
        if let Some(place) = ratios.get_mut(at) {
            *place = ratio;
        }
    }
    ratios
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ids::{RoomKey, SessionKey};
    use crate::core::policy::{Policy, Preset};
    use sluice_wire::control::{Encodings, PublishedTrack};
    use sluice_wire::payload_type::PayloadType;
    use sluice_wire::ssrc::StreamIndex;
    use sluice_wire::track::{ParticipantId, TrackNumber};

    const FULL: Use = Use { max_height: 0, max_fps: 0, cap: Cap { height: 0, fps: 0 } };

    fn track(kind: TrackKind, sizes: &[(u16, u32)], temporal_layers: u8, spatial_layers: u8) -> Track {
        let encodings: Vec<_> = sizes
            .iter()
            .zip(1..)
            .map(|((height, max_bitrate_bps), stream)| PublishedEncoding {
                stream: StreamIndex(stream),
                temporal_layers,
                spatial_layers,
                fps: 30,
                width: height * 16 / 9,
                height: *height,
                max_bitrate_bps: *max_bitrate_bps,
            })
            .collect();
        let published = PublishedTrack {
            number: TrackNumber::CAMERA,
            kind,
            payload_type: PayloadType::Vp8,
            muted: false,
            encodings: Encodings::from_slice(&encodings).unwrap(),
        };
        let id = ParticipantId::new(1).unwrap().track(TrackNumber::CAMERA);
        Track::new(id, SessionKey::default(), RoomKey::default(), &published, Time::ZERO, |_| 0)
    }

    fn camera() -> Track {
        track(TrackKind::Camera, &[(180, 150_000), (360, 500_000), (720, 1_500_000)], 3, 1)
    }

    fn of(encoding: u8, temporal: u8) -> Layers {
        Layers { encoding, spatial: 0, temporal }
    }

    fn rungs(ladder: &Ladder) -> Vec<Layers> {
        (0..MAX_RUNGS as u8).map_while(|rung| ladder.rung(rung)).map(|(layers, _)| layers).collect()
    }

    #[test]
    fn height_and_frame_rate_choose_layers() {
        let camera = camera();
        for (max_height, max_fps, layers) in [
            (0, 0, of(2, 2)),
            (719, 0, of(1, 2)),
            (100, 0, of(0, 2)),
            (0, 30, of(2, 2)),
            (0, 29, of(2, 1)),
            (0, 15, of(2, 1)),
            (0, 8, of(2, 0)),
            (360, 1, of(1, 0)),
        ] {
            let best = best(&camera, Use { max_height, max_fps, ..FULL });
            assert_eq!(best, Best { layers, status: SlotStatus::Flowing }, "{max_height}p{max_fps}");
        }
    }

    #[test]
    fn what_a_policy_or_a_sender_holds_back_is_told() {
        let mut camera = camera();
        let cap = Policy::of(Preset::LargeGallery).camera_cap(false);
        let capped = Use { cap, ..FULL };
        assert_eq!(best(&camera, capped), Best { layers: of(0, 1), status: SlotStatus::Limited });
        let less = Use { max_height: 180, max_fps: 15, cap };
        assert_eq!(best(&camera, less).status, SlotStatus::Flowing, "no more was asked for");
        camera.encodings[2].is_silent = true;
        assert_eq!(best(&camera, FULL), Best { layers: of(1, 2), status: SlotStatus::NotSent });
        camera.encodings[1].is_silent = true;
        camera.encodings[0].is_silent = true;
        assert_eq!(best(&camera, FULL).layers, of(2, 2), "nothing comes at all");
    }

    #[test]
    fn spatial_layers_of_one_stream_are_sizes() {
        let camera = track(TrackKind::Camera, &[(720, 1_500_000)], 1, 3);
        for (max_height, spatial) in [(0, 2), (720, 2), (360, 1), (200, 0), (90, 0)] {
            let best = best(&camera, Use { max_height, ..FULL });
            assert_eq!(best.layers, Layers { encoding: 0, spatial, temporal: 0 }, "{max_height}p");
        }
        let ladder = Ladder::of_video(&camera, best(&camera, FULL), Time::ZERO);
        assert_eq!(rungs(&ladder).iter().map(|layers| layers.spatial).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn a_ladder_leads_to_the_best_and_leaves_out_what_is_no_choice() {
        let camera = camera();
        let ladder = Ladder::of_video(&camera, best(&camera, FULL), Time::ZERO);
        let expected = [of(0, 0), of(0, 1), of(0, 2), of(1, 1), of(1, 2), of(2, 1), of(2, 2)];
        assert_eq!(rungs(&ladder), expected);
        assert!(ladder.prices_bps().is_sorted_by(|a, b| a < b));
        assert_eq!(ladder.prices_bps().last(), Some(&1_605_000));
        let less = Ladder::of_video(
            &camera,
            best(&camera, Use { max_height: 360, max_fps: 15, ..FULL }),
            Time::ZERO,
        );
        assert_eq!(rungs(&less), [of(0, 0), of(0, 1), of(1, 0), of(1, 1)]);
        assert_eq!((ladder.rung_of(of(1, 0)), ladder.rung_of(of(9, 9))), (Some(2), Some(6)));
        assert_eq!((ladder.affordable(0), ladder.affordable(600_000)), (0, 4));
    }

    #[test]
    fn a_screen_keeps_its_size_and_gives_up_frames() {
        let screen = track(TrackKind::Screen, &[(360, 300_000), (1_080, 2_000_000)], 3, 1);
        let ladder = Ladder::of_video(&screen, best(&screen, FULL), Time::ZERO);
        assert_eq!(ladder.rung(ladder.protected).map(|(layers, _)| layers), Some(of(1, 0)));
    }

    #[test]
    fn layers_that_were_not_declared_are_one_rung() {
        let camera = track(TrackKind::Camera, &[(180, 0), (360, 0)], 0, 0);
        let ladder = Ladder::of_video(&camera, best(&camera, Use { max_fps: 5, ..FULL }), Time::ZERO);
        assert_eq!(rungs(&ladder), [Layers::whole(0), Layers::whole(1)]);
    }
}
