//! A flow under congestion control: an encoder that follows the target, a pacer, probes, and a receiver with its feedback.

use std::collections::VecDeque;
use std::time::Duration;

use sluice_congestion::{Config, Controller, PacketSent, ProbeCluster};
use sluice_wire::feedback::{Ecn, Feedback, FeedbackRecorder};
use sluice_wire::rtcp::{self, CompoundWriter, Packet as Rtcp};
use sluice_wire::time::Time;

use super::{Link, Packet, Random, at};

const FRAME: Duration = Duration::from_nanos(33_333_333);
const MAX_PACKET: f64 = 1_200.0;
/// What the pacer holds at most before the encoder leaves out a frame.
const MAX_PACED: Duration = Duration::from_millis(250);

#[derive(Debug)]
struct Probing {
    cluster: ProbeCluster,
    packets: u16,
    bytes: u32,
}

#[derive(Debug)]
pub(crate) struct Flow {
    index: usize,
    one_way: Duration,
    wanted_bps: f64,
    random: Random,
    pub(crate) controller: Controller,
    sequence: u64,
    next_frame_at: Time,
    paced: VecDeque<u16>,
    next_send_at: Time,
    probing: Option<Probing>,
    recorder: FeedbackRecorder,
    to_receiver: VecDeque<Packet>,
    to_sender: VecDeque<(Time, Vec<u8>)>,
    /// Bytes sent, with the time.
    sent: Vec<(Time, u64)>,
    /// Bytes received, with the time and the wait in the queue in ms.
    received: Vec<(Time, u64, f64)>,
    /// The target after each message.
    targets: Vec<(Time, f64)>,
}

