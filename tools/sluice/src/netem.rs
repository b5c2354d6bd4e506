//! `sluice netem`: a bad network between real processes.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args as ClapArgs;
use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use sluice_loadgen::terminal::say;
use sluice_netsim::config::LinkConfig;
use sluice_netsim::config::parse::parse_duration;
use sluice_netsim::counters::Counters;
use sluice_netsim::proxy::{Proxy, ProxyConfig, ProxySnapshot, ProxyStats};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::stop;

const STATS_INTERVAL: Duration = Duration::from_secs(1);

/// A UDP proxy that behaves like a bad network; prints what it does once a second.
///
/// A direction is written as `delay=50ms,jitter=10ms,loss=2%,rate=3mbit,queue=200ms`; further keys are burst, reorder,
/// duplicate, corrupt, down and, behind semicolons, steps over time. See tools/netsim/README.md.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Where clients send to; port 0 takes any.
    #[arg(long, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Where their packets go: the router.
    #[arg(long, value_name = "ADDRESS")]
    upstream: SocketAddr,
    /// From clients to the router.
    #[arg(long, value_name = "LINK", default_value = "")]
    up: LinkConfig,
    /// From the router to clients.
    #[arg(long, value_name = "LINK", default_value = "")]
    down: LinkConfig,
    /// The seed of all chances: the same packets at the same times fare the same.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Give each client a new source port so often, as a NAT does: 10s, 500ms, 2min.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    rebind_every: Option<Duration>,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "expected a time such as 10s (units: us, ms, s, min)".to_owned())
}

pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let stop = stop::on_request()?;
    let Args { listen, upstream, up, down, seed, rebind_every } = args;
    let config = ProxyConfig { up, down, seed, rebind_every, ..ProxyConfig::new(listen, upstream) };
    let proxy = Proxy::bind(config).await?;
    say(&format!("netem is up: {} -> {upstream}, Ctrl-C ends it", proxy.local_addr()));
    let stats = ProxyStats::default();
    let printer = tokio::spawn(print(stats.clone(), stop.clone()));
    let result = proxy.run(stop.clone(), stats.clone()).await;
    stop.cancel();
    printer.await.context("the statistics failed")?;
    result?;
    say(&totals(&stats.snapshot()));
    Ok(ExitCode::SUCCESS)
}

async fn print(stats: ProxyStats, stop: CancellationToken) {
    let mut ticks = interval(STATS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut earlier = ProxySnapshot::default();
    for second in 1u64.. {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let now = stats.snapshot();
        say(&line(second, &now, &earlier));
        earlier = now;
    }
}

fn line(second: u64, now: &ProxySnapshot, earlier: &ProxySnapshot) -> String {
    let (up, down) = (direction(now.up - earlier.up), direction(now.down - earlier.down));
    format!(
        "{second:>4} s | {} clients | up {up} | down {down} | {} rebinds",
        now.active_clients, now.rebinds
    )
}

fn direction(counted: Counters) -> String {
    let megabits = counted.sent_bytes as f64 * 8.0 / 1e6;
    format!(
        "{:>6} packets {megabits:>6.2} Mbit, lost {} ({:.1} %)",
        counted.sent,
        counted.lost(),
        percent(&counted)
    )
}

fn percent(counted: &Counters) -> f64 {
    100.0 * counted.lost() as f64 / counted.sent.max(1) as f64
}

fn totals(total: &ProxySnapshot) -> String {
    type Number = fn(&Counters) -> u64;
    let numbers: [(&str, Number); 10] = [
        ("packets sent", |counted| counted.sent),
        ("delivered", |counted| counted.delivered),
        ("lost: at random", |counted| counted.lost_random),
        ("lost: in bursts", |counted| counted.lost_burst),
        ("lost: queue full", |counted| counted.lost_queue),
        ("lost: link down", |counted| counted.lost_partition),
        ("lost: netem itself was full", |counted| counted.lost_overflow),
        ("duplicated", |counted| counted.duplicated),
        ("reordered", |counted| counted.reordered),
        ("corrupted", |counted| counted.corrupted),
    ];
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_header(["", "up", "down"]);
    for (name, number) in numbers {
        table.add_row([name.to_owned(), number(&total.up).to_string(), number(&total.down).to_string()]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let ProxySnapshot { clients, rebinds, refused_datagrams, mailbox_overflows, socket_errors, .. } = total;
    format!(
        "{table}\n{clients} clients, {rebinds} rebinds, {refused_datagrams} datagrams refused, {mailbox_overflows} not kept \
         up with, {socket_errors} socket errors"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_the_difference_of_two_moments() {
        let counted = |sent, lost_random| Counters {
            sent,
            sent_bytes: sent * 1_250,
            lost_random,
            ..Counters::default()
        };
        let moment =
            |up, down| ProxySnapshot { active_clients: 2, rebinds: 1, up, down, ..ProxySnapshot::default() };
        let (earlier, now) = (moment(counted(100, 1), counted(0, 0)), moment(counted(300, 5), counted(0, 0)));
        let line = line(7, &now, &earlier);
        assert!(line.contains("7 s | 2 clients | up    200 packets   2.00 Mbit, lost 4 (2.0 %)"), "{line}");
        assert!(line.contains("down      0 packets   0.00 Mbit, lost 0 (0.0 %) | 1 rebinds"), "{line}");
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1.5ms"), Ok(Duration::from_micros(1_500)));
        for nonsense in ["10", "s", "-1s", "1h", "9e9s", "99999999999999999999999999min"] {
            assert!(duration(nonsense).is_err(), "{nonsense}");
        }
    }
}
