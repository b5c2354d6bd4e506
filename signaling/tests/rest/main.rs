//! The REST interface on real sockets: on SQLite always, on PostgreSQL where `SLUICE_TEST_POSTGRES` names a server.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

#[path = "../store/backends.rs"]
#[expect(dead_code, reason = "shared with the suite of the stores, which uses all of it")]
mod backends;
mod daemon;
mod described;
mod keys;
mod meetings;

macro_rules! on_both_databases {
    ($($module:ident::$case:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $case() {
                crate::$module::$case(&crate::daemon::Daemon::start(None).await).await;
            })*
        }

        mod postgres {
            $(#[tokio::test]
            async fn $case() {
                let Some(scratch) = crate::backends::postgres(concat!("rest_", stringify!($case))).await else {
                    return;
                };
                let daemon = crate::daemon::Daemon::start(Some(scratch.url())).await;
                crate::$module::$case(&daemon).await;
                daemon.stop().await;
                scratch.drop().await;
            })*
        }
    };
}

on_both_databases!(
    meetings::a_meeting_is_made_read_changed_and_ended,
    meetings::a_scheduled_meeting_knows_its_zone,
    meetings::pages_follow_one_another,
    meetings::what_is_wrong_is_told,
    meetings::the_audit_log_has_who_did_what,
    meetings::stays_and_recordings_are_listed,
    keys::a_key_does_what_its_scopes_say_to_its_own,
    keys::unknown_and_foreign_meetings_look_the_same,
    keys::access_tokens_open_what_they_say,
    keys::signing_keys_are_retired,
);
