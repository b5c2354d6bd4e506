//! Meetings and what is recorded of them.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sluice_signaling::store::{
    Claim, Database, Durable, MarkKind, OwnershipStore as _, RecordStore as _, SqlStore,
};
use sluice_wire::time::Time;

use crate::daemon::{Daemon, OPERATOR, path, text};

pub(crate) async fn a_meeting_is_made_read_changed_and_ended(daemon: &Daemon) {
    let made = daemon
        .made(OPERATOR, json!({"name": "Retro", "password": "secret", "settings": {"waiting_room": true}}))
        .await;
    let host = text(&made, "host_token");
    assert_eq!(
        (&made["name"], &made["state"], &made["version"]),
        (&json!("Retro"), &json!("waiting"), &json!(1))
    );
    assert_eq!((&made["has_password"], &made["settings"]["waiting_room"]), (&json!(true), &json!(true)));
    assert_eq!((&made["max_participants"], made.get("schedule")), (&json!(100), None));
    let id = text(&made, "meeting_id");
    assert_eq!(text(&made, "join_link"), format!("sluice://{}/{id}", daemon.host()));
    assert_eq!(text(&made, "start_link"), format!("sluice://{}/{id}#token={host}", daemon.host()));
    assert_eq!(text(&made, "join_url"), format!("ws://{}/api/v1/ws", daemon.host()));

    let (status, read) = daemon.get(&path(&made), host).await;
    assert_eq!(status, StatusCode::OK);
    assert!(read.get("host_token").is_none() && read.get("start_link").is_none());
    assert_eq!(read["created_at"], made["created_at"]);

    let change = json!({"password": null, "settings": {"mute_on_entry": true, "max_participants": 7}});
    let (status, changed) = daemon.call(Method::PATCH, &path(&made), host, change).await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    assert_eq!(
        (&changed["name"], &changed["has_password"], &changed["version"]),
        (&json!("Retro"), &json!(false), &json!(2))
    );
    let settings = &changed["settings"];
    assert_eq!(
        (&settings["waiting_room"], &settings["mute_on_entry"], &settings["max_participants"]),
        (&json!(true), &json!(true), &json!(7))
    );

    for _ in 0..2 {
        let (status, _) = daemon.call(Method::DELETE, &path(&made), host, Value::Null).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
    }
    let (_, ended) = daemon.get(&path(&made), host).await;
    assert_eq!(ended["state"], "ended");
    assert!(ended["ended_at"].is_string());
    let (status, error) = daemon.call(Method::PATCH, &path(&made), host, json!({"name": "x"})).await;
    assert_eq!((status, &error["error"]["code"]), (StatusCode::CONFLICT, &json!("conflict")));
    let (status, _) = daemon.call(Method::POST, &format!("{}/tokens", path(&made)), host, json!({})).await;
    assert_eq!(status, StatusCode::CONFLICT);
}

pub(crate) async fn a_scheduled_meeting_knows_its_zone(daemon: &Daemon) {
    let schedule = json!({"starts_local": "2027-06-20T09:00", "time_zone": "Europe/Berlin"});
    let made = daemon.made(OPERATOR, json!({"schedule": schedule, "duration_minutes": 45})).await;
    let expected = json!({
        "starts_local": "2027-06-20T09:00:00", "time_zone": "Europe/Berlin", "starts_at": "2027-06-20T07:00:00Z",
    });
    assert_eq!((&made["schedule"], &made["duration_minutes"]), (&expected, &json!(45)));
    let (_, read) = daemon.get(&path(&made), OPERATOR).await;
    assert_eq!(read["schedule"], expected);
    let change = json!({"schedule": {"starts_local": "2027-12-20T09:00", "time_zone": "Europe/Berlin"}});
    let (_, changed) = daemon.call(Method::PATCH, &path(&made), OPERATOR, change).await;
    assert_eq!(changed["schedule"]["starts_at"], "2027-12-20T08:00:00Z");
    assert_eq!(changed["duration_minutes"], 45);
    let change = json!({"schedule": null, "duration_minutes": null});
    let (_, changed) = daemon.call(Method::PATCH, &path(&made), OPERATOR, change).await;
    assert!(changed.get("schedule").is_none() && changed.get("duration_minutes").is_none());
}

