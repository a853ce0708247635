//! Seal: hot rows into the lake, when they are due, at the end of a run, or on request.
//!
//! The rule ([`SealRule`](super::SealRule)) bounds what is written again: a partition is sealed
//! when it has one hot row for every few sealed ones. So on average each bar is rewritten a few
//! times at most, however small the commits are. The end of a run seals more often. That is cheap
//! where bars follow the sealed ones, because most row groups are then copied as they are.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::model::SeriesKey;

use super::catalog::{HotYear, PartitionMeta, SeriesMeta};
use super::error::Error;
use super::handle::Store;
use super::lake::rows_encoded;
use super::layout::PartitionKey;
use super::publish;

/// Partitions sealed in one publish at most. This bounds memory and the files in `tmp/`.
const PARTITIONS_AT_ONCE: usize = 256;
/// Rows that one publish of a seal encodes at most, unless one partition alone has more.
const ROWS_AT_ONCE: u64 = 500_000;

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
    /// Runs that the seal lengthens by at most 2 s or a quarter, as estimated.
    #[default]
    Auto,
    /// All.
    Always,
    /// None.
    Never,
}

/// [`SealAtEnd::Auto`] seals if the estimate is at most this many seconds.
const SECONDS_MAX: f64 = 2.0;
/// [`SealAtEnd::Auto`] seals if the estimate is at most this share of the run's duration.
const SHARE_OF_RUN_MAX: f64 = 0.25;
/// Rows, hot and sealed, that a seal merges and encodes in a second on two idle cores.
const ROWS_PER_SECOND: f64 = 6_000_000.0;
/// Bytes of row groups that a seal copies in a second.
const COPIED_BYTES_PER_SECOND: f64 = 500e6;
/// What each partition adds to a seal: its file is written, renamed and recorded.
const SECONDS_PER_PARTITION: f64 = 0.001;
/// A seal ends early if it takes this many times as long as allowed. The rates are estimates: a busy
/// machine is two to three times slower, and partitions of an older format are encoded whole.
const OVERRUN_MAX: f64 = 3.0;

impl SealAtEnd {
    /// How long a run that took `elapsed` may seal at its end, if that is estimated to take `cost`;
    /// `None` if it doesn't seal.
    fn limit(self, cost: f64, elapsed: Duration) -> Option<Duration> {
        let worth = SECONDS_MAX.max(SHARE_OF_RUN_MAX * elapsed.as_secs_f64());
        match self {
            Self::Auto => (cost <= worth).then(|| Duration::from_secs_f64(OVERRUN_MAX * worth)),
            Self::Always => Some(Duration::MAX),
            Self::Never => None,
        }
    }
}

/// What sealing takes, estimated from the counts in the catalog.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Work {
    encoded_rows: u64,
    copied_bytes: u64,
    partitions: u32,
}

impl Work {
    fn of(hot: &HotYear, sealed: Option<&PartitionMeta>) -> Self {
        let (encoded_rows, copied_bytes) = match sealed {
            // Bars after the sealed ones: row groups are copied.
            Some(sealed) if sealed.last < hot.first => {
                let again = rows_encoded(hot.rows).min(sealed.rows);
                (hot.rows + again, sealed.digest.bytes)
            }
            Some(sealed) => (hot.rows + sealed.rows, 0),
            None => (hot.rows, 0),
        };
        Self {
            encoded_rows,
            copied_bytes,
            partitions: 1,
        }
    }

    fn add(&mut self, other: Self) {
        self.encoded_rows += other.encoded_rows;
        self.copied_bytes += other.copied_bytes;
        self.partitions += other.partitions;
    }

    fn seconds(self) -> f64 {
        self.encoded_rows as f64 / ROWS_PER_SECOND
            + self.copied_bytes as f64 / COPIED_BYTES_PER_SECOND
            + f64::from(self.partitions) * SECONDS_PER_PARTITION
    }
}

impl Store {
    /// Moves all hot rows into the lake at the end of a run that took `elapsed`, if `when` says so.
    /// Hot rows that earlier runs left are among them. If this fails, the bars are as durable as
    /// before.
    pub fn seal_at_end(&self, when: SealAtEnd, elapsed: Duration) -> Result<Sealed, Error> {
        let mut work = Work::default();
        for meta in self.inner().series.values() {
            for (year, hot) in &meta.hot {
                work.add(Work::of(hot, meta.partitions.get(year)));
            }
        }
        match when.limit(work.seconds(), elapsed) {
            Some(limit) if work.partitions > 0 => {
                self.seal_until(Instant::now().checked_add(limit))
            }
            _ => Ok(Sealed::default()),
        }
    }

    /// How many rows are not in the lake.
    #[must_use]
    pub fn hot_rows(&self) -> u64 {
        self.inner().hot_rows()
    }

