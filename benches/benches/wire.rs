//! What single steps cost on the wire's side: parse, write, seal, open.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sluice_router::clock::Clock;
use sluice_wire::control::{
    Message, OutMessage, PageHeader, SHOWN_PER_PAGE, ShownSlot, SlotStatus, Want, WantedSlot, write_message,
};
use sluice_wire::ext::{AudioLevel, CaptureTime, FrameMarking, MediaExtensions};
use sluice_wire::rtcp::{CompoundWriter, Packet, packets};
use sluice_wire::rtp::{RtpHeader, RtpPacket};
use sluice_wire::srtp::{Cryptex, InboundSrtp, OutboundSrtp};
use sluice_wire::ssrc::SsrcBlock;
use sluice_wire::ticket::{MasterKey, Secret, Suite};
use sluice_wire::track::{ParticipantId, TrackId, TrackNumber};

const SUITES: [Suite; 3] = [Suite::AeadAes128Gcm, Suite::AeadAes256Gcm, Suite::AesCm128HmacSha1_80];
/// Datagrams as a router sends them: video at the limit, audio of 32 kbit/s.
const SIZES: [(&str, usize); 2] = [("video 1200", 1_200), ("audio 100", 100)];
/// Packets that are sealed at once to be opened: few enough to stay in the cache.
const OPENED_AT_ONCE: u64 = 64;
const MAX_DATAGRAM_BYTES: usize = 1_200;

fn video() -> MediaExtensions {
    MediaExtensions {
        audio_level: None,
        transport_sequence: Some(7),
        frame_marking: Some(FrameMarking { start: true, ..FrameMarking::default() }),
        capture_time: Some(CaptureTime(0x1234_5678_9ABC_DEF0)),
    }
}

fn audio() -> MediaExtensions {
    MediaExtensions {
        audio_level: Some(AudioLevel { voice: true, level: 30 }),
        frame_marking: None,
        ..video()
    }
}

fn header<'a>(index: u64, csrcs: &'a [u32], extensions: &'a MediaExtensions) -> RtpHeader<'a> {
    RtpHeader {
        marker: false,
        payload_type: 97,
        sequence_number: index as u16,
        timestamp: 90_000,
        ssrc: 4,
        csrcs,
        extensions,
    }
}

fn rtp(c: &mut Criterion) {
    let mut group = c.benchmark_group("rtp");
    for (name, extensions) in [("video", video()), ("audio", audio())] {
        let mut bytes = [0; MAX_DATAGRAM_BYTES];
        let len = header(1, &[0x101], &extensions).len();
        group.bench_function(BenchmarkId::new("header write", name), |b| {
            b.iter(|| black_box(&header(1, &[0x101], &extensions)).write(black_box(&mut bytes)));
        });
        let packet = &bytes[..len + 1_000];
        group.bench_function(BenchmarkId::new("parse with extensions", name), |b| {
            b.iter(|| RtpPacket::parse(black_box(packet)).map(|packet| MediaExtensions::read(&packet)));
        });
    }
    group.finish();
}

fn direction(suite: Suite) -> (MasterKey, SsrcBlock) {
    let secret = |len, byte| Secret::new(vec![byte; len]);
    let master = MasterKey { key: secret(suite.key_len(), 1), salt: secret(suite.salt_len(), 2) };
    (master, SsrcBlock::new(0, 64).expect("a block"))
}

fn sealer(suite: Suite) -> OutboundSrtp {
    let (master, block) = direction(suite);
    OutboundSrtp::new(suite, &master, block, Cryptex::Required).expect("keys")
}

/// Seals a packet that becomes a datagram of `size` bytes.
fn seal(
    srtp: &mut OutboundSrtp,
    index: u64,
    size: usize,
    extensions: &MediaExtensions,
    out: &mut [u8],
) -> usize {
    let mut bytes = [0; 64];
    let len = header(index, &[0x101], extensions).write(&mut bytes).expect("room");
    let payload = [0x5A; MAX_DATAGRAM_BYTES];
    let payload = &payload[..size - len - srtp.rtp_overhead()];
    srtp.seal_rtp(index, &bytes[..len], payload, out).expect("sealed")
}

