//! Going on by another connection where one broke.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use sluice_wire::signaling::{
    ClientMessage, DaemonMessage, DisplayName, ErrorCode, ErrorMessage, Join, Joined, Numbered, Resume,
};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::connection::{SignalingClient, Socket, decode, encode};
use super::{JOIN_TIMEOUT, SignalingError};

/// The first pause before another connection is tried, where the daemon named none: a network that changes needs a moment.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest one; each is twice the one before.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// What is needed to go on.
#[derive(Debug)]
pub(super) struct Resumption {
    url: String,
    join: Join,
    within: Duration,
    /// The pause that the daemon asked for.
    retry_after: Option<Duration>,
    /// Whether the daemon said that it is over.
    is_over: bool,
}

/// What came of one attempt.
enum Attempt {
    Resumed(Box<Socket>),
    /// No connection, or a daemon that has too much to do: once more after this.
    Later(Option<Duration>),
    /// There is nothing to go on with.
    Refused,
}

impl Resumption {
    pub(super) fn new(url: String, meeting_id: String, display_name: DisplayName, joined: &Joined) -> Self {
        let resume = Resume {
            participant_id: joined.participant_id,
            token: joined.resume_token.clone(),
            seq: 1,
            only: true,
        };
        let join = Join { resume: Some(resume), ..Join::new(meeting_id, display_name) };
        let within = Duration::from_millis(joined.resume_within_ms);
        Self { url, join, within, retry_after: None, is_over: false }
    }

    /// Takes note of a message; `false` if it has been here before.
    pub(super) fn is_new(&mut self, message: &Numbered) -> bool {
        match &message.message {
            DaemonMessage::MeetingEnded { .. } => self.is_over = true,
            DaemonMessage::Error(error) => self.is_over |= error.fatal,
            DaemonMessage::GoingAway { retry_after_ms } => {
                self.retry_after = Some(Duration::from_millis(*retry_after_ms));
            }
            _ => {}
        }
        let (Some(seq), Some(resume)) = (message.seq, &mut self.join.resume) else { return true };
        let is_snapshot = matches!(message.message, DaemonMessage::Snapshot(_));
        let is_new = is_snapshot || seq > resume.seq;
        if is_new {
            resume.seq = seq;
        }
        is_new
    }

    /// Whether there is nothing to go on with.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Another connection of the same participant; `None` if there is none in time.
    pub(super) async fn reconnect(&mut self) -> Option<Socket> {
        let first = self.retry_after.take();
        timeout(self.within, self.attempts(first)).await.ok().flatten()
    }

    async fn attempts(&self, first: Option<Duration>) -> Option<Socket> {
        let mut pause = first.unwrap_or(FIRST_PAUSE);
        loop {
            sleep(pause).await;
            match self.attempt().await {
                Ok(Attempt::Resumed(socket)) => return Some(*socket),
                Ok(Attempt::Refused) => return None,
                Ok(Attempt::Later(Some(asked))) => pause = asked,
                Ok(Attempt::Later(None)) | Err(_) => {
                    pause = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
                }
            }
        }
    }

    async fn attempt(&self) -> Result<Attempt, SignalingError> {
        let mut socket = SignalingClient::connect(&self.url).await?.into_socket();
        socket.send(encode(&ClientMessage::Join(Box::new(self.join.clone())).into())?).await?;
        let answer = timeout(JOIN_TIMEOUT, answer(&mut socket)).await;
        Ok(match answer.map_err(|_| SignalingError::Timeout("answer"))?? {
            DaemonMessage::Resumed { .. } => Attempt::Resumed(Box::new(socket)),
            DaemonMessage::GoingAway { retry_after_ms } => {
                Attempt::Later(Some(Duration::from_millis(retry_after_ms)))
            }
            DaemonMessage::Error(ErrorMessage { code: ErrorCode::RateLimited, retry_after_ms, .. }) => {
                Attempt::Later(retry_after_ms.map(Duration::from_millis))
            }
            _ => Attempt::Refused,
        })
    }
}

async fn answer(socket: &mut Socket) -> Result<DaemonMessage, SignalingError> {
    loop {
        match socket.next().await.ok_or(SignalingError::Closed)?? {
            Message::Text(text) => return Ok(decode(&text)?.message),
            Message::Close(_) => return Err(SignalingError::Closed),
            _ => {}
        }
    }
}
