//! Rates and shapes. Bounds are five standard deviations of what is measured; seeds are fixed, so a test that passes stays so.

use super::*;

const DEVIATIONS: f64 = 5.0;

/// Is `count` of `total` what independent draws of probability `p` give?
fn assert_share(count: u64, total: u64, p: f64) {
    let expected = total as f64 * p;
    let deviation = (expected * (1.0 - p)).sqrt();
    assert!(
        (count as f64 - expected).abs() <= DEVIATIONS * deviation,
        "{count} of {total}, expected {expected}"
    );
}

fn delays_ms(text: &str, seed: u64, count: u64) -> Vec<f64> {
    let fates = fates(&mut link(text, seed), count, 1_000);
    let delay = |(i, fate)| arrival(fate).at.saturating_since(ms(i as u64 * 1_000)).as_secs_f64() * 1e3;
    fates.into_iter().enumerate().map(delay).collect()
}

fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
    (mean, variance.sqrt())
}

#[test]
fn random_loss_has_its_rate() {
    for (seed, p) in [(1, 0.001), (2, 0.02), (3, 0.5), (4, 0.99)] {
        let mut link = link(&format!("loss={p}"), seed);
        fates(&mut link, 50_000, 1);
        assert_share(link.counters().lost_random, 50_000, p);
    }
}

#[test]
fn random_loss_comes_in_no_bursts() {
    let fates = fates(&mut link("loss=20%", 5), 50_000, 1);
    let lost = |fate: &Fate| matches!(fate, Fate::Dropped(_));
    let pairs = fates.windows(2).filter(|pair| lost(&pair[0]) && lost(&pair[1])).count() as u64;
    assert_share(pairs, 49_999, 0.04);
}

#[test]
fn burst_loss_has_its_rate_and_its_length() {
    let (p, r, total) = (0.01, 0.25, 200_000u64);
    let mut link = link("burst=1%/25%", 6);
    let lost: Vec<bool> =
        fates(&mut link, total, 1).iter().map(|fate| matches!(fate, Fate::Dropped(_))).collect();

    let share: f64 = p / (p + r);
    let correlation: f64 = 1.0 - p - r;
    let inflation = (1.0 + correlation) / (1.0 - correlation); // of the variance of a Markov chain's mean
    let deviation = (total as f64 * share * (1.0 - share) * inflation).sqrt();
    let count = link.counters().lost_burst as f64;
    assert!((count - total as f64 * share).abs() <= DEVIATIONS * deviation, "{count} lost");

    let bursts = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count() as f64;
    let mean_length = count / bursts;
    let deviation = ((1.0 - r) / (r * r) / bursts).sqrt(); // of the mean of geometric lengths
    assert!((mean_length - 1.0 / r).abs() <= DEVIATIONS * deviation, "{mean_length} packets per burst");
}

#[test]
fn burst_states_have_their_own_losses() {
    let mut always_bad = link("burst=100%/0%/30%/0%", 7);
    fates(&mut always_bad, 20_000, 1);
    assert_share(always_bad.counters().lost_burst, 20_000, 0.3);
    let mut always_good = link("burst=0%/100%/100%/10%", 8);
    fates(&mut always_good, 20_000, 1);
    assert_share(always_good.counters().lost_burst, 20_000, 0.1);
}

#[test]
fn uniform_jitter_fills_its_range_evenly() {
    let delays = delays_ms("delay=50ms,jitter=10ms", 9, 10_000);
    assert!(delays.iter().all(|delay| (40.0..=60.0).contains(delay)));
    for quarter in 0..4 {
        let from = 40.0 + 5.0 * f64::from(quarter);
        let count = delays.iter().filter(|delay| (from..from + 5.0).contains(*delay)).count();
        assert_share(count as u64, 10_000, 0.25);
    }
}

#[test]
fn normal_jitter_has_its_deviation() {
    let delays = delays_ms("delay=50ms,jitter=10ms,shape=normal", 10, 10_000);
    let (mean, deviation) = mean_and_deviation(&delays);
    assert!((mean - 50.0).abs() <= DEVIATIONS * 10.0 / 100.0, "mean {mean}");
    // The deviation of a sample deviation is sigma * sqrt((kurtosis - 1) / 4n); the kurtosis of a sum of four draws is 2.7.
    assert!(
        (deviation - 10.0).abs() <= DEVIATIONS * 10.0 * (1.7f64 / 40_000.0).sqrt(),
        "deviation {deviation}"
    );
    assert!(delays.iter().all(|delay| (delay - 50.0).abs() <= 34.65));
    // Within one deviation: 68 % of a normal distribution, 58 % of an even one.
    let near = delays.iter().filter(|delay| (*delay - 50.0).abs() < 10.0).count();
    assert!(near > 6_400, "{near}");
}

#[test]
fn delay_is_never_negative() {
    for shape in ["uniform", "normal"] {
        let delays = delays_ms(&format!("delay=5ms,jitter=50ms,shape={shape}"), 11, 1_000);
        assert!(delays.contains(&0.0));
    }
}

#[test]
fn duplicates_have_their_rate_and_jitter_of_their_own() {
    let mut link = link("delay=50ms,jitter=10ms,duplicate=10%", 12);
    let fates = fates(&mut link, 20_000, 1_000);
    let arrivals: Vec<Arrival> = fates.into_iter().map(arrival).collect();
    let twice: Vec<(Time, Time)> =
        arrivals.iter().filter_map(|a| a.duplicate_at.map(|at| (a.at, at))).collect();
    assert_eq!(link.counters().duplicated, twice.len() as u64);
    assert_share(twice.len() as u64, 20_000, 0.1);
    assert!(twice.iter().all(|(first, second)| second >= first));
    assert!(twice.iter().any(|(first, second)| second > first));
}

#[test]
fn corruption_has_its_rate_and_hits_every_part_of_a_packet() {
    let mut link = link("corrupt=20%", 13);
    let bits: Vec<usize> =
        fates(&mut link, 20_000, 1).into_iter().filter_map(|fate| arrival(fate).flip_bit).collect();
    assert_eq!(link.counters().corrupted, bits.len() as u64);
    assert_share(bits.len() as u64, 20_000, 0.2);
    let half = PACKET_BYTES * 8 / 2;
    assert!(bits.iter().all(|bit| *bit < half * 2));
    assert_share(bits.iter().filter(|bit| **bit < half).count() as u64, bits.len() as u64, 0.5);
}

#[test]
fn reordering_has_its_rate_and_its_extra_delay() {
    let mut link = link("delay=50ms,reorder=10%,reorder_extra=15ms", 14);
    let fates = fates(&mut link, 20_000, 10);
    let delay = |(i, fate)| arrival(fate).at.saturating_since(ms(i as u64 * 10));
    let delays: Vec<Duration> = fates.into_iter().enumerate().map(delay).collect();
    let (held, normal) = (Duration::from_millis(65), Duration::from_millis(50));
    assert!(delays.iter().all(|delay| *delay == held || *delay == normal));
    assert_share(delays.iter().filter(|delay| **delay == held).count() as u64, 20_000, 0.1);
    // Held back by 15 ms, a packet is overtaken by the next one, 10 ms behind, unless that is held back too.
    let overtaken = delays.windows(2).filter(|pair| pair[0] == held && pair[1] == normal).count() as u64;
    assert_eq!(link.counters().reordered, overtaken);
}