fn protect(c: &mut Criterion) {
    let mut group = c.benchmark_group("protect");
    for suite in SUITES {
        for (name, size) in SIZES {
            group.throughput(Throughput::Bytes(size as u64));
            let extensions = if size > 500 { video() } else { audio() };
            let (mut srtp, mut index, mut out) = (sealer(suite), 0, [0; MAX_DATAGRAM_BYTES]);
            let mut bytes = [0; 64];
            let len = header(0, &[0x101], &extensions).write(&mut bytes).expect("room");
            let payload = vec![0x5A; size - len - srtp.rtp_overhead()];
            group.bench_function(BenchmarkId::new(format!("{suite:?}"), name), |b| {
                b.iter(|| {
                    // What differs from packet to packet; the rest of the header is written elsewhere.
                    bytes[2..4].copy_from_slice(&(index as u16).to_be_bytes());
                    let sealed = srtp.seal_rtp(index, &bytes[..len], black_box(&payload), &mut out);
                    index += 1;
                    sealed
                });
            });
        }
    }
    group.finish();
}

fn unprotect(c: &mut Criterion) {
    let mut group = c.benchmark_group("unprotect");
    let clock = Clock::new();
    for suite in SUITES {
        for (name, size) in SIZES {
            group.throughput(Throughput::Bytes(size as u64));
            let extensions = if size > 500 { video() } else { audio() };
            let (master, block) = direction(suite);
            let mut outbound = sealer(suite);
            let mut inbound = InboundSrtp::new(suite, &master, block, Cryptex::Required).expect("keys");
            let (mut index, mut plain) = (0, [0; MAX_DATAGRAM_BYTES]);
            group.bench_function(BenchmarkId::new(format!("{suite:?}"), name), |b| {
                b.iter_custom(|iterations| {
                    let mut spent = Duration::ZERO;
                    let mut left = iterations;
                    while left > 0 {
                        // No packet opens twice: each has to be sealed first, which is not what is measured.
                        let count = left.min(OPENED_AT_ONCE);
                        let sealed: Vec<Vec<u8>> = (index..index + count)
                            .map(|index| {
                                let mut datagram = vec![0; size];
                                seal(&mut outbound, index, size, &extensions, &mut datagram);
                                datagram
                            })
                            .collect();
                        let began = clock.now();
                        for datagram in &sealed {
                            black_box(inbound.open_rtp(datagram, &mut plain)).expect("opened");
                        }
                        spent += clock.now().saturating_since(began);
                        index += count;
                        left -= count;
                    }
                    spent
                });
            });
        }
    }
    group.finish();
}

fn track(number: u32) -> TrackId {
    ParticipantId::new(number + 1).expect("an id").track(TrackNumber::CAMERA)
}

fn compound(message: &OutMessage<'_>) -> Vec<u8> {
    let mut bytes = vec![0; 1_100];
    let mut writer = CompoundWriter::new(&mut bytes);
    writer.receiver_report(4, &[]).expect("room");
    write_message(&mut writer, 4, message).expect("room");
    let len = writer.finish();
    bytes.truncate(len);
    bytes
}

fn control(c: &mut Criterion) {
    let mut group = c.benchmark_group("control parse");
    let wanted: Vec<WantedSlot> = (0..12)
        .map(|slot| WantedSlot {
            slot,
            want: Want::Track(track(u32::from(slot))),
            paused: false,
            max_height: 720,
            max_fps: 30,
            priority: 1,
        })
        .collect();
    let shown: Vec<ShownSlot> = (0..SHOWN_PER_PAGE as u16)
        .map(|slot| ShownSlot {
            slot,
            status: SlotStatus::WaitingForKeyFrame,
            payload_type: 97,
            track: Some(track(u32::from(slot))),
            width: 1_280,
            height: 720,
            fps: 30,
            encoding: 0,
            temporal_layers: 1,
        })
        .collect();
    let header = PageHeader { version: 3, page: 0, pages: 1 };
    let messages = [
        ("ping", compound(&OutMessage::Ping(7))),
        ("wanted, 12 slots", compound(&OutMessage::Wanted(header, &wanted))),
        ("shown, a full page", compound(&OutMessage::Shown(header, &shown))),
    ];
    for (name, bytes) in messages {
        group.bench_function(name, |b| {
            b.iter(|| {
                let parsed = packets(black_box(&bytes)).filter_map(|packet| match packet {
                    Ok(Packet::App(app)) => Some(Message::parse(&app).is_ok()),
                    _ => None,
                });
                assert_eq!(parsed.fold(0, |sum, is_whole| sum + u32::from(is_whole)), 1);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, rtp, protect, unprotect, control);
criterion_main!(benches);
