//! Time-outs of a meeting.

use std::time::Duration;

/// How long a meeting without participants keeps its task: a lone participant who reconnects finds the same numbers block, so
/// that reconnecting in a loop does not use numbers up.
pub const EMPTY_LINGER: Duration = Duration::from_secs(30);

/// Time-outs that a deployment may set.
#[derive(Clone, Copy, Debug)]
pub struct MeetingTiming {
    /// How long a participant may be without a media session before it is removed.
    pub media_timeout: Duration,
}
