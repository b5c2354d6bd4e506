//! Every bound of the shard core, with its reason.

use std::time::Duration;

/// Sessions that one shard holds. 4,096 sessions at a few KiB each stay within the cache and memory of one core, and no core
/// serves that many people with video anyway.
pub const MAX_SESSIONS_PER_SHARD: usize = 4_096;
/// Rooms that one shard holds: as many as sessions, since an empty room is dropped.
pub const MAX_ROOMS_PER_SHARD: usize = MAX_SESSIONS_PER_SHARD;
/// Bytes of a room's name, which signaling gives.
pub const MAX_ROOM_NAME_BYTES: usize = 128;
/// SSRCs of a participant's uplink block: 16 streams carry 4 camera encodings, 4 screen encodings, two voices and spare.
pub const UPLINK_SSRCS: u32 = 64;
/// SSRCs of a participant's downlink block: 63 slots are a gallery of 49, voices, screen and spare.
pub const DOWNLINK_SSRCS: u32 = 256;

/// The largest datagram that is sent or accepted (spec 3.3).
pub const MAX_DATAGRAM_BYTES: usize = 1_200;
/// The largest plaintext of an SRTCP datagram (spec 4.1).
pub const MAX_COMPOUND_BYTES: usize = 1_100;
/// Opened packets that a shard holds at once: a second of what 300 publishers of 2 Mbit/s send, 75 MiB if a shard has so much
/// to do. Fuller shards forget sooner.
pub const POOL_SLOTS: usize = 65_536;
/// Opened packets of at most [`SMALL_SLOT_BYTES`] that a shard holds beside these, 10 MiB: a second of 600 voices.
pub const SMALL_POOL_SLOTS: usize = 32_768;
/// Bytes of a small slot: most packets of sound, with a redundant frame or two.
pub const SMALL_SLOT_BYTES: usize = 320;
/// One part in so many of the pool is kept free of what was forwarded already, for what comes: a full receive batch of
/// coalesced super-packets and then some.
pub const POOL_RESERVE_PART: usize = 8;
/// Packets that may wait for the flush before it interrupts a receive batch.
pub const MAX_WAITING_PACKETS: usize = POOL_SLOTS / POOL_RESERVE_PART;
/// Forwarded packets are kept for so long: what comes later than this is of no use to a conversation, nor to most broadcasts.
pub const HISTORY_AGE: Duration = Duration::from_secs(1);
/// Packets of a video encoding that can be found in the history: a second of 4 Mbit/s.
pub const INDEXED_VIDEO_PACKETS: usize = 512;
/// Packets of a sound that can be found in the history: a second of frames of 20 ms.
pub const INDEXED_AUDIO_PACKETS: usize = 64;
/// Packets of one encoding that wait to be forwarded: a few key frames of 1080p, of about 60 packets each.
pub const MAX_PENDING_PACKETS: usize = 256;
/// Room for waiting packets that every encoding has from the start: a key frame, so that none makes it grow.
pub const EXPECTED_PENDING_PACKETS: usize = 64;
/// Room for encodings that wait for the flush that every shard has from the start: all of 100 meetings of ten.
pub const EXPECTED_WAITING_ENCODINGS: usize = 2_048;
/// Packets of one encoding that leave at once for each receiver: one frame of most streams, so that it is one segmented send,
/// and no more than a receiver's last hop buffers without harm.
pub const PACING_QUANTUM_PACKETS: usize = 10;
/// What is beyond a quantum leaves this much later: as fast as gigabit Ethernet, so that a key frame is no burst in anybody's
/// switch, and the 40 packets of one are out after a third of a millisecond.
pub const PACING_INTERVAL: Duration = Duration::from_micros(100);
/// What waits for a receiver's pacer is looked at this often: often enough that a probe has several bursts.
pub const PACER_INTERVAL: Duration = Duration::from_millis(4);
/// Packets that wait for a receiver's pacer: several key frames. Beyond that what comes is dropped, and a key frame asked for.
pub const MAX_PACED_PACKETS: usize = 512;
/// Bit/s at which a receiver's path is first used unless configuration says otherwise: a small meeting, which most paths carry;
/// what does not is known after a round trip.
pub const START_DOWNLINK_BPS: u64 = 3_000_000;
/// The lowest estimate of a path, bit/s: sound alone.
pub const MIN_DOWNLINK_BPS: u64 = 50_000;
/// The highest, bit/s: a gallery of 49 and a screen.
pub const MAX_DOWNLINK_BPS: u64 = 50_000_000;
/// A peer that has given no feedback for so long since media began gives none: it is sent what it wants.
pub const FEEDBACK_GRACE: Duration = Duration::from_secs(2);
/// A budget that fell by one part in so many is shared at once.
pub const URGENT_SHARE_PART: u64 = 20;
/// Bytes of a packet of padding, with its header and tag.
pub const PADDING_BYTES: usize = 1_150;
/// Bytes of a transmit batch: at least one subscriber's share of a flush, and a worthwhile sendmmsg.
pub const BATCH_BYTES: usize = 1 << 20;
/// Segments of one segmented send: the kernel's UDP_MAX_SEGMENTS.
pub const MAX_SEGMENTS: usize = 64;
/// Bytes of one segmented send: the largest IPv4 UDP payload.
pub const MAX_SEND_BYTES: usize = 65_507;
/// Events that wait for the shell. The shell drains after every command and timeout; a full queue is counted.
pub const MAX_EVENTS: usize = 4 * MAX_SESSIONS_PER_SHARD;