    /// Moves all hot rows into the lake.
    pub fn seal(&self) -> Result<Sealed, Error> {
        self.seal_until(None)
    }

    /// Moves all hot rows into the lake, those of whole partitions until `end`.
    fn seal_until(&self, end: Option<Instant>) -> Result<Sealed, Error> {
        self.check_whole()?;
        let sealed = self.seal_partitions(self.hot_partitions(), end)?;
        self.inner().catalog.fold_sessions()?;
        Ok(sealed)
    }

    /// Seals the partitions of `touched` series that are due by the rule, or everything if the hot
    /// tier is full.
    pub(super) fn seal_where_due(&self, touched: &BTreeSet<SeriesKey>) -> Result<(), Error> {
        let rule = self.options.seal;
        let full = {
            let inner = self.inner();
            let hot = inner.hot_rows();
            hot >= rule.store_rows_min
                && hot >= inner.sealed_rows() / rule.store_sealed_per_hot.max(1)
        };
        let due = if full {
            self.hot_partitions()
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
        self.seal_partitions(due, None).map(|_| ())
    }

    /// All partitions with hot rows, those with the most first: if a seal ends early, the others
    /// are first next time.
    fn hot_partitions(&self) -> Vec<PartitionKey> {
        let inner = self.inner();
        let mut found = Vec::new();
        for (key, meta) in &inner.series {
            let years = meta.hot.iter();
            found.extend(years.map(|(year, hot)| (hot.rows, PartitionKey::new(key, *year))));
        }
        found.sort_by_key(|(rows, _)| std::cmp::Reverse(*rows));
        found.into_iter().map(|(_, key)| key).collect()
    }

    /// Seals partitions in groups, of which none begins after `end`.
    fn seal_partitions(
        &self,
        due: Vec<PartitionKey>,
        end: Option<Instant>,
    ) -> Result<Sealed, Error> {
        let mut sealed = Sealed::default();
        let mut group: Vec<PartitionKey> = Vec::new();
        let mut weight = 0;
        for key in due {
            let rows = self.rows_to_encode(&key);
            if !group.is_empty()
                && (group.len() == PARTITIONS_AT_ONCE || weight + rows > ROWS_AT_ONCE)
            {
                self.seal_group(&group, &mut sealed)?;
                group.clear();
                weight = 0;
                if end.is_some_and(|end| Instant::now() >= end) {
                    return Ok(sealed);
                }
            }
            weight += rows;
            group.push(key);
        }
        if !group.is_empty() {
            self.seal_group(&group, &mut sealed)?;
        }
        Ok(sealed)
    }

    fn rows_to_encode(&self, key: &PartitionKey) -> u64 {
        let inner = self.inner();
        let work = inner.series.get(&key.series).and_then(|meta| {
            let hot = meta.hot.get(&key.year)?;
            Some(Work::of(hot, meta.partitions.get(&key.year)))
        });
        work.map_or(0, |work| work.encoded_rows)
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
    use uuid::Uuid;

    use super::*;
    use crate::model::Timestamp;
    use crate::store::durable::Digest;

    #[test]
    fn a_run_seals_at_its_end_unless_that_takes_long_in_itself_and_compared_with_the_run() {
        let seconds = Duration::from_secs_f64;
        let auto = |cost, run| SealAtEnd::Auto.limit(cost, seconds(run));
        assert_eq!(auto(2.0, 0.1), Some(seconds(6.0)));
        assert_eq!(auto(2.1, 0.1), None);
        assert_eq!(auto(2.1, 7.9), None);
        assert_eq!(auto(2.1, 100.0), Some(seconds(75.0)));
        let always = SealAtEnd::Always.limit(100.0, seconds(1.0));
        assert_eq!(always, Some(Duration::MAX));
        assert_eq!(SealAtEnd::Never.limit(0.0, seconds(1.0)), None);
    }

    #[test]
    fn a_day_of_five_hundred_tickers_is_cheap_after_their_sealed_bars_and_not_among_them() {
        let at = Timestamp::from_micros;
        let sealed = PartitionMeta {
            rows: 98_000,
            first: at(0),
            last: at(1_000),
            commit_seq: 1,
            commit_id: Uuid::nil(),
            row_hash: String::new(),
            digest: Digest {
                checksum: String::new(),
                bytes: 900_000,
                modified_ns: 0,
            },
            store_id: Uuid::nil(),
        };
        let day_from = |first| {
            let mut work = Work::default();
            for _ in 0..500 {
                let hot = HotYear {
                    rows: 390,
                    first: at(first),
                    last: at(2_000),
                    max_commit_seq: 2,
                };
                work.add(Work::of(&hot, Some(&sealed)));
            }
            work.seconds()
        };
        assert!(day_from(1_001) < SECONDS_MAX);
        assert!(day_from(1_000) > SECONDS_MAX);
    }
}
