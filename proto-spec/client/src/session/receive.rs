//! Receiving: packets find their slot, and the track that the slot shows.

use sluice_wire::control::{ShownSlot, SlotStatus, Want, WantedSlot};
use sluice_wire::ext::MediaExtensions;
use sluice_wire::payload_type::PayloadType;
use sluice_wire::reception::Reception;
use sluice_wire::repair::{Due, LossDetector, rtx};
use sluice_wire::rtp::RtpPacket;
use sluice_wire::srtp::OpenError;
use sluice_wire::ssrc::{StreamIndex, StreamRole};
use sluice_wire::time::Time;
use sluice_wire::track::TrackId;
use std::time::Duration;

use super::repair::patience;
use super::source::Source;
use super::{ClientSession, Event, MAX_DATAGRAM_BYTES, ReceivedFrame, SessionStats, SlotStats};
use crate::media::Codec;
use crate::media::freezes::FreezeDetector;

/// Key frame requests of one slot are this far apart.
const KEY_FRAME_INTERVAL: Duration = Duration::from_millis(500);

/// How many packets the first one of a slot may have overtaken.
const OVERTAKEN_PACKETS: u64 = 8;

/// What the router was asked to show in a slot.
#[derive(Clone, Copy, Debug)]
struct Asked {
    want: Want,
    /// When the page that says so first left.
    at: Option<Time>,
}

/// The receiving end of a slot.
#[derive(Debug, Default)]
pub(super) struct SlotReceiver {
    slot: u16,
    pub(super) reception: Reception,
    losses: LossDetector,
    highest_index: Option<u64>,
    /// The slot's first packet did not begin a frame: so far back those may be that it has overtaken.
    opening: Option<u64>,
    current: Option<Source>,
    /// What the slot showed before: its last packets may come late.
    previous: Option<Source>,
    last_key_frame_request: Option<Time>,
    /// So much was lost that only a key frame helps, whatever is known of what was in it.
    has_skipped: bool,
    /// Broken frames of sources that are forgotten.
    past_broken_frames: u64,
    asked: Option<Asked>,
    freezes: FreezeDetector,
    stats: SlotStats,
}

impl SlotReceiver {
    pub(super) fn new(slot: u16) -> Self {
        Self { slot, stats: SlotStats { slot, ..SlotStats::default() }, ..Self::default() }
    }

    /// The slot is to show this from now on.
    fn ask(&mut self, want: Want) {
        self.asked = (want != Want::Nothing).then_some(Asked { want, at: None });
        self.stats.first_frame = None;
        self.losses.forget();
        self.freezes.pause();
    }

    /// What was asked last has been sent.
    pub(super) fn note_asked(&mut self, now: Time) {
        if let Some(asked) = &mut self.asked {
            asked.at.get_or_insert(now);
        }
    }

    /// Takes in a packet of `len` bytes as a datagram; frames that it completes go to `frames`. Gives the track, if it is another
    /// than before.
    fn on_packet(
        &mut self,
        now: Time,
        index: u64,
        rtp: &RtpPacket<'_>,
        len: usize,
        frames: &mut Vec<ReceivedFrame>,
    ) -> Result<Option<TrackId>, OpenError> {
        let (track, codec) = subject_of(rtp)?;
        self.stats.packets += 1;
        self.stats.bytes += len as u64;
        self.reception.on_packet(index, rtp.timestamp(), now, codec.clock_rate_hz());
        let begins = begins_frame(codec, &MediaExtensions::read(rtp));
        if self.highest_index.is_none() && !begins {
            // The slot's first packets have been overtaken: they are awaited like any others.
            let awaited = index.saturating_sub(OVERTAKEN_PACKETS);
            self.losses.on_packet(awaited.saturating_sub(1), now);
            self.opening = Some(awaited);
        }
        self.losses.on_packet(index, now);
        let opened = self.opening.take_if(|_| begins).filter(|_| Some(index) < self.highest_index);
        // This is the first, and none of those before it has ever been.
        for never in opened.map_or(index, |awaited| awaited)..index {
            self.losses.on_recovered(never, now);
        }
        let changed = self.take(now, index, rtp, (track, codec), frames);
        if opened.is_some() {
            self.give_up(now, frames);
        }
        Ok(changed)
    }

    /// Takes in a packet that was sent again. `None` if it was not missing.
    pub(super) fn on_recovered(
        &mut self,
        now: Time,
        rtp: &RtpPacket<'_>,
        frames: &mut Vec<ReceivedFrame>,
    ) -> Result<Option<Option<TrackId>>, OpenError> {
        let subject = subject_of(rtp)?;
        let highest = self.losses.highest();
        let index = highest.and_then(|highest| rtx::index_near(highest, rtp.sequence_number()));
        let Some(index) = index.filter(|index| self.losses.on_recovered(*index, now)) else {
            return Ok(None);
        };
        if rtp.payload().is_empty() {
            // The router says that there is nothing to wait for.
            self.give_up(now, frames);
            return Ok(Some(None));
        }
        self.stats.packets_recovered += 1;
        Ok(Some(self.take(now, index, rtp, subject, frames)))
    }

