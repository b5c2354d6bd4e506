//! What a shard counted: plain numbers, published as a snapshot.

use super::resends::ResendRefusal;

/// Why something was dropped or refused. Every drop has exactly one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum DropReason {
    /// Too short for SRTP or SRTCP.
    Runt,
    /// Neither RTP nor RTCP by its first bytes.
    UnknownClass,
    /// Longer than any datagram of the protocol.
    Oversize,
    /// The SSRC belongs to another shard: steering fell back, or a client mixed shards.
    WrongShard,
    /// No session has the SSRC.
    UnknownSsrc,
    /// Not parseable as RTP or RTCP, before or after opening.
    Malformed,
    /// The tag did not verify: wrong key, or the packet was changed.
    AuthenticationFailed,
    /// Seen before.
    Replayed,
    /// Older than the replay window.
    TooOld,
    /// A header extension that is not encrypted (RFC 9335 is required).
    ExtensionInClear,
    /// SRTCP without encryption.
    NotEncrypted,
    /// RTP on a stream that no published track declared.
    UndeclaredStream,
    /// RTP on a FEC SSRC, which this version does not take from clients.
    UnsupportedRole,
    /// RTX of a packet that is not missing: it came meanwhile, was given up, or nobody asked.
    UselessResend,
    /// RTP whose payload type is not the track's.
    WrongPayloadType,
    /// Video without frame marking.
    MissingFrameMarking,
    /// The packet pool or an encoding's pending list was full.
    PoolFull,
    /// An RTCP packet or in-band message that does not parse.
    MalformedControl,
    /// RTCP about an SSRC outside of the session's blocks.
    ForeignReport,
    /// A message that only the other side may send.
    Misdirected,
    /// Pings or acknowledgements beyond what waits at once.
    ControlFlood,
    /// A datagram for a session that is closing.
    Closing,
    /// Not sent: the address is not validated and its budget is spent.
    UnvalidatedBudget,
    /// Not sent: the session has no path yet.
    NoPath,
    /// Not sent: the packet came before the point at which its slot switched, or had been sent.
    NotContinuous,
    /// Not sent: the packet would have exceeded the largest datagram.
    TooLarge,
    /// Not sent: too much waited for the receiver's pacer already.
    PacerFull,
    /// Not sent: it waited for the receiver's pacer until it was forgotten.
    PacedTooLong,
    /// An event that the shell did not fetch in time.
    EventQueueFull,
}

impl DropReason {
    /// How many reasons there are.
    pub const COUNT: usize = Self::ALL.len();

    /// All reasons, in order of their numbers.
    pub const ALL: [Self; 29] = [
        Self::Runt,
        Self::UnknownClass,
        Self::Oversize,
        Self::WrongShard,
        Self::UnknownSsrc,
        Self::Malformed,
        Self::AuthenticationFailed,
        Self::Replayed,
        Self::TooOld,
        Self::ExtensionInClear,
        Self::NotEncrypted,
        Self::UndeclaredStream,
        Self::UnsupportedRole,
        Self::UselessResend,
        Self::WrongPayloadType,
        Self::MissingFrameMarking,
        Self::PoolFull,
        Self::MalformedControl,
        Self::ForeignReport,
        Self::Misdirected,
        Self::ControlFlood,
        Self::Closing,
        Self::UnvalidatedBudget,
        Self::NoPath,
        Self::NotContinuous,
        Self::TooLarge,
        Self::PacerFull,
        Self::PacedTooLong,
        Self::EventQueueFull,
    ];

    /// The reason's name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Runt => "runt",
            Self::UnknownClass => "unknown_class",
            Self::Oversize => "oversize",
            Self::WrongShard => "wrong_shard",
            Self::UnknownSsrc => "unknown_ssrc",
            Self::Malformed => "malformed",
            Self::AuthenticationFailed => "authentication_failed",
            Self::Replayed => "replayed",
            Self::TooOld => "too_old",
            Self::ExtensionInClear => "extension_in_clear",
            Self::NotEncrypted => "not_encrypted",
            Self::UndeclaredStream => "undeclared_stream",
            Self::UnsupportedRole => "unsupported_role",
            Self::UselessResend => "useless_resend",
            Self::WrongPayloadType => "wrong_payload_type",
            Self::MissingFrameMarking => "missing_frame_marking",
            Self::PoolFull => "pool_full",
            Self::MalformedControl => "malformed_control",
            Self::ForeignReport => "foreign_report",
            Self::Misdirected => "misdirected",
            Self::ControlFlood => "control_flood",
            Self::Closing => "closing",
            Self::UnvalidatedBudget => "unvalidated_budget",
            Self::NoPath => "no_path",
            Self::NotContinuous => "not_continuous",
            Self::TooLarge => "too_large",
            Self::PacerFull => "pacer_full",
            Self::PacedTooLong => "paced_too_long",
            Self::EventQueueFull => "event_queue_full",
        }
    }
}

