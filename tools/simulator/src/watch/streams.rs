//! What the router makes of media, behind its encryption: running numbers count on over switches and over all that it leaves
//! out, frames are whole, a picture begins where a decoder can begin, and nobody is sent what is his own.

use std::collections::BTreeMap;
use std::time::Duration;

use sluice_client::media::hash::frame_hash;
use sluice_wire::classify::{Class, classify};
use sluice_wire::descriptor::vp8;
use sluice_wire::ext::{CaptureTime, FrameMarking, MediaExtensions, id};
use sluice_wire::payload_type::PayloadType;
use sluice_wire::repair::rtx;
use sluice_wire::rtp::RtpPacket;
use sluice_wire::srtp::InboundSrtp;
use sluice_wire::ssrc::{StreamIndex, StreamRole};
use sluice_wire::time::Time;
use sluice_wire::track::{ParticipantId, TrackId};

use super::{MAX_DATAGRAM_BYTES, TicketNumber};

const VIDEO_HZ: u128 = 90_000;
/// The longest jump of a slot's timestamp (spec 3.4.1), in ticks.
const MAX_JUMP_TICKS: u128 = 10 * VIDEO_HZ;
/// Rounding of NTP and of two clocks' ticks.
const ROUNDING_TICKS: u32 = 2;
/// Who wants a track again, or publishes it anew, does so after this.
const RESUMPTION: Duration = Duration::from_millis(200);

/// The newest video packet of a slot.
#[derive(Clone, Copy, Debug)]
struct Newest {
    at: Time,
    index: u64,
    track: TrackId,
    timestamp: u32,
    capture: Option<CaptureTime>,
    marking: FrameMarking,
    picture_id: u16,
    /// TL0PICIDX of the payload.
    tl0_pic_idx: Option<u8>,
}

#[derive(Debug, Default)]
pub(super) struct Streams {
    /// A second reader of what each participant is sent, with the session's keys.
    readers: BTreeMap<TicketNumber, (ParticipantId, InboundSrtp)>,
    newest: BTreeMap<(TicketNumber, u32), Newest>,
    /// What was sent under each of the last sequence numbers of each slot, but for what is of the way.
    sent: BTreeMap<(TicketNumber, u32), BTreeMap<u16, u64>>,
    /// Everything that was published reached the router, in order, from sessions that are not replaced.
    is_lossless: bool,
}

impl Streams {
    pub(super) const fn expect_no_loss(&mut self) {
        self.is_lossless = true;
    }

    pub(super) fn on_ticket(&mut self, ticket: TicketNumber, owner: ParticipantId, reader: InboundSrtp) {
        self.readers.insert(ticket, (owner, reader));
    }

    pub(super) fn on_sent(&mut self, now: Time, ticket: TicketNumber, datagram: &[u8]) -> Result<(), String> {
        let Class::Rtp { ssrc } = classify(datagram) else { return Ok(()) };
        let Some((owner, reader)) = self.readers.get_mut(&ticket) else { return Ok(()) };
        let mut plain = [0; MAX_DATAGRAM_BYTES];
        // The same ciphertext again says nothing new.
        let Ok(opened) = reader.open_rtp(datagram, &mut plain) else { return Ok(()) };
        let packet = RtpPacket::parse(&plain[..opened.len]).map_err(|error| error.to_string())?;
        let is_on_control_stream = opened.stream == StreamIndex::CONTROL;
        if (packet.payload_type() == PayloadType::Padding as u8) != is_on_control_stream {
            return Err("padding and media are mixed up".to_owned());
        }
        if is_on_control_stream {
            return Ok(());
        }
        let track = packet.csrcs().next().and_then(TrackId::from_bits).ok_or("a packet names no track")?;
        if track.participant() == *owner {
            return Err(format!("{owner:?} is sent its own {:?}", track.number()));
        }
        if opened.role == StreamRole::Rtx {
            let (of, content) = resent(&packet).ok_or("RTX without an original")?;
            let sent = self.sent.get(&(ticket, ssrc - 1)).and_then(|sent| sent.get(&of));
            return match sent {
                Some(sent) if *sent != content => Err(format!(
                    "packet {of} of SSRC {:#010x} of {owner:?} is sent again as another",
                    ssrc - 1
                )),
                // What the router lacked when it was new may come this way alone.
                _ => Ok(()),
            };
        }
        let content = content_of(&packet, packet.payload());
        self.sent.entry((ticket, ssrc)).or_default().insert(opened.index as u16, content);
        if packet.payload_type() != PayloadType::Vp8 as u8 {
            return Ok(());
        }
        let extensions = MediaExtensions::read(&packet);
        let marking = extensions.frame_marking.ok_or("video without frame marking")?;
        let descriptor =
            vp8::Descriptor::parse(packet.payload()).ok_or("a VP8 payload without descriptor")?;
        let packet = Newest {
            at: now,
            index: opened.index,
            track,
            timestamp: packet.timestamp(),
            capture: extensions.capture_time,
            marking,
            picture_id: descriptor.picture_id.ok_or("a VP8 descriptor without a picture id")?.value,
            tl0_pic_idx: descriptor.tl0_pic_idx.map(|index| index.value),
        };
        let place = self.newest.entry((ticket, ssrc)).or_insert(packet);
        if packet.index == place.index + 1 {
            let judged = follows(place, &packet)
                .and_then(|()| if self.is_lossless { follows_without_loss(place, &packet) } else { Ok(()) });
            judged.map_err(|what| {
                format!("{what}, on SSRC {ssrc:#010x} of {owner:?}: {place:?} is followed by {packet:?}")
            })?;
        }
        if packet.index > place.index {
            *place = packet;
        }
        Ok(())
    }
}

