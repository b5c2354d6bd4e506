//! One suite for every bus, and daemons that take meetings over from one another: in memory always, on Redis where
//! `SLUICE_TEST_REDIS` names a server.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod bus;
mod buses;
mod takeover;

macro_rules! on_every_bus {
    ($($case:ident),* $(,)?) => {
        mod local {
            $(#[tokio::test]
            async fn $case() {
                crate::bus::$case(&crate::buses::local()).await;
            })*
        }

        mod redis {
            $(#[tokio::test]
            async fn $case() {
                let Some(bus) = crate::buses::redis(stringify!($case)).await else { return };
                crate::bus::$case(&bus).await;
            })*
        }
    };
}

on_every_bus!(
    who_listens_hears_in_order,
    nobody_hears_what_was_said_before_or_elsewhere,
    who_is_behind_is_told_of_a_gap,
    fields_vanish_unless_they_are_renewed,
    fields_are_taken_away,
);