/// The counters of a shard. All are totals since its start, but the gauges named so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams handed to the shard.
    pub datagrams_in: u64,
    /// Their UDP payload bytes.
    pub bytes_in: u64,
    /// RTP packets that authenticated.
    pub rtp_in: u64,
    /// SRTCP datagrams that authenticated.
    pub rtcp_in: u64,
    /// RTP packets sealed for receivers.
    pub rtp_out: u64,
    /// SRTCP datagrams sealed.
    pub rtcp_out: u64,
    /// Packets of padding sealed, to find out what a path carries.
    pub padding_out: u64,
    /// RTP packets that waited for a receiver's pacer.
    pub paced: u64,
    /// Feedback messages of receivers.
    pub feedback_in: u64,
    /// UDP payload bytes handed to the transmit batch.
    pub bytes_out: u64,
    /// RTP packets missing on uplinks, by sequence number.
    pub rtp_lost_in: u64,
    /// NACKs that receivers sent, one per stream.
    pub nacks_in: u64,
    /// Packets that they asked for.
    pub packets_asked_in: u64,
    /// NACKs sent to publishers, one per stream.
    pub nacks_out: u64,
    /// Packets that publishers were asked for.
    pub packets_asked_out: u64,
    /// Packets missing on uplinks that were given up.
    pub packets_given_up: u64,
    /// Gaps on uplinks that were too wide to be repaired.
    pub losses_skipped: u64,
    /// RTX packets that brought what was missing on an uplink.
    pub rtx_in: u64,
    /// RTX packets sealed for receivers. Not among [`Self::rtp_out`].
    pub rtx_out: u64,
    /// Their UDP payload bytes.
    pub rtx_bytes_out: u64,
    /// Key frame requests that receivers made.
    pub key_frame_requests_in: u64,
    /// Key frame requests sent to publishers.
    pub key_frame_requests_out: u64,
    /// Sessions opened.
    pub sessions_opened: u64,
    /// Sessions ended.
    pub sessions_ended: u64,
    /// Times that a session moved to another address.
    pub migrations: u64,
    /// Path challenges answered.
    pub paths_validated: u64,
    /// Slots that changed to another encoding of the track that they showed.
    pub layer_switches: u64,
    /// Times that a room's dominant speaker changed.
    pub speaker_changes: u64,
    /// Voice lanes that changed to another voice.
    pub voice_changes: u64,
    /// Ticks of rooms with microphones.
    pub room_ticks: u64,
    /// Tracks that were not published for want of the right.
    pub publish_refusals: u64,
    /// Screens that were not published since another was shared.
    pub screen_refusals: u64,
    /// Screens that gave way to another.
    pub screen_takeovers: u64,
    /// Times that a session's rights changed while it was open.
    pub rights_changes: u64,
    /// Times that a room's policy changed.
    pub policy_changes: u64,
    /// Times that a receiver's bitrate was shared over its slots.
    pub allocations: u64,
    drops: [u64; DropReason::COUNT],
    resends_refused: [u64; ResendRefusal::COUNT],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            datagrams_in: 0,
            bytes_in: 0,
            rtp_in: 0,
            rtcp_in: 0,
            rtp_out: 0,
            rtcp_out: 0,
            padding_out: 0,
            paced: 0,
            feedback_in: 0,
            bytes_out: 0,
            rtp_lost_in: 0,
            nacks_in: 0,
            packets_asked_in: 0,
            nacks_out: 0,
            packets_asked_out: 0,
            packets_given_up: 0,
            losses_skipped: 0,
            rtx_in: 0,
            rtx_out: 0,
            rtx_bytes_out: 0,
            key_frame_requests_in: 0,
            key_frame_requests_out: 0,
            sessions_opened: 0,
            sessions_ended: 0,
            migrations: 0,
            paths_validated: 0,
            layer_switches: 0,
            speaker_changes: 0,
            voice_changes: 0,
            room_ticks: 0,
            publish_refusals: 0,
            screen_refusals: 0,
            screen_takeovers: 0,
            rights_changes: 0,
            policy_changes: 0,
            allocations: 0,
            drops: [0; DropReason::COUNT],
            resends_refused: [0; ResendRefusal::COUNT],
        }
    }
}

impl Counters {
    /// Counts one drop.
    pub const fn drop(&mut self, reason: DropReason) {
        self.drops[reason as usize] += 1;
    }

    /// How often `reason` dropped something.
    #[must_use]
    pub const fn dropped(&self, reason: DropReason) -> u64 {
        self.drops[reason as usize]
    }

    /// Counts a packet that is not sent again.
    pub const fn refuse_resend(&mut self, reason: ResendRefusal) {
        self.resends_refused[reason as usize] += 1;
    }

    /// Packets that were asked for and not sent again for `reason`.
    #[must_use]
    pub const fn resends_refused(&self, reason: ResendRefusal) -> u64 {
        self.resends_refused[reason as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_reasons_is_in_order_and_has_no_name_twice() {
        for (number, reason) in DropReason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, number);
            assert_eq!(DropReason::ALL.iter().filter(|other| other.name() == reason.name()).count(), 1);
        }
    }
}
