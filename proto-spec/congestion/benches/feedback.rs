//! What congestion control costs per packet and per feedback message.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use sluice_congestion::{Config, Controller, PacketReport, PacketSent};
use sluice_wire::feedback::{Arrival, Ecn};
use sluice_wire::time::Time;

const PACKETS: u16 = 15;

fn at(millis: u64) -> Time {
    Time::ZERO + Duration::from_millis(millis)
}

/// A controller after 10 s of 3 Mbit/s, whose next packet is `sequence`.
fn warm() -> (Controller, u16, u64) {
    let (mut controller, mut sequence) = (Controller::new(&Config::default()), 0);
    for message in 0..200 {
        send(&mut controller, sequence, message * 50);
        let reports = reports(sequence, message * 50);
        controller.on_reports(at(message * 50 + 80), Duration::ZERO, reports);
        sequence += PACKETS;
    }
    (controller, sequence, 10_000)
}

fn send(controller: &mut Controller, first: u16, millis: u64) {
    for number in 0..PACKETS {
        let at = at(millis + u64::from(number) * 3);
        controller.on_sent(&PacketSent { sequence: first + number, at, size_bytes: 1_200, probe: None });
    }
}

fn reports(first: u16, millis: u64) -> impl Iterator<Item = PacketReport> {
    (0..PACKETS).map(move |number| {
        let ticks = (millis as u32 + u32::from(number) * 3) * 4;
        PacketReport { sequence: first + number, arrival: Some(Arrival { ticks, ecn: Ecn::NotEct }) }
    })
}

fn feedback(criterion: &mut Criterion) {
    let (controller, sequence, millis) = warm();
    criterion.bench_function("on_sent, 15 packets", |bencher| {
        bencher.iter_batched_ref(
            || controller.clone(),
            |controller| send(controller, sequence, millis),
            BatchSize::SmallInput,
        );
    });
    criterion.bench_function("on_feedback, 15 packets", |bencher| {
        let mut sent = controller.clone();
        send(&mut sent, sequence, millis);
        bencher.iter_batched_ref(
            || sent.clone(),
            |controller| {
                controller.on_reports(at(millis + 80), Duration::ZERO, reports(sequence, millis));
                black_box(controller.target_bps())
            },
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, feedback);
criterion_main!(benches);
