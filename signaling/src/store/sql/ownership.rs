//! Who owns a meeting that goes on.

use sluice_wire::signaling::MeetingId;
use sqlx::Row as _;

use super::{SqlStore, meeting_id, page, signed, unsigned};
use crate::store::ownership::{Claim, Lease, Owner, OwnershipStore};
use crate::store::{MAX_PAGE, StoreFuture};

/// Given back: the name of no daemon.
const NOBODY: &str = "";
/// A fencing token that no owner has.
const NO_FENCE: i64 = -1;

const OWNER: &str = "SELECT daemon, fence FROM ownership WHERE meeting_id = $1";
const CLAIM: &str = "INSERT INTO ownership (meeting_id, daemon, fence) VALUES ($1, $2, 1) \
     ON CONFLICT (meeting_id) DO UPDATE SET daemon = excluded.daemon, fence = ownership.fence + 1, batch = 0 \
     WHERE ownership.daemon = '' OR ownership.daemon = excluded.daemon OR ownership.fence = $3 RETURNING fence";
const RELEASE: &str = "UPDATE ownership SET daemon = '', fence = fence + 1 WHERE meeting_id = $1 AND daemon = $2 AND fence = $3";
/// In small bites, so that several survivors share what a dead daemon owned.
const CLAIMED_AT_ONCE: i64 = 32;
const CLAIM_SOME: &str = "UPDATE ownership SET daemon = $1, fence = fence + 1, batch = 0 WHERE daemon = $2 AND meeting_id IN \
     (SELECT meeting_id FROM ownership WHERE daemon = $2 ORDER BY meeting_id LIMIT $3) RETURNING meeting_id, fence";
const OWNERS: &str = "SELECT DISTINCT daemon FROM ownership WHERE daemon <> '' ORDER BY daemon LIMIT $1";
const OWNED_BY: &str = "SELECT meeting_id, fence FROM ownership WHERE daemon = $1 AND meeting_id > $2 \
     ORDER BY meeting_id LIMIT $3";

impl OwnershipStore for SqlStore {
    fn owner<'a>(&'a self, meeting: &'a MeetingId) -> StoreFuture<'a, Option<Owner>> {
        Box::pin(async move {
            let row = sqlx::query(OWNER).bind(meeting.as_str()).fetch_optional(&self.pool).await?;
            let Some(row) = row else { return Ok(None) };
            let daemon: String = row.try_get("daemon")?;
            Ok(Some(Owner {
                daemon: Some(daemon).filter(|daemon| daemon != NOBODY),
                fence: unsigned(&row, "fence")?,
            }))
        })
    }

    fn claim<'a>(
        &'a self,
        meeting: &'a MeetingId,
        daemon: &'a str,
        dead_fence: Option<u64>,
    ) -> StoreFuture<'a, Claim> {
        Box::pin(async move {
            loop {
                let claim = sqlx::query(CLAIM)
                    .bind(meeting.as_str())
                    .bind(daemon)
                    .bind(dead_fence.map_or(NO_FENCE, signed));
                if let Some(row) = self.write_returning(claim).await?.first() {
                    let fence = unsigned(row, "fence")?;
                    return Ok(Claim::Granted(Lease {
                        meeting: meeting.clone(),
                        daemon: daemon.to_owned(),
                        fence,
                    }));
                }
                // Given back between the two statements: then it can be had.
                match self.owner(meeting).await? {
                    Some(owner) if owner.daemon.is_some() => return Ok(Claim::Taken(owner)),
                    _ => {}
                }
            }
        })
    }

    fn release<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let release = sqlx::query(RELEASE)
                .bind(lease.meeting.as_str())
                .bind(lease.daemon.as_str())
                .bind(signed(lease.fence));
            self.execute(release).await.map(drop)
        })
    }

    fn claim_some<'a>(&'a self, dead: &'a str, daemon: &'a str) -> StoreFuture<'a, Vec<Lease>> {
        Box::pin(async move {
            let claim = sqlx::query(CLAIM_SOME).bind(daemon).bind(dead).bind(CLAIMED_AT_ONCE);
            let rows = self.write_returning(claim).await?;
            let lease = |row| {
                let (meeting, fence) = (meeting_id(row, "meeting_id")?, unsigned(row, "fence")?);
                Ok(Lease { meeting, daemon: daemon.to_owned(), fence })
            };
            rows.iter().map(lease).collect()
        })
    }

    fn owners(&self) -> StoreFuture<'_, Vec<String>> {
        Box::pin(async move {
            let rows = sqlx::query(OWNERS).bind(page(MAX_PAGE)).fetch_all(&self.pool).await?;
            rows.iter().map(|row| Ok(row.try_get("daemon")?)).collect()
        })
    }

    fn owned_by<'a>(
        &'a self,
        daemon: &'a str,
        after: Option<&'a MeetingId>,
    ) -> StoreFuture<'a, Vec<(MeetingId, u64)>> {
        Box::pin(async move {
            let rows = sqlx::query(OWNED_BY)
                .bind(daemon)
                .bind(after.map_or("", MeetingId::as_str))
                .bind(page(MAX_PAGE))
                .fetch_all(&self.pool)
                .await?;
            rows.iter().map(|row| Ok((meeting_id(row, "meeting_id")?, unsigned(row, "fence")?))).collect()
        })
    }
}
