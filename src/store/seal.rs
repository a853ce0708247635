//! Seal: hot rows into the lake, when they are due, at the end of a run, or on request.
//!
//! The rule ([`SealRule`](super::SealRule)) bounds what is written again: a partition is sealed when it
//! has one hot row for every few sealed ones. So on average each bar is rewritten a few times at most,
//! however small the commits are.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::SeriesKey;

use super::catalog::SeriesMeta;
use super::error::Error;
use super::handle::Store;
use super::layout::PartitionKey;
use super::publish;

/// Partitions sealed in one publish at most. This bounds memory and the files in `tmp/`.
const PARTITIONS_AT_ONCE: usize = 256;
/// Rows, hot and sealed, that one publish of a seal merges at most, unless one partition alone has more.
const ROWS_AT_ONCE: u64 = 2_000_000;

/// What a seal did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// Partitions written.
    pub partitions: u64,
    /// Hot rows that moved.
    pub rows: u64,
}

/// Which runs seal all hot rows when they end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SealAtEnd {
    /// Those that it makes little longer: by an estimated 2 s at most, or by a quarter.
    #[default]
    Auto,
    /// All.
    Always,
    /// None.
    Never,
}

/// A seal that takes no longer than this is always worth it …
const SECONDS_MAX: f64 = 2.0;
/// … and so is one that takes no longer than this share of the run.
const SHARE_OF_RUN_MAX: f64 = 0.25;
/// Rows, hot and sealed, that a seal merges and encodes in a second on two idle cores.
const ROWS_PER_SECOND: f64 = 6_000_000.0;
/// What each partition adds: a file is written, renamed and recorded. Both rates are estimates; on a
/// busy machine a seal takes two to three times as long.
const SECONDS_PER_PARTITION: f64 = 0.001;

impl SealAtEnd {
    /// Whether a run that took `elapsed` seals at its end, if that is estimated to take `cost`.
    fn applies(self, cost: Duration, elapsed: Duration) -> bool {
        let cost = cost.as_secs_f64();
        match self {
            Self::Auto => cost <= SECONDS_MAX || cost <= SHARE_OF_RUN_MAX * elapsed.as_secs_f64(),
            Self::Always => true,
            Self::Never => false,
        }
    }
}

impl Store {
    /// Moves all hot rows into the lake at the end of a run that took `elapsed`, if `when` says so. Hot rows that
    /// earlier runs left are among them. If this fails, the bars are as durable as before.
    pub fn seal_at_end(&self, when: SealAtEnd, elapsed: Duration) -> Result<Sealed, Error> {
        if self.hot_rows() > 0 && when.applies(self.seal_cost(), elapsed) {
            return self.seal();
        }
        Ok(Sealed::default())
    }

    /// How many rows are not in the lake.
    #[must_use]
    pub fn hot_rows(&self) -> u64 {
        self.inner().hot_rows()
    }

    /// How long sealing everything takes, estimated from the counts in the catalog.
    fn seal_cost(&self) -> Duration {
        let (mut rows, mut partitions) = (0, 0);
        for meta in self.inner().series.values() {
            for (year, hot) in &meta.hot {
                let sealed = meta.partitions.get(year);
                rows += hot.rows + sealed.map_or(0, |partition| partition.rows);
                partitions += 1;
            }
        }
        Duration::from_secs_f64(
            rows as f64 / ROWS_PER_SECOND + f64::from(partitions) * SECONDS_PER_PARTITION,
        )
    }

    /// Moves all hot rows into the lake.
    pub fn seal(&self) -> Result<Sealed, Error> {
        self.check_whole()?;
        let due = self.partitions_where(|_, _| true);
        let sealed = self.seal_partitions(due)?;
        self.inner().catalog.fold_sessions()?;
        Ok(sealed)
    }

    /// Seals the partitions of `touched` series that are due by the rule, or everything if the hot tier
    /// is full.
    pub(super) fn seal_where_due(&self, touched: &BTreeSet<SeriesKey>) -> Result<(), Error> {
        let rule = self.options.seal;
        let full = {
            let inner = self.inner();
            let hot = inner.hot_rows();
            hot >= rule.store_rows_min
                && hot >= inner.sealed_rows() / rule.store_sealed_per_hot.max(1)
        };
        let due = if full {
            self.partitions_where(|_, _| true)
        } else {
            let mut due = Vec::new();
            let inner = self.inner();
            for key in touched {
                let Some(meta) = inner.series.get(key) else {
                    continue;
                };
                for (year, hot) in &meta.hot {
                    let sealed = meta
                        .partitions
                        .get(year)
                        .map_or(0, |partition| partition.rows);
                    if hot.rows >= rule.partition_rows_min
                        && hot.rows >= sealed / rule.partition_sealed_per_hot.max(1)
                    {
                        due.push(PartitionKey::new(key, *year));
                    }
                }
            }
            due
        };
        self.seal_partitions(due).map(|_| ())
    }

