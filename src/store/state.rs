//! What is known of an open store in memory, shared by the threads of its one writer.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use crate::calendar::{Calendar, Overrides};
use crate::model::SeriesKey;

use super::catalog::{Catalog, SeriesMeta};
use super::coverage::compact::{self, CoveragePlan, OpenEntries};
use super::coverage::{self, CoverageEntry};
use super::error::Error;
use super::layout::Layout;
use super::run::RunId;

/// The state of an open store, and the locks that threads take on it: first `publishing`, then
/// `inner`.
pub(super) struct Shared {
    pub layout: Layout,
    inner: Mutex<Inner>,
    /// Held for reading from the transaction that records a publish until the lake has its files. So
    /// while it is held for writing, the catalog and the lake agree.
    pub publishing: RwLock<()>,
    /// A publish was recorded but could not be applied: only recovery at the next opening may
    /// continue.
    pub broken: AtomicBool,
}

impl Shared {
    pub fn new(layout: Layout, inner: Inner) -> Self {
        Self {
            layout,
            inner: Mutex::new(inner),
            publishing: RwLock::default(),
            broken: AtomicBool::new(false),
        }
    }

    pub fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic under the lock may leave wrong metadata: nothing more is written then.
        self.inner.lock().unwrap_or_else(|poisoned| {
            self.broken.store(true, Ordering::SeqCst);
            PoisonError::into_inner(poisoned)
        })
    }
}

/// The connection that writes, and the catalog's metadata.
pub(super) struct Inner {
    pub catalog: Catalog,
    pub series: BTreeMap<SeriesKey, SeriesMeta>,
    pub next_series_id: i32,
    pub next_part_id: i64,
    pub demo: Option<bool>,
    calendars: HashMap<String, Option<Calendar>>,
    overrides: Overrides,
    pub open_entries: OpenEntries,
}

impl Inner {
    pub(super) fn new(catalog: Catalog, overrides: Overrides) -> Result<Self, Error> {
        let series = catalog.series()?;
        let demo = catalog.meta("bars")?.map(|kind| kind == "demo");
        Ok(Self {
            next_series_id: catalog.next_series_id()?,
            next_part_id: catalog.next_part_id()?,
            series,
            demo,
            catalog,
            calendars: HashMap::new(),
            overrides,
            open_entries: OpenEntries::default(),
        })
    }

    /// The calendar of an exchange; `None` where the code is not known.
    pub(super) fn calendar(&mut self, exchange: &str) -> Option<Calendar> {
        self.calendars
            .entry(exchange.to_owned())
            .or_insert_with(|| Calendar::for_exchange_with(exchange, &self.overrides).ok())
            .clone()
    }

    /// Plans how new entries join those that are open.
    pub(super) fn plan_coverage(
        &mut self,
        run: &RunId,
        answers: Vec<CoverageEntry>,
    ) -> CoveragePlan {
        let open_entries = std::mem::take(&mut self.open_entries);
        let planned = open_entries.plan(run, answers, |exchange| self.calendar(exchange));
        self.open_entries = open_entries;
        planned
    }

    /// Compacts coverage if it is long.
    pub(super) fn fold_coverage(&mut self) -> Result<(), Error> {
        let (entries, series) = self.catalog.coverage_size()?;
        if !compact::is_long(entries, series) {
            return Ok(());
        }
        let entries = coverage::read::entries(&self.catalog)?;
        let folded = compact::fold(entries, |exchange| self.calendar(exchange));
        self.open_entries.forget();
        self.catalog.replace_coverage(&folded)
    }

    /// Forgets series whose bars were all dropped. With the last series, it also forgets whether the
    /// bars were real ones. `only` is the series that the caller has locked: another one may have no bars
    /// because its first ones are being published.
    pub(super) fn forget_empty_series(&mut self, only: Option<&SeriesKey>) -> Result<(), Error> {
        let empty: Vec<SeriesKey> = self
            .series
            .iter()
            .filter(|(key, _)| only.is_none_or(|only| only == *key))
            .filter(|(_, meta)| meta.hot.is_empty() && meta.partitions.is_empty())
            .map(|(key, _)| key.clone())
            .collect();
        if empty.is_empty() {
            return Ok(());
        }
        let ids: Vec<i32> = empty
            .iter()
            .filter_map(|key| self.series.get(key))
            .map(|meta| meta.id)
            .collect();
        let none_left = empty.len() == self.series.len();
        self.catalog.transaction(|catalog| {
            catalog.delete_series(&ids)?;
            if none_left {
                catalog.execute("DELETE FROM meta WHERE key = 'bars'", [])?;
            }
            Ok(())
        })?;
        for key in &empty {
            self.series.remove(key);
        }
        if none_left {
            self.demo = None;
        }
        Ok(())
    }

    pub(super) fn hot_rows(&self) -> u64 {
        self.series.values().map(SeriesMeta::hot_rows).sum()
    }

    pub(super) fn sealed_rows(&self) -> u64 {
        self.series.values().map(SeriesMeta::sealed_rows).sum()
    }
}
