//! A slot's life: publishers, a network that loses, delays and repeats, layers that are left out, and switches.

use std::time::Duration;

use slotmap::KeyData;
use sluice_wire::ext::CaptureTime;
use sluice_wire::time::Time;

use super::oracle::Oracle;
use crate::core::ids::{EncodingRef, TrackKey};
use crate::core::rewrite::{Incoming, PictureNumbers, Rewriter};

/// Packets that the network holds at once.
const MAX_HELD: usize = 40;
/// Packets that it may bring again.
const MAX_PAST: usize = 64;
const RATE_HZ: u32 = 90_000;
const PICTURE_INTERVAL: Duration = Duration::from_millis(33);

/// A packet with what the receiver's selection makes of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) source: EncodingRef,
    pub(super) packet: Incoming,
    pub(super) captured: Time,
    /// The running number of its frame at its publisher.
    pub(super) frame: u64,
    pub(super) is_skipped: bool,
}

/// One encoding's sender.
struct Publisher {
    source: EncodingRef,
    next: Incoming,
    captured: Time,
    frame: u64,
    packets_left: u8,
    temporal_id: u8,
    is_skipped: bool,
}

impl Publisher {
    fn new(number: u8) -> Self {
        // Two encodings of a track and one of another; all their counters are about to wrap.
        let track = TrackKey::from(KeyData::from_ffi(1 + u64::from(number / 2)));
        let number16 = u16::from(number);
        Self {
            source: EncodingRef { track, encoding: number % 2 },
            next: Incoming {
                index: u64::from(number) * 65_530,
                timestamp: (u32::MAX - 9_000).wrapping_mul(u32::from(number) + 1),
                arrival: Time::ZERO,
                capture: None,
                start: true,
                end: true,
                tl0_pic_idx: 250 + number,
                vp8: Some(PictureNumbers {
                    picture_id: 0x7FF0 + 5 * number16,
                    tl0_pic_idx: 200 + 20 * number,
                }),
            },
            captured: Time::ZERO,
            frame: 0,
            packets_left: 0,
            temporal_id: 0,
            is_skipped: false,
        }
    }

    /// Begins a frame, of which all that flows up to `limit` is forwarded.
    fn begin_frame(&mut self, now: Time, packets: u8, temporal_id: u8, limit: u8) {
        self.frame += 1;
        self.packets_left = packets;
        self.temporal_id = temporal_id;
        self.is_skipped = temporal_id > limit;
        // The second encoding takes longer to arrive.
        self.captured = now - Duration::from_millis(20) * u32::from(self.source.encoding);
        let (next, is_base) = (&mut self.next, u8::from(temporal_id == 0));
        next.timestamp = next.timestamp.wrapping_add(3_000);
        next.capture = Some(CaptureTime(self.captured.to_ntp()));
        next.tl0_pic_idx = next.tl0_pic_idx.wrapping_add(is_base);
        if let Some(vp8) = next.vp8.as_mut() {
            vp8.picture_id = (vp8.picture_id + 1) & 0x7FFF;
            vp8.tl0_pic_idx = vp8.tl0_pic_idx.wrapping_add(is_base);
        }
        next.start = true;
    }

    fn packet(&mut self, now: Time) -> Sent {
        self.packets_left -= 1;
        self.next.end = self.packets_left == 0;
        self.next.arrival = now;
        let packet = self.next;
        self.next.index += 1;
        self.next.start = false;
        Sent {
            source: self.source,
            packet,
            captured: self.captured,
            frame: self.frame,
            is_skipped: self.is_skipped,
        }
    }
}

struct World<'a> {
    script: &'a [u8],
    now: Time,
    publishers: [Publisher; 3],
    /// The publisher that the slot shows, and the highest temporal layer.
    shown: usize,
    limit: u8,
    held: Vec<Sent>,
    past: Vec<Sent>,
    rewriter: Rewriter,
    oracle: Oracle,
}

