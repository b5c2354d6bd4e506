//! What hosts do, and what people do together, over real sockets. The rules themselves are tested with the state machine.

use crate::common::{Client, Daemon, Made, config, no_password};
use reqwest::header::{HeaderValue, ORIGIN};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

async fn three() -> (Daemon, crate::common::FakeRouter, Made, [Client; 3]) {
    let daemon = Daemon::start().await;
    let router = daemon.router("a").await;
    let meeting = daemon.create(no_password()).await;
    let (mut host, joined) = daemon.host(&meeting, "Ada").await;
    assert_eq!((&joined["seq"], &joined["roster"][0]["role"]), (&json!(1), &json!("host")));
    let (mut bob, _) = daemon.inside(&meeting, "Bob").await;
    host.expect("participant_joined").await;
    let (eve, _) = daemon.inside(&meeting, "Eve").await;
    for client in [&mut host, &mut bob] {
        client.expect("participant_joined").await;
    }
    (daemon, router, meeting, [host, bob, eve])
}

async fn all_expect(clients: &mut [Client], kind: &str) -> Vec<Value> {
    let mut messages = Vec::new();
    for client in clients {
        messages.push(client.expect(kind).await);
    }
    messages
}

#[tokio::test]
async fn a_host_runs_the_meeting_and_others_do_not() {
    let (_daemon, _router, _, [mut host, mut bob, mut eve]) = three().await;
    bob.send(json!({"type": "mute", "participant_id": 3, "muted": true, "request": 5})).await;
    let refused = bob.expect("error").await;
    assert_eq!((&refused["code"], &refused["request"]), (&json!("not_allowed"), &json!(5)));
    host.send(json!({"type": "mute", "participant_id": 3, "muted": true, "request": 6})).await;
    for client in [&mut host, &mut bob, &mut eve] {
        let update = client.expect("participant_update").await;
        assert_eq!(
            (&update["participant"]["participant_id"], &update["participant"]["muted"]),
            (&json!(3), &json!(true))
        );
    }
    assert_eq!(host.expect("done").await["request"], 6);
    host.send(json!({"type": "remove", "participant_id": 3, "ban": true})).await;
    eve.expect_fatal("removed").await;
    for client in [&mut host, &mut bob] {
        assert_eq!(client.expect("participant_left").await["reason"], "removed");
    }
    host.expect_nothing().await;
}

#[tokio::test]
async fn who_is_banned_or_comes_to_a_locked_meeting_stays_out() {
    let (daemon, _router, meeting, mut clients) = three().await;
    clients[0].send(json!({"type": "remove", "participant_id": 3, "ban": true})).await;
    clients[0].expect("participant_left").await;
    let mut eve = daemon.client().await;
    eve.join(&meeting.id, "EVE").await;
    eve.expect_fatal("banned").await;
    clients[0].send(json!({"type": "lock", "locked": true, "request": 1})).await;
    clients[0].expect("meeting_update").await;
    clients[0].expect("done").await;
    let mut late = daemon.client().await;
    late.join(&meeting.id, "Late").await;
    late.expect_fatal("meeting_locked").await;
}

#[tokio::test]
async fn people_talk_share_and_raise_their_hands() {
    let (daemon, _router, meeting, mut clients) = three().await;
    clients[1].send(json!({"type": "chat", "to": "everyone", "text": "hello"})).await;
    let heard = all_expect(&mut clients, "chat_message").await;
    assert!(heard.iter().all(|message| message["from_name"] == "Bob" && message["text"] == "hello"));
    clients[2].send(json!({"type": "chat", "to": {"participant": 2}, "text": "psst"})).await;
    for client in &mut clients[1..] {
        assert_eq!(client.expect("chat_message").await["text"], "psst");
    }
    clients[0].expect_nothing().await;
    clients[1].send(json!({"type": "share", "active": true})).await;
    let updates = all_expect(&mut clients, "meeting_update").await;
    assert!(updates.iter().all(|update| update["meeting"]["sharer"] == 2));
    clients[2].send(json!({"type": "share", "active": true})).await;
    clients[2].expect_error("share_taken", false).await;
    clients[2].send(json!({"type": "hand", "raised": true})).await;
    all_expect(&mut clients, "participant_update").await;
    let (mut late, joined) = daemon.inside(&meeting, "Late").await;
    assert_eq!((&joined["meeting"]["sharer"], &joined["roster"][2]["hand"]), (&json!(2), &json!(1)));
    let history = late.expect("chat_history").await;
    assert_eq!(history["messages"].as_array().unwrap().len(), 1, "what was private stays so");
}

#[tokio::test]
async fn the_host_ends_the_meeting_from_inside() {
    let (daemon, _router, meeting, mut clients) = three().await;
    clients[1].send(json!({"type": "end_meeting"})).await;
    clients[1].expect_error("not_allowed", false).await;
    clients[0].send(json!({"type": "end_meeting"})).await;
    for client in &mut clients {
        client.expect("meeting_ended").await;
        client.expect_close(CloseCode::Normal).await;
    }
    let mut late = daemon.client().await;
    late.join(&meeting.id, "Late").await;
    late.expect_fatal("meeting_ended").await;
}

#[tokio::test]
async fn the_hosts_token_opens_and_a_wrong_one_does_not() {
    let daemon = Daemon::start().await;
    let _router = daemon.router("a").await;
    let meeting = daemon.create(json!({"password": "secret"})).await;
    let open = daemon.create(no_password()).await;
    daemon.host(&meeting, "Ada").await;
    let mut answers = Vec::new();
    for (id, token) in [
        (&meeting.id, &open.host_token),
        (&open.id, &meeting.host_token),
        (&"zzzzzzzzzzzz".to_owned(), &open.host_token),
    ] {
        let mut client = daemon.client().await;
        client.join_as_host(id, token, "Eve").await;
        answers.push(client.expect("error").await);
        client.expect_close(CloseCode::Policy).await;
    }
    assert_eq!(answers[0]["code"], "join_refused");
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
}

#[tokio::test]
async fn pages_of_other_origins_are_kept_out() {
    let mut config = config();
    config.allowed_origins = vec!["https://meet.example".to_owned()];
    let daemon = Daemon::with(config).await;
    let url = format!("ws://{}/api/v1/ws", daemon.handle.http_address());
    let connect = async |origin: &'static str| {
        let mut request = url.as_str().into_client_request().unwrap();
        request.headers_mut().insert(ORIGIN, HeaderValue::from_static(origin));
        tokio_tungstenite::connect_async(request).await
    };
    assert!(connect("https://meet.example").await.is_ok());
    let refused = connect("https://evil.example").await.unwrap_err();
    assert!(refused.to_string().contains("403"), "{refused}");
    daemon.client().await;
}
