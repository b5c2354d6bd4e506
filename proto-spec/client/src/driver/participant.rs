//! The application's handle on a participant.

use std::io;
use std::net::SocketAddr;

use sluice_wire::control::WantedSlot;
use sluice_wire::signaling::Joined;
use sluice_wire::track::{ParticipantId, TrackNumber};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::command::{Command, FrameToSend};
use super::line::Line;
use super::observer::Observer;
use super::stats::ParticipantStats;
use super::task::Task;
use super::{JoinConfig, JoinError};
use crate::player::Player;
use crate::session::{PublishError, SlotStats, TrackConfig};
use crate::signaling::SignalingClient;

/// Commands that wait for the participant: a few frames' worth.
const MAX_COMMANDS: usize = 64;

/// The participant is not in the meeting any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the participant is not in the meeting any more")]
pub struct Gone;

/// Why a track is not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlayError {
    /// The participant is not in the meeting any more.
    #[error(transparent)]
    Gone(#[from] Gone),
    /// The session refused.
    #[error(transparent)]
    Refused(#[from] PublishError),
}

/// Somebody in a meeting. Dropping it leaves the meeting.
#[derive(Debug)]
pub struct Participant {
    joined: Joined,
    commands: mpsc::Sender<Command>,
    task: JoinHandle<ParticipantStats>,
}

impl Participant {
    /// Joins a meeting: signaling, a socket, a session. The session's first datagram leaves at once; that the router answered
    /// is told to the observer. Must be called within a tokio runtime with I/O and time.
    ///
    /// # Errors
    /// [`JoinError`].
    pub async fn join(config: JoinConfig, observer: impl Observer) -> Result<Self, JoinError> {
        let client = SignalingClient::connect(&config.websocket_url).await?;
        let (joined, membership) = client.join(config.join()).await?;
        let mut task = Task::new(config.clock, config.seed, membership, observer);
        let line = Line::open(&joined.ticket, config.clock.now(), task.next_seed())?;
        task.begin(&joined.ticket.session, line);
        let (commands, orders) = mpsc::channel(MAX_COMMANDS);
        Ok(Self { joined, commands, task: tokio::spawn(task.run(orders)) })
    }

    /// The participant's number.
    #[must_use]
    pub const fn id(&self) -> ParticipantId {
        self.joined.participant_id
    }

    /// What signaling answered to the join.
    #[must_use]
    pub const fn joined(&self) -> &Joined {
        &self.joined
    }

    /// How many slots the first session has.
    #[must_use]
    pub const fn slot_limit(&self) -> u16 {
        self.joined.ticket.downlink.ssrcs.streams() - 1
    }

    /// Publishes a track whose frames the application sends: [`Self::send_frame`].
    ///
    /// # Errors
    /// [`PlayError`]; nothing has changed then.
    pub async fn publish(&self, track: TrackConfig) -> Result<(), PlayError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Publish(track, reply)).await?;
        Ok(answer.await.map_err(|_| Gone)??)
    }

    /// Publishes the track of a player and begins to play it.
    ///
    /// # Errors
    /// [`PlayError`]; nothing has changed then.
    pub async fn play(&self, player: Player) -> Result<(), PlayError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Play(Box::new(player), reply)).await?;
        Ok(answer.await.map_err(|_| Gone)??)
    }

    /// Stops all players; their tracks stay published.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn stop_playing(&self) -> Result<(), Gone> {
        self.send(Command::StopPlaying).await
    }

    /// Takes a track back, and stops its player.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn unpublish(&self, track: TrackNumber) -> Result<(), Gone> {
        self.send(Command::Unpublish(track)).await
    }

    /// Mutes or unmutes a track.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn set_muted(&self, track: TrackNumber, muted: bool) -> Result<(), Gone> {
        self.send(Command::SetMuted(track, muted)).await
    }

    /// Overrides the audio level, in -dBov, of a track that a player plays; `None` takes that of its clip again. See
    /// [`Player::set_level`].
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn set_level(&self, track: TrackNumber, level: Option<u8>) -> Result<(), Gone> {
        self.send(Command::SetLevel(track, level)).await
    }

    /// States the most that the router may send, in bits per second; 0 is sound alone, [`u64::MAX`] no limit.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn set_receive_limit(&self, bits_per_second: u64) -> Result<(), Gone> {
        self.send(Command::SetReceiveLimit(bits_per_second)).await
    }

    /// Sets what the slots are to show; slots that are not listed become empty. Those above the session's limit are left out.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn want(&self, slots: Vec<WantedSlot>) -> Result<(), Gone> {
        self.send(Command::Want(slots)).await
    }

    /// Sends a frame. One that cannot be sent is counted.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn send_frame(&self, frame: FrameToSend) -> Result<(), Gone> {
        self.send(Command::Send(frame)).await
    }

    /// Goes on with a new socket, as if the network had changed. Returns the new local address.
    ///
    /// # Errors
    /// What the system says about the socket; [`io::ErrorKind::NotConnected`] if there is no session now.
    pub async fn rebind(&self) -> io::Result<SocketAddr> {
        let (reply, answer) = oneshot::channel();
        let gone = |_| io::Error::new(io::ErrorKind::NotConnected, Gone);
        self.send(Command::Rebind(reply)).await.map_err(gone)?;
        answer.await.unwrap_or_else(|_| Err(gone(Gone)))
    }

    /// What has been counted so far.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn stats(&self) -> Result<ParticipantStats, Gone> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Stats(reply)).await?;
        answer.await.map_err(|_| Gone)
    }

    /// What came on the slots of the session at work, in order of slot; none if there is no session now.
    ///
    /// # Errors
    /// [`Gone`].
    pub async fn slot_stats(&self) -> Result<Vec<SlotStats>, Gone> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::SlotStats(reply)).await?;
        answer.await.map_err(|_| Gone)
    }

    /// Leaves the meeting, and says so to the router and to signaling. Takes at most a second and a half.
    pub async fn leave(self) -> ParticipantStats {
        // Whoever is gone needs not be told.
        drop(self.send(Command::Leave).await);
        self.task.await.unwrap_or_default()
    }

    /// Vanishes without a word, as a process that is killed.
    pub fn kill(self) {
        self.task.abort();
    }

    async fn send(&self, command: Command) -> Result<(), Gone> {
        self.commands.send(command).await.map_err(|_| Gone)
    }
}
