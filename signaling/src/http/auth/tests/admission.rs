//! Who is let in, as what, and what it costs.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sluice_wire::signaling::{DisplayName, MeetingId, MeetingName, Password, Role, Token};
use sluice_wire::time::Time;

use super::super::lockout::{MAX_FAILURES, WINDOW};
use super::super::{AccessTokens, Auth, AuthParts, Credential, Refusal};
use crate::meeting::MeetingSettings;
use crate::metrics::Metrics;
use crate::secrets::{Passcodes, PasswordHash, Passwords, TokenHash};
use crate::store::{Database, MeetingStore as _, MeetingUpdate, NewMeeting, SqlStore};

const NOW: Time = Time::from_nanos(1_800_000_000_000_000_000);
const LOCKED: &str = "23456789abcd";
const OPEN: &str = "3456789abcde";
const UNKNOWN: &str = "zzzzzzzzzzzz";

struct Door {
    auth: Auth,
    store: SqlStore,
    metrics: Arc<Metrics>,
}

fn id(text: &str) -> MeetingId {
    text.parse().unwrap()
}

fn password(text: &str) -> Option<Password> {
    Password::new(text.to_owned())
}

fn address() -> IpAddr {
    "192.0.2.1".parse().unwrap()
}

async fn door() -> Door {
    let store = SqlStore::open(&Database::Memory).await.unwrap();
    let metrics = Arc::new(Metrics::new());
    let passwords = Passwords::new(metrics.password_hashes.clone()).unwrap();
    let hash = passwords.hash(password("right").unwrap()).await.unwrap();
    for (text, password_hash) in [(LOCKED, Some(hash)), (OPEN, None)] {
        let meeting = NewMeeting {
            id: id(text),
            account: None,
            name: MeetingName::default(),
            settings: MeetingSettings::default(),
            password_hash,
            host_token_hash: TokenHash::of(&Token::new(format!("host of {text}"))),
            schedule: None,
            duration_minutes: None,
            created_at: NOW,
        };
        store.create(&meeting).await.unwrap();
    }
    let parts = AuthParts {
        store: Arc::new(store.clone()),
        passcodes: Passcodes::new(passwords).unwrap(),
        tokens: AccessTokens::new("sluice", &[]).unwrap(),
        operator: None,
        metrics: Arc::clone(&metrics),
    };
    Door { auth: Auth::new(parts, NOW).await.unwrap(), store, metrics }
}

impl Door {
    async fn shows(
        &self,
        meeting: &str,
        with: Option<Password>,
        token: Option<&str>,
    ) -> Result<Option<Role>, Refusal> {
        let token = token.map(|token| Token::new(token.to_owned()));
        let credential = Credential { meeting_id: meeting.to_owned(), password: with, token };
        self.auth.admit(address(), credential, NOW).await.map(|grant| grant.role)
    }

    fn issue(&self, meeting: &str, role: Role) -> String {
        let name = DisplayName::try_from("Ada".to_owned()).unwrap();
        let life = Duration::from_secs(60);
        let issued = self.auth.tokens().issue(&id(meeting), role, "u1", Some(name), life, NOW);
        issued.unwrap().0.expose().to_owned()
    }

    fn hashes(&self) -> u64 {
        self.metrics.password_hashes.get()
    }
}

