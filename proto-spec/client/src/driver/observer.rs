//! What an application hears from its participant.

use sluice_wire::time::Time;
use sluice_wire::track::TrackNumber;
use tokio::sync::mpsc;

use super::EndCause;
use super::stats::ParticipantStats;
use crate::media::packetize::FrameLayer;
use crate::session;
use crate::signaling::SignalingEvent;

/// Something that happened to a participant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A media session began; `name` is its name in logs. The first one begins with the participant.
    SessionOpened {
        /// The session's name in logs.
        name: String,
    },
    /// The media session said something.
    Media(session::Event),
    /// The media session is over, and a new one has been asked for.
    SessionLost,
    /// Signaling said something.
    Signaling(SignalingEvent),
    /// The participant is not in the meeting any more. The last event.
    Ended(EndCause),
}

/// A frame that became packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentFrame {
    /// The track.
    pub track: TrackNumber,
    /// The encoding's position within the track.
    pub encoding: u8,
    /// When it counts as captured.
    pub captured_at: Time,
    /// When it was handed to the session.
    pub handed_at: Time,
    /// [`frame_hash`](crate::media::hash::frame_hash) of its bytes.
    pub hash: u64,
    /// How many packets it took.
    pub packets: usize,
    /// Bytes of the frame.
    pub bytes: usize,
    /// Whether decoding can start here.
    pub key: bool,
    /// Its temporal layer.
    pub layer: FrameLayer,
}

/// Hears from a participant, in the participant's task: what it does delays the participant's packets, so it does little and
/// never blocks.
pub trait Observer: Send + 'static {
    /// Something happened.
    fn on_event(&mut self, event: Event);

    /// A frame became packets. Called before the packets leave.
    fn on_frame_sent(&mut self, _frame: &SentFrame) {}

    /// What has been counted so far. Called once a second.
    fn on_stats(&mut self, _stats: &ParticipantStats) {}
}

/// Places of a channel that frames leave free for other events.
const RESERVED_FOR_CONTROL: usize = 64;

/// Events of a participant, from [`channel`].
#[derive(Debug)]
pub struct Inbox(mpsc::Receiver<Event>);

impl Inbox {
    /// The next event; `None` behind [`Event::Ended`]. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        self.0.recv().await
    }
}

/// The other end of an [`Inbox`].
#[derive(Debug)]
struct Outbox(mpsc::Sender<Event>);

/// A bounded channel of events: an observer for the participant, and where its events come out. When `frames` frames wait, further
/// frames are dropped; other events have places of their own, and are dropped only by an application that does not read at all.
#[must_use]
pub fn channel(frames: usize) -> (impl Observer, Inbox) {
    let (sender, receiver) = mpsc::channel(frames.saturating_add(RESERVED_FOR_CONTROL).max(1));
    (Outbox(sender), Inbox(receiver))
}

impl Observer for Outbox {
    fn on_event(&mut self, event: Event) {
        let is_frame = matches!(event, Event::Media(session::Event::Frame(_)));
        if !is_frame || self.0.capacity() > RESERVED_FOR_CONTROL {
            // Full or abandoned: there is nobody to tell.
            drop(self.0.try_send(event));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Codec;
    use crate::media::depacketize::AssembledFrame;
    use crate::session::ReceivedFrame;
    use sluice_wire::track::TrackId;

    fn frame(timestamp: u32) -> Event {
        let frame = AssembledFrame { timestamp, first_index: 0, data: vec![], key: true, follows_gap: false };
        Event::Media(session::Event::Frame(Box::new(ReceivedFrame {
            slot: 0,
            track: TrackId::from_bits(256).unwrap(),
            codec: Codec::Opus,
            frame,
            is_decodable: true,
            temporal_id: 0,
            captured_at: None,
            received_at: Time::ZERO,
        })))
    }

    #[tokio::test]
    async fn frames_that_nobody_takes_do_not_push_out_what_matters() {
        let (mut observer, mut inbox) = channel(2);
        (0..100).for_each(|timestamp| observer.on_event(frame(timestamp)));
        observer.on_event(Event::SessionLost);
        drop(observer);
        assert_eq!(inbox.next().await, Some(frame(0)));
        assert_eq!(inbox.next().await, Some(frame(1)));
        assert_eq!(inbox.next().await, Some(Event::SessionLost));
        assert_eq!(inbox.next().await, None);
    }
}
