//! Queues batches of the asynchronous tasks for the writer thread, which commits many at once.
//!
//! ```text
//! ticker ──Batch──┐
//! ticker ──Batch──┼─(bounded by bars)─> writer thread ─> output file, rejects, Store::commit ─┐
//! ticker ──Batch──┘                                                                          │
//!    └───────────────────────────── BatchOutcome, one per batch <────────────────────────────┘
//! ```
//!
//! **The store is never called on an asynchronous thread**, and the queue is bounded in bars: a slow
//! store slows the fetch down.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::Error;
use super::batch::{Batch, BatchOutcome, QueuedBatch, WriterContext};
use super::queue::Queue;
use super::writer_thread::{WriterResult, WriterThread};
use crate::provider::Gate;

/// Bars that may wait for the store, in units of [`UNIT_BARS`].
const WAITING_UNITS_MAX: u32 = 96;
/// A batch takes one unit for this many bars, and at least one.
const UNIT_BARS: usize = 1024;

/// The sending side of the writer thread's queue. Cheap to clone; the thread ends when the last
/// clone is dropped.
#[derive(Clone)]
pub(super) struct StoreWriter {
    queue: Sender<QueuedBatch>,
    room: Arc<Semaphore>,
    in_flight: Arc<AtomicUsize>,
}

/// While it exists, a window is being requested: a commit may wait for it.
pub(super) struct InFlightGuard(Arc<AtomicUsize>);

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl StoreWriter {
    /// Starts the thread. If it fails, it closes `gate`, and joining it returns the error.
    ///
    /// A commit waits a moment for `group_size` windows.
    pub(super) fn start(
        context: WriterContext,
        group_size: usize,
        gate: Arc<Gate>,
    ) -> Result<(Self, JoinHandle<Result<WriterResult, Error>>), Error> {
        let (queue, inbox) = mpsc::channel();
        let in_flight = Arc::new(AtomicUsize::new(0));
        let waiting = Queue {
            inbox,
            in_flight: in_flight.clone(),
            group_size: if context.store.is_some() {
                group_size
            } else {
                1
            },
        };
        let writer_thread = WriterThread::new(context, gate);
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || writer_thread.run(&waiting))
            .map_err(Error::Thread)?;
        let writer = Self {
            queue,
            room: Arc::new(Semaphore::new(WAITING_UNITS_MAX as usize)),
            in_flight,
        };
        Ok((writer, thread))
    }

    pub(super) fn in_flight(&self) -> InFlightGuard {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        InFlightGuard(self.in_flight.clone())
    }

    /// Queues a batch once there is room, and returns the receiver of its outcome; `None` if the
    /// thread has ended.
    pub(super) async fn offer(
        &self,
        batch: Batch,
        window_permit: OwnedSemaphorePermit,
    ) -> Option<oneshot::Receiver<BatchOutcome>> {
        let units = (batch.bars.len() / UNIT_BARS + 1).min(WAITING_UNITS_MAX as usize);
        let room = self.room.clone().acquire_many_owned(units as u32);
        let room = room.await.ok()?;
        let (reply, outcome) = oneshot::channel();
        let queued = QueuedBatch {
            batch,
            reply,
            _room: room,
            _window_permit: window_permit,
        };
        self.queue.send(queued).ok()?;
        Some(outcome)
    }
}
