//! A daemon with an operator, and calls to it.

use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sluice_signaling::{SignalingConfig, SignalingHandle, start};
use sluice_wire::signaling::Token;

pub(crate) const OPERATOR: &str = "operator-secret";

pub(crate) struct Daemon {
    handle: SignalingHandle,
    http: reqwest::Client,
    database: String,
    _directory: tempfile::TempDir,
}

impl Daemon {
    pub(crate) async fn start(database: Option<&str>) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(format!("{}.sqlite", NEXT.fetch_add(1, Ordering::Relaxed)));
        let database = database.map_or_else(|| file.to_str().unwrap().to_owned(), str::to_owned);
        let config = SignalingConfig {
            http_listen: "[::1]:0".parse().unwrap(),
            grpc_listen: "[::1]:0".parse().unwrap(),
            database: database.clone(),
            router_token: Some(Token::new("router-secret".to_owned())),
            api_token: Some(Token::new(OPERATOR.to_owned())),
            ..SignalingConfig::default()
        };
        let handle = start(config).await.unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { handle, http, database, _directory: directory }
    }

    pub(crate) async fn stop(self) {
        self.handle.shutdown().await;
    }

    /// The store that the daemon has open.
    pub(crate) fn database(&self) -> &str {
        &self.database
    }

    pub(crate) fn host(&self) -> String {
        self.handle.http_address().to_string()
    }

    /// A call with a bearer token and a body, both unless empty.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        let mut request = self.http.request(method, format!("http://{}{path}", self.host()));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> (StatusCode, Value) {
        self.call(Method::GET, path, token, Value::Null).await
    }

    /// A meeting made by whoever has the token.
    pub(crate) async fn made(&self, token: &str, body: Value) -> Value {
        let (status, made) = self.call(Method::POST, "/api/v1/meetings", token, body).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        made
    }

    pub(crate) async fn key(&self, account: &str, scopes: &[&str]) -> Value {
        let body = json!({"account": account, "name": "test", "scopes": scopes});
        let (status, key) = self.call(Method::POST, "/api/v1/keys", OPERATOR, body).await;
        assert_eq!(status, StatusCode::CREATED, "{key}");
        key
    }
}

pub(crate) fn path(meeting: &Value) -> String {
    format!("/api/v1/meetings/{}", meeting["meeting_id"].as_str().unwrap())
}

pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap()
}
