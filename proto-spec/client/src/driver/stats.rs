//! What happened to a participant, over all its sessions.

use std::time::Duration;

use crate::session::SessionStats;

/// What happened to a participant, in numbers since it joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParticipantStats {
    /// All sessions together.
    pub media: SessionStats,
    /// Sessions that were lost.
    pub sessions_lost: u64,
    /// Datagrams that the system refused to send.
    pub sends_failed: u64,
    /// Frames that could not be sent: muted, not published, or no session at that moment. Frames that nobody wanted are counted
    /// in `media`.
    pub frames_unsent: u64,
    /// Smoothed round-trip time to the router, of the session at work.
    pub rtt: Option<Duration>,
}

/// Both together.
pub(super) const fn sum(a: &SessionStats, b: &SessionStats) -> SessionStats {
    SessionStats {
        datagrams_received: a.datagrams_received + b.datagrams_received,
        bytes_received: a.bytes_received + b.bytes_received,
        rtp_sent: a.rtp_sent + b.rtp_sent,
        bytes_sent: a.bytes_sent + b.bytes_sent,
        padding_sent: a.padding_sent + b.padding_sent,
        padding_received: a.padding_received + b.padding_received,
        rtp_received: a.rtp_received + b.rtp_received,
        rtp_lost: a.rtp_lost + b.rtp_lost,
        rtp_recovered: a.rtp_recovered + b.rtp_recovered,
        rtp_given_up: a.rtp_given_up + b.rtp_given_up,
        nacks_sent: a.nacks_sent + b.nacks_sent,
        packets_nacked: a.packets_nacked + b.packets_nacked,
        rtx_useless: a.rtx_useless + b.rtx_useless,
        nacks_received: a.nacks_received + b.nacks_received,
        rtx_sent: a.rtx_sent + b.rtx_sent,
        resends_refused: a.resends_refused + b.resends_refused,
        rtcp_sent: a.rtcp_sent + b.rtcp_sent,
        rtcp_received: a.rtcp_received + b.rtcp_received,
        frames_sent: a.frames_sent + b.frames_sent,
        frames_received: a.frames_received + b.frames_received,
        frames_broken: a.frames_broken + b.frames_broken,
        frames_undecodable: a.frames_undecodable + b.frames_undecodable,
        frames_withheld: a.frames_withheld + b.frames_withheld,
        bytes_withheld: a.bytes_withheld + b.bytes_withheld,
        levels_sent: a.levels_sent + b.levels_sent,
        auth_failures: a.auth_failures + b.auth_failures,
        replayed: a.replayed + b.replayed,
        malformed: a.malformed + b.malformed,
        key_frame_requests_sent: a.key_frame_requests_sent + b.key_frame_requests_sent,
        key_frame_requests_received: a.key_frame_requests_received + b.key_frame_requests_received,
        events_lost: a.events_lost + b.events_lost,
        transmits_lost: a.transmits_lost + b.transmits_lost,
    }
}
