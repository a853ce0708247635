//! Reads the bars of one series from both tiers as a stream.

use std::collections::VecDeque;
use std::path::PathBuf;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;

use crate::model::TimeRange;

use super::columns::{commit_seqs, timestamps};
use super::error::Error;
use super::lake::BATCH_ROWS;
use super::lake::read::{Batches, Partition};
use super::rows::StagedRows;

/// The partition and the hot rows of one UTC year of a series.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub path: Option<PathBuf>,
    pub hot: StagedRows,
    /// Earlier values, which hide the newer ones of their keys.
    pub replaced: StagedRows,
}

/// The bars of one series in order, as Arrow batches of [`scan_schema`](super::scan_schema) with up
/// to [`BATCH_ROWS`] rows. Only one batch and the hot rows are in memory.
pub struct Scan {
    parts: VecDeque<Part>,
    range: TimeRange,
    after_seq: u64,
    through_seq: u64,
    current: Option<Current>,
    ready: VecDeque<RecordBatch>,
}

struct Current {
    batches: Option<Batches>,
    hot: StagedRows,
    hot_at: usize,
}

impl Scan {
    pub(super) fn empty() -> Self {
        Self::new(Vec::new(), TimeRange::ALL, 0, u64::MAX)
    }

    pub(super) fn new(
        parts: Vec<Part>,
        range: TimeRange,
        after_seq: u64,
        through_seq: u64,
    ) -> Self {
        Self {
            parts: parts.into(),
            range,
            after_seq,
            through_seq,
            current: None,
            ready: VecDeque::new(),
        }
    }

    fn advance(&mut self) -> Result<bool, Error> {
        if let Some(current) = &mut self.current {
            match current.batches.as_mut().and_then(Iterator::next) {
                Some(batch) => {
                    let batch = batch?;
                    let merged = current.merge_up_to_end_of(batch);
                    self.queue(merged);
                }
                None => {
                    let rest = current.hot.slice(current.hot_at..current.hot.len());
                    self.current = None;
                    if !rest.is_empty() {
                        self.queue(rest.into_batch());
                    }
                }
            }
            return Ok(true);
        }
        let Some(part) = self.parts.pop_front() else {
            return Ok(false);
        };
        let mut hot = part.hot;
        let batches = match part.path {
            Some(path) => {
                let partition = Partition::open(&path)?;
                // A publish after this reader was opened has moved hot rows into the file.
                if hot
                    .commit_seq
                    .iter()
                    .any(|seq| *seq as u64 <= partition.footer.commit_seq)
                {
                    hot = without_absorbed(&hot, &partition)?;
                }
                Some(partition.batches(self.range)?)
            }
            None => None,
        };
        if !part.replaced.is_empty() {
            hot = hot.merge(part.replaced);
        }
        self.current = Some(Current {
            batches,
            hot,
            hot_at: 0,
        });
        Ok(true)
    }

    /// Queues the rows of the wanted commits, in batches of the documented size.
    fn queue(&mut self, batch: RecordBatch) {
        let batch = self.of_wanted_commits(batch);
        let mut start = 0;
        while start < batch.num_rows() {
            let rows = (batch.num_rows() - start).min(BATCH_ROWS);
            self.ready.push_back(batch.slice(start, rows));
            start += rows;
        }
    }

    fn of_wanted_commits(&self, batch: RecordBatch) -> RecordBatch {
        if self.after_seq == 0 && self.through_seq == u64::MAX {
            return batch;
        }
        let Some(seqs) = commit_seqs(&batch) else {
            return batch;
        };
        let wanted: BooleanArray = seqs
            .iter()
            .map(|seq| Some(self.after_seq < *seq as u64 && *seq as u64 <= self.through_seq))
            .collect();
        filter_record_batch(&batch, &wanted).unwrap_or(batch)
    }
}

impl Current {
    /// The batch together with the hot rows before its end.
    fn merge_up_to_end_of(&mut self, batch: RecordBatch) -> RecordBatch {
        let Some(last) = timestamps(&batch).and_then(|times| times.last().copied()) else {
            return batch;
        };
        let hot = &self.hot.bars.timestamps()[self.hot_at..];
        let before = hot.partition_point(|ts| *ts <= last);
        if before == 0 {
            return batch;
        }
        let part = self.hot.slice(self.hot_at..self.hot_at + before);
        self.hot_at += before;
        match StagedRows::from_batch(&batch) {
            Some(sealed) => sealed.merge(part).into_batch(),
            None => batch,
        }
    }
}

/// The hot rows that aren't in the partition yet.
fn without_absorbed(hot: &StagedRows, partition: &Partition) -> Result<StagedRows, Error> {
    let sealed = partition.timestamps()?;
    let mut out = StagedRows::default();
    for (row, timestamp) in hot.bars.timestamps().iter().enumerate() {
        if hot.commit_seq[row] as u64 > partition.footer.commit_seq
            || sealed.binary_search(timestamp).is_err()
        {
            out.extend_from(hot, row..row + 1);
        }
    }
    Ok(out)
}

impl Iterator for Scan {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Some(Ok(batch));
            }
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.parts.clear();
                    self.current = None;
                    return Some(Err(error));
                }
            }
        }
    }
}