/// What a packet says, by a number, but for what an RTX packet has of its own.
fn content_of(packet: &RtpPacket<'_>, payload: &[u8]) -> u64 {
    let mut bytes = payload.to_vec();
    bytes.push(packet.marker().into());
    bytes.extend(packet.timestamp().to_be_bytes());
    packet.csrcs().for_each(|csrc| bytes.extend(csrc.to_be_bytes()));
    let of_the_way = |id: u8| id == id::TRANSPORT_SEQUENCE;
    for extension in packet.extensions().filter(|extension| !of_the_way(extension.id)) {
        bytes.extend(extension.data);
    }
    frame_hash(&bytes)
}

/// The original's sequence number and content.
fn resent(packet: &RtpPacket<'_>) -> Option<(u16, u64)> {
    let (sequence_number, payload) = rtx::split(packet.payload())?;
    Some((sequence_number, content_of(packet, payload)))
}

/// Whether a packet may be the next of a slot, whatever the network did before the router.
fn follows(before: &Newest, packet: &Newest) -> Result<(), &'static str> {
    if !packet.marking.start {
        let same_frame = (packet.track, packet.timestamp, packet.picture_id)
            == (before.track, before.timestamp, before.picture_id);
        return if same_frame && !before.marking.end { Ok(()) } else { Err("a frame without a beginning") };
    }
    if packet.track != before.track && !packet.marking.is_entry() {
        return Err("another track begins where no decoder can");
    }
    if packet.picture_id != (before.picture_id + 1) & 0x7FFF {
        return Err("a picture id that does not count on");
    }
    let step = u8::from(packet.marking.temporal_id == 0);
    if packet.marking.tl0_pic_idx != before.marking.tl0_pic_idx.wrapping_add(step) {
        return Err("a TL0PICIDX that does not count on");
    }
    if let (Some(earlier), Some(now)) = (before.tl0_pic_idx, packet.tl0_pic_idx)
        && now != earlier.wrapping_add(step)
    {
        return Err("a TL0PICIDX in the payload that does not count on");
    }
    if packet.timestamp == before.timestamp {
        return Err("two frames of one time");
    }
    Ok(())
}

/// What must be true besides when all that was published reached the router.
fn follows_without_loss(before: &Newest, packet: &Newest) -> Result<(), &'static str> {
    let resumes = packet.at.saturating_since(before.at) >= RESUMPTION && packet.marking.is_entry();
    if packet.track != before.track || !packet.marking.start || resumes {
        return Ok(());
    }
    if !before.marking.end {
        return Err("a frame without an end");
    }
    let ticks = packet.timestamp.wrapping_sub(before.timestamp);
    let expected = ticks_between(before.capture, packet.capture);
    if expected.is_none_or(|expected| expected.abs_diff(ticks) > ROUNDING_TICKS) {
        return Err("a timestamp that does not follow the capture time");
    }
    Ok(())
}

