//! What a whole shard costs without sockets, beside the bare seal; the decision about one packet alone, and a room's tick.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::cell::Cell;
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sluice_benches::bare::BareKey;
use sluice_benches::peer::{FrameShape, MAX_PAYLOAD_BYTES, Peer};
use sluice_benches::scenario::participant;
use sluice_router::clock::Clock;
use sluice_router::core::benchmarking::{Decision, Listening};
use sluice_router::core::limits::{MAX_DATAGRAM_BYTES, PACING_INTERVAL};
use sluice_router::core::{
    Command, DatagramMeta, Drained, Event, OpenRequest, Path, Policy, Rights, Shard, ShardConfig,
    TransmitBatch,
};
use sluice_wire::ticket::{Suite, Ticket};
use sluice_wire::time::Time;
use sluice_wire::track::{TrackId, TrackNumber};

const ROOMS: [u32; 3] = [10, 100, 1_000];
const AUDIENCES: [usize; 4] = [1, 10, 100, 500];
const FRAME_PACKETS: [usize; 4] = [1, 4, 7, 16];
/// The time between frames.
const FRAME_INTERVAL: Duration = Duration::from_millis(33);
/// The time between rounds of control while a meeting comes together.
const ROUND: Duration = Duration::from_millis(100);
/// Bytes of an opened packet.
const PLAIN_BYTES: usize = 1_120;

fn router() -> SocketAddr {
    ([192, 0, 2, 1], 5_004).into()
}

fn address(person: usize) -> SocketAddr {
    ([10, 0, (person >> 8) as u8, person as u8], 4_000).into()
}

/// One publisher and his audience in one shard.
struct Hall {
    now: Time,
    shard: Shard,
    peers: Vec<Peer>,
    /// From the shard.
    out: TransmitBatch,
    /// From a client.
    sealed: TransmitBatch,
}

impl Hall {
    fn new(audience: usize) -> Self {
        let config =
            ShardConfig { number: 0, addresses: vec![router()], policy: Policy::default(), start_bps: None };
        let mut hall = Self {
            now: Time::from_nanos(1_800_000_000_000_000_000),
            shard: Shard::new(config, [7; 32]),
            peers: Vec::new(),
            out: TransmitBatch::new(),
            sealed: TransmitBatch::new(),
        };
        for person in 0..=audience {
            let ticket = hall.open(person);
            let path = Path { local: address(person), remote: router() };
            hall.peers.push(Peer::new(participant(person), &ticket, path, person as u32).expect("a peer"));
        }
        hall.peers[0].publish(true, false);
        let camera: TrackId = participant(0).track(TrackNumber::CAMERA);
        hall.peers[1..].iter_mut().for_each(|peer| peer.want(&[camera]));
        for _ in 0..6 {
            hall.round();
        }
        hall.send(FrameShape { packets: 1, payload_bytes: MAX_PAYLOAD_BYTES, is_key: true });
        hall.drain();
        assert!(
            hall.peers.iter().all(|peer| peer.is_settled() && peer.is_flowing()),
            "everybody gets the camera"
        );
        hall
    }

    fn open(&mut self, person: usize) -> Ticket {
        let request = OpenRequest {
            request: 0,
            room: "hall".to_owned(),
            participant: participant(person),
            suite: Suite::AeadAes128Gcm,
            rights: Rights::default(),
        };
        self.shard.handle_command(self.now, Command::Open(request));
        match self.shard.poll_event() {
            Some(Event::Opened { ticket, .. }) => *ticket,
            other => panic!("no ticket but {other:?}"),
        }
    }

    /// Everybody says what he has to say, and hears the answers.
    fn round(&mut self) {
        for person in 0..self.peers.len() {
            self.peers[person].tend(self.now, &mut self.sealed);
            self.deliver_sealed(person);
        }
        self.drain();
        self.now += ROUND;
    }

    fn deliver_sealed(&mut self, person: usize) {
        let meta = DatagramMeta { local: router(), remote: address(person), ecn: 0, received_at: self.now };
        for send in self.sealed.sends() {
            for datagram in send.datagrams() {
                self.shard.handle_datagram(self.now, meta, datagram);
            }
        }
        self.sealed.clear();
    }

    fn drain(&mut self) {
        loop {
            let drained = self.shard.poll_transmit(self.now, &mut self.out);
            for send in self.out.sends() {
                let SocketAddr::V4(remote) = send.path.remote else { continue };
                let [.., high, low] = remote.ip().octets();
                let peer = &mut self.peers[usize::from(high) << 8 | usize::from(low)];
                for datagram in send.datagrams() {
                    peer.receive(self.now, datagram, true);
                }
            }
            self.out.clear();
            if drained == Drained::Done {
                break;
            }
        }
    }

    fn send(&mut self, frame: FrameShape) {
        self.peers[0].send_frame(self.now, frame, &mut self.sealed);
        self.deliver_sealed(0);
    }

    /// Forwards a frame that is sealed already; what goes out is counted and forgotten.
    fn forward(&mut self) -> usize {
        self.deliver_sealed(0);
        let mut forwarded = 0;
        // What is beyond a quantum leaves an interval later.
        for now in [self.now, self.now + PACING_INTERVAL] {
            loop {
                let drained = self.shard.poll_transmit(now, &mut self.out);
                forwarded += self.out.datagrams();
                self.out.clear();
                if drained == Drained::Done {
                    break;
                }
            }
        }
        forwarded
    }
}

/// Nanoseconds and packets of all samples of a benchmark.
#[derive(Default)]
struct Sum(Cell<(u128, u128)>);

