//! RTCP out, and the periodic care of the session. Every datagram is made from the state at the moment it leaves.

use std::net::SocketAddr;
use std::time::Duration;

use rand::Rng;
use sluice_wire::control::{
    CloseCode, OutMessage, PageHeader, PublishedTrack, WANTED_PER_PAGE, write_message,
};
use sluice_wire::rtcp::{CompoundWriter, ReportBlock};
use sluice_wire::rtp::BufferTooSmall;
use sluice_wire::ssrc::{StreamIndex, StreamRole};
use sluice_wire::time::Time;

use super::liveness::{Finding, Sign};
use super::{ClientSession, Echo, Event, Phase};

/// Interval of sender and receiver reports (spec 3.6).
pub(super) const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// The stated limit is repeated this often (spec 3.6): it may get lost.
const LIMIT_INTERVAL: Duration = Duration::from_secs(1);
/// Times that a close is sent (spec 5.5).
pub(super) const CLOSE_REPEATS: u8 = 3;
const CLOSE_INTERVAL: Duration = Duration::from_millis(100);
/// The largest plaintext of an SRTCP datagram (spec 4.1).
const MAX_COMPOUND_BYTES: usize = 1_100;
/// Report blocks of one RR.
const MAX_REPORT_BLOCKS: usize = 31;
/// Sender reports that fit a compound beside its first packet: 28 bytes each.
const SENDER_REPORTS_PER_COMPOUND: usize = 32;

impl ClientSession {
    /// Looks after the session: called at the end of every input.
    pub(super) fn tend(&mut self, now: Time) {
        match self.phase {
            Phase::Closed => return,
            Phase::Closing { repeats: 0, next_at } if next_at <= now => {
                return self.finish(CloseCode::Normal);
            }
            Phase::Closing { repeats, next_at } => {
                if next_at <= now {
                    self.phase = Phase::Closing { repeats: repeats - 1, next_at: now + CLOSE_INTERVAL };
                    self.send_close(now);
                }
                return;
            }
            Phase::Open => {}
        }
        self.answer_echoes(now);
        self.send_receive_limit(now);
        self.tend_congestion(now);
        let is_tick = self.liveness.tick(now);
        if is_tick {
            match self.liveness.find(now) {
                Finding::Fine => {}
                Finding::BecameSuspect => self.emit(Event::PathSuspect),
                Finding::Dead => return self.finish(CloseCode::IdleTimeout),
            }
            self.tend_receivers(now);
        }
        self.tend_repair(now);
        self.send_states(now);
        if is_tick {
            self.send_duties(now);
            if now >= self.next_report {
                self.next_report = now + REPORT_INTERVAL;
                self.send_reports(now);
            }
        }
    }

    pub(super) fn on_sign_of_life(&mut self, now: Time) {
        if self.liveness.on_heard(now) {
            self.emit(Event::PathRecovered);
        }
        if !std::mem::replace(&mut self.liveness.is_connected, true) {
            self.emit(Event::Connected);
        }
    }

    /// Answers each question where it came from.
    fn answer_echoes(&mut self, now: Time) {
        for (to, echo) in std::mem::take(&mut self.echoes) {
            let message = match echo {
                Echo::Pong(token) => OutMessage::Pong(token),
                Echo::PathResponse(data) => OutMessage::PathResponse(data),
            };
            self.send_compound(now, to, |compound, control| write_message(compound, control, &message));
        }
    }

    /// Says how much may be sent, at once when that changed and then every so often.
    fn send_receive_limit(&mut self, now: Time) {
        if let Some((limit, next_at)) = &mut self.receive_limit
            && *next_at <= now
        {
            *next_at = now + LIMIT_INTERVAL;
            let (limit, remote) = (*limit, self.remote);
            self.send_compound(now, remote, |compound, control| compound.remb(control, limit, &[]));
        }
    }

    /// Sends acknowledgements and the pages that are due, one page a datagram with what fits beside it.
    pub(super) fn send_states(&mut self, now: Time) {
        let remote = self.remote;
        if !self.acks.is_empty() {
            let acks = std::mem::take(&mut self.acks);
            self.send_compound(now, remote, |compound, control| {
                write_message(compound, control, &OutMessage::Ack(&acks))
            });
        }
        while let Some((page, version)) = self.published.due(now) {
            let header = PageHeader { version, page, pages: self.published.pages() };
            let range = self.published_pages.get(usize::from(page)).cloned().unwrap_or_default();
            let tracks: Vec<PublishedTrack> = self.tracks[range].iter().map(|track| track.declared).collect();
            self.send_compound(now, remote, |compound, control| {
                write_message(compound, control, &OutMessage::Published(header, &tracks))
            });
            self.published.on_sent(page, now);
        }
        while let Some((page, version)) = self.wanted.due(now) {
            let header = PageHeader { version, page, pages: self.wanted.pages() };
            let start = usize::from(page) * WANTED_PER_PAGE;
            let end = (start + WANTED_PER_PAGE).min(self.wanted_slots.len());
            let slots = self.wanted_slots[start..end].to_vec();
            self.send_compound(now, remote, |compound, control| {
                write_message(compound, control, &OutMessage::Wanted(header, &slots))
            });
            self.wanted.on_sent(page, now);
            self.receivers.values_mut().for_each(|receiver| receiver.note_asked(now));
        }
    }