/// Ticks of video between two captures, at least one.
fn ticks_between(before: Option<CaptureTime>, now: Option<CaptureTime>) -> Option<u32> {
    let elapsed = u128::from(now?.0.saturating_sub(before?.0));
    Some(((elapsed * VIDEO_HZ) >> 32).clamp(1, MAX_JUMP_TICKS) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The only packet of a frame of temporal layer 1, and the one that follows a second later.
    fn pair() -> (Newest, Newest) {
        let marking = FrameMarking {
            start: true,
            end: true,
            temporal_id: 1,
            tl0_pic_idx: 255,
            ..FrameMarking::default()
        };
        let before = Newest {
            at: Time::ZERO,
            index: 7,
            track: TrackId::from_bits(0x101).unwrap(),
            timestamp: 5_000,
            capture: Some(CaptureTime(0)),
            marking,
            picture_id: 0x7FFF,
            tl0_pic_idx: Some(255),
        };
        let capture = Some(CaptureTime(1 << 32));
        (before, Newest { index: 8, timestamp: 95_000, capture, picture_id: 0, ..before })
    }

    fn verdict(change: impl FnOnce(&mut Newest, &mut Newest)) -> Result<(), &'static str> {
        let (mut before, mut after) = pair();
        change(&mut before, &mut after);
        follows(&before, &after).and_then(|()| follows_without_loss(&before, &after))
    }

    #[test]
    fn numbers_count_on() {
        assert_eq!(verdict(|_, _| {}), Ok(()));
        assert_eq!(verdict(|_, after| after.picture_id = 1), Err("a picture id that does not count on"));
        assert_eq!(verdict(|_, after| after.timestamp = 5_000), Err("two frames of one time"));
        let base = |after: &mut Newest, number| {
            after.marking = FrameMarking { temporal_id: 0, tl0_pic_idx: number, ..after.marking };
            after.tl0_pic_idx = Some(number);
        };
        assert_eq!(verdict(|_, after| base(after, 0)), Ok(()));
        assert_eq!(verdict(|_, after| base(after, 255)), Err("a TL0PICIDX that does not count on"));
        let of_payload = verdict(|_, after| after.tl0_pic_idx = Some(0));
        assert_eq!(of_payload, Err("a TL0PICIDX in the payload that does not count on"));
    }

    #[test]
    fn frames_are_whole() {
        let cut = Err("a frame without an end");
        assert_eq!(verdict(|before, _| before.marking.end = false), cut);
        let entry = |after: &mut Newest| after.marking.independent = true;
        assert_eq!(verdict(|before, after| (before.marking.end = false, entry(after)).1), cut);
        let resumed = |before: &mut Newest, after: &mut Newest| {
            before.marking.end = false;
            after.at = Time::ZERO + RESUMPTION;
            entry(after);
        };
        assert_eq!(verdict(resumed), Ok(()));
        let headless = Err("a frame without a beginning");
        assert_eq!(verdict(|_, after| after.marking.start = false), headless);
        let goes_on = |before: &mut Newest, after: &mut Newest| {
            before.marking.end = false;
            *after = Newest { index: 8, ..*before };
            after.marking.start = false;
        };
        assert_eq!(verdict(goes_on), Ok(()));
        assert_eq!(verdict(|before, after| (goes_on(before, after), after.picture_id = 0).1), headless);
    }

    #[test]
    fn another_track_begins_with_an_entry_and_time_follows_capture() {
        let other = TrackId::from_bits(0x201).unwrap();
        assert_eq!(verdict(|_, after| after.track = other), Err("another track begins where no decoder can"));
        let entry = |after: &mut Newest| (after.track, after.marking.independent) = (other, true);
        assert_eq!(verdict(|_, after| entry(after)), Ok(()));
        let late = Err("a timestamp that does not follow the capture time");
        assert_eq!(verdict(|_, after| after.timestamp += 3), late);
        assert_eq!(verdict(|_, after| after.timestamp -= 2), Ok(()));
        assert_eq!(
            verdict(|_, after| (after.capture, after.timestamp) = (Some(CaptureTime(0)), 5_001)),
            Ok(())
        );
        assert_eq!(verdict(|_, after| after.capture = None), late);
    }
}