impl Sum {
    fn add(&self, spent: Duration, packets: u64) {
        let (nanos, all) = self.0.get();
        self.0.set((nanos + spent.as_nanos(), all + u128::from(packets)));
    }

    fn per_packet(&self) -> f64 {
        let (nanos, packets) = self.0.get();
        nanos as f64 / packets.max(1) as f64
    }
}

fn fan_out(c: &mut Criterion) {
    let clock = Clock::new();
    let mut lines = Vec::new();
    let mut group = c.benchmark_group("fan-out");
    group.sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    for audience in AUDIENCES {
        let mut hall = Hall::new(audience);
        let keys: Vec<BareKey> =
            (0..audience).map(|number| BareKey::new(&[number as u8; 16]).expect("a key")).collect();
        for packets in FRAME_PACKETS {
            let per_frame = (audience * packets) as u64;
            group.throughput(Throughput::Elements(per_frame));
            let name = format!("{audience} subscribers, {packets} packets");
            let (shard, seal) = (Sum::default(), Sum::default());
            let frame = FrameShape { packets, payload_bytes: MAX_PAYLOAD_BYTES, is_key: false };
            group.bench_function(BenchmarkId::new("shard", &name), |b| {
                b.iter_custom(|frames| {
                    let mut spent = Duration::ZERO;
                    for _ in 0..frames {
                        hall.now += FRAME_INTERVAL;
                        hall.peers[0].send_frame(hall.now, frame, &mut hall.sealed);
                        let began = clock.now();
                        let forwarded = hall.forward();
                        spent += clock.now().saturating_since(began);
                        assert_eq!(forwarded as u64, per_frame, "every packet goes to everybody");
                    }
                    shard.add(spent, frames * per_frame);
                    spent
                });
            });
            group.bench_function(BenchmarkId::new("bare seal", &name), |b| {
                b.iter_custom(|frames| {
                    let began = clock.now();
                    for frame in 0..frames {
                        bare_seal(&keys, packets, frame as u16, &mut hall.out);
                    }
                    let spent = clock.now().saturating_since(began);
                    seal.add(spent, frames * per_frame);
                    spent
                });
            });
            let (shard, seal) = (shard.per_packet(), seal.per_packet());
            if seal > 0.0 {
                lines.push(format!("{name:<32} {shard:>7.0} {seal:>7.0} {:>6.2}", shard / seal));
            }
        }
    }
    group.finish();
    println!("\nns per forwarded packet               shard    seal  ratio");
    lines.iter().for_each(|line| println!("{line}"));
}

/// Seals a frame for each key into an arena of the size of a batch.
fn bare_seal(keys: &[BareKey], packets: usize, frame: u16, batch: &mut TransmitBatch) {
    let plain = [0x90; PLAIN_BYTES];
    let mut used = 0;
    for (ssrc, key) in (0..).zip(keys) {
        for packet in 0..packets as u16 {
            let mut spare = batch.spare().get_mut(used..).unwrap_or_default();
            if spare.len() < MAX_DATAGRAM_BYTES {
                used = 0;
                spare = batch.spare();
            }
            let number = frame.wrapping_mul(packets as u16).wrapping_add(packet);
            used += black_box(key.seal(&plain, ssrc, number, spare)).unwrap_or_default();
        }
    }
}

fn decision(c: &mut Criterion) {
    let mut group = c.benchmark_group("decision");
    group.throughput(Throughput::Elements(1));
    let now = Time::from_nanos(1_800_000_000_000_000_000);
    let mut decision = Decision::new(3);
    let mut index = 0;
    let mut decide = |encoding| {
        index += 1;
        decision.decide(encoding, 0, index, index as u32, black_box(now))
    };
    assert!(decide(0).is_some(), "the slot begins");
    group.bench_function("admit and rewrite", |b| b.iter(|| black_box(decide(0))));
    group.bench_function("ignore another encoding", |b| b.iter(|| black_box(decide(1))));

    // Every other frame is of a layer that the slot does not get.
    let mut thinned = Decision::new(0);
    let mut frame = 0;
    let mut thin = || {
        frame += 1;
        thinned.decide(0, (frame % 2) as u8 ^ 1, frame, frame as u32 * 3_000, black_box(now))
    };
    assert!(thin().is_some() && thin().is_none() && thin().is_some(), "half of it is forwarded");
    group.bench_function("admit and rewrite, or leave out a layer", |b| b.iter(|| black_box(thin())));
    let newest = (0..).find_map(|_| thin()).map_or(0, |(index, _)| index as u16);
    let mut back = 0;
    group.bench_function("NACK lookup among left out layers", |b| {
        b.iter(|| {
            back = (back + 1) % 64;
            black_box(thinned.look_up(newest.wrapping_sub(back)))
        });
    });
    assert!(thinned.look_up(newest).is_some(), "what was sent is found");
    group.finish();
}

fn room_tick(c: &mut Criterion) {
    let clock = Clock::new();
    let mut group = c.benchmark_group("room tick");
    for people in ROOMS {
        let mut room = Listening::new(people);
        let mut changes = 0_u64;
        group.throughput(Throughput::Elements(people.into()));
        group.bench_function(BenchmarkId::from_parameter(format!("{people} participants")), |b| {
            b.iter_custom(|ticks| {
                let mut spent = Duration::ZERO;
                for _ in 0..ticks {
                    room.hear();
                    let began = clock.now();
                    changes += u64::from(black_box(room.tick()));
                    spent += clock.now().saturating_since(began);
                }
                spent
            });
        });
        assert!(changes > 0, "people talk in turns");
    }
    group.finish();
}

criterion_group!(benches, decision, room_tick, fan_out);
criterion_main!(benches);
