//! Where to join.

use axum::http::uri::Authority;
use sluice_wire::signaling::{MeetingId, Token};

use super::input::Call;

const WEBSOCKET_PATH: &str = "/api/v1/ws";
/// What native clients are registered for when no `link_url` is configured.
const LINK_SCHEME: &str = "sluice";

impl Call {
    /// The WebSocket: as configured, else by the way that the request came.
    pub(super) fn join_url(&self) -> String {
        if let Some(url) = &self.app.join_url {
            return url.to_string();
        }
        self.host
            .as_ref()
            .map_or_else(|| WEBSOCKET_PATH.to_owned(), |host| format!("ws://{host}{WEBSOCKET_PATH}"))
    }

    /// The link that people pass on. With a token it opens the meeting by itself; the token is behind `#`, which browsers
    /// send to no server.
    pub(super) fn link(&self, meeting: &MeetingId, token: Option<&Token>) -> String {
        let base = match &self.app.link_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => {
                let host = self.host.as_ref().map_or("localhost", Authority::as_str);
                format!("{LINK_SCHEME}://{host}")
            }
        };
        let token = token.map(|token| format!("#token={}", token.expose())).unwrap_or_default();
        format!("{base}/{meeting}{token}")
    }
}
