//! The signaling client: REST for meetings, one WebSocket per participant. `proto-spec/spec/06-signaling.md`.

mod api;
mod connection;
mod pump;
mod resumption;

use std::time::Duration;

use sluice_wire::signaling::{ApiErrorCode, ErrorMessage};
use tokio_tungstenite::tungstenite;

pub use self::api::Api;
pub use self::connection::{Ending, Membership, SignalingClient, SignalingEvent};

/// How long a connection may take to come about, TCP and WebSocket handshakes included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a REST call may take: the daemon hashes passwords one after the other.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the answer to a join may take, for the same reason and because a router is asked for a ticket.
const JOIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Why signaling did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SignalingError {
    /// The URL is none, or of a scheme that this client does not speak. It speaks `http` and `ws`.
    #[error("{url:?} is not a URL that signaling is reached by: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The daemon cannot be reached, or the HTTP conversation broke.
    #[error("the request to the signaling daemon failed")]
    Http(#[from] reqwest::Error),
    /// The daemon refused a REST call.
    #[error("the signaling daemon refused ({code:?}): {message}")]
    Api {
        /// The kind of refusal.
        code: ApiErrorCode,
        /// The daemon's words.
        message: String,
    },
    /// An answer that is not of the protocol, with its HTTP status.
    #[error("the signaling daemon answered {status} without a known body")]
    UnknownAnswer {
        /// The HTTP status.
        status: u16,
    },
    /// The WebSocket could not be opened, or broke.
    #[error("the connection to the signaling daemon failed")]
    WebSocket(#[source] Box<tungstenite::Error>),
    /// Something took too long.
    #[error("the signaling daemon did not {0} in time")]
    Timeout(&'static str),
    /// The daemon refused, in words.
    #[error("the signaling daemon refused ({:?}): {}", .0.code, .0.message)]
    Refused(ErrorMessage),
    /// The daemon sent what is no message of this version, or not the one that was due.
    #[error("the signaling daemon sent something unexpected: {0}")]
    Unexpected(String),
    /// The connection is over.
    #[error("the connection to the signaling daemon is over")]
    Closed,
}

impl From<tungstenite::Error> for SignalingError {
    fn from(error: tungstenite::Error) -> Self {
        Self::WebSocket(Box::new(error))
    }
}