    fn partitions_where(&self, wanted: impl Fn(&SeriesKey, i32) -> bool) -> Vec<PartitionKey> {
        let inner = self.inner();
        let mut due = Vec::new();
        for (key, meta) in &inner.series {
            for year in meta.hot.keys().filter(|year| wanted(key, **year)) {
                due.push(PartitionKey::new(key, *year));
            }
        }
        due
    }

    fn seal_partitions(&self, due: Vec<PartitionKey>) -> Result<Sealed, Error> {
        let mut sealed = Sealed::default();
        let mut group: Vec<PartitionKey> = Vec::new();
        let mut weight = 0;
        for key in due {
            let rows = self.rows_of(&key);
            if !group.is_empty()
                && (group.len() == PARTITIONS_AT_ONCE || weight + rows > ROWS_AT_ONCE)
            {
                self.seal_group(&group, &mut sealed)?;
                group.clear();
                weight = 0;
            }
            weight += rows;
            group.push(key);
        }
        if !group.is_empty() {
            self.seal_group(&group, &mut sealed)?;
        }
        Ok(sealed)
    }

    fn rows_of(&self, key: &PartitionKey) -> u64 {
        let inner = self.inner();
        inner.series.get(&key.series).map_or(0, |meta| {
            meta.hot.get(&key.year).map_or(0, |hot| hot.rows)
                + meta
                    .partitions
                    .get(&key.year)
                    .map_or(0, |partition| partition.rows)
        })
    }

    fn seal_group(&self, keys: &[PartitionKey], sealed: &mut Sealed) -> Result<(), Error> {
        let held = self
            .locks
            .lock(keys.iter().map(|key| key.series.clone()).collect());
        // Read again under the lock: another thread may have sealed some of them meanwhile.
        let partitions: Vec<(PartitionKey, SeriesMeta)> = {
            let inner = self.inner();
            keys.iter()
                .filter_map(|key| {
                    let meta = inner.series.get(&key.series)?;
                    meta.hot
                        .contains_key(&key.year)
                        .then(|| (key.clone(), meta.clone()))
                })
                .collect()
        };
        if partitions.is_empty() {
            return Ok(());
        }
        let planned = publish::encode_seal(self, &partitions)?;
        let pending: Vec<_> = planned
            .into_iter()
            .filter_map(|one| {
                let (_, meta) = partitions.iter().find(|(key, _)| *key == one.key)?;
                Some(one.with_series_id(meta.id))
            })
            .collect();
        let moved: u64 = partitions
            .iter()
            .filter_map(|(key, meta)| meta.hot.get(&key.year))
            .map(|hot| hot.rows)
            .sum();
        let count = pending.len() as u64;
        let publishing = publish::begin(self);
        let recorded = {
            let inner = self.inner();
            inner.catalog.transaction(|catalog| {
                catalog.insert_intents(&pending.iter().map(|one| &one.intent))
            })
        };
        if let Err(error) = recorded {
            publish::abort_recorded(self, &pending, &error);
            return Err(error);
        }
        crate::crash_point!("seal.after-intent");
        publish::apply_intents(self, pending)?;
        drop(publishing);
        drop(held);
        sealed.partitions += count;
        sealed.rows += moved;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_seals_at_its_end_unless_that_takes_long_in_itself_and_compared_with_the_run() {
        let seconds = Duration::from_secs_f64;
        let applies = |when: SealAtEnd, cost, run| when.applies(seconds(cost), seconds(run));
        assert!(applies(SealAtEnd::Auto, 2.0, 0.1));
        assert!(!applies(SealAtEnd::Auto, 2.1, 0.1));
        assert!(!applies(SealAtEnd::Auto, 2.1, 8.3));
        assert!(applies(SealAtEnd::Auto, 2.1, 8.5));
        assert!(applies(SealAtEnd::Always, 100.0, 1.0));
        assert!(!applies(SealAtEnd::Never, 0.0, 1.0));
    }
}
