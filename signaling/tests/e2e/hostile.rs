//! A hundred thousand hostile messages: they change nothing, and they kill nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::common::{Client, Daemon, forgetful};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

const HOSTILE_MESSAGES: u32 = 100_000;
/// Connections at a time. Each is closed after some dozens of messages, and comes again.
const HOSTILE_CONNECTIONS: u32 = 16;
/// What one connection sends: as many as the daemon reads of a flood before it closes.
const MESSAGES_PER_CONNECTION: u32 = 61;

/// A small generator with a seed (xorshift), so that a run can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// What a guest must not do, what nobody can do, and what is no message.
fn hostile(random: &mut Random, meeting: &str) -> Message {
    let number = [0, 1, 2, 3, 99, 16_777_215, 16_777_216, u64::MAX][random.below(8)];
    let commands = [
        json!({"type": "mute", "participant_id": number, "muted": true}),
        json!({"type": "mute_all"}),
        json!({"type": "set_role", "participant_id": number, "role": "host"}),
        json!({"type": "remove", "participant_id": number, "ban": true}),
        json!({"type": "lock", "locked": true}),
        json!({"type": "admit_all"}),
        json!({"type": "deny", "participant_id": number}),
        json!({"type": "spotlight", "participant_id": number}),
        json!({"type": "record", "action": "start"}),
        json!({"type": "share", "active": false, "take_over": true}),
        json!({"type": "rename", "participant_id": 1, "display_name": "Fool"}),
        json!({"type": "end_meeting", "request": number}),
        json!({"type": "chat", "to": {"participant": number}, "text": "x".repeat(5_000)}),
        json!({"type": "join", "version": 1, "meeting_id": meeting, "display_name": "Eve", "resume":
            {"participant_id": 1, "token": "guess", "seq": number}}),
        json!({"type": "ping", "token": number}),
    ];
    let text = commands[random.below(commands.len())].to_string();
    match random.below(8) {
        0..4 => Message::text(text),
        4 => Message::text(text[..random.below(text.len())].to_owned()),
        5 => Message::text("[{\"a\":".repeat(random.below(3_000))),
        6 => Message::binary(vec![random.below(256) as u8; random.below(2_000)]),
        _ => {
            let mut bytes = text.into_bytes();
            let at = random.below(bytes.len());
            bytes[at] = b' ' + random.below(90) as u8;
            Message::text(String::from_utf8(bytes).unwrap())
        }
    }
}

/// Sends until the daemon has closed; how many messages went out.
async fn attack(daemon: &Daemon, meeting: &str, random: &mut Random, left: u32) -> u32 {
    let Client { mut socket } = daemon.client().await;
    if random.below(4) > 0 {
        let join = json!({"type": "join", "version": 1, "meeting_id": meeting, "display_name": "Eve"});
        socket.send(Message::text(join.to_string())).await.unwrap();
    }
    let count = left.min(MESSAGES_PER_CONNECTION);
    let (mut sink, mut stream) = socket.split();
    let send = async {
        for sent in 0..count {
            if sink.feed(hostile(random, meeting)).await.is_err() {
                return sent;
            }
        }
        // It may be closed by now.
        sink.close().await.ok();
        count
    };
    let read = async { while let Some(Ok(_)) = stream.next().await {} };
    let (sent, ()) = tokio::join!(send, read);
    sent
}

async fn attack_from_all_sides(daemon: &Daemon, meeting: &str) -> u32 {
    let share = HOSTILE_MESSAGES / HOSTILE_CONNECTIONS;
    let attackers = (0..HOSTILE_CONNECTIONS).map(|number| async move {
        let mut random = Random(0x5EED_0001 + u64::from(number));
        let mut sent = 0;
        while sent < share {
            sent += attack(daemon, meeting, &mut random, share - sent).await;
        }
        sent
    });
    futures_util::future::join_all(attackers).await.into_iter().sum()
}

/// Joins, and comes back when it is told to: the attack has used up what may join a meeting at once.
async fn join_patiently(daemon: &Daemon, meeting: &str, name: &str) -> (Client, Value) {
    for _ in 0..100 {
        let mut client = daemon.client().await;
        client.join(meeting, name).await;
        let answer = client.next().await;
        match answer["retry_after_ms"].as_u64() {
            Some(wait) => tokio::time::sleep(Duration::from_millis(wait.min(200))).await,
            None => {
                assert_eq!(answer["type"], "joined", "{answer}");
                return (client, answer);
            }
        }
    }
    panic!("{name} was told to come back a hundred times");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_hostile_messages_change_nothing() {
    let mut config = forgetful();
    config.limits.requests_per_second_per_address = 1_000_000;
    config.limits.request_burst_per_address = 1_000_000;
    let daemon = Daemon::with(config).await;
    let _router = daemon.router("a").await;
    let meeting = daemon.create(json!({"max_participants": 1000})).await;
    let (host, joined) = daemon.host(&meeting, "Ada").await;
    let (mut sink, mut stream) = host.socket.split();
    // The host reads, or it would be dropped like anybody.
    let reading = async {
        let mut heard = BTreeSet::new();
        loop {
            let message = stream.next().await.expect("the host is inside").unwrap();
            let Message::Text(text) = message else { continue };
            let message: Value = serde_json::from_str(&text).unwrap();
            if message["type"] == "pong" {
                return heard;
            }
            assert_ne!(message["participant"]["participant_id"], joined["participant_id"], "{message}");
            heard.insert(message["type"].as_str().unwrap().to_owned());
        }
    };
    let attacking = async {
        let sent = attack_from_all_sides(&daemon, &meeting.id).await;
        while daemon.counter("participants").await > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        sink.send(Message::text(json!({"type": "ping"}).to_string())).await.unwrap();
        sent
    };
    let (sent, heard) = tokio::join!(attacking, reading);
    assert_eq!(sent, HOSTILE_MESSAGES);
    let harmless = ["participant_joined", "participant_left", "participant_update", "roster_delta"];
    assert!(heard.iter().all(|kind| harmless.contains(&kind.as_str())), "{heard:?}");
    let (_bob, after) = join_patiently(&daemon, &meeting.id, "Bob").await;
    assert_eq!(after["meeting"], joined["meeting"]);
    assert_eq!(after["roster"].as_array().unwrap().len(), 2);
    assert_eq!(after["roster"][0], joined["roster"][0]);
}