pub(crate) async fn pages_follow_one_another(daemon: &Daemon) {
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(daemon.made(OPERATOR, json!({})).await["meeting_id"].clone());
    }
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let (status, page) = daemon.get(&format!("/api/v1/meetings?limit=2{cursor}"), OPERATOR).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let meetings = page["meetings"].as_array().unwrap();
        assert!(meetings.len() <= 2 && meetings.iter().all(|meeting| meeting.get("host_token").is_none()));
        found.extend(meetings.iter().map(|meeting| meeting["meeting_id"].clone()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let sorted = |mut ids: Vec<Value>| {
        ids.sort_by_key(Value::to_string);
        ids
    };
    assert_eq!(sorted(found), sorted(ids), "each is there once");
    for wrong in ["limit=0", "limit=201", "limit=x", "cursor=1", "cursor=-1-23456789abcd", "state=asleep"] {
        let (status, _) = daemon.get(&format!("/api/v1/meetings?{wrong}"), OPERATOR).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    let (_, ended) = daemon.get("/api/v1/meetings?state=ended", OPERATOR).await;
    assert_eq!(ended["meetings"], json!([]));
}

pub(crate) async fn what_is_wrong_is_told(daemon: &Daemon) {
    for wrong in [
        json!({"settings": {"max_participants": 0}}),
        json!({"settings": {"share": "nobody"}}),
        json!({"settings": {"region": "EU"}}),
        json!({"settings": []}),
        json!({"max_participants": -1}),
        json!({"duration_minutes": 0}),
        json!({"duration_minutes": 1441}),
        json!({"schedule": {"starts_local": "tomorrow", "time_zone": "Europe/Berlin"}}),
        json!({"schedule": {"starts_local": "2027-06-20T09:00", "time_zone": "Nowhere"}}),
        json!({"schedule": {}}),
        json!({"name": "a\u{0}b"}),
        json!([]),
    ] {
        let (status, error) = daemon.call(Method::POST, "/api/v1/meetings", OPERATOR, wrong.clone()).await;
        assert_eq!(
            (status, &error["error"]["code"]),
            (StatusCode::BAD_REQUEST, &json!("bad_request")),
            "{wrong}"
        );
    }
    let made = daemon.made(OPERATOR, json!({})).await;
    for wrong in [json!({"settings": {"chat": 3}}), json!({"settings": {"max_participants": 5_000}})] {
        let (status, _) = daemon.call(Method::PATCH, &path(&made), OPERATOR, wrong).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
    for wrong in [json!({"role": "god"}), json!({"expires_in_seconds": 0}), json!({"identity": ""})] {
        let (status, _) =
            daemon.call(Method::POST, &format!("{}/tokens", path(&made)), OPERATOR, wrong).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
}

pub(crate) async fn the_audit_log_has_who_did_what(daemon: &Daemon) {
    let key = daemon.key("acme", &["meetings:write", "meetings:read", "tokens:issue"]).await;
    let made = daemon.made(text(&key, "api_key"), json!({"password": "secret"})).await;
    let host = text(&made, "host_token");
    daemon.call(Method::PATCH, &path(&made), host, json!({"password": "hidden"})).await;
    daemon.call(Method::POST, &format!("{}/tokens", path(&made)), host, json!({"identity": "u1"})).await;
    daemon.call(Method::DELETE, &path(&made), OPERATOR, Value::Null).await;
    let audit = format!("{}/audit", path(&made));
    let (status, log) = daemon.get(&audit, host).await;
    assert_eq!(status, StatusCode::OK);
    let lines = log["entries"].as_array().unwrap();
    let found: Vec<_> = lines.iter().map(|line| (text(line, "actor"), text(line, "action"))).collect();
    let creator = format!("key:{}", text(&key, "key_id"));
    let expected = [
        (creator.as_str(), "meeting.create"),
        ("host", "meeting.update"),
        ("host", "token.issue"),
        ("operator", "meeting.end"),
    ];
    assert_eq!(found, expected);
    let whole = log.to_string();
    assert!(!whole.contains("secret") && !whole.contains("hidden") && !whole.contains(host));
    let (_, first) = daemon.get(&format!("{audit}?limit=3"), host).await;
    let (_, second) = daemon.get(&format!("{audit}?limit=3&after={}", first["next_after"]), host).await;
    assert_eq!((first["entries"].as_array().unwrap().len(), &second["entries"][0]), (3, &lines[3]));
    assert!(second.get("next_after").is_none());
}

pub(crate) async fn stays_and_recordings_are_listed(daemon: &Daemon) {
    let made = daemon.made(OPERATOR, json!({})).await;
    // As the owner of the meeting would, while it goes on.
    let store = SqlStore::open(&Database::from(daemon.database())).await.unwrap();
    let id = text(&made, "meeting_id").parse().unwrap();
    let Claim::Granted(lease) = store.claim(&id, "test", None).await.unwrap() else { panic!() };
    let at = |seconds: u64| Time::from_nanos((1_800_000_000 + seconds) * 1_000_000_000);
    let joined = |participant| Durable::Joined {
        participant,
        identity: (participant == 1).then(|| "u1".to_owned()),
        display_name: "Ada".to_owned(),
        role: "host".to_owned(),
        at: at(1),
    };
    let mark = |kind, seconds| Durable::Mark { kind, actor: "participant:1".to_owned(), at: at(seconds) };
    let left = Durable::Left { participant: 1, reason: "left".to_owned(), at: at(4) };
    let writes = [
        Durable::Started { at: at(1) },
        joined(1),
        joined(2),
        mark(MarkKind::Started, 2),
        mark(MarkKind::Stopped, 3),
        left,
    ];
    store.commit(&lease, &writes).await.unwrap();
    let (_, stays) = daemon.get(&format!("{}/attendance?limit=1", path(&made)), OPERATOR).await;
    let first = json!({
        "participant_id": 1, "identity": "u1", "display_name": "Ada", "role": "host",
        "joined_at": "2027-01-15T08:00:01Z", "left_at": "2027-01-15T08:00:04Z", "left_reason": "left",
    });
    assert_eq!(stays, json!({"attendance": [first], "next_after": 1}));
    let (_, stays) = daemon.get(&format!("{}/attendance?after=1", path(&made)), OPERATOR).await;
    assert_eq!(stays["attendance"].as_array().unwrap().len(), 1);
    assert!(stays["attendance"][0].get("left_at").is_none());
    let (_, marks) = daemon.get(&format!("{}/recordings", path(&made)), OPERATOR).await;
    let mark = |seq: u32, kind: &str| json!({"seq": seq, "kind": kind, "actor": "participant:1", "at": format!("2027-01-15T08:00:0{}Z", seq + 1)});
    assert_eq!(marks, json!({"marks": [mark(1, "started"), mark(2, "stopped")]}));
    let (_, read) = daemon.get(&path(&made), OPERATOR).await;
    assert_eq!((&read["state"], &read["started_at"]), (&json!("started"), &json!("2027-01-15T08:00:01Z")));
}
