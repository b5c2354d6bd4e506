//! The one writer of a database that has room for one. A commit waits for the disk, and each statement for another thread; so what
//! waits at a moment is written together, in one transaction, and all commits of meetings among it by a few statements.

use std::fmt;
use std::io;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, Connection as _, Either, Executor as _};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::bulk::Dialect;
use super::commit::{self, Commit, Verdict};
use super::{Statement, taken};
use crate::store::StoreError;

/// Jobs that may wait: about as many as there are meetings with something to write, which have one each. Whoever comes when it is full
/// waits for room.
const QUEUE_JOBS: usize = 1_024;
/// Jobs in one transaction: at some 20 µs each, whoever comes just too late waits for milliseconds.
const GROUP_JOBS: usize = 256;

/// Where to hand in what is to be written. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    closing: CancellationToken,
    task: TaskTracker,
}

/// What came of a statement.
#[derive(Default)]
pub(super) struct Done {
    /// How many rows it changed.
    pub(super) changed: u64,
    /// What it returned.
    pub(super) rows: Vec<AnyRow>,
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Done").field("changed", &self.changed).field("rows", &self.rows.len()).finish()
    }
}

/// Something to write, and whoever waits for it.
enum Job {
    Commit(Commit, Reply<()>),
    Statement(Statement, Reply<Done>),
}

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

impl Writer {
    /// Starts to write, until it is closed or nobody has it any more.
    pub(super) fn start(pool: AnyPool) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE_JOBS);
        let (closing, task) = (CancellationToken::new(), TaskTracker::new());
        task.spawn(run(pool, queue, closing.clone()));
        task.close();
        Self { jobs, closing, task }
    }

    /// Writes a commit with what else waits, and answers when that is on the disk. If it fails nothing of it is written, and the rest
    /// is all the same.
    pub(super) async fn commit(&self, commit: Commit) -> Result<(), StoreError> {
        self.ask(|reply| Job::Commit(commit, reply)).await
    }

    /// The same of a single statement.
    pub(super) async fn statement(&self, statement: Statement) -> Result<Done, StoreError> {
        self.ask(|reply| Job::Statement(statement, reply)).await
    }

    async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(job(reply)).await.map_err(|_| sqlx::Error::PoolClosed)?;
        // Without an answer only if the runtime stops.
        answer.await.unwrap_or_else(|_| Err(sqlx::Error::WorkerCrashed.into()))
    }

    /// Takes nothing in any more, and waits until all that waits is written.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        self.task.wait().await;
    }
}

/// What is written in one transaction.
#[derive(Default)]
struct Group {
    commits: Vec<Commit>,
    statements: Vec<Statement>,
    /// Who waits for each of the commits.
    owners: Vec<Reply<()>>,
    /// And for each of the statements.
    askers: Vec<Reply<Done>>,
}

/// What came of a group: of each commit and of each statement.
type Outcome = (Vec<Verdict>, Vec<Result<Done, StoreError>>);

async fn run(pool: AnyPool, mut queue: mpsc::Receiver<Job>, closing: CancellationToken) {
    let mut jobs = Vec::with_capacity(GROUP_JOBS);
    loop {
        tokio::select! {
            () = closing.cancelled(), if !queue.is_closed() => queue.close(),
            taken = queue.recv_many(&mut jobs, GROUP_JOBS) => {
                if taken == 0 {
                    return;
                }
                let mut group = Group::default();
                jobs.drain(..).for_each(|job| group.add(job));
                let statements = std::mem::take(&mut group.statements);
                let outcome = write(&pool, &group.commits, statements).await;
                group.answer(outcome);
            }
        }
    }
}

impl Group {
    fn add(&mut self, job: Job) {
        match job {
            Job::Commit(commit, reply) => {
                self.commits.push(commit);
                self.owners.push(reply);
            }
            Job::Statement(statement, reply) => {
                self.statements.push(statement);
                self.askers.push(reply);
            }
        }
    }

    /// Tells everybody. An error of the transaction is everybody's, whatever had come of it until then.
    fn answer(self, outcome: Result<Outcome, sqlx::Error>) {
        let Self { owners, askers, .. } = self;
        // Whoever asked may have gone.
        match outcome {
            Ok((verdicts, done)) => {
                owners.into_iter().zip(verdicts).for_each(|(reply, verdict)| drop(reply.send(verdict)));
                askers.into_iter().zip(done).for_each(|(reply, done)| drop(reply.send(done)));
            }
            Err(error) => {
                let error = Arc::new(error);
                owners.into_iter().for_each(|reply| drop(reply.send(Err(shared(&error)))));
                askers.into_iter().for_each(|reply| drop(reply.send(Err(shared(&error)))));
            }
        }
    }
}

/// Writes a group in one transaction. What fails leaves nothing behind; an error is everybody's, and nothing is written then.
async fn write(
    pool: &AnyPool,
    commits: &[Commit],
    statements: Vec<Statement>,
) -> Result<Outcome, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let verdicts = match commit::write(&mut transaction, Dialect::Sqlite, commits).await {
        Ok(verdicts) => verdicts,
        Err(error) => {
            tracing::debug!(%error, commits = commits.len(), "one of them cannot be written: each by itself");
            transaction.rollback().await?;
            transaction = pool.begin().await?;
            each_by_itself(&mut transaction, commits).await?
        }
    };
    let mut done = Vec::new();
    for statement in statements {
        done.push(one(&mut transaction, statement).await);
    }
    transaction.commit().await?;
    Ok((verdicts, done))
}

/// One that fails leaves nothing behind, and the others are written.
async fn each_by_itself(
    connection: &mut AnyConnection,
    commits: &[Commit],
) -> Result<Vec<Verdict>, sqlx::Error> {
    let mut verdicts = Vec::new();
    for commit in commits {
        let mut savepoint = connection.begin().await?;
        match commit::write(&mut savepoint, Dialect::Sqlite, std::slice::from_ref(commit)).await {
            Ok(verdict) => {
                savepoint.commit().await?;
                verdicts.extend(verdict);
            }
            Err(error) => {
                // Fails if the database gave the whole transaction up, as it may when the disk is full.
                savepoint.rollback().await?;
                verdicts.push(Err(error));
            }
        }
    }
    Ok(verdicts)
}

/// A statement that fails has changed nothing: it needs no savepoint.
async fn one(connection: &mut AnyConnection, statement: Statement) -> Result<Done, StoreError> {
    let mut done = Done::default();
    let mut results = connection.fetch_many(statement);
    while let Some(result) = results.try_next().await.map_err(taken)? {
        match result {
            Either::Left(result) => done.changed += result.rows_affected(),
            Either::Right(row) => done.rows.push(row),
        }
    }
    Ok(done)
}

/// One error for all who waited for one commit. It is the database's, so that what may be tried again is.
fn shared(error: &Arc<sqlx::Error>) -> StoreError {
    sqlx::Error::Io(io::Error::other(Arc::clone(error))).into()
}

#[cfg(test)]
mod tests;
