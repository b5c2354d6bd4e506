//! Times, rates and sizes of a meeting.

use std::time::Duration;

use crate::rate::Rate;

/// How long a meeting without participants keeps its task: a lone participant who reconnects finds the same numbers block, so
/// that reconnecting in a loop does not use numbers up.
pub const EMPTY_LINGER: Duration = Duration::from_secs(30);
/// From so many participants on, changes of the roster are gathered. Below, each is told at once: fifty who all come within a
/// second are told of 1,225 comings, which is nothing; a thousand would be told of half a million.
pub const LARGE_MEETING_PARTICIPANTS: usize = 50;
/// How long changes of a large roster are gathered: nobody sees a tenth of a second in a list of names.
pub const ROSTER_INTERVAL: Duration = Duration::from_millis(100);
/// How often a webinar's attendees are told how many they are: a number that nobody reads more often.
pub(super) const COUNTS_INTERVAL: Duration = Duration::from_secs(1);
/// Joins of one meeting: a thousand who come within ten seconds fit twice; more are asked to come back a little later.
pub(super) const JOIN_RATE: Rate = Rate { per_second: 200, burst: 400 };
/// Over how long those are spread who are asked to come back.
pub(super) const JOIN_RETRY_SPREAD: Duration = Duration::from_secs(5);
/// Chat messages of one meeting: what people can still read, and then some.
pub(super) const CHAT_RATE: Rate = Rate { per_second: 20, burst: 100 };
/// Chat messages of one participant: a fast writer.
pub(super) const OWN_CHAT_RATE: Rate = Rate { per_second: 2, burst: 10 };
/// Reactions of one meeting: each goes to everybody and shows nothing that another does not.
pub(super) const REACTION_RATE: Rate = Rate { per_second: 20, burst: 100 };
/// Messages to everyone that those who come late are given.
pub(super) const MAX_HISTORY_MESSAGES: usize = 100;
/// And their texts' bytes: with all else a line holds they stay below 64 KiB.
pub(super) const MAX_HISTORY_BYTES: usize = 32 * 1024;
/// Identities and names that a meeting keeps out. A host with more trouble locks the meeting.
pub(super) const MAX_BANS: usize = 1_000;

/// Time-outs that a deployment may set.
#[derive(Clone, Copy, Debug)]
pub struct MeetingTiming {
    /// How long a participant may be without a media session before it is removed.
    pub media_timeout: Duration,
    /// How long a participant may be without a connection before it is removed.
    pub resume_timeout: Duration,
}
