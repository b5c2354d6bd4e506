//! REST: section 9.2.

use reqwest::{Client, RequestBuilder, Response, StatusCode};
use sluice_wire::signaling::{ApiErrorBody, CreateMeeting, MeetingCreated, MeetingId, Token};

use super::{CONNECT_TIMEOUT, REQUEST_TIMEOUT, SignalingError};

/// A signaling daemon's REST interface.
#[derive(Clone, Debug)]
pub struct Api {
    http: Client,
    /// Without a slash at its end.
    base: String,
    token: Option<Token>,
}

impl Api {
    /// The daemon at a base URL such as `http://127.0.0.1:8080`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`SignalingError::Url`] if the URL has another scheme than `http` or no host; [`SignalingError::Http`] if there can be
    /// no HTTP client.
    pub fn new(base: &str) -> Result<Self, SignalingError> {
        let fail = |reason| SignalingError::Url { url: base.to_owned(), reason };
        let host = base.strip_prefix("http://").ok_or_else(|| fail("it does not begin with http://"))?;
        if host.trim_matches('/').is_empty() {
            return Err(fail("it has no host"));
        }
        // The WebSocket goes there without a proxy, so this does too.
        let http =
            Client::builder().connect_timeout(CONNECT_TIMEOUT).timeout(REQUEST_TIMEOUT).no_proxy().build()?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), token: None })
    }

    /// The same, with what the deployment asks for to create meetings.
    #[must_use]
    pub fn with_token(self, token: Option<Token>) -> Self {
        Self { token, ..self }
    }

    /// The URL of the WebSocket.
    #[must_use]
    pub fn websocket_url(&self) -> String {
        format!("ws{}/api/v1/ws", self.base.strip_prefix("http").unwrap_or(&self.base))
    }

    /// Creates a meeting.
    ///
    /// # Errors
    /// [`SignalingError`].
    pub async fn create_meeting(&self, meeting: &CreateMeeting) -> Result<MeetingCreated, SignalingError> {
        let mut request = self.http.post(format!("{}/api/v1/meetings", self.base)).json(meeting);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        let response = send(request, StatusCode::CREATED).await?;
        Ok(response.json().await?)
    }

    /// Ends a meeting, as its host.
    ///
    /// # Errors
    /// [`SignalingError`].
    pub async fn end_meeting(&self, meeting: &MeetingId, host_token: &Token) -> Result<(), SignalingError> {
        let url = format!("{}/api/v1/meetings/{meeting}", self.base);
        let request = self.http.delete(url).bearer_auth(host_token.expose());
        send(request, StatusCode::NO_CONTENT).await?;
        Ok(())
    }
}

async fn send(request: RequestBuilder, wanted: StatusCode) -> Result<Response, SignalingError> {
    let response = request.send().await?;
    let status = response.status();
    if status == wanted {
        return Ok(response);
    }
    match response.json::<ApiErrorBody>().await {
        Ok(body) => Err(SignalingError::Api { code: body.error.code, message: body.error.message }),
        Err(_) => Err(SignalingError::UnknownAnswer { status: status.as_u16() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_websocket_is_beside_the_rest_interface() {
        for base in ["http://127.0.0.1:8080", "http://127.0.0.1:8080/"] {
            assert_eq!(Api::new(base).unwrap().websocket_url(), "ws://127.0.0.1:8080/api/v1/ws");
        }
        assert_eq!(
            Api::new("http://[::1]:1/behind").unwrap().websocket_url(),
            "ws://[::1]:1/behind/api/v1/ws"
        );
    }

    #[test]
    fn other_schemes_are_refused_before_anything_is_sent() {
        for base in ["https://example.org", "127.0.0.1:8080", "http://", "http:///", ""] {
            assert!(matches!(Api::new(base), Err(SignalingError::Url { .. })), "{base}");
        }
    }
}
