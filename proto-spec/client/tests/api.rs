//! The REST client against canned answers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use sluice_client::signaling::{Api, SignalingClient, SignalingError};
use sluice_wire::signaling::{ApiErrorCode, CreateMeeting, Token};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A server that gives one answer; what it was asked comes back.
async fn server(status: &str, body: &str) -> (Api, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = Api::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4_096];
        let len = stream.read(&mut request).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&request[..len]).into_owned()
    });
    (api, asked)
}

const CREATED: &str = r#"{"meeting_id":"23456789abcd","host_token":"secret","name":"","max_participants":7,
    "join_url":"ws://127.0.0.1:8080/api/v1/ws"}"#;

#[tokio::test]
async fn a_meeting_is_created_with_the_deployments_token() {
    let (api, asked) = server("201 Created", CREATED).await;
    let api = api.with_token(Some(Token::new("let me".to_owned())));
    let wish = CreateMeeting { max_participants: Some(7), ..CreateMeeting::default() };
    let created = api.create_meeting(&wish).await.unwrap();
    assert_eq!((created.meeting_id.as_str(), created.max_participants), ("23456789abcd", 7));
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("POST /api/v1/meetings HTTP/1.1\r\n"), "{asked}");
    assert!(asked.to_ascii_lowercase().contains("authorization: bearer let me\r\n"), "{asked}");
}

#[tokio::test]
async fn refusals_come_with_their_code_and_other_answers_with_their_status() {
    let body = r#"{"error":{"code":"rate_limited","message":"too many"}}"#;
    let (api, _) = server("429 Too Many Requests", body).await;
    match api.create_meeting(&CreateMeeting::default()).await {
        Err(SignalingError::Api { code, message }) => {
            assert_eq!((code, message.as_str()), (ApiErrorCode::RateLimited, "too many"));
        }
        other => panic!("{other:?}"),
    }
    let (api, _) = server("502 Bad Gateway", "<html>").await;
    let answer = api.create_meeting(&CreateMeeting::default()).await;
    assert!(matches!(answer, Err(SignalingError::UnknownAnswer { status: 502 })), "{answer:?}");
    let (api, _) = server("201 Created", "{}").await;
    let answer = api.create_meeting(&CreateMeeting::default()).await;
    assert!(matches!(answer, Err(SignalingError::Http(_))), "{answer:?}");
}

#[tokio::test]
async fn nobody_there_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let api = Api::new(&format!("http://{address}")).unwrap();
    assert!(matches!(api.create_meeting(&CreateMeeting::default()).await, Err(SignalingError::Http(_))));
    let connected = SignalingClient::connect(&api.websocket_url()).await;
    assert!(matches!(connected, Err(SignalingError::WebSocket(_))));
    let connected = SignalingClient::connect("wss://127.0.0.1/").await;
    assert!(matches!(connected, Err(SignalingError::Url { .. })));
}
