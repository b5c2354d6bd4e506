//! The task behind a joined connection: orders go out, events come in.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use sluice_wire::signaling::{ClientMessage, ClientRequest, DaemonMessage};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{self, Message};

use super::SignalingError;
use super::connection::{Ending, SignalingEvent, Socket, decode, encode};
use super::resumption::Resumption;

/// Silence of the daemon after which this end asks whether it is there. The daemon pings every 20 s, so this is rare.
const PING_AFTER: Duration = Duration::from_secs(30);
/// Silence behind that question after which the connection counts as broken.
const PONG_WITHIN: Duration = Duration::from_secs(30);
/// How long one message may take to get into the socket.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the daemon may take to close behind a `leave`.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// Orders that wait while there is no connection.
const MAX_WAITING_ORDERS: usize = 8;

/// What a participant tells its connection to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    NewTicket,
    Say(Box<ClientRequest>),
    Leave,
}

pub(super) struct Pump {
    socket: Socket,
    orders: mpsc::Receiver<Order>,
    events: mpsc::Sender<SignalingEvent>,
    resumption: Resumption,
    left: bool,
    asked_for_pong: bool,
}

/// What woke the pump.
enum Wake {
    Order(Option<Order>),
    Message(Option<Result<Message, tungstenite::Error>>),
    Silence,
    /// Nobody takes events any more.
    Abandoned,
}

impl Pump {
    pub(super) const fn new(
        socket: Socket,
        orders: mpsc::Receiver<Order>,
        events: mpsc::Sender<SignalingEvent>,
        resumption: Resumption,
    ) -> Self {
        Self { socket, orders, events, resumption, left: false, asked_for_pong: false }
    }

    /// Serves the connection until it ends or nobody is interested any more.
    pub(super) async fn run(mut self) {
        let ending = loop {
            let wake = self.wait().await;
            let handled = match wake {
                Wake::Abandoned | Wake::Order(None) => return,
                Wake::Order(Some(order)) => self.obey(order).await,
                Wake::Message(message) => self.take(message).await,
                Wake::Silence => self.on_silence().await,
            };
            let Err(ending) = handled else { continue };
            match self.resume(ending).await {
                Ok(()) => {}
                Err(Some(ending)) => break ending,
                Err(None) => return,
            }
        };
        // The receiver may be gone by now, and then nobody wants to know.
        drop(self.events.send(SignalingEvent::Ended(ending)).await);
    }

    async fn wait(&mut self) -> Wake {
        let silence = if self.left {
            LEAVE_TIMEOUT
        } else if self.asked_for_pong {
            PONG_WITHIN
        } else {
            PING_AFTER
        };
        // The connection is read only while there is room for what it says.
        let reading = async {
            if self.events.reserve().await.is_err() {
                return Wake::Abandoned;
            }
            match timeout(silence, self.socket.next()).await {
                Ok(message) => Wake::Message(message),
                Err(_) => Wake::Silence,
            }
        };
        tokio::select! {
            order = self.orders.recv(), if !self.left => Wake::Order(order),
            wake = reading => wake,
        }
    }

    async fn obey(&mut self, order: Order) -> Result<(), Ending> {
        let request = match order {
            Order::NewTicket => ClientMessage::NewTicket.into(),
            Order::Say(request) => *request,
            Order::Leave => {
                self.left = true;
                ClientMessage::Leave.into()
            }
        };
        self.write(encode(&request)).await
    }

    /// Goes on by another connection, if that can be. What is ordered meanwhile waits, but for the order to leave. `None` when
    /// nobody takes events any more.
    async fn resume(&mut self, ending: Ending) -> Result<(), Option<Ending>> {
        if self.left || self.resumption.is_over() {
            return Err(Some(ending));
        }
        let mut waiting = Vec::new();
        let resumed = {
            let mut reconnecting = std::pin::pin!(self.resumption.reconnect());
            loop {
                tokio::select! {
                    resumed = &mut reconnecting => break resumed,
                    order = self.orders.recv(), if waiting.len() < MAX_WAITING_ORDERS => match order {
                        Some(Order::Leave) => return Err(Some(Ending::Left)),
                        Some(order) => waiting.push(order),
                        None => return Err(None),
                    },
                    () = self.events.closed() => return Err(None),
                }
            }
        };
        let Some(socket) = resumed else { return Err(Some(ending)) };
        self.socket = socket;
        self.asked_for_pong = false;
        if self.events.send(SignalingEvent::Resumed).await.is_err() {
            return Err(None);
        }
        for order in waiting {
            // If the new connection breaks at once its end is found where it is read.
            if self.obey(order).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    async fn take(&mut self, message: Option<Result<Message, tungstenite::Error>>) -> Result<(), Ending> {
        self.asked_for_pong = false;
        match message {
            Some(Ok(Message::Text(text))) => match decode(&text) {
                Ok(message) if self.resumption.is_new(&message) => match event_of(message.message) {
                    Some(event) => self.events.send(event).await.map_err(|_| Ending::Left),
                    None => Ok(()),
                },
                Ok(_) => Ok(()),
                Err(error) => Err(Ending::Broken(error.to_string())),
            },
            Some(Ok(Message::Close(frame))) => {
                // The library answers the close; the rest of the handshake is only politeness.
                drop(timeout(LEAVE_TIMEOUT, self.socket.close(None)).await);
                Err(if self.left {
                    Ending::Left
                } else {
                    Ending::Closed(frame.map(|frame| frame.code.into()))
                })
            }
            Some(Ok(_)) => Ok(()),
            Some(Err(_)) | None if self.left => Err(Ending::Left),
            Some(Err(error)) => Err(Ending::Broken(error.to_string())),
            None => Err(Ending::Closed(None)),
        }
    }

    async fn on_silence(&mut self) -> Result<(), Ending> {
        if self.left {
            return Err(Ending::Left);
        }
        if std::mem::replace(&mut self.asked_for_pong, true) {
            return Err(Ending::Broken("the signaling daemon fell silent".to_owned()));
        }
        self.write(Ok(Message::Ping(Vec::new().into()))).await
    }

    async fn write(&mut self, message: Result<Message, SignalingError>) -> Result<(), Ending> {
        let broken = |reason: String| Ending::Broken(reason);
        let message = message.map_err(|error| broken(error.to_string()))?;
        match timeout(WRITE_TIMEOUT, self.socket.send(message)).await {
            Ok(sent) => sent.map_err(|error| broken(error.to_string())),
            Err(_) => Err(broken("the signaling daemon does not read".to_owned())),
        }
    }
}

/// What a message tells the participant; `None` for what is only between the ends of the connection.
fn event_of(message: DaemonMessage) -> Option<SignalingEvent> {
    Some(match message {
        DaemonMessage::ParticipantJoined { participant } => SignalingEvent::ParticipantJoined(participant),
        DaemonMessage::ParticipantLeft { participant_id, reason } => {
            SignalingEvent::ParticipantLeft(participant_id, reason)
        }
        DaemonMessage::Ticket { ticket } => SignalingEvent::Ticket(ticket),
        DaemonMessage::MediaLost { reason } => SignalingEvent::MediaLost(reason),
        DaemonMessage::MeetingEnded { reason } => SignalingEvent::MeetingEnded(reason),
        DaemonMessage::Error(error) => SignalingEvent::Refused(error),
        DaemonMessage::Joined(_)
        | DaemonMessage::Resumed { .. }
        | DaemonMessage::GoingAway { .. }
        | DaemonMessage::Pong { .. } => return None,
        other => SignalingEvent::Told(Box::new(other)),
    })
}
