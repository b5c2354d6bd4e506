//! The description that is served, against what is there.

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::daemon::{Daemon, OPERATOR};

#[tokio::test]
async fn every_call_that_is_described_is_there_and_answers_as_described() {
    let daemon = Daemon::start(None).await;
    let (status, api) = daemon.get("/api/v1/openapi.json", "").await;
    assert_eq!((status, api["openapi"].as_str()), (StatusCode::OK, Some("3.1.0")));
    let mut operations = Vec::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        let filled =
            path.replace("{meeting_id}", "zzzzzzzzzzzz").replace("{key_id}", "k").replace("{kid}", "k");
        for (method, operation) in item.as_object().unwrap() {
            operations.push(operation["operationId"].as_str().unwrap().to_owned());
            let upper: Method = method.to_uppercase().parse().unwrap();
            for token in ["", OPERATOR] {
                let (status, body) = daemon.call(upper.clone(), &filled, token, Value::Null).await;
                assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
                assert_ne!(body["error"]["message"], "no such path", "{method} {path}");
                let described = &operation["responses"][status.as_str()];
                assert!(
                    described.is_object(),
                    "{method} {path} answers with {status}, which is not described"
                );
                let expects_body = described.get("content").is_some();
                assert_eq!(expects_body, !body.is_null(), "{method} {path} {status}");
            }
        }
    }
    operations.sort();
    let expected = [
        "createKey",
        "createMeeting",
        "endMeeting",
        "getMeeting",
        "issueToken",
        "listAttendance",
        "listAudit",
        "listKeys",
        "listMeetings",
        "listRecordings",
        "listSigningKeys",
        "retireSigningKey",
        "revokeKey",
        "updateMeeting",
    ];
    assert_eq!(operations, expected);
}

#[tokio::test]
async fn every_name_in_the_description_means_something() {
    fn visit(value: &Value, api: &Value) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(name)) = fields.get("$ref") {
                    let pointer = name.strip_prefix('#').unwrap();
                    assert!(api.pointer(pointer).is_some(), "{name} is nowhere");
                }
                fields.values().for_each(|value| visit(value, api));
            }
            Value::Array(values) => values.iter().for_each(|value| visit(value, api)),
            _ => {}
        }
    }
    let daemon = Daemon::start(None).await;
    let (_, api) = daemon.get("/api/v1/openapi.json", "").await;
    assert!(api["components"]["schemas"].as_object().unwrap().len() > 15);
    visit(&api, &api);
}
