//! Congestion control at the client: what came of the router is told to it, and what it says of the uplink is the uplink's bitrate.

use std::time::Duration;

use sluice_congestion::{Config, Controller, PacketSent, ProbeCluster};
use sluice_wire::ext::MediaExtensions;
use sluice_wire::feedback::{Ecn, Feedback, FeedbackRecorder};
use sluice_wire::payload_type::PayloadType;
use sluice_wire::rtp::{BufferTooSmall, RtpHeader};
use sluice_wire::ssrc::{StreamIndex, StreamRole};
use sluice_wire::time::Time;

use super::publish::UplinkTrack;
use super::{ClientSession, Event, Phase};

/// Bit/s at which the uplink is first used.
const START_BPS: u64 = 1_000_000;
/// The lowest estimate of the uplink, bit/s: sound alone.
const MIN_BPS: u64 = 50_000;
/// The highest, bit/s: a camera and a screen at 1080p in all their encodings, and then some.
const MAX_BPS: u64 = 20_000_000;
/// A target that changed by less than one part in so many is not news.
const NEWS_PART: u64 = 20;
/// Bytes of a packet of padding, with its header and tag.
const PADDING_BYTES: usize = 1_150;
/// What may be sent is probed for with this margin, in hundredths: headers, repair, and what an encoder exceeds.
const WANTED_PERCENT: u64 = 125;
/// A burst of a probe: as the clock of most senders ticks.
const PROBE_INTERVAL: Duration = Duration::from_millis(4);
/// Room for a header with one extension.
const MAX_HEADER_BYTES: usize = 32;

/// A cluster of probes that is being sent.
#[derive(Debug)]
struct Probing {
    cluster: ProbeCluster,
    packets: u16,
    bytes: u32,
    /// When the next burst leaves.
    next_at: Time,
}

/// Both directions' state.
#[derive(Debug)]
pub(super) struct Congestion {
    arrivals: FeedbackRecorder,
    controller: Controller,
    probing: Option<Probing>,
    next_padding_index: u64,
    /// The target that the caller was told.
    told_bps: u64,
    /// Something was learnt, or sent for the first time: it may be time for a probe.
    may_probe: bool,
    has_feedback: bool,
}

impl Congestion {
    pub(super) fn new() -> Self {
        let config = Config { start_bps: START_BPS, min_bps: MIN_BPS, max_bps: MAX_BPS, ..Config::default() };
        Self {
            arrivals: FeedbackRecorder::new(),
            controller: Controller::new(&config),
            probing: None,
            next_padding_index: 0,
            told_bps: START_BPS,
            may_probe: true,
            has_feedback: false,
        }
    }

    /// Notes a packet of the router's that authenticated.
    pub(super) fn on_arrival(&mut self, now: Time, transport_sequence: u16) {
        self.arrivals.on_packet(transport_sequence, now, Ecn::NotEct);
    }

    /// Notes an RTP packet that leaves.
    pub(super) fn on_sent(&mut self, now: Time, sequence: u16, len: usize) {
        let probe = self.probing.as_mut().map(|probing| {
            probing.packets = probing.packets.saturating_add(1);
            probing.bytes += len as u32;
            probing.cluster.id
        });
        self.controller.on_sent(&PacketSent { sequence, at: now, size_bytes: len as u16, probe });
        let is_complete = |probing: &Probing| {
            probing.packets >= probing.cluster.min_packets && probing.bytes >= probing.cluster.min_bytes
        };
        if self.probing.as_ref().is_some_and(is_complete) {
            self.probing = None;
        }
    }

    /// When something is due.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let outage = self.controller.poll_timeout().filter(|_| self.has_feedback);
        let probe = self.probing.as_ref().map(|probing| probing.next_at);
        [self.arrivals.next_at(), outage, probe].into_iter().flatten().min()
    }

    /// What the uplink carries, bit/s.
    pub(super) const fn target_bps(&self) -> u64 {
        self.controller.target_bps()
    }

    pub(super) fn stats(&self) -> sluice_congestion::Stats {
        self.controller.stats()
    }
}

impl ClientSession {
    /// What the uplink carries, all encodings and their overhead together, in bit/s: what is sent beyond it waits in queues, or is
    /// lost. Told by [`Event::UplinkBitrate`] when it changes.
    #[must_use]
    pub const fn uplink_bitrate_bps(&self) -> u64 {
        self.congestion.target_bps()
    }

    /// What congestion control measures of the uplink.
    #[must_use]
    pub fn uplink_stats(&self) -> sluice_congestion::Stats {
        self.congestion.stats()
    }

    pub(super) fn handle_feedback(&mut self, now: Time, feedback: &Feedback<'_>) {
        self.congestion.has_feedback = true;
        self.congestion.may_probe = true;
        self.congestion.controller.on_feedback(feedback, now);
        self.tell_uplink_bitrate();
    }

