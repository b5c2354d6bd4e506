//! One suite for every store: SQLite in memory and in a file always, PostgreSQL where `SLUICE_TEST_POSTGRES` names a server.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

#[expect(dead_code, reason = "shared with the suite of the REST interface, which starts daemons on it")]
mod backends;
mod cases;

macro_rules! on_every_backend {
    ($($case:ident),* $(,)?) => {
        mod sqlite_in_memory {
            $(#[tokio::test]
            async fn $case() {
                crate::cases::$case(&crate::backends::memory().await).await;
            })*
        }

        mod sqlite_in_a_file {
            $(#[tokio::test]
            async fn $case() {
                let file = crate::backends::file().await;
                crate::cases::$case(&file.store).await;
            })*
        }

        mod postgres {
            $(#[tokio::test]
            async fn $case() {
                let Some(scratch) = crate::backends::postgres(stringify!($case)).await else { return };
                crate::cases::$case(&scratch.store).await;
                scratch.drop().await;
            })*
        }
    };
}

on_every_backend!(
    what_is_kept_is_found,
    an_id_is_taken_once,
    an_end_is_an_end,
    an_update_is_made_once_for_each_version,
    lists_have_pages,
    lists_are_of_an_account_and_a_state,
    numbers_are_reserved_once,
    numbers_run_out_at_24_bits,
    a_meeting_has_one_owner,
    of_many_claimants_one_is_granted_it,
    a_meeting_that_was_given_back_is_free,
    an_owner_of_before_writes_nothing,
    a_commit_is_whole_or_nothing,
    commits_of_one_moment_are_each_whole_or_nothing,
    commits_race_a_claim_and_none_is_lost,
    a_numbered_commit_is_written_once,
    seats_are_those_of_who_is_inside,
    what_a_dead_daemon_owned_is_claimed_in_bites,
    marks_are_numbered,
    stays_are_noted_once,
    messages_come_in_order,
    the_audit_log_has_pages,
    api_keys_are_found_until_they_are_revoked,
    signing_keys_are_noted_and_retired,
);

/// What one connection was told is there for the next, in another store on the same database: no copy lags behind.
#[tokio::test]
async fn what_one_daemon_was_told_another_sees_at_once() {
    let file = backends::file().await;
    let other = backends::open_file(file.path()).await;
    cases::two_daemons_agree(&file.store, &other).await;
    if let Some(scratch) = backends::postgres("two_daemons").await {
        cases::two_daemons_agree(&scratch.store, &scratch.again().await).await;
        scratch.drop().await;
    }
}

#[tokio::test]
async fn a_file_outlives_its_daemon() {
    let file = backends::file().await;
    cases::before_the_restart(&file.store).await;
    sluice_signaling::store::Store::close(&file.store).await;
    cases::after_the_restart(&backends::open_file(file.path()).await).await;
}

#[tokio::test]
async fn what_waits_is_written_before_a_file_is_closed() {
    let file = backends::file().await;
    let answered = cases::commits_while_it_closes(&file.store).await;
    assert!(answered.iter().all(|(_, is_written)| *is_written), "{answered:?}");
    cases::are_found_as_answered(&backends::open_file(file.path()).await, &answered).await;
}

/// A database of the first release has its meetings still.
#[tokio::test]
async fn a_file_of_the_first_schema_is_brought_up_to_date() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("old.sqlite");
    backends::write_first_schema(&path).await;
    cases::meetings_of_the_first_schema(&backends::open_file(&path).await).await;
}
