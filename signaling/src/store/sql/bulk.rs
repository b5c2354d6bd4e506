//! Statements that write many rows at once. The rows come as one argument, a JSON array of arrays: so a statement has the same text
//! however many there are, and costs one trip to the database.

use sqlx::Any;
use sqlx::any::AnyArguments;
use sqlx::query::Query;

/// Which SQL the database speaks, where that makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

/// A statement in both dialects. `r.value` is a row, of which `->>` takes a column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bulk {
    sqlite: &'static str,
    postgres: &'static str,
}

impl Bulk {
    /// The statement over these rows.
    pub(super) fn over<R: serde::Serialize>(
        self,
        dialect: Dialect,
        rows: &[R],
    ) -> Query<'static, Any, AnyArguments> {
        let text = match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
        };
        // Tuples of strings and numbers: it cannot fail.
        sqlx::query(text).bind(serde_json::to_string(rows).unwrap_or_default())
    }
}

macro_rules! bulk {
    ($before:literal, $after:literal) => {
        Bulk {
            sqlite: concat!($before, " json_each($1) AS r ", $after),
            postgres: concat!($before, " json_array_elements(CAST($1 AS json)) AS r(value) ", $after),
        }
    };
}

/// `(meeting, daemon, fence, snapshot, number)`; answers with the meetings that are held, and holds their rows until the
/// transaction ends: whoever claims one of them waits, and sees all of it or nothing.
pub(super) const FENCE: Bulk = bulk!(
    "UPDATE ownership SET snapshot = COALESCE(c.kept, snapshot), batch = CASE WHEN c.number > 0 THEN c.number ELSE batch END \
     FROM (SELECT r.value ->> 0 AS id, r.value ->> 1 AS owner, CAST(r.value ->> 2 AS BIGINT) AS token, r.value ->> 3 AS kept, \
     CAST(r.value ->> 4 AS BIGINT) AS number FROM",
    ") AS c WHERE meeting_id = c.id AND daemon = c.owner AND fence = c.token AND (c.number = 0 OR batch < c.number) \
     RETURNING meeting_id"
);
/// `(meeting, at)`.
pub(super) const STARTED: Bulk = bulk!(
    "UPDATE meetings SET started_at = c.began FROM (SELECT r.value ->> 0 AS meeting, CAST(r.value ->> 1 AS BIGINT) AS began FROM",
    ") AS c WHERE id = c.meeting AND started_at IS NULL"
);
/// `(meeting, participant, identity, display name, role, at, seat)`.
pub(super) const JOINED: Bulk = bulk!(
    "INSERT INTO attendance (meeting_id, participant, identity, display_name, role, joined_at, seat) \
     SELECT r.value ->> 0, CAST(r.value ->> 1 AS BIGINT), r.value ->> 2, r.value ->> 3, r.value ->> 4, \
     CAST(r.value ->> 5 AS BIGINT), r.value ->> 6 FROM",
    "WHERE true ON CONFLICT (meeting_id, participant) DO UPDATE SET seat = COALESCE(excluded.seat, attendance.seat) \
     WHERE attendance.left_at IS NULL"
);
/// `(meeting, participant, seat)`.
pub(super) const SEAT: Bulk = bulk!(
    "UPDATE attendance SET seat = c.kept FROM (SELECT r.value ->> 0 AS id, CAST(r.value ->> 1 AS BIGINT) AS who, \
     r.value ->> 2 AS kept FROM",
    ") AS c WHERE meeting_id = c.id AND participant = c.who AND left_at IS NULL"
);
/// `(meeting, participant, reason, at)`.
pub(super) const LEFT: Bulk = bulk!(
    "UPDATE attendance SET left_at = c.went, left_reason = c.why, seat = NULL FROM (SELECT r.value ->> 0 AS id, \
     CAST(r.value ->> 1 AS BIGINT) AS who, r.value ->> 2 AS why, CAST(r.value ->> 3 AS BIGINT) AS went FROM",
    ") AS c WHERE meeting_id = c.id AND participant = c.who AND left_at IS NULL"
);
/// `(meeting, fence, number, body, at)`.
pub(super) const MESSAGE: Bulk = bulk!(
    "INSERT INTO messages (meeting_id, fence, seq, body, at) SELECT r.value ->> 0, CAST(r.value ->> 1 AS BIGINT), \
     CAST(r.value ->> 2 AS BIGINT), r.value ->> 3, CAST(r.value ->> 4 AS BIGINT) FROM",
    ""
);
