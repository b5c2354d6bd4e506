//! The WebSocket of a participant: section 6.2.

use futures_util::{SinkExt as _, StreamExt as _};
use sluice_wire::signaling::{
    ClientMessage, ClientRequest, DaemonMessage, EndedReason, ErrorMessage, Join, Joined, LeftReason,
    MediaLostReason, Numbered, Participant,
};
use sluice_wire::ticket::Ticket;
use sluice_wire::track::ParticipantId;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::pump::{Order, Pump};
use super::resumption::Resumption;
use super::{CONNECT_TIMEOUT, JOIN_TIMEOUT, SignalingError};

/// The largest message that is taken from the daemon, in bytes: a `joined` with 1,000 participants has about 200 KiB.
const MAX_DAEMON_MESSAGE_BYTES: usize = 4 << 20;
/// Buffer of the transport, in bytes. Messages are small, and a load test has thousands of connections.
const BUFFER_BYTES: usize = 4 * 1024;
/// Events that wait for the participant. When they are full the connection is not read, and the daemon drops who does not read.
const MAX_EVENTS: usize = 256;
/// Orders that wait for the connection: nobody needs more than a few.
const MAX_ORDERS: usize = 8;

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Something that signaling tells a participant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignalingEvent {
    /// The connection broke and another goes on in its place: nothing was missed.
    Resumed,
    /// Something else that the meeting said.
    Told(Box<DaemonMessage>),
    /// Somebody else came.
    ParticipantJoined(Participant),
    /// Somebody else went.
    ParticipantLeft(ParticipantId, LeftReason),
    /// A new ticket, as it was asked for; the session of the one before has ended.
    Ticket(Box<Ticket>),
    /// The media session ended.
    MediaLost(MediaLostReason),
    /// The meeting is over; the end of the connection follows.
    MeetingEnded(EndedReason),
    /// Something was refused; if fatal, the end of the connection follows.
    Refused(ErrorMessage),
    /// The connection is over. The last event.
    Ended(Ending),
}

/// Why the connection is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// This end left.
    Left,
    /// The daemon closed the connection, with this code (RFC 6455 section 7.4) if it gave one.
    Closed(Option<u16>),
    /// The connection broke, or the daemon said nothing for too long, and none could go on in its place.
    Broken(String),
}

/// A connection that has not joined yet.
#[derive(Debug)]
pub struct SignalingClient {
    url: String,
    socket: Socket,
}

/// A connection that has joined. Dropping it breaks the connection off without a `leave`.
#[derive(Debug)]
pub struct Membership {
    orders: mpsc::Sender<Order>,
    events: mpsc::Receiver<SignalingEvent>,
}

impl SignalingClient {
    /// Connects to the WebSocket at `url`: see [`super::Api::websocket_url`].
    ///
    /// # Errors
    /// [`SignalingError`] if it cannot be opened in time.
    pub async fn connect(url: &str) -> Result<Self, SignalingError> {
        if !url.starts_with("ws://") {
            return Err(SignalingError::Url { url: url.to_owned(), reason: "it does not begin with ws://" });
        }
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(MAX_DAEMON_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_DAEMON_MESSAGE_BYTES));
        let connecting = connect_async_with_config(url, Some(config), true);
        let (socket, _) =
            timeout(CONNECT_TIMEOUT, connecting).await.map_err(|_| SignalingError::Timeout("connect"))??;
        Ok(Self { url: url.to_owned(), socket })
    }

    pub(super) fn into_socket(self) -> Socket {
        self.socket
    }

    /// Enters a meeting. From then on a task serves the connection until it ends or the [`Membership`] is dropped. When the
    /// connection breaks the task resumes by another, as long as the daemon lets it.
    ///
    /// # Errors
    /// [`SignalingError::Refused`] with the daemon's reason, or what became of the connection.
    pub async fn join(mut self, join: Join) -> Result<(Joined, Membership), SignalingError> {
        let (meeting_id, display_name) = (join.meeting_id.clone(), join.display_name.clone());
        let asking = async {
            self.socket.send(encode(&ClientMessage::Join(Box::new(join)).into())?).await?;
            wait_for_joined(&mut self.socket).await
        };
        let joined =
            timeout(JOIN_TIMEOUT, asking).await.map_err(|_| SignalingError::Timeout("answer the join"))??;
        let (orders, orders_in) = mpsc::channel(MAX_ORDERS);
        let (events_out, events) = mpsc::channel(MAX_EVENTS);
        let resumption = Resumption::new(self.url, meeting_id, display_name, &joined);
        tokio::spawn(Pump::new(self.socket, orders_in, events_out, resumption).run());
        Ok((joined, Membership { orders, events }))
    }
}

impl Membership {
    /// The next event; `None` behind [`SignalingEvent::Ended`]. Cancel-safe.
    pub async fn next_event(&mut self) -> Option<SignalingEvent> {
        self.events.recv().await
    }

    /// Asks for a new media ticket; the answer is [`SignalingEvent::Ticket`] or [`SignalingEvent::Refused`].
    ///
    /// # Errors
    /// [`SignalingError::Closed`] if the connection is over or does not take any more.
    pub fn ask_for_ticket(&self) -> Result<(), SignalingError> {
        self.order(Order::NewTicket)
    }

    /// Leaves the meeting; [`SignalingEvent::Ended`] follows.
    ///
    /// # Errors
    /// [`SignalingError::Closed`] if the connection is over or does not take any more.
    pub fn leave(&self) -> Result<(), SignalingError> {
        self.order(Order::Leave)
    }

    /// Says something to the meeting. What it says to that is [`SignalingEvent::Told`] or [`SignalingEvent::Refused`].
    ///
    /// # Errors
    /// [`SignalingError::Closed`] if the connection is over or does not take any more.
    pub fn say(&self, request: ClientRequest) -> Result<(), SignalingError> {
        self.order(Order::Say(Box::new(request)))
    }

    fn order(&self, order: Order) -> Result<(), SignalingError> {
        self.orders.try_send(order).map_err(|_| SignalingError::Closed)
    }
}

async fn wait_for_joined(socket: &mut Socket) -> Result<Joined, SignalingError> {
    loop {
        match socket.next().await.ok_or(SignalingError::Closed)?? {
            Message::Text(text) => match decode(&text)?.message {
                DaemonMessage::Joined(joined) => return Ok(*joined),
                DaemonMessage::Error(error) => return Err(SignalingError::Refused(error)),
                DaemonMessage::Pong { .. } | DaemonMessage::Waiting { .. } => {}
                other => return Err(SignalingError::Unexpected(format!("{other:?} before joined"))),
            },
            Message::Close(_) => return Err(SignalingError::Closed),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            Message::Binary(_) => return Err(SignalingError::Unexpected("a binary message".to_owned())),
        }
    }
}

pub(super) fn encode(message: &ClientRequest) -> Result<Message, SignalingError> {
    let text =
        serde_json::to_string(message).map_err(|error| SignalingError::Unexpected(error.to_string()))?;
    Ok(Message::text(text))
}

pub(super) fn decode(text: &str) -> Result<Numbered, SignalingError> {
    serde_json::from_str(text).map_err(|error| SignalingError::Unexpected(error.to_string()))
}
