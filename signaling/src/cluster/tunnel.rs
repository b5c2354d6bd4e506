//! A participant's WebSocket, passed on to the daemon that owns its meeting: what the two daemons tell each other about it.
//!
//! The daemon that the participant came to, the *edge*, has counted it by its address and checked what it shows; the owner takes
//! its word for both, because it shows the secret that daemons share. Everything behind that is a WebSocket like any other.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sluice_wire::signaling::{DisplayName, MeetingId, Role, Token};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::secrets::TokenHash;

/// What the edge says about the participant, in JSON.
const FORWARDED_HEADER: &str = "x-sluice-forwarded";
/// What shows that the request is a daemon's: the token that routers have.
const TOKEN_HEADER: &str = "x-sluice-cluster-token";
/// How long the owner may take to be reached: it was seen alive a moment ago.
const DIAL_TIMEOUT: Duration = Duration::from_secs(2);
/// The path of the WebSocket.
const PATH: &str = "/api/v1/ws";
/// Buffers that each connection has for as long as it lives, in bytes: messages are small, and connections many.
const BUFFER_BYTES: usize = 4 * 1024;

/// What the edge tells the owner about a participant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarded {
    /// Its address; for IPv6 its /64.
    pub address: IpAddr,
    /// What it may join as; absent for one that wants to resume, which shows its token to the owner itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vouched: Option<Vouched>,
}

/// A right to join that the edge has checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vouched {
    /// Which meeting.
    pub meeting: MeetingId,
    /// Under which name.
    pub display_name: DisplayName,
    /// As what; as everybody when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Who it is to whoever issued its access token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
}

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

impl Forwarded {
    /// What a request says, if it is that of a daemon: `None` if it is anybody else's, whatever it says.
    #[must_use]
    pub fn of(headers: &HeaderMap, secret: &TokenHash) -> Option<Self> {
        let token = headers.get(TOKEN_HEADER)?.to_str().ok()?;
        let is_daemon = secret.is_of(&Token::new(token.to_owned()));
        let said = headers.get(FORWARDED_HEADER).filter(|_| is_daemon)?;
        serde_json::from_slice(said.as_bytes()).ok()
    }

    /// As it is said in a request.
    fn headers(&self, secret: &Token) -> Result<[(&'static str, HeaderValue); 2], Error> {
        // A struct of strings: it cannot fail.
        let said = serde_json::to_string(self).unwrap_or_default();
        let header =
            |text: &str| HeaderValue::from_bytes(text.as_bytes()).map_err(|e| Error::HttpFormat(e.into()));
        Ok([(FORWARDED_HEADER, header(&said)?), (TOKEN_HEADER, header(secret.expose())?)])
    }
}

/// Dials the owner at `url` for a participant.
///
/// # Errors
/// See [`TunnelError`]. The route is to be asked for again then.
pub async fn dial(url: &str, forwarded: &Forwarded, secret: &Token) -> Result<Owner, TunnelError> {
    let mut request = format!("{url}{PATH}").into_client_request().map_err(Box::new)?;
    for (name, value) in forwarded.headers(secret).map_err(Box::new)? {
        request.headers_mut().insert(name, value);
    }
    let config = WebSocketConfig::default().read_buffer_size(BUFFER_BYTES).write_buffer_size(BUFFER_BYTES);
    let dialled = timeout(DIAL_TIMEOUT, connect_async_with_config(request, Some(config), true)).await;
    Ok(dialled.map_err(|_| TunnelError::Late)?.map_err(Box::new)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_daemons_are_believed() {
        let secret = Token::new("shared".to_owned());
        let vouched = Vouched {
            meeting: "23456789abcd".parse().unwrap(),
            display_name: DisplayName::try_from("\u{c5}sa \"\u{1f600}\"".to_owned()).unwrap(),
            role: Some(Role::Host),
            identity: None,
        };
        let forwarded = Forwarded { address: "2001:db8::1".parse().unwrap(), vouched: Some(vouched) };
        let said = forwarded.headers(&secret).unwrap();
        let with = |fields: &[(&'static str, HeaderValue)]| {
            let fields = fields.iter().map(|(name, value)| (name.parse().unwrap(), value.clone()));
            Forwarded::of(&fields.collect::<HeaderMap>(), &TokenHash::of(&secret))
        };
        assert_eq!(with(&said), Some(forwarded));
        assert_eq!(with(&said[..1]), None);
        assert_eq!(with(&said[1..]), None);
        assert_eq!(with(&[said[0].clone(), (TOKEN_HEADER, HeaderValue::from_static("guess"))]), None);
        assert_eq!(with(&[said[1].clone(), (FORWARDED_HEADER, HeaderValue::from_static("{}"))]), None);
    }
}
