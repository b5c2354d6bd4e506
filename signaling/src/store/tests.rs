use sluice_wire::signaling::{MeetingId, MeetingName, Token};
use sluice_wire::time::Time;
use sluice_wire::track::MAX_PARTICIPANT_ID;

use super::*;

fn meeting(id: &str) -> NewMeeting {
    NewMeeting {
        id: id.parse().unwrap(),
        name: MeetingName::try_from("Retro".to_owned()).unwrap(),
        password_hash: Some(PasswordHash::from_stored("$argon2id$x".to_owned())),
        host_token_hash: TokenHash::of(&Token::new("host".to_owned())),
        max_participants: 7,
        created_at: Time::from_nanos(1_000_000),
    }
}

async fn store() -> SqliteStore {
    SqliteStore::open(&Database::Memory).await.unwrap()
}

#[tokio::test]
async fn what_is_kept_is_found() {
    let store = store().await;
    let kept = meeting("23456789abcd");
    store.create(&kept).await.unwrap();
    let found = store.find(&kept.id).await.unwrap().unwrap();
    assert_eq!(
        (&found.id, &found.name, found.max_participants, found.ended),
        (&kept.id, &kept.name, 7, false)
    );
    assert_eq!(found.password_hash.unwrap().as_str(), "$argon2id$x");
    assert!(found.host_token_hash.is_of(&Token::new("host".to_owned())));
    assert!(store.find(&"zzzzzzzzzzzz".parse().unwrap()).await.unwrap().is_none());
}

#[tokio::test]
async fn an_id_is_taken_once() {
    let store = store().await;
    store.create(&meeting("23456789abcd")).await.unwrap();
    assert!(matches!(store.create(&meeting("23456789abcd")).await, Err(StoreError::IdTaken)));
}

#[tokio::test]
async fn an_end_is_an_end() {
    let store = store().await;
    let kept = meeting("23456789abcd");
    store.create(&kept).await.unwrap();
    for at in [5, 9] {
        store.end(&kept.id, Time::from_nanos(at * 1_000_000)).await.unwrap();
        assert!(store.find(&kept.id).await.unwrap().unwrap().ended);
    }
    let at: i64 = sqlx::query_scalar("SELECT ended_at FROM meetings").fetch_one(&store.pool).await.unwrap();
    assert_eq!(at, 5);
}

#[tokio::test]
async fn numbers_are_reserved_once_and_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::File(directory.path().join("meetings.sqlite"));
    let kept = meeting("23456789abcd");
    let store = SqliteStore::open(&database).await.unwrap();
    store.create(&kept).await.unwrap();
    assert_eq!(store.reserve_numbers(&kept.id, 64).await.unwrap(), 1..65);
    store.close().await;
    let store = SqliteStore::open(&database).await.unwrap();
    assert_eq!(store.reserve_numbers(&kept.id, 64).await.unwrap(), 65..129);
}

#[tokio::test]
async fn numbers_run_out_at_24_bits() {
    let store = store().await;
    let kept = meeting("23456789abcd");
    store.create(&kept).await.unwrap();
    assert_eq!(
        store.reserve_numbers(&kept.id, MAX_PARTICIPANT_ID).await.unwrap().end,
        MAX_PARTICIPANT_ID + 1
    );
    assert!(matches!(store.reserve_numbers(&kept.id, 1).await, Err(StoreError::NoNumbers)));
    let unknown: MeetingId = "zzzzzzzzzzzz".parse().unwrap();
    assert!(matches!(store.reserve_numbers(&unknown, 1).await, Err(StoreError::NoNumbers)));
}
