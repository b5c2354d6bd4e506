//! The router's numbers as metrics, taken from a snapshot at each scrape.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::core::{DropReason, ResendRefusal};
use crate::io::SendDrop;
use crate::shell::{ControlStatus, Gallery, ROUND_BOUNDS, ShardSnapshot};

/// Encodes a snapshot of what `gallery` shows.
#[derive(Debug)]
pub(super) struct RouterCollector {
    pub(super) gallery: Gallery,
}

type Number = fn(&ShardSnapshot) -> u64;

/// Name (without the `_total` that the encoder adds), help, and where the number is.
const COUNTERS: [(&str, &str, Number); 45] = [
    ("datagrams_received", "Datagrams handed to the shard", |s| s.counters.datagrams_in),
    ("received_bytes", "UDP payload received", |s| s.counters.bytes_in),
    ("sent_bytes", "UDP payload sealed for sending", |s| s.counters.bytes_out),
    ("rtp_received", "RTP packets that authenticated", |s| s.counters.rtp_in),
    ("rtcp_received", "SRTCP datagrams that authenticated", |s| s.counters.rtcp_in),
    ("rtp_sent", "RTP packets sealed for receivers", |s| s.counters.rtp_out),
    ("rtcp_sent", "SRTCP datagrams sealed", |s| s.counters.rtcp_out),
    ("padding_sent", "Packets of padding sealed", |s| s.counters.padding_out),
    ("paced_packets", "RTP packets that waited for a receiver's pacer", |s| s.counters.paced),
    ("feedback_received", "Feedback messages of receivers", |s| s.counters.feedback_in),
    ("rtp_lost", "RTP packets missing on uplinks", |s| s.counters.rtp_lost_in),
    ("nacks_received", "NACKs of receivers, one per stream", |s| s.counters.nacks_in),
    ("nacked_packets", "Packets that receivers asked for again", |s| s.counters.packets_asked_in),
    ("nacks_sent", "NACKs to publishers, one per stream", |s| s.counters.nacks_out),
    ("requested_packets", "Packets that publishers were asked for again", |s| s.counters.packets_asked_out),
    ("rtp_given_up", "RTP packets missing on uplinks that were given up", |s| s.counters.packets_given_up),
    ("rtp_gaps_skipped", "Gaps on uplinks too wide to be repaired", |s| s.counters.losses_skipped),
    ("rtx_received", "RTX packets that brought what was missing", |s| s.counters.rtx_in),
    ("rtx_sent", "RTX packets sealed for receivers", |s| s.counters.rtx_out),
    ("rtx_sent_bytes", "UDP payload of RTX packets", |s| s.counters.rtx_bytes_out),
    ("key_frame_requests_received", "Key frames asked for by receivers", |s| {
        s.counters.key_frame_requests_in
    }),
    ("key_frame_requests_sent", "Key frames asked for from publishers", |s| {
        s.counters.key_frame_requests_out
    }),
    ("sessions_opened", "Sessions opened", |s| s.counters.sessions_opened),
    ("sessions_ended", "Sessions ended", |s| s.counters.sessions_ended),
    ("session_migrations", "Sessions that moved to another address", |s| s.counters.migrations),
    ("paths_validated", "Path challenges answered", |s| s.counters.paths_validated),
    ("layer_switches", "Slots that changed to another encoding", |s| s.counters.layer_switches),
    ("speaker_changes", "Changes of rooms' dominant speakers", |s| s.counters.speaker_changes),
    ("voice_changes", "Voice lanes that changed to another voice", |s| s.counters.voice_changes),
    ("room_ticks", "Ticks of rooms with microphones", |s| s.counters.room_ticks),
    ("publish_refusals", "Tracks refused to those who may not publish", |s| s.counters.publish_refusals),
    ("rights_changes", "Open sessions whose rights changed", |s| s.counters.rights_changes),
    ("policy_changes", "Changes of rooms' policies", |s| s.counters.policy_changes),
    ("screen_refusals", "Screens refused since another was shared", |s| s.counters.screen_refusals),
    ("screen_takeovers", "Screens that gave way to another", |s| s.counters.screen_takeovers),
    ("allocations", "Times that a receiver's bitrate was shared over its slots", |s| s.counters.allocations),
    ("socket_receive_calls", "Receive calls", |s| s.io.receive_calls),
    ("socket_messages_received", "Messages received, coalesced ones counted once", |s| s.io.messages_in),
    ("socket_receive_truncated", "Messages too long for their buffer", |s| s.io.truncated_in),
    ("socket_receive_overflows", "Datagrams lost to a full receive buffer", |s| s.io.overflowed_in),
    ("socket_receive_errors", "Failed receive calls", |s| s.io.receive_errors),
    ("socket_send_calls", "Send calls", |s| s.io.send_calls),
    ("socket_messages_sent", "Messages sent, segmented ones counted once", |s| s.io.messages_out),
    ("socket_datagrams_sent", "Datagrams sent", |s| s.io.datagrams_out),
    ("socket_icmp_errors", "ICMP errors about earlier datagrams", |s| s.io.icmp_errors),
];

/// As [`COUNTERS`], for what goes up and down.
const GAUGES: [(&str, &str, Number); 6] = [
    ("sessions", "Sessions, closing ones included", |s| s.gauges.sessions as u64),
    ("rooms", "Rooms", |s| s.gauges.rooms as u64),
    ("tracks", "Published tracks", |s| s.gauges.tracks as u64),
    ("waiting_packets", "Packets that were not forwarded yet", |s| s.gauges.waiting_packets as u64),
    ("history_packets", "Forwarded packets that are kept", |s| s.gauges.history_packets as u64),
    ("segmentation", "1 while the kernel segments UDP datagrams", |s| s.segments.into()),
];