impl Flow {
    pub(crate) fn new(index: usize, start: Time, one_way: Duration, wanted_bps: f64, random: Random) -> Self {
        let mut controller = Controller::new(&Config::default());
        controller.set_wanted_bps(wanted_bps as u64);
        Self {
            index,
            one_way,
            wanted_bps,
            random,
            controller,
            sequence: 0,
            next_frame_at: start,
            paced: VecDeque::new(),
            next_send_at: start,
            probing: None,
            recorder: FeedbackRecorder::new(),
            to_receiver: VecDeque::new(),
            to_sender: VecDeque::new(),
            sent: Vec::new(),
            received: Vec::new(),
            targets: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, now: Time, link: &mut Link) {
        self.take_feedback(now);
        if self.controller.poll_timeout().is_some_and(|due| due <= now) {
            self.controller.on_timeout(now);
        }
        self.encode(now);
        while self.next_send_at <= now {
            let probe = self.probing.as_ref().map(|probing| probing.cluster);
            let Some(size) = self.paced.pop_front().or(probe.map(|_| MAX_PACKET as u16)) else { break };
            let rate = probe.map_or(self.controller.pacing_rate_bps(), |cluster| cluster.rate_bps) as f64;
            let gap = Duration::from_secs_f64(f64::from(size) * 8.0 / rate);
            // A pause is no credit for a burst.
            self.next_send_at = self.next_send_at.max(now - Duration::from_micros(250)) + gap;
            self.send_packet(now, size, probe, link);
        }
    }

    fn send_packet(&mut self, now: Time, size: u16, probe: Option<ProbeCluster>, link: &mut Link) {
        let packet = PacketSent {
            sequence: self.sequence as u16,
            at: now,
            size_bytes: size,
            probe: probe.map(|cluster| cluster.id),
        };
        self.controller.on_sent(&packet);
        link.push(self.index, self.sequence, size.into(), now);
        self.sent.push((now, size.into()));
        self.sequence += 1;
        if let Some(probing) = &mut self.probing {
            probing.packets += 1;
            probing.bytes += u32::from(size);
            let cluster = &probing.cluster;
            if probing.packets >= cluster.min_packets && probing.bytes >= cluster.min_bytes {
                self.probing = None;
            }
        }
    }

    fn encode(&mut self, now: Time) {
        if now < self.next_frame_at {
            return;
        }
        self.next_frame_at += FRAME;
        // A new cluster waits for the one before.
        if self.probing.is_none()
            && let Some(cluster) = self.controller.next_probe(now)
        {
            self.probing = Some(Probing { cluster, packets: 0, bytes: 0 });
        }
        let target = (self.controller.target_bps() as f64).min(self.wanted_bps);
        let paced: f64 = self.paced.iter().map(|size| f64::from(*size) * 8.0).sum();
        if paced > target * MAX_PACED.as_secs_f64() {
            return;
        }
        let noise = 0.85 + 0.3 * self.random.unit();
        let bytes = (target * FRAME.as_secs_f64() / 8.0 * noise).max(60.0);
        let packets = (bytes / MAX_PACKET).ceil();
        self.paced.extend((0..packets as u32).map(|_| (bytes / packets) as u16));
    }

    fn take_feedback(&mut self, now: Time) {
        while self.to_sender.front().is_some_and(|(arrives, _)| *arrives <= now) {
            let (_, bytes) = self.to_sender.pop_front().expect("it is there");
            let Some(Ok(Rtcp::App(app))) = rtcp::packets(&bytes).next() else { panic!() };
            self.controller.on_feedback(&Feedback::parse(&app).expect("it is there"), now);
            self.targets.push((now, self.controller.target_bps() as f64));
        }
    }

    pub(crate) fn deliver(&mut self, packet: &Packet) {
        self.to_receiver.push_back(*packet);
    }

    pub(crate) fn receive(&mut self, now: Time) {
        while self.to_receiver.front().is_some_and(|packet| packet.served_at + self.one_way <= now) {
            let packet = self.to_receiver.pop_front().expect("it is there");
            let arrived_at = packet.served_at + self.one_way;
            let waited = packet.served_at.saturating_since(packet.sent_at).as_secs_f64() * 1_000.0;
            self.received.push((arrived_at, packet.bytes, waited));
            self.recorder.on_packet(packet.sequence as u16, arrived_at, Ecn::NotEct);
        }
        while self.recorder.next_at().is_some_and(|due| due <= now) {
            let mut buffer = vec![0; 1_100];
            let mut compound = CompoundWriter::new(&mut buffer);
            assert!(self.recorder.write(now, &mut compound, 7).expect("it is there"));
            let len = compound.finish();
            buffer.truncate(len);
            self.to_sender.push_back((now + self.one_way, buffer));
        }
    }

    /// What was sent between two times in ms, in bit/s.
    pub(crate) fn sent_bps(&self, from: u64, until: u64) -> f64 {
        rate(self.sent.iter().copied(), from, until)
    }

    /// What was received between two times in ms, in bit/s.
    pub(crate) fn received_bps(&self, from: u64, until: u64) -> f64 {
        rate(self.received.iter().map(|(time, bytes, _)| (*time, *bytes)), from, until)
    }

    /// The waits in the queue of what was received between two times in ms, in ms.
    pub(crate) fn waits(&self, from: u64, until: u64) -> Vec<f64> {
        let within = |time: &Time| (at(from)..at(until)).contains(time);
        self.received.iter().filter(|(time, ..)| within(time)).map(|(_, _, waited)| *waited).collect()
    }

    /// How long after a time in ms the target first fulfilled a condition, in ms.
    pub(crate) fn target_first(&self, from: u64, is_so: impl Fn(f64) -> bool) -> Option<u64> {
        let (time, _) = self.targets.iter().find(|(time, target)| *time >= at(from) && is_so(*target))?;
        Some(time.saturating_since(at(from)).as_millis() as u64)
    }
}

fn rate(bytes: impl Iterator<Item = (Time, u64)>, from: u64, until: u64) -> f64 {
    let within = |time: Time| (at(from)..at(until)).contains(&time);
    let sum: u64 = bytes.filter(|(time, _)| within(*time)).map(|(_, bytes)| bytes).sum();
    sum as f64 * 8_000.0 / (until - from) as f64
}
