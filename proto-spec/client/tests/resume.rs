//! A connection that breaks, and what comes in its place, against a daemon that follows a script.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use sluice_client::signaling::{Ending, Membership, SignalingClient, SignalingEvent};
use sluice_wire::signaling::{DaemonMessage, DisplayName, Join};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

const PATIENCE: Duration = Duration::from_secs(10);

struct Daemon {
    listener: TcpListener,
}

struct Connection(WebSocketStream<TcpStream>);

impl Daemon {
    async fn start() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/api/v1/ws", listener.local_addr().unwrap());
        (Self { listener }, url)
    }

    async fn accept(&self) -> Connection {
        let (stream, _) = timeout(PATIENCE, self.listener.accept()).await.unwrap().unwrap();
        Connection(accept_async(stream).await.unwrap())
    }
}

impl Connection {
    async fn hear(&mut self) -> Value {
        loop {
            let message = timeout(PATIENCE, self.0.next()).await.unwrap().unwrap().unwrap();
            if let Message::Text(text) = message {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn clap(&mut self, seq: u64) {
        self.say(json!({"type": "reaction", "seq": seq, "participant_id": seq, "reaction": "clap"})).await;
    }
}

fn joined() -> Value {
    let direction = json!({"master_key": "AAECAwQFBgcICQoLDA0ODw==", "master_salt": "AAECAwQFBgcICQoL",
        "ssrc_base": 16_777_216, "ssrc_count": 64});
    json!({
        "type": "joined", "seq": 1, "version": 1, "meeting_id": "23456789abcd", "participant_id": 7, "room": "r",
        "meeting": {"kind": "meeting", "locked": false, "paused": false, "waiting_room": false, "share": "everyone",
            "chat": "everyone", "recording": "off"},
        "roster": [], "resume_token": "secret", "resume_within_ms": 3_000,
        "ticket": {"protocol_version": 1, "session": "s", "addresses": ["192.0.2.1:9"], "suite": "AEAD_AES_128_GCM",
            "uplink": direction, "downlink": direction, "alternate": null},
    })
}

async fn join(daemon: &Daemon, url: &str) -> (Connection, Membership) {
    let name = DisplayName::try_from("Ada".to_owned()).unwrap();
    let join = Join::new("23456789abcd".to_owned(), name);
    let serve = async {
        let mut connection = daemon.accept().await;
        connection.hear().await;
        connection.say(joined()).await;
        connection
    };
    let client = async {
        let (_, membership) = SignalingClient::connect(url).await.unwrap().join(join).await.unwrap();
        membership
    };
    tokio::join!(serve, client)
}

async fn next(membership: &mut Membership) -> SignalingEvent {
    timeout(PATIENCE, membership.next_event()).await.unwrap().unwrap()
}

async fn clapped(membership: &mut Membership) -> u32 {
    match next(membership).await {
        SignalingEvent::Told(message) => match *message {
            DaemonMessage::Reaction { participant_id, .. } => participant_id.get(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn another_connection_goes_on_where_one_broke_and_each_event_comes_once() {
    let (daemon, url) = Daemon::start().await;
    let (mut connection, mut membership) = join(&daemon, &url).await;
    connection.clap(2).await;
    connection.clap(3).await;
    assert_eq!([clapped(&mut membership).await, clapped(&mut membership).await], [2, 3]);
    drop(connection);
    let mut connection = daemon.accept().await;
    let asked = connection.hear().await;
    assert_eq!(asked["resume"], json!({"participant_id": 7, "token": "secret", "seq": 3, "only": true}));
    // The daemon is not up yet, so to speak: the client tries again.
    let later =
        json!({"type": "error", "code": "rate_limited", "message": "", "fatal": true, "retry_after_ms": 10});
    connection.say(later).await;
    membership.ask_for_ticket().unwrap();
    let mut connection = daemon.accept().await;
    connection.hear().await;
    connection.say(json!({"type": "resumed", "participant_id": 7, "after": 3})).await;
    connection.clap(3).await;
    connection.clap(4).await;
    assert_eq!(next(&mut membership).await, SignalingEvent::Resumed);
    assert_eq!(clapped(&mut membership).await, 4, "what has been here does not come again");
    assert_eq!(connection.hear().await["type"], "new_ticket", "what was ordered meanwhile");
}

#[tokio::test]
async fn what_cannot_go_on_ends() {
    let (daemon, url) = Daemon::start().await;
    let (connection, mut membership) = join(&daemon, &url).await;
    drop(connection);
    let mut connection = daemon.accept().await;
    connection.hear().await;
    connection.say(json!({"type": "error", "code": "resume_refused", "message": "", "fatal": true})).await;
    let ended = next(&mut membership).await;
    assert!(matches!(ended, SignalingEvent::Ended(Ending::Closed(_) | Ending::Broken(_))), "{ended:?}");
}

#[tokio::test]
async fn who_was_put_out_does_not_come_back() {
    let (daemon, url) = Daemon::start().await;
    let (mut connection, mut membership) = join(&daemon, &url).await;
    connection.say(json!({"type": "error", "code": "removed", "message": "", "fatal": true})).await;
    drop(connection);
    assert!(matches!(next(&mut membership).await, SignalingEvent::Refused(error) if error.fatal));
    assert!(matches!(next(&mut membership).await, SignalingEvent::Ended(_)));
    assert!(timeout(Duration::from_millis(200), daemon.listener.accept()).await.is_err());
}

#[tokio::test]
async fn leaving_does_not_wait_for_a_connection() {
    let (daemon, url) = Daemon::start().await;
    let (connection, mut membership) = join(&daemon, &url).await;
    drop((connection, daemon));
    tokio::time::sleep(Duration::from_millis(50)).await;
    membership.leave().unwrap();
    assert_eq!(next(&mut membership).await, SignalingEvent::Ended(Ending::Left));
}