    /// Sends what the clock asks for: signs of life, moves, key frame requests.
    fn send_duties(&mut self, now: Time) {
        let mut asked: Vec<u32> = Vec::new();
        for (slot, receiver) in &mut self.receivers {
            let ssrc = self.downlink.ssrc(StreamIndex(slot + 1), StreamRole::Media);
            if let Some(ssrc) = ssrc.filter(|_| receiver.take_key_frame_request(now)) {
                asked.push(ssrc);
            }
        }
        self.stats.key_frame_requests_sent += asked.len() as u64;
        let wants_move = self.liveness.take_move(now);
        let sign = self.liveness.take_sign(now);
        let token = (sign == Some(Sign::Ping)).then(|| self.rng.next_u64());
        self.ping = token.map(|token| (token, now)).or(self.ping);
        let remote = self.remote;
        if asked.is_empty() && !wants_move && sign.is_none() {
            return;
        }
        self.send_compound(now, remote, |compound, control| {
            if wants_move {
                write_message(compound, control, &OutMessage::Move)?;
            }
            if let Some(token) = token {
                write_message(compound, control, &OutMessage::Ping(token))?;
            }
            asked.iter().try_for_each(|ssrc| compound.pli(control, *ssrc))
        });
    }

    fn send_reports(&mut self, now: Time) {
        let remote = self.remote;
        let blocks: Vec<ReportBlock> = self
            .receivers
            .iter_mut()
            .filter_map(|(slot, receiver)| {
                let ssrc = self.downlink.ssrc(StreamIndex(slot + 1), StreamRole::Media)?;
                receiver.reception.report(ssrc, now)
            })
            .collect();
        for blocks in blocks.chunks(MAX_REPORT_BLOCKS) {
            self.send_compound(now, remote, |compound, control| compound.receiver_report(control, blocks));
        }
        let reports: Vec<_> = self
            .streams
            .iter()
            .enumerate()
            .filter(|(_, stream)| {
                stream.last_sent.is_some_and(|sent| now.saturating_since(sent) < 2 * REPORT_INTERVAL)
            })
            .filter_map(|(number, stream)| {
                let ssrc = self.uplink.ssrc(StreamIndex(number as u16), StreamRole::Media)?;
                Some((ssrc, stream.sender_info(now)))
            })
            .collect();
        for reports in reports.chunks(SENDER_REPORTS_PER_COMPOUND) {
            self.send_compound(now, remote, |compound, _| {
                reports.iter().try_for_each(|(ssrc, info)| compound.sender_report(*ssrc, info, &[]))
            });
        }
    }

    pub(super) fn send_close(&mut self, now: Time) {
        let remote = self.remote;
        self.send_compound(now, remote, |compound, control| {
            write_message(compound, control, &OutMessage::Close(CloseCode::Normal))
        });
    }

    /// Seals one compound: an empty RR of the control SSRC, then what `write` adds.
    pub(super) fn send_compound(
        &mut self,
        now: Time,
        to: SocketAddr,
        write: impl FnOnce(&mut CompoundWriter<'_>, u32) -> Result<(), BufferTooSmall>,
    ) {
        let control = self.uplink.control();
        let mut plain = [0; MAX_COMPOUND_BYTES];
        let mut compound = CompoundWriter::new(&mut plain);
        let written = compound.receiver_report(control, &[]).and_then(|()| write(&mut compound, control));
        debug_assert!(written.is_ok(), "what goes into a compound is cut to fit by its callers");
        let len = compound.finish();
        let reserved = len + self.outbound.rtcp_overhead();
        let Some(space) = self.out.reserve(reserved) else {
            self.stats.transmits_lost += 1;
            return;
        };
        let sealed = self.outbound.seal_rtcp(&plain[..len], space).unwrap_or(0);
        self.out.commit(to, reserved, sealed);
        self.liveness.on_sent(now);
        self.stats.rtcp_sent += 1;
        self.stats.bytes_sent += sealed as u64;
    }
}