    /// Sends the feedback and the probes that are due, and notices an outage.
    pub(super) fn tend_congestion(&mut self, now: Time) {
        while self.congestion.arrivals.next_at().is_some_and(|due| due <= now) {
            let remote = self.remote;
            let mut arrivals = std::mem::take(&mut self.congestion.arrivals);
            let mut is_done = true;
            self.send_compound(now, remote, |compound, control| {
                let written = arrivals.write(now, compound, control);
                is_done = !matches!(written, Ok(true));
                written.map(|_| ()).or(Ok::<(), BufferTooSmall>(()))
            });
            self.congestion.arrivals = arrivals;
            if is_done {
                break;
            }
        }
        if self.congestion.has_feedback
            && self.congestion.controller.poll_timeout().is_some_and(|due| due <= now)
        {
            self.congestion.controller.on_timeout(now);
            self.tell_uplink_bitrate();
        }
        self.probe(now);
    }

    fn tell_uplink_bitrate(&mut self) {
        let (told, target) = (self.congestion.told_bps, self.congestion.target_bps());
        if told.abs_diff(target) > told / NEWS_PART {
            self.congestion.told_bps = target;
            self.emit(Event::UplinkBitrate { bits_per_second: target });
        }
    }

    /// Probes the uplink while media is sent: who sends nothing needs to know nothing.
    fn probe(&mut self, now: Time) {
        let has_media = self.phase == Phase::Open && self.stats.frames_sent > 0;
        if has_media && self.congestion.probing.is_none() && std::mem::take(&mut self.congestion.may_probe) {
            let wanted_bps = self.wanted_of_uplink_bps() * WANTED_PERCENT / 100;
            self.congestion.controller.set_wanted_bps(wanted_bps);
            let cluster = self.congestion.controller.next_probe(now);
            self.congestion.probing =
                cluster.map(|cluster| Probing { cluster, packets: 0, bytes: 0, next_at: now });
        }
        let Some(probing) = self.congestion.probing.as_mut().filter(|probing| probing.next_at <= now) else {
            return;
        };
        let time_of = |packets: u64| {
            Duration::from_nanos(
                packets * PADDING_BYTES as u64 * 8_000_000_000 / probing.cluster.rate_bps.max(1),
            )
        };
        let burst = (PROBE_INTERVAL.as_nanos() / time_of(1).as_nanos().max(1)).max(1) as u64;
        probing.next_at = now + time_of(burst);
        for _ in 0..burst {
            if self.congestion.probing.is_none() || !self.send_padding(now) {
                break;
            }
        }
    }

    /// The most that all encodings send that anybody wants, bit/s.
    fn wanted_of_uplink_bps(&self) -> u64 {
        let of_track = |track: &UplinkTrack| -> u64 {
            let declared = track.declared.encodings.as_slice().iter();
            let wanted = declared.zip(&track.encodings).filter(|(_, encoding)| encoding.is_wanted());
            wanted.map(|(declared, _)| u64::from(declared.max_bitrate_bps)).sum()
        };
        self.tracks.iter().filter(|track| !track.declared.muted).map(of_track).sum()
    }

    /// Sends a packet that says nothing but whether it arrived; `false` if too much waits.
    fn send_padding(&mut self, now: Time) -> bool {
        let index = self.congestion.next_padding_index;
        let Some(ssrc) = self.uplink.ssrc(StreamIndex(0), StreamRole::Rtx) else { return false };
        let header = RtpHeader {
            marker: false,
            payload_type: PayloadType::Padding as u8,
            sequence_number: index as u16,
            timestamp: 0,
            ssrc,
            csrcs: &[],
            extensions: &MediaExtensions {
                transport_sequence: Some(self.next_transport),
                ..MediaExtensions::default()
            },
        };
        let mut header_bytes = [0; MAX_HEADER_BYTES];
        let Ok(header_len) = header.write(&mut header_bytes) else { return false };
        let payload = [0; PADDING_BYTES];
        let payload = &payload[..PADDING_BYTES - header_len - self.outbound.rtp_overhead()];
        let Some(space) = self.out.reserve(PADDING_BYTES) else { return false };
        let sealed = self.outbound.seal_rtp(index, &header_bytes[..header_len], payload, space).unwrap_or(0);
        self.out.commit(self.remote, PADDING_BYTES, sealed);
        if sealed == 0 {
            return false;
        }
        self.congestion.next_padding_index += 1;
        self.on_rtp_sent(now, sealed);
        self.stats.padding_sent += 1;
        true
    }

    /// Notes an RTP packet of `len` bytes that was sealed with the next transport-wide sequence number.
    pub(super) fn on_rtp_sent(&mut self, now: Time, len: usize) {
        self.congestion.on_sent(now, self.next_transport, len);
        self.next_transport = self.next_transport.wrapping_add(1);
        self.stats.bytes_sent += len as u64;
    }
}
