//! What the end-to-end tests share: a daemon on ports of its own, a router that says yes, and clients.

mod client;
pub(crate) mod router;
mod ticket;

use std::sync::Once;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use sluice_signaling::{SignalingConfig, SignalingHandle, start};
use sluice_wire::signaling::Token;

pub(crate) use client::Client;
pub(crate) use router::{FakeRouter, Seen};

pub(crate) const ROUTER_TOKEN: &str = "router-secret";
/// Everything that is awaited comes within milliseconds; so long is only waited when a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn config() -> SignalingConfig {
    let mut config = SignalingConfig {
        http_listen: "[::1]:0".parse().unwrap(),
        grpc_listen: "[::1]:0".parse().unwrap(),
        router_token: Some(Token::new(ROUTER_TOKEN.to_owned())),
        ..SignalingConfig::default()
    };
    config.timing.heartbeat_interval_ms = 100;
    config
}

/// Who is disconnected has left as good as at once.
pub(crate) fn forgetful() -> SignalingConfig {
    let mut config = config();
    config.timing.resume_timeout_ms = 10;
    config
}

pub(crate) struct Daemon {
    pub(crate) handle: SignalingHandle,
    pub(crate) http: reqwest::Client,
}

/// A daemon with a meeting in which Ada is, who reads, and another who does not read any more.
pub(crate) struct WithSlowReader {
    pub(crate) daemon: Daemon,
    pub(crate) meeting: Made,
    pub(crate) ada: Client,
    pub(crate) slow: Client,
    /// What the slow one's `joined` said.
    pub(crate) joined: Value,
    /// A name for those who come and go: a long one fills the sockets' buffers sooner.
    pub(crate) name: String,
    pub(crate) router: FakeRouter,
}

impl WithSlowReader {
    pub(crate) async fn start(mut config: SignalingConfig) -> Self {
        config.limits.request_burst_per_address = 10_000;
        let daemon = Daemon::with(config).await;
        let router = daemon.router("a").await;
        let meeting = daemon.create(json!({"max_participants": 1000})).await;
        let (mut ada, _) = daemon.inside(&meeting, "Ada").await;
        let mut slow = Client::connect_with_small_buffer(daemon.handle.http_address()).await;
        slow.join(&meeting.id, "Slow").await;
        let joined = slow.expect("joined").await;
        ada.expect("participant_joined").await;
        Self { daemon, meeting, ada, slow, joined, name: "\u{1F600}".repeat(64), router }
    }
}

/// A meeting that was made.
pub(crate) struct Made {
    pub(crate) id: String,
    pub(crate) host_token: String,
    pub(crate) join_url: String,
}

impl Daemon {
    pub(crate) async fn start() -> Self {
        Self::with(config()).await
    }

    pub(crate) async fn with(config: SignalingConfig) -> Self {
        panics_in_tasks_fail_the_run();
        Self {
            handle: start(config).await.unwrap(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.handle.http_address())
    }

    pub(crate) async fn create(&self, body: Value) -> Made {
        let response = self.http.post(self.url("/api/v1/meetings")).json(&body).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        let body: Value = response.json().await.unwrap();
        let text = |field: &str| body[field].as_str().unwrap().to_owned();
        Made { id: text("meeting_id"), host_token: text("host_token"), join_url: text("join_url") }
    }

    pub(crate) async fn end(&self, id: &str, token: &str) -> StatusCode {
        let url = self.url(&format!("/api/v1/meetings/{id}"));
        self.http.delete(url).bearer_auth(token).send().await.unwrap().status()
    }

    /// Changes a meeting by REST.
    pub(crate) async fn change(&self, meeting: &Made, body: Value) {
        let url = self.url(&format!("/api/v1/meetings/{}", meeting.id));
        let sent = self.http.patch(url).bearer_auth(&meeting.host_token).json(&body).send().await;
        assert_eq!(sent.unwrap().status(), StatusCode::OK);
    }

    pub(crate) async fn router(&self, id: &str) -> FakeRouter {
        FakeRouter::attach(self.handle.grpc_address(), id, 1, vec![]).await
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.handle.http_address()).await
    }

    /// A client inside a meeting, and what `joined` said.
    pub(crate) async fn inside(&self, meeting: &Made, name: &str) -> (Client, Value) {
        let mut client = self.client().await;
        client.join(&meeting.id, name).await;
        let joined = client.expect("joined").await;
        (client, joined)
    }

    /// The host's client inside a meeting, and what `joined` said.
    pub(crate) async fn host(&self, meeting: &Made, name: &str) -> (Client, Value) {
        let mut client = self.client().await;
        client.join_as_host(&meeting.id, &meeting.host_token, name).await;
        let joined = client.expect("joined").await;
        (client, joined)
    }

    /// The value of a metric without labels.
    pub(crate) async fn counter(&self, name: &str) -> u64 {
        let text = self.http.get(self.url("/metrics")).send().await.unwrap().text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("sluice_signaling_{name} ")));
        line.unwrap().parse().unwrap()
    }

    /// Waits until as many routers are attached.
    pub(crate) async fn routers(&self, expected: usize) {
        let wait = async {
            while self.handle.routers_attached() != expected {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap();
    }
}

/// A panic in a task of the daemon would end the task and nothing else; no test would see it.
fn panics_in_tasks_fail_the_run() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            default(info);
            if info.location().is_some_and(|location| location.file().contains("signaling/src")) {
                std::process::abort();
            }
        }));
    });
}

pub(crate) fn ids(roster: &Value) -> Vec<u64> {
    roster.as_array().unwrap().iter().map(|line| line["participant_id"].as_u64().unwrap()).collect()
}

pub(crate) fn no_password() -> Value {
    json!({})
}
