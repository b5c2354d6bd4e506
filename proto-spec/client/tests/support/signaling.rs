use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::{SinkExt, StreamExt};
use sluice_wire::control::CloseCode;
use sluice_wire::signaling::{
    ChatPolicy, ClientMessage, ClientRequest, DaemonMessage, DisplayName, ErrorCode, ErrorMessage, Joined,
    MeetingKind, MeetingState, Participant, RecordingState, Role, SIGNALING_VERSION, SharePolicy, Token,
};
use sluice_wire::ticket::Ticket;
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
        let answer = match serde_json::from_str::<ClientRequest>(&text).unwrap().message {
            ClientMessage::Join(join) if join.meeting_id != "23456789abcd" => {
                DaemonMessage::Error(ErrorMessage::new(ErrorCode::JoinRefused, "no", true))
            }
            ClientMessage::Join(join) if join.resume.is_some() => {
                DaemonMessage::Error(ErrorMessage::new(ErrorCode::ResumeRefused, "no", true))
            }
            ClientMessage::Join(join) => {
                DaemonMessage::Joined(Box::new(joined(id, join.display_name, router.open(id).await)))
            }
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
            other => panic!("{other:?}"),
        };
        socket.send(encode(&answer)).await.unwrap();
    }
}

pub(crate) fn joined(id: ParticipantId, display_name: DisplayName, ticket: Ticket) -> Joined {
    let role = Role::Participant;
    let (muted, video, hand, consent) = (false, false, None, None);
    Joined {
        version: SIGNALING_VERSION,
        meeting_id: "23456789abcd".parse().unwrap(),
        participant_id: id,
        room: "room".to_owned(),
        meeting: MeetingState {
            kind: MeetingKind::Meeting,
            locked: false,
            paused: false,
            waiting_room: false,
            share: SharePolicy::Everyone,
            chat: ChatPolicy::Everyone,
            recording: RecordingState::Off,
            sharer: None,
            spotlight: None,
            preset: None,
        },
        roster: vec![Participant { participant_id: id, display_name, role, muted, video, hand, consent }],
        counts: None,
        waiting: Vec::new(),
        resume_token: Token::new("resume".to_owned()),
        resume_within_ms: 5_000,
        ticket,
    }
}

fn encode(message: &DaemonMessage) -> Message {
    Message::text(serde_json::to_string(message).unwrap())
}