impl Collector for RouterCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let snapshot = self.gallery.snapshot();
        let shards = &snapshot.shards;
        for (name, help, number) in COUNTERS {
            encode_counter(&mut encoder, name, help, shards, number)?;
        }
        for (name, help, number) in GAUGES {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (shard, snapshot) in shards.iter().enumerate() {
                metric.encode_family(&[("shard", shard)])?.encode_gauge(&number(snapshot))?;
            }
        }
        encode_reasons(&mut encoder, "dropped", "Datagrams and events dropped", shards, &drops())?;
        let help = "Packets that were asked for and not sent again";
        encode_reasons(&mut encoder, "resends_refused", help, shards, &refusals())?;
        encode_reasons(&mut encoder, "send_dropped", "Datagrams not sent", shards, &send_drops())?;
        encode_time(&mut encoder, shards)?;
        match snapshot.control {
            Some(control) => encode_control(&mut encoder, control),
            None => Ok(()),
        }
    }
}

fn encode_counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    shards: &[ShardSnapshot],
    number: Number,
) -> Result<(), fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (shard, snapshot) in shards.iter().enumerate() {
        let labels = [("shard", shard)];
        metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&number(snapshot), None)?;
    }
    Ok(())
}

type Reason = (&'static str, Box<dyn Fn(&ShardSnapshot) -> u64>);

fn drops() -> Vec<Reason> {
    let reason = |reason: DropReason| -> Reason {
        (reason.name(), Box::new(move |shard| shard.counters.dropped(reason)))
    };
    DropReason::ALL.map(reason).into()
}

fn refusals() -> Vec<Reason> {
    let reason = |reason: ResendRefusal| -> Reason {
        (reason.name(), Box::new(move |shard| shard.counters.resends_refused(reason)))
    };
    ResendRefusal::ALL.map(reason).into()
}

fn send_drops() -> Vec<Reason> {
    let reason =
        |reason: SendDrop| -> Reason { (reason.name(), Box::new(move |shard| shard.io.dropped_out(reason))) };
    SendDrop::ALL.map(reason).into()
}

fn encode_reasons(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    shards: &[ShardSnapshot],
    reasons: &[Reason],
) -> Result<(), fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (shard, snapshot) in shards.iter().enumerate() {
        let shard = shard.to_string();
        for (reason, number) in reasons {
            let labels = [("shard", shard.as_str()), ("reason", reason)];
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&number(snapshot), None)?;
        }
    }
    Ok(())
}

/// Name, help and value of a gauge of time per shard.
type DurationGauge = (&'static str, &'static str, fn(&ShardSnapshot) -> std::time::Duration);

fn encode_time(encoder: &mut DescriptorEncoder<'_>, shards: &[ShardSnapshot]) -> Result<(), fmt::Error> {
    let help = "CPU time of the shard's thread";
    let mut metric = encoder.encode_descriptor("cpu", help, Some(&Unit::Seconds), MetricType::Counter)?;
    for (shard, snapshot) in shards.iter().enumerate() {
        let seconds = snapshot.cpu_time.as_secs_f64();
        metric.encode_family(&[("shard", shard)])?.encode_counter::<NoLabelSet, _, u64>(&seconds, None)?;
    }
    let rounds: [DurationGauge; 2] = [
        ("longest_round", "Longest round of the shard's loop since its start", |s| s.rounds.longest),
        ("lag", "Longest round of the shard's loop lately: how far it is behind", |s| {
            s.rounds.longest_lately
        }),
    ];
    for (name, help, value) in rounds {
        let mut metric = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Gauge)?;
        for (shard, snapshot) in shards.iter().enumerate() {
            metric.encode_family(&[("shard", shard)])?.encode_gauge(&value(snapshot).as_secs_f64())?;
        }
    }
    let help = "Rounds of the shard's loop: what comes in during a round waits for its end";
    let mut metric = encoder.encode_descriptor("round", help, Some(&Unit::Seconds), MetricType::Histogram)?;
    for (shard, snapshot) in shards.iter().enumerate() {
        let bounds = ROUND_BOUNDS.iter().map(std::time::Duration::as_secs_f64).chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.zip(snapshot.rounds.by_duration).collect();
        let count = snapshot.rounds.by_duration.iter().sum();
        let labels = [("shard", shard)];
        let mut metric = metric.encode_family(&labels)?;
        let total = snapshot.rounds.total.as_secs_f64();
        metric.encode_histogram::<NoLabelSet>(total, count, &buckets, None)?;
    }
    Ok(())
}

fn encode_control(encoder: &mut DescriptorEncoder<'_>, control: ControlStatus) -> Result<(), fmt::Error> {
    let help = "1 while the router is registered with signaling";
    let mut metric = encoder.encode_descriptor("control_registered", help, None, MetricType::Gauge)?;
    metric.encode_gauge(&u64::from(control.is_registered))?;
    for (name, help, number) in [
        ("control_registrations", "Registrations with signaling", control.registrations),
        ("control_failures", "Control streams that could not be had or that broke", control.failures),
    ] {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&number, None)?;
    }
    Ok(())
}
