//! What forward error correction costs per source packet: `cargo bench -p sluice-wire --bench fec`.
//!
//! Blocks are of packets of 1,124 bytes, the longest that a router sends. Times are of a whole block; the throughput in elements
//! is that of source packets.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sluice_wire::fec::rate::{Conditions, Importance, Policy};
use sluice_wire::fec::{Decoder, Encoder, SourceRing, Workspace};

const SSRC: u32 = 0x0300_0044;
const PACKET_BYTES: usize = 1_124;
/// Source and repair packets: frames of 0.6 and 2.2 Mbit/s, and parts of key frames.
const BLOCKS: [(u16, usize); 6] = [(5, 1), (7, 1), (7, 2), (10, 3), (20, 5), (48, 12)];

fn packet(sequence: u16) -> Vec<u8> {
    let mut packet = vec![sequence as u8; PACKET_BYTES];
    packet[..2].copy_from_slice(&[0x80, 97]);
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet[8..12].copy_from_slice(&SSRC.to_be_bytes());
    packet
}

fn encoder(packets: &[Vec<u8>], rows: usize) -> Encoder {
    let mut encoder = Encoder::new(rows);
    packets.iter().for_each(|packet| encoder.push(&packet[..12], &packet[12..]).expect("room"));
    encoder
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fec encode");
    for (sources, rows) in BLOCKS {
        let packets: Vec<_> = (0..sources).map(packet).collect();
        let mut encoder = encoder(&packets, rows);
        let mut out = [0; 1_200];
        group.throughput(Throughput::Elements(sources.into()));
        group.bench_function(BenchmarkId::from_parameter(format!("{sources}+{rows}")), |bencher| {
            bencher.iter(|| {
                encoder.begin(rows);
                for packet in &packets {
                    encoder.push(&packet[..12], black_box(&packet[12..])).expect("room");
                }
                encoder.repairs(rows).map(|repair| repair.write(&mut out).expect("room")).sum::<usize>()
            });
        });
    }
    group.finish();
}

/// As many lost as there are repair packets, and one alone.
fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fec decode");
    for (sources, rows) in BLOCKS {
        let packets: Vec<_> = (0..sources).map(packet).collect();
        let payloads: Vec<Vec<u8>> = encoder(&packets, rows)
            .repairs(rows)
            .map(|repair| {
                let mut out = vec![0; repair.len()];
                repair.write(&mut out).expect("room");
                out
            })
            .collect();
        group.throughput(Throughput::Elements(sources.into()));
        for lost in if rows == 1 { vec![1] } else { vec![1, rows] } {
            let mut ring = SourceRing::new(64);
            packets.iter().enumerate().skip(lost).for_each(|(n, packet)| ring.insert(n as u16, packet));
            let mut workspace = Workspace::default();
            group.bench_function(
                BenchmarkId::new(format!("{sources}+{rows}"), format!("{lost} lost")),
                |bencher| {
                    bencher.iter_batched_ref(
                        || Decoder::new(SSRC),
                        |decoder| {
                            let recovered = payloads[..lost].iter().map(|payload| {
                                decoder.on_repair(payload, &ring, &mut workspace).expect("a block").len()
                            });
                            assert_eq!(recovered.sum::<usize>(), lost);
                        },
                        BatchSize::SmallInput,
                    );
                },
            );
        }
    }
    group.finish();
}

fn rate(criterion: &mut Criterion) {
    let rtt = std::time::Duration::from_millis(50);
    let conditions = Conditions { loss: 0.05, mean_burst_packets: 1.5, rtt };
    for sources in [7, 48] {
        let mut policy = Policy::default();
        criterion.bench_function(&format!("fec rate, {sources} packets"), |bencher| {
            bencher.iter(|| policy.repairs(black_box(&conditions), Importance::Base, sources));
        });
    }
}

criterion_group!(benches, encode, decode, rate);
criterion_main!(benches);