    /// Hands a packet on; frames that it completes go to `frames`. Gives the track, if it is another than before.
    fn take(
        &mut self,
        now: Time,
        index: u64,
        rtp: &RtpPacket<'_>,
        (track, codec): (TrackId, Codec),
        frames: &mut Vec<ReceivedFrame>,
    ) -> Option<TrackId> {
        let extensions = MediaExtensions::read(rtp);
        let before = frames.len();
        let changed = self.turn_to(track, codec, index, &extensions);
        if let Some(source) = self.source_of(track, codec, index) {
            source.push(now, index, rtp, &extensions, frames);
        }
        self.highest_index = self.highest_index.max(Some(index));
        self.note_frames(now, &frames[before..]);
        changed.then_some(track)
    }

    /// The codec of a track that the slot shows or showed before.
    pub(super) fn codec_of(&self, track: TrackId) -> Option<Codec> {
        let mut sources = [&self.current, &self.previous].into_iter().flatten();
        sources.find(|source| source.track == track).map(|source| source.codec)
    }

    /// When something that is missing is to be asked for or given up.
    pub(super) fn repair_at(&self) -> Option<Time> {
        self.losses.poll_timeout()
    }

    /// Says what to ask for, and gives up what does not come; frames behind that go to `frames`.
    pub(super) fn repair(
        &mut self,
        now: Time,
        rtt: Duration,
        lost: &mut [u16],
        frames: &mut Vec<ReceivedFrame>,
    ) -> Due {
        let codec = self.current.as_ref().map_or(Codec::Opus, |source| source.codec);
        let due = self.losses.due(now, rtt, patience(codec, rtt), lost);
        self.has_skipped |= due.skip_to_key_frame && codec.is_video();
        if due.given_up > 0 || due.skip_to_key_frame {
            self.give_up(now, frames);
        }
        due
    }

    /// Makes the track the slot's source, if the packet says so: it is of another one, and not a straggler from before.
    fn turn_to(&mut self, track: TrackId, codec: Codec, index: u64, extensions: &MediaExtensions) -> bool {
        let is_straggler = self.current.as_ref().is_some_and(|current| index < current.first_index);
        let is_known =
            self.current.as_ref().is_some_and(|current| (current.track, current.codec) == (track, codec));
        if is_known || is_straggler {
            return false;
        }
        // A first packet that does not begin a frame has been overtaken: what is missing before it is the source's as well.
        let behind_highest = self
            .highest_index
            .map_or(index.saturating_sub(OVERTAKEN_PACKETS), |highest| (highest + 1).min(index));
        let first_index = if begins_frame(codec, extensions) { index } else { behind_highest };
        self.past_broken_frames += self.previous.as_ref().map_or(0, Source::broken_frames);
        self.previous = self.current.replace(Source::new(self.slot, track, codec, first_index));
        true
    }

    fn source_of(&mut self, track: TrackId, codec: Codec, index: u64) -> Option<&mut Source> {
        let sources = [self.current.as_mut(), self.previous.as_mut()].into_iter().flatten();
        let is_of = |source: &&mut Source| (source.track, source.codec) == (track, codec);
        sources.filter(is_of).find(|source| index >= source.first_index)
    }

    fn note_frames(&mut self, now: Time, frames: &[ReceivedFrame]) {
        for frame in frames {
            self.stats.frames += 1;
            if !frame.is_decodable {
                self.stats.frames_undecodable += 1;
                continue;
            }
            if frame.codec.is_video() {
                self.freezes.on_frame(now);
            }
            if let Some(Asked { want, at: Some(at) }) = self.asked
                && self.stats.first_frame.is_none()
                && (want == Want::Track(frame.track) || !matches!(want, Want::Track(_)))
            {
                self.stats.first_frame = Some(now.saturating_since(at));
            }
        }
    }

    /// The router says how it stands with the slot.
    pub(super) fn on_shown(&mut self, shown: &ShownSlot) {
        let is_to_flow = match shown.status {
            SlotStatus::Flowing
            | SlotStatus::WaitingForKeyFrame
            | SlotStatus::Limited
            | SlotStatus::NotSent => true,
            SlotStatus::NoBandwidth => shown.temporal_layers > 0,
            SlotStatus::NotPublished
            | SlotStatus::Muted
            | SlotStatus::NotAllowed
            | SlotStatus::Unsupported
            | SlotStatus::Paused => false,
        };
        if !is_to_flow {
            self.freezes.pause();
        }
    }

    /// Gives up gaps for which nothing is awaited; frames behind them go to `frames`.
    fn give_up(&mut self, now: Time, frames: &mut Vec<ReceivedFrame>) {
        let before = frames.len();
        for source in [self.previous.as_mut(), self.current.as_mut()].into_iter().flatten() {
            source.give_up_gaps(|index| !self.losses.waits_for(index), frames);
        }
        self.note_frames(now, &frames[before..]);
    }