#[tokio::test]
async fn each_credential_opens_what_it_opens() {
    let door = door().await;
    let host = format!("host of {LOCKED}");
    let (co_host, elsewhere) = (door.issue(LOCKED, Role::CoHost), door.issue(OPEN, Role::Host));
    let forged = format!("{}x", door.issue(LOCKED, Role::Host));
    let table = [
        (OPEN, None, None, Some(None)),
        (OPEN, password("any"), None, Some(None)),
        (LOCKED, password("right"), None, Some(None)),
        (LOCKED, password("wrong"), None, None),
        (LOCKED, None, None, None),
        (LOCKED, None, Some(host.as_str()), Some(Some(Role::Host))),
        (LOCKED, password("wrong"), Some(host.as_str()), Some(Some(Role::Host))),
        (LOCKED, password("right"), Some("guess"), None),
        (OPEN, None, Some(host.as_str()), None),
        (LOCKED, None, Some(co_host.as_str()), Some(Some(Role::CoHost))),
        (LOCKED, None, Some(elsewhere.as_str()), None),
        (LOCKED, None, Some(forged.as_str()), None),
        (UNKNOWN, password("right"), None, None),
        (UNKNOWN, None, Some(host.as_str()), None),
        ("no id at all", None, None, None),
    ];
    for (meeting, with, token, expected) in table {
        let what = format!("{meeting} {} {token:?}", with.is_some());
        match (door.shows(meeting, with, token).await, expected) {
            (Ok(role), Some(expected)) => assert_eq!(role, expected, "{what}"),
            (Err(Refusal::Refused), None) => {}
            (other, _) => panic!("{what}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_token_brings_identity_and_name() {
    let door = door().await;
    let token = Token::new(door.issue(LOCKED, Role::Panelist));
    let credential = Credential { meeting_id: LOCKED.to_owned(), password: None, token: Some(token) };
    let grant = door.auth.admit(address(), credential, NOW).await.unwrap();
    assert_eq!((grant.meeting.id, grant.identity.as_deref()), (id(LOCKED), Some("u1")));
    assert_eq!(grant.display_name.unwrap().as_str(), "Ada");
}

#[tokio::test]
async fn only_who_could_come_in_learns_that_it_is_over() {
    let door = door().await;
    door.store.end(&id(LOCKED), NOW).await.unwrap();
    assert!(matches!(door.shows(LOCKED, password("wrong"), None).await, Err(Refusal::Refused)));
    assert!(matches!(door.shows(LOCKED, password("right"), None).await, Err(Refusal::Ended)));
}

#[tokio::test]
async fn what_is_wrong_costs_the_same() {
    let door = door().await;
    // Found right before: those who are wrong must not be told faster from then on.
    door.shows(LOCKED, password("right"), None).await.unwrap();
    for (meeting, with) in [
        (UNKNOWN, password("right")),
        ("no id at all", password("right")),
        (LOCKED, password("wrong")),
        (LOCKED, None),
        (UNKNOWN, None),
    ] {
        let before = door.hashes();
        assert!(matches!(door.shows(meeting, with, None).await, Err(Refusal::Refused)));
        assert_eq!(door.hashes(), before + 1, "{meeting}");
    }
}

#[tokio::test]
async fn a_storm_of_joins_hashes_once() {
    let door = door().await;
    let before = door.hashes();
    let joins = join_all((0..1_000).map(|_| door.shows(LOCKED, password("right"), None))).await;
    assert!(joins.iter().all(Result::is_ok));
    assert_eq!(door.hashes(), before + 1);
}

#[tokio::test]
async fn a_new_password_makes_the_old_one_wrong() {
    let door = door().await;
    door.shows(LOCKED, password("right"), None).await.unwrap();
    let hash: PasswordHash = door.auth.passcodes().passwords().hash(password("new").unwrap()).await.unwrap();
    let update = MeetingUpdate {
        name: MeetingName::default(),
        settings: MeetingSettings::default(),
        password_hash: Some(hash),
        schedule: None,
        duration_minutes: None,
    };
    door.store.update(&id(LOCKED), 1, &update).await.unwrap();
    assert!(door.shows(LOCKED, password("right"), None).await.is_err());
    door.shows(LOCKED, password("new"), None).await.unwrap();
}

#[tokio::test]
async fn who_guesses_is_locked_out_whether_the_meeting_exists_or_not() {
    let door = door().await;
    for meeting in [LOCKED, UNKNOWN] {
        for _ in 0..MAX_FAILURES {
            assert!(matches!(door.shows(meeting, password("wrong"), None).await, Err(Refusal::Refused)));
        }
        let before = door.hashes();
        assert!(matches!(door.shows(meeting, password("right"), None).await, Err(Refusal::LockedOut)));
        assert_eq!(door.hashes(), before, "no more work for this one");
    }
    assert_eq!(door.metrics.lockouts.get(), 2);
    let host = format!("host of {LOCKED}");
    door.shows(LOCKED, None, Some(&host)).await.unwrap();
    door.shows(OPEN, password("x"), None).await.unwrap();
    let elsewhere: IpAddr = "192.0.2.2".parse().unwrap();
    let right = || Credential { meeting_id: LOCKED.to_owned(), password: password("right"), token: None };
    door.auth.admit(elsewhere, right(), NOW).await.unwrap();
    door.auth.admit(address(), right(), NOW + WINDOW).await.unwrap();
    door.auth.sweep(NOW + WINDOW);
}

/// Prints both rates: passwords hashed, and passwords found right before.
#[tokio::test]
#[ignore = "prints rates; run with --ignored --nocapture"]
#[expect(clippy::disallowed_methods, reason = "measures")]
async fn rates_of_hashing_and_remembering() {
    const REMEMBERED: u32 = 20_000;
    const HASHED: u32 = 40;
    let door = door().await;
    door.shows(LOCKED, password("right"), None).await.unwrap();
    let measure = async |count: u32, text: &str| {
        let started = Instant::now();
        for _ in 0..count {
            door.auth.passcodes().is_right(&id(LOCKED), password(text), stored(&door).await).await.unwrap();
        }
        f64::from(count) / started.elapsed().as_secs_f64()
    };
    let (remembered, hashed) = (measure(REMEMBERED, "right").await, measure(HASHED, "wrong").await);
    println!(
        "passwords per second: {hashed:.0} hashed (Argon2id), {remembered:.0} remembered (one store read each)"
    );
}

async fn stored(door: &Door) -> PasswordHash {
    door.store.find(&id(LOCKED)).await.unwrap().unwrap().password_hash.unwrap()
}
