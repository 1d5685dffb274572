//! The thread that a query lives on.
//!
//! A run neither needs nor disturbs the caller's runtime, recursion has a stack of known size, a
//! panic in the engine is an error here (unless panics abort, as in the `edge` build), and whoever
//! waits for an answer stops waiting when it takes too long. Knows nothing of SQL.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use super::engine::Engine;
use super::{MAX_TIME, Phases, QueryError, SqlFinding, Tables};

/// For the planner's recursion at `MAX_DEPTH`, unoptimised code included. Only what is touched
/// takes memory.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// How long a run that was told to stop may take for it. The plan looks up between batches.
const GRACE: Duration = Duration::from_secs(1);

/// What is asked of the engine. Batches are handed over by reference count.
pub(super) enum Work {
    Partial(RecordBatch),
    Reduce(Vec<RecordBatch>),
    Finish(Vec<RecordBatch>),
    Run(Vec<RecordBatch>),
}

/// A flag that says "no more of this run", seen by every table that is read and after every join.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    fn set(&self, stop: bool) {
        self.0.store(stop, Ordering::Relaxed);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the engine says of a query that it has planned.
pub(super) struct Planned {
    pub output: SchemaRef,
    pub phases: Option<Phases>,
    /// Those of each stream that it reads, by index.
    pub columns: Vec<Vec<usize>>,
}

/// The near end of a query's thread. The thread ends when this is dropped.
#[derive(Debug)]
pub(super) struct Worker {
    requests: SyncSender<Work>,
    answers: Receiver<Result<RecordBatch, QueryError>>,
    stop: Stop,
    /// A run that did not stop when told to: its answer is still to come, and nobody wants it.
    busy: bool,
    pub(super) max_time: Duration,
}

impl Worker {
    /// Plans the query on a new thread.
    pub(super) fn start(sql: &str, tables: &Tables) -> Result<(Self, Planned), Vec<SqlFinding>> {
        let whole = |message: &str| vec![SqlFinding::whole(message)];
        let (planned, plan) = sync_channel(1);
        let (requests, work) = sync_channel(1);
        let (answer, answers) = sync_channel(1);
        let stop = Stop::default();
        let (sql, tables, seen) = (sql.to_owned(), tables.clone(), stop.clone());
        let live = move || {
            let engine = match Engine::plan(&sql, &tables, &seen) {
                Ok(engine) => engine,
                Err(findings) => {
                    // Nobody listens any more only if the caller is gone.
                    return planned.send(Err(findings)).unwrap_or_default();
                }
            };
            if planned.send(Ok(engine.planned())).is_err() {
                return;
            }
            for work in work {
                // The engine holds no state from run to run beside its tables' rows, which the next
                // run puts in anew.
                let run = AssertUnwindSafe(|| engine.run(work));
                let result = catch_unwind(run).unwrap_or_else(|_| {
                    Err(QueryError::Failed("the query engine met an internal error".to_owned()))
                });
                if answer.send(result).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("query".to_owned()).stack_size(STACK_BYTES);
        if thread.spawn(live).is_err() {
            return Err(whole("the query engine cannot start: the system gives no more threads"));
        }
        match plan.recv_timeout(MAX_TIME) {
            Ok(planned) => {
                let worker = Self { requests, answers, stop, busy: false, max_time: MAX_TIME };
                Ok((worker, planned?))
            }
            // The planner cannot be told to stop: it ends by itself, and its thread with it.
            Err(RecvTimeoutError::Timeout) => {
                stop.set(true);
                Err(whole("the query takes too long to plan; write it in another way"))
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(whole("the query engine failed on this query; write it in another way"))
            }
        }
    }

    /// Has the work done, within `max_time`.
    pub(super) fn ask(&mut self, work: Work) -> Result<RecordBatch, QueryError> {
        if self.busy {
            match self.answers.try_recv() {
                Ok(_) => self.busy = false,
                Err(TryRecvError::Empty) => return Err(QueryError::Busy),
                Err(TryRecvError::Disconnected) => return Err(QueryError::Stopped),
            }
        }
        self.stop.set(false);
        self.requests.send(work).map_err(|_| QueryError::Stopped)?;
        match self.answers.recv_timeout(self.max_time) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Disconnected) => return Err(QueryError::Stopped),
            Err(RecvTimeoutError::Timeout) => self.stop.set(true),
        }
        match self.answers.recv_timeout(GRACE) {
            // Done after all, a moment too late to be refused.
            Ok(Ok(result)) => return Ok(result),
            Ok(Err(_)) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(QueryError::Stopped),
            Err(RecvTimeoutError::Timeout) => self.busy = true,
        }
        Err(QueryError::Time(self.max_time))
    }
}