    /// Whether to ask for a key frame now. A `true` counts as asked.
    pub(super) fn take_key_frame_request(&mut self, now: Time) -> bool {
        let needs = self.has_skipped || self.current.as_ref().is_some_and(Source::needs_key_frame);
        let may =
            self.last_key_frame_request.is_none_or(|last| now.saturating_since(last) >= KEY_FRAME_INTERVAL);
        if needs && may {
            self.last_key_frame_request = Some(now);
            self.has_skipped = false;
        }
        needs && may
    }

    fn stats(&self) -> SlotStats {
        SlotStats { packets_missing: self.reception.missing(), freezes: self.freezes.stats(), ..self.stats }
    }

    pub(super) fn add_to(&self, stats: &mut SessionStats) {
        stats.rtp_lost += self.reception.missing();
        let sources = [&self.previous, &self.current].into_iter().flatten();
        stats.frames_broken += self.past_broken_frames + sources.map(Source::broken_frames).sum::<u64>();
        stats.frames_undecodable += self.stats.frames_undecodable;
    }
}

/// Whether a packet begins a frame, or may do so as far as it says.
fn begins_frame(codec: Codec, extensions: &MediaExtensions) -> bool {
    !codec.is_video() || extensions.frame_marking.is_none_or(|marking| marking.start)
}

/// The track and the codec that a packet says it is of.
fn subject_of(rtp: &RtpPacket<'_>) -> Result<(TrackId, Codec), OpenError> {
    let codec = PayloadType::from_u8(rtp.payload_type()).and_then(Codec::from_payload_type);
    let track = rtp.csrcs().next().and_then(TrackId::from_bits);
    track.zip(codec).ok_or(OpenError::Malformed)
}

impl ClientSession {
    /// What came on the slots that are or were wanted, or on which something came, in order.
    #[must_use]
    pub fn slot_stats(&self) -> Vec<SlotStats> {
        self.receivers.values().map(SlotReceiver::stats).collect()
    }

    /// Tells the receivers of slots that are to show something else than in `before`.
    pub(super) fn ask_receivers(&mut self, before: &[WantedSlot]) {
        let subject = |wanted: &WantedSlot| if wanted.paused { Want::Nothing } else { wanted.want };
        let find = |slots: &[WantedSlot], slot: u16| {
            slots.iter().find(|wanted| wanted.slot == slot).map_or(Want::Nothing, subject)
        };
        for wanted in before.iter().filter(|wanted| find(&self.wanted_slots, wanted.slot) == Want::Nothing) {
            if let Some(receiver) = self.receivers.get_mut(&wanted.slot) {
                receiver.ask(Want::Nothing);
            }
        }
        let limit = self.slot_limit();
        for wanted in self.wanted_slots.iter().filter(|wanted| wanted.slot < limit) {
            let want = subject(wanted);
            if want != find(before, wanted.slot) && want != Want::Nothing {
                let receiver =
                    self.receivers.entry(wanted.slot).or_insert_with(|| SlotReceiver::new(wanted.slot));
                receiver.ask(want);
            }
        }
    }

    pub(super) fn handle_rtp(&mut self, now: Time, datagram: &[u8]) -> Result<(), OpenError> {
        let mut plain = [0; MAX_DATAGRAM_BYTES];
        let opened = self.inbound.open_rtp(datagram, &mut plain)?;
        let is_padding = opened.role == StreamRole::Rtx && opened.stream == StreamIndex::CONTROL;
        self.stats.rtp_received += u64::from(opened.role == StreamRole::Media);
        let rtp = RtpPacket::parse(&plain[..opened.len]).map_err(|_| OpenError::Malformed)?;
        if let Some(sequence) = MediaExtensions::read(&rtp).transport_sequence {
            self.congestion.on_arrival(now, sequence);
        }
        if is_padding {
            self.stats.padding_received += 1;
            return Ok(());
        }
        let Some(slot) = opened.stream.0.checked_sub(1) else { return Err(OpenError::Malformed) };
        match opened.role {
            StreamRole::Media => {}
            StreamRole::Rtx => return self.handle_rtx(now, slot, &mut plain[..opened.len]),
            StreamRole::Fec => return Err(OpenError::Malformed),
        }
        let mut frames = Vec::new();
        let receiver = self.receivers.entry(slot).or_insert_with(|| SlotReceiver::new(slot));
        let handled = receiver.on_packet(now, opened.index, &rtp, datagram.len(), &mut frames);
        self.note_repair(slot);
        self.announce_source(slot, handled.ok().flatten());
        self.deliver(frames);
        handled.map(|_| ())
    }

    /// Tells of the track that a slot shows from here on, if it is another.
    pub(super) fn announce_source(&mut self, slot: u16, track: Option<TrackId>) {
        if let Some(track) = track {
            self.emit(Event::SourceChanged { slot, track });
        }
    }

    /// Gives up old gaps of all slots.
    pub(super) fn tend_receivers(&mut self, now: Time) {
        let mut frames = Vec::new();
        for receiver in self.receivers.values_mut() {
            receiver.give_up(now, &mut frames);
        }
        self.deliver(frames);
    }

    pub(super) fn deliver(&mut self, frames: Vec<ReceivedFrame>) {
        for frame in frames {
            self.stats.frames_received += 1;
            self.emit(Event::Frame(Box::new(frame)));
        }
    }
}
