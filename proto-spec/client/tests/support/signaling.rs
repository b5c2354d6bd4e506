use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::{SinkExt, StreamExt};
use sluice_wire::control::CloseCode;
use sluice_wire::signaling::{
    ClientMessage, DaemonMessage, ErrorCode, ErrorMessage, Joined, Participant, SIGNALING_VERSION,
};
use sluice_wire::track::ParticipantId;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

use super::Router;

/// What every connection is to say or do.
#[derive(Clone)]
pub(crate) enum Say {
    Message(DaemonMessage),
    BreakOff,
}

pub(crate) struct Signaling {
    pub(crate) url: String,
    pub(crate) say: broadcast::Sender<Say>,
    /// How many `new_ticket` came.
    pub(crate) tickets_asked: Arc<AtomicU32>,
}

impl Signaling {
    pub(crate) async fn start(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/api/v1/ws", listener.local_addr().unwrap());
        let (say, _) = broadcast::channel(16);
        let tickets_asked = Arc::new(AtomicU32::new(0));
        let (hear, asked) = (say.clone(), Arc::clone(&tickets_asked));
        tokio::spawn(async move {
            for number in 1.. {
                let (stream, _) = listener.accept().await.unwrap();
                let id = ParticipantId::new(number).unwrap();
                tokio::spawn(serve(stream, id, router.clone(), hear.subscribe(), Arc::clone(&asked)));
            }
        });
        Self { url, say, tickets_asked }
    }
}

async fn serve(
    stream: TcpStream,
    id: ParticipantId,
    router: Router,
    mut say: broadcast::Receiver<Say>,
    asked: Arc<AtomicU32>,
) {
    let mut socket = accept_async(stream).await.unwrap();
    loop {
        let heard = tokio::select! {
            heard = socket.next() => heard,
            said = say.recv() => match said {
                Ok(Say::Message(message)) => {
                    socket.send(encode(&message)).await.unwrap();
                    continue;
                }
                _ => return,
            },
        };
        let Some(Ok(Message::Text(text))) = heard else { return };
        let answer = match serde_json::from_str(&text).unwrap() {
            ClientMessage::Join(join) if join.meeting_id != "23456789abcd" => {
                DaemonMessage::Error(ErrorMessage {
                    code: ErrorCode::JoinRefused,
                    message: "no".to_owned(),
                    fatal: true,
                })
            }
            ClientMessage::Join(join) => DaemonMessage::Joined(Box::new(Joined {
                version: SIGNALING_VERSION,
                meeting_id: join.meeting_id.parse().unwrap(),
                participant_id: id,
                room: "room".to_owned(),
                roster: vec![Participant { participant_id: id, display_name: join.display_name }],
                ticket: router.open(id).await,
            })),
            ClientMessage::NewTicket => {
                asked.fetch_add(1, Ordering::SeqCst);
                DaemonMessage::Ticket { ticket: Box::new(router.open(id).await) }
            }
            ClientMessage::Ping { token } => DaemonMessage::Pong { token },
            ClientMessage::Leave => {
                router.close(id, CloseCode::Normal).await;
                socket.close(None).await.unwrap();
                return;
            }
        };
        socket.send(encode(&answer)).await.unwrap();
    }
}

fn encode(message: &DaemonMessage) -> Message {
    Message::text(serde_json::to_string(message).unwrap())
}
