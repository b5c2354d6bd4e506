//! What goes over a WebSocket, frame by frame.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameSocket};

use crate::common::{Client, Daemon, PATIENCE, config};

/// What no frame is larger than, so that no buffer need be, in bytes.
const MAX_FRAGMENT_BYTES: usize = 2 * 1024;

fn blocking(client: Client) -> TcpStream {
    let MaybeTlsStream::Plain(stream) = client.socket.into_inner() else { panic!("there is no TLS here") };
    let stream = stream.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The next message, and the sizes of its fragments.
fn next(socket: &mut FrameSocket<TcpStream>) -> (Value, Vec<usize>) {
    let (mut text, mut sizes) = (Vec::new(), Vec::new());
    loop {
        let frame = socket.read(None).unwrap().unwrap();
        let is_first = sizes.is_empty();
        assert_eq!(frame.header().opcode, OpCode::Data(if is_first { Data::Text } else { Data::Continue }));
        sizes.push(frame.payload().len());
        text.extend_from_slice(frame.payload());
        if frame.header().is_final {
            return (serde_json::from_slice(&text).unwrap(), sizes);
        }
    }
}

#[tokio::test]
async fn a_large_message_comes_in_fragments() {
    let daemon = Daemon::start().await;
    let _router = daemon.router("a").await;
    let meeting = daemon.create(json!({})).await;
    let (mut ada, _) = daemon.inside(&meeting, "Ada").await;
    let (bob, _) = daemon.inside(&meeting, "Bob").await;
    // Characters of three bytes, which fragments cut apart.
    for text in ["a".to_owned(), "\u{20ac}".repeat(1_300)] {
        ada.send(json!({"type": "chat", "to": "everyone", "text": text})).await;
    }
    let messages = tokio::task::spawn_blocking(|| {
        let mut socket = FrameSocket::new(blocking(bob));
        [next(&mut socket), next(&mut socket)]
    });
    let [(short, sizes), (long, fragments)] = messages.await.unwrap();
    assert_eq!((&short["text"], sizes.len()), (&json!("a"), 1));
    assert_eq!(long["text"], "\u{20ac}".repeat(1_300));
    assert!(
        fragments.len() == 2 && fragments.iter().all(|&size| size <= MAX_FRAGMENT_BYTES),
        "{fragments:?}"
    );
}

/// And then it is in time, however long it takes to look at it: a password is hashed.
#[tokio::test]
async fn a_join_may_ride_behind_the_handshake() {
    let mut config = config();
    config.timing.join_timeout_ms = 1;
    let daemon = Daemon::with(config).await;
    let _router = daemon.router("a").await;
    let meeting = daemon.create(json!({"password": "secret"})).await;
    let address = daemon.handle.http_address();
    let join = json!({"type": "join", "version": 1, "meeting_id": meeting.id, "password": "secret", "display_name": "Ada"});
    let joined = tokio::task::spawn_blocking(move || {
        let mut said = format!(
            "GET /api/v1/ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        .into_bytes();
        let mut frame = Frame::message(join.to_string(), OpCode::Data(Data::Text), true);
        frame.header_mut().mask = Some([1, 2, 3, 4]);
        frame.format(&mut said).unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&said).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(head.starts_with("http/1.1 101"), "{head}");
        // The answer to the key of RFC 6455 section 1.3.
        assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
        next(&mut FrameSocket::new(stream)).0
    });
    assert_eq!(joined.await.unwrap()["type"], "joined");
}
