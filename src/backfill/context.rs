//! What all tickers of a run share.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use super::fetcher::WindowFetcher;
use super::group::TickerGroup;
use super::store_writer::StoreWriter;
use crate::provider::Gate;
use crate::report::{Fatal, Observer};

/// Open windows for each request in flight and each ticker of a request. A window is open until it is
/// committed: one is requested, one is committed, one waits for that commit, and one more is for
/// commits that take longer than requests. A run that was killed requests at most these again.
const WINDOWS_PER_REQUEST: usize = 4;

/// What all tickers of a run share.
pub(super) struct RunContext {
    pub fetcher: WindowFetcher,
    pub writer: StoreWriter,
    pub observer: Arc<dyn Observer>,
    /// A window takes permits before its first request and returns them when it is committed: **no
    /// more windows than this are ever open**. Those of smaller groups take more permits each,
    /// because each has more bars.
    pub window_permits: Arc<Semaphore>,
    pub tickers_at_once: usize,
    /// Tickers that one request names at most.
    pub group_size: usize,
    /// The weights of the active tickers.
    active_weight: AtomicUsize,
    windows_answered: AtomicU64,
    ending: Mutex<Ending>,
}

/// Why a run ends early.
#[derive(Default)]
pub(super) struct Ending {
    /// The quota that is spent.
    pub quota: Option<String>,
    /// The error after which the run could not continue.
    pub fatal: Option<Fatal>,
}

impl RunContext {
    pub(super) fn new(
        fetcher: WindowFetcher,
        writer: StoreWriter,
        observer: Arc<dyn Observer>,
        tickers_at_once: usize,
        group_size: usize,
    ) -> Self {
        let windows = tickers_at_once * group_size * WINDOWS_PER_REQUEST;
        Self {
            fetcher,
            writer,
            observer,
            window_permits: Arc::new(Semaphore::new(windows)),
            tickers_at_once,
            group_size,
            active_weight: AtomicUsize::new(0),
            windows_answered: AtomicU64::new(0),
            ending: Mutex::default(),
        }
    }

    pub(super) fn gate(&self) -> &Arc<Gate> {
        self.fetcher.client.gate()
    }

    /// How many windows of one ticker are requested ahead: enough to use all requests in flight,
    /// and always one more than is being read.
    pub(super) fn windows_ahead(&self) -> usize {
        let active = self.active_weight.load(Ordering::Relaxed).max(1);
        let active_groups = active.div_ceil(self.group_size);
        self.tickers_at_once.div_ceil(active_groups).max(2)
    }

    /// The weight of a ticker of this group. All groups weigh the same, so a ticker of a small
    /// group weighs as much as several of a full one.
    pub(super) fn weight(&self, group: &TickerGroup) -> u32 {
        let weight = self.group_size / group.size().max(1);
        u32::try_from(weight.max(1)).unwrap_or(u32::MAX)
    }

    pub(super) fn ticker_started(&self, weight: u32) {
        (self.active_weight).fetch_add(weight as usize, Ordering::Relaxed);
    }

    pub(super) fn ticker_ended(&self, weight: u32) {
        (self.active_weight).fetch_sub(weight as usize, Ordering::Relaxed);
    }

    pub(super) fn window_answered(&self) {
        self.windows_answered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn windows_answered(&self) -> u64 {
        self.windows_answered.load(Ordering::Relaxed)
    }

    /// Ends the run because a quota is spent: nothing more is requested.
    pub(super) fn end_by_quota(&self, reason: String) {
        self.ending().quota.get_or_insert(reason);
        self.gate().close();
    }

    /// Ends the run because of an error.
    pub(super) fn end_by_error(&self, fatal: Fatal) {
        self.ending().fatal.get_or_insert(fatal);
        self.gate().close();
    }

    pub(super) fn take_ending(&self) -> Ending {
        std::mem::take(&mut *self.ending())
    }

    fn ending(&self) -> MutexGuard<'_, Ending> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
