//! Daemons that share a store and a bus, each on a runtime of its own, so that one can die without a good-bye.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sluice_proto::v1::SessionRef;
use sluice_signaling::bus::Bus;
use sluice_signaling::{SignalingConfig, SignalingHandle, start_on};
use sluice_wire::signaling::Token;
use tokio::runtime::Runtime;

use crate::common::{Client, FakeRouter, ROUTER_TOKEN};

pub(crate) const OPERATOR: &str = "operator-secret";

pub(crate) struct Daemon {
    runtime: Option<Runtime>,
    handle: Option<SignalingHandle>,
    pub(crate) http: SocketAddr,
    grpc: SocketAddr,
}

impl Daemon {
    pub(crate) async fn start(bus: Arc<dyn Bus>, database: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let http = free.local_addr().unwrap();
        drop(free);
        let mut config = SignalingConfig {
            http_listen: http,
            grpc_listen: "127.0.0.1:0".parse().unwrap(),
            database: database.to_owned(),
            cluster_url: Some(format!("ws://{http}")),
            router_token: Some(Token::new(ROUTER_TOKEN.to_owned())),
            api_token: Some(Token::new(OPERATOR.to_owned())),
            ..SignalingConfig::default()
        };
        config.timing.heartbeat_interval_ms = 200;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let handle = runtime.spawn(start_on(bus, config)).await.unwrap().unwrap();
        let grpc = handle.grpc_address();
        Self { runtime: Some(runtime), handle: Some(handle), http, grpc }
    }

    /// Dies at once: no task of it does anything more, and nobody is told.
    pub(crate) fn kill(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
        drop(self.handle.take());
    }

    /// Stops as it should.
    pub(crate) async fn stop(&mut self) {
        let handle = self.handle.take().unwrap();
        self.runtime.as_ref().unwrap().spawn(handle.shutdown()).await.unwrap();
    }

    /// A router that has these sessions.
    pub(crate) async fn router(&self, sessions: Vec<SessionRef>) -> FakeRouter {
        FakeRouter::attach(self.grpc, "a", 1, sessions).await
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.http).await
    }

    pub(crate) async fn call(&self, method: reqwest::Method, path: &str, body: Value) -> (u16, Value) {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://{}{path}", self.http);
        let response = http.request(method, url).bearer_auth(OPERATOR).json(&body).send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call(reqwest::Method::GET, path, json!({})).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    pub(crate) async fn create(&self, body: Value) -> Meeting {
        let (status, made) = self.call(reqwest::Method::POST, "/api/v1/meetings", body).await;
        assert_eq!(status, 201, "{made}");
        let text = |field: &str| made[field].as_str().unwrap().to_owned();
        Meeting { id: text("meeting_id"), host_token: text("host_token") }
    }

    /// The value of a metric without labels.
    pub(crate) async fn counter(&self, name: &str) -> u64 {
        let text = self.get("/metrics").await;
        let name = format!("sluice_signaling_{name} ");
        text.as_str().unwrap().lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // A runtime must not be waited for in another.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub(crate) struct Meeting {
    pub(crate) id: String,
    pub(crate) host_token: String,
}

impl Meeting {
    pub(crate) fn path(&self) -> String {
        format!("/api/v1/meetings/{}", self.id)
    }

    /// A client inside by way of `daemon`, and what `joined` said.
    pub(crate) async fn inside(&self, daemon: &Daemon, name: &str) -> (Client, Value) {
        let mut client = daemon.client().await;
        client.join(&self.id, name).await;
        let joined = client.expect("joined").await;
        (client, joined)
    }

    /// The same as its host.
    pub(crate) async fn host(&self, daemon: &Daemon, name: &str) -> (Client, Value) {
        let mut client = daemon.client().await;
        client.join_as_host(&self.id, &self.host_token, name).await;
        let joined = client.expect("joined").await;
        (client, joined)
    }
}

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(crate::common::PATIENCE, wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}
