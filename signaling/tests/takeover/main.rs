//! Several daemons as one, from end to end: real sockets, a router that is attached to all of them, and clients that are served
//! through whichever daemon they came to. In one process on SQLite and a bus in memory always; on PostgreSQL and Redis where
//! `SLUICE_TEST_POSTGRES` and `SLUICE_TEST_REDIS` name servers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

#[expect(dead_code, reason = "shared with the suite of the store")]
#[path = "../store/backends.rs"]
mod backends;
#[expect(dead_code, reason = "shared with the suite of the bus")]
#[path = "../cluster/buses.rs"]
mod buses;
#[expect(dead_code, unused_imports, reason = "shared with the suite of one daemon")]
#[path = "../e2e/common/mod.rs"]
mod common;
mod daemons;
mod death;
mod tunnel;
