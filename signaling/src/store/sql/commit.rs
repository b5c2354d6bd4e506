//! What owners of meetings commit. Commits of several meetings are written together, each under its own fence, by as many statements
//! as one takes.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::bulk::{Bulk, Dialect, FENCE, JOINED, LEFT, MESSAGE, SEAT, STARTED};
use super::{Statement, signed, taken, unsigned};
use crate::clock::unix_millis;
use crate::store::StoreError;
use crate::store::ownership::Lease;
use crate::store::records::{AuditEntry, Durable, Message};

/// The number of a commit that has none.
pub(super) const UNNUMBERED: u64 = 0;

const LAST_BATCH: &str = "SELECT batch FROM ownership WHERE meeting_id = $1 AND daemon = $2 AND fence = $3";
const MARK: &str = "INSERT INTO recording_marks (meeting_id, seq, kind, actor, at) \
     SELECT $1, COALESCE(MAX(seq), 0) + 1, $2, $3, $4 FROM recording_marks WHERE meeting_id = $1";
const AUDIT: &str =
    "INSERT INTO audit (account, meeting_id, actor, action, detail, at) VALUES ($1, $2, $3, $4, $5, $6)";

/// Something that an owner writes.
#[derive(Clone, Debug)]
pub(super) struct Commit {
    pub(super) lease: Lease,
    /// Numbers the owner's commits; [`UNNUMBERED`] if it does not.
    pub(super) number: u64,
    pub(super) writes: Vec<Durable>,
}

/// What came of a commit once its transaction is on the disk.
pub(super) type Verdict = Result<(), StoreError>;

/// Writes commits in the transaction of `connection`; a verdict for each. An error is everybody's: the transaction cannot go on.
pub(super) async fn write(
    connection: &mut AnyConnection,
    dialect: Dialect,
    commits: &[Commit],
) -> Result<Vec<Verdict>, StoreError> {
    let mut verdicts = BTreeMap::new();
    let mut waiting: Vec<usize> = (0..commits.len()).collect();
    while !waiting.is_empty() {
        // Of each meeting one, so that each sees what the one before it has written.
        let mut meetings = BTreeSet::new();
        let (round, later): (Vec<usize>, _) =
            waiting.into_iter().partition(|&index| meetings.insert(&commits[index].lease.meeting));
        waiting = later;
        let held = fence(connection, dialect, round.iter().map(|&index| &commits[index])).await?;
        let (held, refused): (Vec<usize>, Vec<usize>) =
            round.into_iter().partition(|&index| held.contains(commits[index].lease.meeting.as_str()));
        for index in refused {
            verdicts.insert(index, written_before(connection, &commits[index]).await?);
        }
        Rows::of(held.iter().map(|&index| &commits[index])).write(connection, dialect).await?;
        verdicts.extend(held.into_iter().map(|index| (index, Ok(()))));
    }
    Ok(verdicts.into_values().collect())
}

/// The meetings whose owners may write.
async fn fence(
    connection: &mut AnyConnection,
    dialect: Dialect,
    commits: impl Iterator<Item = &Commit>,
) -> Result<BTreeSet<String>, StoreError> {
    let rows: Vec<_> = commits.map(Commit::fence).collect();
    let held = FENCE.over(dialect, &rows).fetch_all(connection).await?;
    held.iter().map(|row: &AnyRow| Ok(row.try_get("meeting_id")?)).collect()
}

/// Whether the lease is good and only the number is not new: then all of it was written before.
async fn written_before(connection: &mut AnyConnection, commit: &Commit) -> Result<Verdict, StoreError> {
    let Commit { lease, number, .. } = commit;
    let last = sqlx::query(LAST_BATCH)
        .bind(lease.meeting.as_str().to_owned())
        .bind(lease.daemon.clone())
        .bind(signed(lease.fence));
    let row = last.fetch_optional(connection).await?;
    let Some(row) = row.filter(|_| *number != UNNUMBERED) else { return Ok(Err(StoreError::Fenced)) };
    let last: u64 = unsigned(&row, "batch")?;
    Ok(if last >= *number { Ok(()) } else { Err(StoreError::Fenced) })
}

/// An entry of the audit log.
pub(super) fn note(entry: &AuditEntry) -> Statement {
    sqlx::query(AUDIT)
        .bind(entry.account.clone())
        .bind(entry.meeting.as_ref().map(|meeting| meeting.as_str().to_owned()))
        .bind(entry.actor.clone())
        .bind(entry.action.clone())
        .bind(entry.detail.to_string())
        .bind(unix_millis(entry.at))
}