impl World<'_> {
    fn draw(&mut self) -> Option<u8> {
        let (&byte, rest) = self.script.split_first()?;
        self.script = rest;
        Some(byte)
    }

    /// The next packet of the publisher that is shown; a byte of the script shapes each frame.
    fn next(&mut self) -> Option<Sent> {
        if self.publishers[self.shown].packets_left == 0 {
            let shape = self.draw()?;
            self.now += PICTURE_INTERVAL * u32::from(shape >> 6);
            let temporal_id = [0, 2, 1, 2, 0, 0, 1, 3][usize::from(shape >> 3 & 7)];
            let (now, limit) = (self.now, self.limit);
            self.publishers[self.shown].begin_frame(now, 1 + shape % 4, temporal_id, limit);
        }
        let now = self.now;
        Some(self.publishers[self.shown].packet(now))
    }

    fn deliver(&mut self, sent: Sent) {
        self.past.push(sent);
        if self.past.len() > MAX_PAST {
            self.past.remove(0);
        }
        if sent.source != self.publishers[self.shown].source {
            return;
        }
        if sent.is_skipped {
            self.rewriter.skip(&sent.packet);
            self.oracle.skip(&sent);
        } else {
            let rewritten = self.rewriter.rewrite(&sent.packet);
            self.oracle.check(&sent, rewritten);
        }
    }

    /// The slot turns to another publisher, who begins with a key frame; nothing of that is lost before its first packet.
    fn switch(&mut self, to: usize) {
        self.shown = to;
        self.now += PICTURE_INTERVAL;
        let (now, limit) = (self.now, self.limit);
        let publisher = &mut self.publishers[to];
        publisher.begin_frame(now, 2, 0, limit);
        let first = publisher.packet(now);
        self.rewriter.switch(first.source, &first.packet, RATE_HZ);
        self.oracle.switch(&first, RATE_HZ);
        self.deliver(first);
    }

    fn step(&mut self, op: u8) -> Option<()> {
        match op {
            0..=139 => {
                let sent = self.next()?;
                self.deliver(sent);
            }
            140..=159 => drop(self.next()?),
            160..=189 => {
                let sent = self.next()?;
                self.held.push(sent);
                if self.held.len() > MAX_HELD {
                    let oldest = self.held.remove(0);
                    self.deliver(oldest);
                }
            }
            190..=219 if !self.held.is_empty() => {
                let which = usize::from(self.draw()?) % self.held.len();
                let late = self.held.swap_remove(which);
                self.deliver(late);
            }
            220..=229 if !self.past.is_empty() => {
                let which = usize::from(self.draw()?) % self.past.len();
                let again = self.past[which];
                self.deliver(again);
            }
            230..=239 => self.limit = op % 4,
            240..=247 => self.switch(usize::from(op) % self.publishers.len()),
            248..=250 => {
                let packets = 1_u64 << (self.draw()? % 12);
                self.publishers[self.shown].next.index += packets;
            }
            251..=253 => {
                for _ in 0..self.draw()? % 64 {
                    self.next()?;
                }
            }
            _ => self.now += PICTURE_INTERVAL * 100,
        }
        Some(())
    }
}

/// A slot's life as `bytes` describe it, on a rewriter and on a slow obvious one.
///
/// # Panics
/// If an output index is given twice, has no reason, or does not map back to its packet; if a number of the slot's stream does
/// not go on.
pub fn rewriter(bytes: &[u8]) {
    let mut world = World {
        script: bytes,
        now: Time::from_nanos(1_800_000_000_000_000_000),
        publishers: [0, 1, 2].map(Publisher::new),
        shown: 0,
        limit: 3,
        held: Vec::new(),
        past: Vec::new(),
        rewriter: Rewriter::new(bytes.len() as u32),
        oracle: Oracle::new(bytes.len() as u64),
    };
    world.switch(0);
    while let Some(op) = world.draw() {
        if world.step(op).is_none() {
            break;
        }
        world.oracle.check_sources(&world.rewriter, 3);
    }
    world.oracle.check_sources(&world.rewriter, 3_000);
}
