//! Who may do what.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::daemon::{Daemon, OPERATOR, path, text};

const ALL: [&str; 3] = ["meetings:read", "meetings:write", "tokens:issue"];

pub(crate) async fn a_key_does_what_its_scopes_say_to_its_own(daemon: &Daemon) {
    let (all, reader) = (daemon.key("acme", &ALL).await, daemon.key("acme", &["meetings:read"]).await);
    let (all_key, reader_key) = (text(&all, "api_key"), text(&reader, "api_key"));
    assert!(all_key.starts_with("slk_"));
    let made = daemon.made(all_key, json!({"name": "ours"})).await;
    daemon.made(OPERATOR, json!({"name": "nobody's"})).await;
    let (_, listed) = daemon.get("/api/v1/meetings", reader_key).await;
    let names: Vec<_> =
        listed["meetings"].as_array().unwrap().iter().map(|meeting| &meeting["name"]).collect();
    assert_eq!(names, ["ours"]);

    let tokens = format!("{}/tokens", path(&made));
    let calls = [
        (Method::GET, path(&made), 200),
        (Method::GET, format!("{}/audit", path(&made)), 200),
        (Method::POST, "/api/v1/meetings".to_owned(), 403),
        (Method::PATCH, path(&made), 403),
        (Method::DELETE, path(&made), 403),
        (Method::POST, tokens.clone(), 403),
        (Method::GET, "/api/v1/keys".to_owned(), 403),
        (Method::POST, "/api/v1/keys".to_owned(), 403),
        (Method::GET, "/api/v1/signing-keys".to_owned(), 403),
    ];
    for (method, path, expected) in calls {
        let body = if path == "/api/v1/keys" && method == Method::POST {
            json!({"account": "acme", "scopes": ["meetings:read"]})
        } else {
            Value::Null
        };
        let (status, answer) = daemon.call(method.clone(), &path, reader_key, body).await;
        assert_eq!(status, expected, "{method} {path}: {answer}");
    }
    let (status, _) = daemon.call(Method::POST, &tokens, all_key, json!({})).await;
    assert_eq!(status, StatusCode::CREATED);

    let (_, keys) = daemon.get("/api/v1/keys?account=acme", OPERATOR).await;
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2);
    assert!(!keys.to_string().contains(all_key));
    let revoke = format!("/api/v1/keys/{}", text(&reader, "key_id"));
    assert_eq!(daemon.call(Method::DELETE, &revoke, OPERATOR, Value::Null).await.0, StatusCode::NO_CONTENT);
    assert_eq!(daemon.get("/api/v1/meetings", reader_key).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(daemon.get("/api/v1/meetings", all_key).await.0, StatusCode::OK);
    let unknown = daemon.call(Method::DELETE, "/api/v1/keys/nobody", OPERATOR, Value::Null).await;
    assert_eq!(unknown.0, StatusCode::NOT_FOUND);
}

pub(crate) async fn unknown_and_foreign_meetings_look_the_same(daemon: &Daemon) {
    let other = daemon.key("other", &ALL).await;
    let made = daemon.made(OPERATOR, json!({})).await;
    let foreign = daemon.made(OPERATOR, json!({})).await;
    let unknown = "/api/v1/meetings/zzzzzzzzzzzz".to_owned();
    for token in [text(&other, "api_key"), text(&foreign, "host_token"), "", "slk_nobody_0", "a.b.c"] {
        let mut answers = Vec::new();
        for path in [path(&made), unknown.clone(), "/api/v1/meetings/no%20id".to_owned()] {
            answers.push(daemon.get(&path, token).await);
        }
        assert!(answers[0].0 == StatusCode::NOT_FOUND || answers[0].0 == StatusCode::UNAUTHORIZED);
        assert!(answers.iter().all(|answer| answer == &answers[0]), "{token}: {answers:?}");
    }
}

pub(crate) async fn access_tokens_open_what_they_say(daemon: &Daemon) {
    let made = daemon.made(OPERATOR, json!({})).await;
    let other = daemon.made(OPERATOR, json!({})).await;
    let issue = async |role: &str| {
        let body = json!({"role": role, "identity": "u1", "display_name": "Ada", "expires_in_seconds": 60});
        let tokens = format!("{}/tokens", path(&made));
        let (status, issued) = daemon.call(Method::POST, &tokens, text(&made, "host_token"), body).await;
        assert_eq!(status, StatusCode::CREATED, "{issued}");
        let token = text(&issued, "access_token").to_owned();
        assert!(text(&issued, "link").ends_with(&format!("#token={token}")));
        token
    };
    let (host, participant) = (issue("host").await, issue("participant").await);
    assert_eq!(daemon.get(&path(&made), &host).await.0, StatusCode::OK);
    assert_eq!(daemon.get(&path(&other), &host).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(daemon.get(&path(&made), &participant).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(daemon.get("/api/v1/meetings", &host).await.0, StatusCode::UNAUTHORIZED);
    let forged = format!("{host}A");
    assert_eq!(daemon.get(&path(&made), &forged).await.0, StatusCode::UNAUTHORIZED);
}

pub(crate) async fn signing_keys_are_retired(daemon: &Daemon) {
    let made = daemon.made(OPERATOR, json!({})).await;
    let tokens = format!("{}/tokens", path(&made));
    let (_, issued) = daemon.call(Method::POST, &tokens, OPERATOR, json!({"role": "host"})).await;
    let token = text(&issued, "access_token");
    assert_eq!(daemon.get(&path(&made), token).await.0, StatusCode::OK);
    let (_, keys) = daemon.get("/api/v1/signing-keys", OPERATOR).await;
    let kid = text(&keys["keys"][0], "kid");
    let retire = format!("/api/v1/signing-keys/{kid}");
    assert_eq!(daemon.call(Method::DELETE, &retire, OPERATOR, Value::Null).await.0, StatusCode::NO_CONTENT);
    assert_eq!(daemon.get(&path(&made), token).await.0, StatusCode::UNAUTHORIZED);
    let (_, keys) = daemon.get("/api/v1/signing-keys", OPERATOR).await;
    assert!(keys["keys"][0]["retired_at"].is_string());
}