impl Commit {
    fn fence(&self) -> (&str, &str, i64, Option<&str>, i64) {
        let snapshot = self.writes.iter().rev().find_map(|write| match write {
            Durable::Snapshot(text) => Some(text.as_str()),
            _ => None,
        });
        let Lease { meeting, daemon, fence } = &self.lease;
        (meeting.as_str(), daemon, signed(*fence), snapshot, signed(self.number))
    }
}

/// A participant of a meeting.
type Who<'a> = (&'a str, u32);

/// What commits come to, by kind and in the order in which it is written: who joins has joined before it leaves.
#[derive(Default)]
struct Rows<'a> {
    started: BTreeMap<&'a str, i64>,
    joined: BTreeMap<Who<'a>, (Option<&'a str>, &'a str, &'a str, i64)>,
    seats: BTreeMap<Who<'a>, &'a str>,
    left: BTreeMap<Who<'a>, (&'a str, i64)>,
    messages: Vec<(&'a str, i64, i64, &'a str, i64)>,
    /// Few, and each counts those before it.
    others: Vec<Statement>,
}

impl<'a> Rows<'a> {
    fn of(commits: impl Iterator<Item = &'a Commit>) -> Self {
        let mut rows = Self::default();
        for Commit { lease, writes, .. } in commits {
            writes.iter().for_each(|write| rows.add(lease, write));
        }
        rows
    }

    /// Of several about one participant the first counts; of its seats the last.
    fn add(&mut self, lease: &'a Lease, write: &'a Durable) {
        let meeting = lease.meeting.as_str();
        match write {
            Durable::Started { at } => {
                self.started.entry(meeting).or_insert(unix_millis(*at));
            }
            Durable::Joined { participant, identity, display_name, role, at } => {
                let stay = (identity.as_deref(), display_name.as_str(), role.as_str(), unix_millis(*at));
                self.joined.entry((meeting, *participant)).or_insert(stay);
            }
            Durable::Left { participant, reason, at } => {
                self.left.entry((meeting, *participant)).or_insert((reason, unix_millis(*at)));
            }
            Durable::Seat { participant, seat } => {
                self.seats.insert((meeting, *participant), seat);
            }
            Durable::Message(Message { seq, body, at }) => {
                self.messages.push((meeting, signed(lease.fence), signed(*seq), body, unix_millis(*at)));
            }
            Durable::Mark { kind, actor, at } => self.others.push(
                sqlx::query(MARK)
                    .bind(meeting.to_owned())
                    .bind(kind.as_str())
                    .bind(actor.clone())
                    .bind(unix_millis(*at)),
            ),
            Durable::Audit(entry) => self.others.push(note(entry)),
            // Written with the fence.
            Durable::Snapshot(_) => {}
        }
    }

    async fn write(mut self, connection: &mut AnyConnection, dialect: Dialect) -> Result<(), StoreError> {
        let joined = std::mem::take(&mut self.joined).into_iter().map(|(who, (identity, name, role, at))| {
            // Who comes in sits down with that.
            (who.0, who.1, identity, name, role, at, self.seats.remove(&who))
        });
        let joined: Vec<_> = joined.collect();
        let seats: Vec<_> = self.seats.iter().map(|(&(meeting, who), seat)| (meeting, who, seat)).collect();
        let left: Vec<_> =
            self.left.iter().map(|(&(meeting, who), &(reason, at))| (meeting, who, reason, at)).collect();
        let started: Vec<_> = self.started.iter().collect();
        each(connection, dialect, STARTED, &started).await?;
        each(connection, dialect, JOINED, &joined).await?;
        each(connection, dialect, SEAT, &seats).await?;
        each(connection, dialect, LEFT, &left).await?;
        each(connection, dialect, MESSAGE, &self.messages).await?;
        for statement in self.others {
            statement.execute(&mut *connection).await.map_err(taken)?;
        }
        Ok(())
    }
}

async fn each<R: serde::Serialize>(
    connection: &mut AnyConnection,
    dialect: Dialect,
    bulk: Bulk,
    rows: &[R],
) -> Result<(), StoreError> {
    if !rows.is_empty() {
        bulk.over(dialect, rows).execute(connection).await.map_err(taken)?;
    }
    Ok(())
}
