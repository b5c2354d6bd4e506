//! The one writer of a database that has room for one. A commit waits for the disk; so what waits at a moment is committed together,
//! in the order in which it came, and the disk is waited for once and not once for each.

use std::io;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use sqlx::{AnyConnection, AnyPool, Connection as _};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::store::StoreError;

/// Jobs that may wait: about as many as there are meetings with something to write, which have one each. Whoever comes when it is full
/// waits for room.
const QUEUE_JOBS: usize = 1_024;
/// Jobs in one transaction: at some 0.1 ms each, whoever comes just too late waits for tens of milliseconds at most.
const GROUP_JOBS: usize = 128;

/// Where to hand in what is to be written. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Box<dyn Job>>,
    closing: CancellationToken,
    task: TaskTracker,
}

impl Writer {
    /// Starts to write, until it is closed or nobody has it any more.
    pub(super) fn start(pool: AnyPool) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE_JOBS);
        let (closing, task) = (CancellationToken::new(), TaskTracker::new());
        task.spawn(run(pool, queue, closing.clone()));
        task.close();
        Self { jobs, closing, task }
    }

    /// Does `work` in a transaction with what else waits, and answers when that is on the disk. If it fails nothing of it is
    /// written, and the rest is all the same.
    pub(super) async fn write<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut AnyConnection) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Waiting { work: Some(work), done: None, reply });
        self.jobs.send(job).await.map_err(|_| sqlx::Error::PoolClosed)?;
        // Without an answer only if the runtime stops.
        answer.await.unwrap_or_else(|_| Err(sqlx::Error::WorkerCrashed.into()))
    }

    /// Takes nothing in any more, and waits until all that waits is written.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        self.task.wait().await;
    }
}

/// Something to write, and whoever waits for it.
trait Job: Send {
    /// Does it; `false` if it failed, and nothing of it may stay.
    fn run<'c>(&'c mut self, connection: &'c mut AnyConnection) -> BoxFuture<'c, bool>;

    /// Tells what came of it, once it is known what came of the transaction.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Waiting<T, W> {
    work: Option<W>,
    done: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, W> Job for Waiting<T, W>
where
    T: Send + 'static,
    W: for<'c> FnOnce(&'c mut AnyConnection) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
{
    fn run<'c>(&'c mut self, connection: &'c mut AnyConnection) -> BoxFuture<'c, bool> {
        Box::pin(async move {
            let Some(work) = self.work.take() else { return false };
            let done = work(connection).await;
            let is_well = done.is_ok();
            self.done = Some(done);
            is_well
        })
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { done, reply, .. } = *self;
        let never_run = || Err(sqlx::Error::WorkerCrashed.into());
        // Whoever asked may have gone.
        reply.send(committed.and_then(|()| done.unwrap_or_else(never_run))).ok();
    }
}

async fn run(pool: AnyPool, mut queue: mpsc::Receiver<Box<dyn Job>>, closing: CancellationToken) {
    let mut group = Vec::with_capacity(GROUP_JOBS);
    loop {
        tokio::select! {
            () = closing.cancelled(), if !queue.is_closed() => queue.close(),
            taken = queue.recv_many(&mut group, GROUP_JOBS) => {
                if taken == 0 {
                    return;
                }
                let committed = commit(&pool, &mut group).await.map_err(Arc::new);
                for job in group.drain(..) {
                    job.answer(committed.as_ref().copied().map_err(shared));
                }
            }
        }
    }
}

/// Writes a group in one transaction. What fails leaves nothing behind; an error is everybody's, and nothing is written then.
async fn commit(pool: &AnyPool, group: &mut [Box<dyn Job>]) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    if let [job] = group {
        let is_well = job.run(&mut transaction).await;
        return if is_well { transaction.commit().await } else { transaction.rollback().await };
    }
    for job in group {
        let mut savepoint = transaction.begin().await?;
        if job.run(&mut savepoint).await {
            savepoint.commit().await?;
        } else {
            // Fails if the database gave the whole transaction up, as it may when the disk is full.
            savepoint.rollback().await?;
        }
    }
    transaction.commit().await
}

/// One error for all who waited for one commit. It is the database's, so that what may be tried again is.
fn shared(error: &Arc<sqlx::Error>) -> StoreError {
    sqlx::Error::Io(io::Error::other(Arc::clone(error))).into()
}

#[cfg(test)]
mod tests;