/// An unclaimed ticket is void after this (spec 2.1).
pub const UNCLAIMED_TIMEOUT: Duration = Duration::from_secs(30);
/// Silence that ends a session (spec 5.4).
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// Every session is visited this often; every periodic duty is a multiple of it.
pub const TICK: Duration = Duration::from_millis(100);
/// Sessions are spread over this many phases of a tick, so that their duties do not bunch up.
pub const TICK_PHASES: usize = 10;
/// A room listens to its microphones once in this many phases of a tick: every 40 ms, two packets of most voices.
pub const ROOM_TICK_PHASES: usize = 4;
/// An encoding that is wanted and of which nothing came for this long is not sent: its receivers get another.
pub const SILENT_AFTER: Duration = Duration::from_secs(2);
/// A room's sessions are told of its speakers at most this often (spec 4.9).
pub const SPEAKERS_INTERVAL: Duration = Duration::from_millis(200);
/// And at most this often per participant: a room of 1,000 hears of it every second, as it is a datagram for each.
pub const SPEAKERS_INTERVAL_PER_PARTICIPANT: Duration = Duration::from_millis(1);
/// A stated limit from here on is none, bit/s (spec 3.6).
pub const UNLIMITED_BPS: u64 = 1 << 63;
/// A session that was sent nothing for this long by its tick gets a ping, so that no gap exceeds 200 ms (spec 5.4).
pub const KEEPALIVE_AFTER: Duration = Duration::from_millis(100);
/// Interval of sender and receiver reports (spec 3.6).
pub const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Key frame requests of one encoding are at least this far apart, whoever asks (spec 3.6).
pub const KEY_FRAME_INTERVAL: Duration = Duration::from_millis(500);
/// How long an address may take to answer a challenge (spec 5.2).
pub const CHALLENGE_TIMEOUT: Duration = Duration::from_secs(3);
/// New candidates of one session are at least this far apart (spec 5.3).
pub const CANDIDATE_INTERVAL: Duration = Duration::from_millis(500);
/// Bytes sent to an unvalidated address per byte received from it (RFC 9000 section 8.1).
pub const AMPLIFICATION_FACTOR: u64 = 3;
/// Times that a close is sent (spec 5.5).
pub const CLOSE_REPEATS: u8 = 3;
/// Pings that a session may leave unanswered at once; more in one flush are dropped.
pub const MAX_PENDING_PONGS: usize = 4;
/// Acknowledgements that wait for the next control datagram: two states of 16 pages.
pub const MAX_PENDING_ACKS: usize = 32;
/// Packets of one session that wait to be sent again: what its share of bytes pays for at once.
pub const MAX_WAITING_RESENDS: usize = 128;
/// Packets that a session may ask for again per tick and are looked up: 20 % loss of ten times what a gallery brings.
pub const MAX_ASKED_PER_TICK: u16 = 512;
/// Packets that are sent again to one session at once: as many as of a frame.
pub const RESEND_QUANTUM_PACKETS: usize = 10;
/// The next ones follow so much later: at 48 Mbit/s, which does not flood the link that has just lost something.
pub const RESEND_INTERVAL: Duration = Duration::from_millis(2);
/// Encodings with losses are looked at no more often than this: packets that are missing for one reason are asked for together.
pub const LOSS_INTERVAL: Duration = Duration::from_millis(2);
/// A video packet that was missed for so long is of no use to any receiver: as long as receivers wait for one themselves.
pub const VIDEO_REPAIR_TIME: Duration = Duration::from_millis(500);
/// The same for sound, which does not wait.
pub const AUDIO_REPAIR_TIME: Duration = Duration::from_millis(150);
/// A sequence gap that is handed on to receivers as it is. Above it the slot continues without a gap, so that a publisher
/// who jumps cannot push a receiver's roll-over guess (RFC 3711 section 3.3.1) off.
pub const MAX_FORWARDED_GAP: u64 = 512;

const _: () = assert!(BATCH_BYTES >= 2 * MAX_PENDING_PACKETS * MAX_DATAGRAM_BYTES);
const _: () = assert!(MAX_SESSIONS_PER_SHARD as u64 * 2 * DOWNLINK_SSRCS as u64 <= 1 << 24);
