//! A client's end of the WebSocket.

use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async, connect_async};

use super::PATIENCE;

pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let (socket, _) = connect_async(format!("ws://{address}/api/v1/ws")).await.unwrap();
        Self { socket }
    }

    /// A client whose kernel takes little for it when it does not read.
    pub(crate) async fn connect_with_small_buffer(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v6().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let stream = MaybeTlsStream::Plain(socket.connect(address).await.unwrap());
        let (socket, _) = client_async(format!("ws://{address}/api/v1/ws"), stream).await.unwrap();
        Self { socket }
    }

    pub(crate) async fn send(&mut self, message: Value) {
        self.send_text(&message.to_string()).await;
    }

    pub(crate) async fn send_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn join(&mut self, meeting: &str, name: &str) {
        self.send(json!({"type": "join", "version": 1, "meeting_id": meeting, "display_name": name})).await;
    }

    pub(crate) async fn join_as_host(&mut self, meeting: &str, host_token: &str, name: &str) {
        let join = json!({"type": "join", "version": 1, "meeting_id": meeting, "display_name": name,
            "token": host_token});
        self.send(join).await;
    }

    /// Asks to go on where another connection broke.
    pub(crate) async fn resume(&mut self, meeting: &str, joined: &Value, seq: u64) {
        let resume = json!({"participant_id": joined["participant_id"], "token": joined["resume_token"], "seq": seq,
            "only": true});
        let join = json!({"type": "join", "version": 1, "meeting_id": meeting, "display_name": "x", "resume": resume});
        self.send(join).await;
    }

    pub(crate) async fn join_with(&mut self, meeting: &str, password: &str) {
        let join = json!({"type": "join", "version": 1, "meeting_id": meeting, "display_name": "x", "password": password});
        self.send(join).await;
    }

    /// The next message, whatever it is.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            match timeout(PATIENCE, self.socket.next())
                .await
                .expect("a message in time")
                .expect("an open socket")
                .unwrap()
            {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("not a message: {other:?}"),
            }
        }
    }

    /// The next message, which is of this type.
    pub(crate) async fn expect(&mut self, kind: &str) -> Value {
        let message = self.next().await;
        assert_eq!(message["type"], kind, "{message}");
        message
    }

    /// An error; whether it is fatal is as given.
    pub(crate) async fn expect_error(&mut self, code: &str, fatal: bool) {
        let error = self.expect("error").await;
        assert_eq!((&error["code"], &error["fatal"]), (&json!(code), &json!(fatal)), "{error}");
        assert!(!error["message"].as_str().unwrap().is_empty());
    }

    /// A fatal error and the close behind it.
    pub(crate) async fn expect_fatal(&mut self, code: &str) {
        self.expect_error(code, true).await;
        self.expect_close(CloseCode::Policy).await;
    }

    pub(crate) async fn expect_close(&mut self, code: CloseCode) {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("a close in time") {
                Some(Ok(Message::Close(Some(frame)))) => {
                    assert_eq!(frame.code, code);
                    // The answer waits for this; the daemon may have gone already.
                    self.socket.flush().await.ok();
                    return;
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("not a close: {other:?}"),
            }
        }
    }

    /// Nothing was sent that has not been read: a ping is answered by the next message.
    pub(crate) async fn expect_nothing(&mut self) {
        self.send(json!({"type": "ping", "token": 4_711})).await;
        assert_eq!(self.next().await, json!({"type": "pong", "token": 4_711}));
    }
}
