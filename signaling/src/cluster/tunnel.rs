//! A participant's WebSocket, passed on to the daemon that owns its meeting.

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message as Here, WebSocket, close_code};
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use sluice_wire::signaling::Token;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message as There};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// The address of the participant, in the request of a daemon that passes it on.
pub const FORWARDED_ADDRESS_HEADER: &str = "x-sluice-forwarded-for";
/// What shows that the request is a daemon's: the token that routers have.
pub const FORWARDED_TOKEN_HEADER: &str = "x-sluice-cluster-token";
/// How long the owner may take to be reached: it was seen alive a moment ago.
const DIAL_TIMEOUT: Duration = Duration::from_secs(2);
/// How long one message may take to get into either socket.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// The path of the WebSocket.
const PATH: &str = "/api/v1/ws";

/// Why the owner was not reached.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// Not in time.
    #[error("the owner did not answer in time")]
    Late,
    /// It refused, or there was nobody.
    #[error("the owner cannot be reached: {0}")]
    Dial(#[from] Box<Error>),
}

/// A connection to the owner.
pub type Owner = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Dials the owner at `url` for a participant at `address`.
///
/// # Errors
/// See [`TunnelError`]. The route is to be asked for again then.
pub async fn dial(url: &str, address: IpAddr, token: &Token) -> Result<Owner, TunnelError> {
    let mut request = format!("{url}{PATH}").into_client_request().map_err(Box::new)?;
    let header =
        |text: &str| HeaderValue::from_str(text).map_err(|error| Box::new(Error::HttpFormat(error.into())));
    let headers = request.headers_mut();
    headers.insert(FORWARDED_ADDRESS_HEADER, header(&address.to_string())?);
    headers.insert(FORWARDED_TOKEN_HEADER, header(token.expose())?);
    let dialled = timeout(DIAL_TIMEOUT, connect_async(request)).await.map_err(|_| TunnelError::Late)?;
    Ok(dialled.map_err(Box::new)?.0)
}

/// Passes messages on, both ways, until either end is gone; `first` is what the participant has said so far. If the owner is
/// gone, the participant is told to come back (close code 1012): it resumes at whichever daemon takes over.
pub async fn tunnel(participant: WebSocket, mut owner: Owner, first: Vec<String>) {
    for text in first {
        if owner.send(There::text(text)).await.is_err() {
            break;
        }
    }
    let (to_participant, from_participant) = participant.split();
    let (to_owner, from_owner) = owner.split();
    let up = pass(from_participant, to_owner, upward);
    let down = pass(from_owner, to_participant, downward);
    tokio::pin!(up, down);
    // Which end is gone first does not matter: the other has nobody to talk to.
    tokio::select! {
        () = &mut up => {}
        () = &mut down => {}
    }
}

/// Passes on what comes, and says good-bye when nothing more does. Order and back-pressure are the connections' own.
async fn pass<From, To, A, B, E>(mut from: From, mut to: To, translate: impl Fn(Option<A>) -> Option<B>)
where
    From: Stream<Item = Result<A, E>> + Unpin,
    To: Sink<B> + Unpin,
{
    loop {
        let message = from.next().await.and_then(Result::ok);
        let last = message.is_none();
        // Pings are answered hop by hop.
        let Some(message) = translate(message) else { continue };
        let sent = timeout(WRITE_TIMEOUT, to.send(message)).await;
        if last || !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}

fn upward(message: Option<Here>) -> Option<There> {
    match message {
        Some(Here::Text(text)) => Some(There::text(text.as_str())),
        Some(Here::Binary(bytes)) => Some(There::Binary(bytes)),
        Some(Here::Close(_)) | None => Some(There::Close(None)),
        Some(Here::Ping(_) | Here::Pong(_)) => None,
    }
}

fn downward(message: Option<There>) -> Option<Here> {
    match message {
        Some(There::Text(text)) => Some(Here::text(text.as_str())),
        Some(There::Binary(bytes)) => Some(Here::Binary(bytes)),
        Some(There::Close(Some(frame))) => {
            let reason = frame.reason.as_str().into();
            Some(Here::Close(Some(CloseFrame { code: frame.code.into(), reason })))
        }
        Some(There::Close(None)) => Some(Here::Close(None)),
        Some(There::Ping(_) | There::Pong(_) | There::Frame(_)) => None,
        None => {
            let reason = "the meeting moves to another daemon: resume".into();
            Some(Here::Close(Some(CloseFrame { code: close_code::RESTART, reason })))
        }
    }
}
