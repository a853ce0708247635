//! The writer thread: commits batches, many at once.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::Error;
use super::batch::{Batch, BatchOutcome, QueuedBatch, WriterContext};
use super::queue::Queue;
use super::restatement::{BasisCheck, Restatement};
use crate::advice::{Advice, Hint};
use crate::export::BarsWriter;
use crate::model::{Bars, Reject, SeriesKey};
use crate::provider::Gate;
use crate::store::{
    CoverageEntry, Offer, Refusal, RejectLine, RejectedRows, RejectsFile, RunId, Store, Tally,
};

/// What the thread returns.
pub(super) struct WriterResult {
    pub output: Option<BarsWriter>,
    /// The file with the rejects, if there are any.
    pub rejects: Option<PathBuf>,
}

pub(super) struct WriterThread {
    context: WriterContext,
    rejects: Option<RejectsFile>,
    /// Series with a refused batch: no further batch of theirs is offered.
    refused: HashSet<SeriesKey>,
    basis: BasisCheck,
    gate: Arc<Gate>,
}

/// Windows of one series that are offered as one batch: one commit instead of many.
struct SeriesBatch {
    series: SeriesKey,
    refetch: bool,
    windows: Vec<QueuedBatch>,
}

impl WriterThread {
    pub(super) fn new(context: WriterContext, gate: Arc<Gate>) -> Self {
        let store = context.store.as_ref();
        Self {
            rejects: store.map(|(store, run)| RejectsFile::new(store.rejects_path(run))),
            refused: HashSet::new(),
            basis: BasisCheck::default(),
            gate,
            context,
        }
    }

    /// Works until every sender of the queue is dropped.
    pub(super) fn run(mut self, queue: &Queue) -> Result<WriterResult, Error> {
        let worked = self.work(queue);
        let spending = self.context.spending.as_mut();
        let recorded = spending.map_or(Ok(()), |spending| spending.record(self.gate.sent()));
        if worked.is_err() {
            self.gate.close();
        }
        worked.and(recorded)?;
        Ok(WriterResult {
            output: self.context.output,
            rejects: self.rejects.and_then(|rejects| rejects.written().cloned()),
        })
    }

    fn work(&mut self, queue: &Queue) -> Result<(), Error> {
        let mut deferred = Vec::new();
        loop {
            // Requests count against the quota even while no bars arrive.
            let group =
                queue.next_group(std::mem::take(&mut deferred), || self.record_spending())?;
            let Some(group) = group else { return Ok(()) };
            deferred = self.commit_group(group)?;
        }
    }

    fn record_spending(&mut self) -> Result<(), Error> {
        match &mut self.context.spending {
            Some(spending) => spending.record_now_and_then(self.gate.sent()),
            None => Ok(()),
        }
    }

    /// Writes out a group and commits it. Returns the batches that have to wait for the next group.
    fn commit_group(&mut self, group: Vec<QueuedBatch>) -> Result<Vec<QueuedBatch>, Error> {
        let mut deferred = Vec::new();
        let mut batches: Vec<SeriesBatch> = Vec::new();
        let mut rejected: Vec<RejectedRows> = Vec::new();
        for queued in group {
            let batch = &queued.batch;
            if self.refused.contains(&batch.series) {
                queued.finish(BatchOutcome::SkippedAfterRefusal);
                continue;
            }
            let known = batches
                .iter_mut()
                .find(|known| known.series == batch.series);
            if known
                .as_ref()
                .is_some_and(|known| known.refetch != batch.refetch)
            {
                // It is not offered at all if one of the batches before it is refused.
                deferred.push(queued);
                continue;
            }
            if let Some(output) = &self.context.output {
                output.add(&batch.series.ticker, batch.bars.clone())?;
            }
            if let Some(rejects) = &mut self.rejects {
                add_rejects(rejects, &batch.rejects)?;
            }
            if !batch.missing.is_empty() {
                rejected.push(RejectedRows {
                    series: batch.series.clone(),
                    exchange: self.context.provenance.exchange.clone(),
                    opens: batch.missing.clone(),
                });
            }
            match known {
                Some(known) => known.windows.push(queued),
                None => batches.push(SeriesBatch {
                    series: batch.series.clone(),
                    refetch: batch.refetch,
                    windows: vec![queued],
                }),
            }
        }
        match self.context.store.clone() {
            Some((store, run)) => {
                store.record_rejected(&rejected)?;
                self.commit(&store, &run, batches)?;
            }
            None => {
                for queued in batches.into_iter().flat_map(|batch| batch.windows) {
                    queued.finish(BatchOutcome::Committed(Tally::default()));
                }
            }
        }
        self.record_spending()?;
        Ok(deferred)
    }

    /// Commits each series' batch, all in one call; a batch that is refused is taken apart.
    fn commit(
        &mut self,
        store: &Store,
        run: &RunId,
        batches: Vec<SeriesBatch>,
    ) -> Result<(), Error> {
        let mut with_bars = Vec::new();
        let mut without_bars = Vec::new();
        for mut batch in batches {
            // First, so that stored bars that came without new ones are compared too.
            let found = self
                .basis
                .compare(store, &self.context, &batch.series, &batch.windows)?;
            if found.is_some() {
                self.commit_one_by_one(store, run, batch)?;
                continue;
            }
            let (empty, windows): (Vec<_>, Vec<_>) =
                (batch.windows.into_iter()).partition(|window| window.batch.bars.is_empty());
            batch.windows = windows;
            without_bars.extend(empty);
            if !batch.windows.is_empty() {
                self.basis
                    .warn_if_not_compared(&self.context, &batch.series);
                with_bars.push(batch);
            }
        }
        let coverage: Vec<CoverageEntry> = (without_bars.iter())
            .flat_map(|window| window.batch.coverage.iter().cloned())
            .collect();
        store.record_coverage(run, &coverage)?;
        for window in without_bars {
            window.finish(BatchOutcome::Committed(Tally::default()));
        }
        if with_bars.is_empty() {
            return Ok(());
        }
        let offers = (with_bars.iter_mut())
            .map(|batch| self.offer(&batch.series, batch.refetch, &mut batch.windows))
            .collect();
        let outcomes = store.commit(run, offers)?;
        for (mut batch, outcome) in with_bars.into_iter().zip(outcomes) {
            match outcome {
                Ok(committed) => {
                    // The first window gets the counts; all are of one ticker.
                    let mut counts = Some(committed.counts);
                    for window in batch.windows {
                        let counts = counts.take().unwrap_or_default();
                        window.finish(BatchOutcome::Committed(counts));
                    }
                }
                Err(refusal) => match batch.windows.pop() {
                    Some(window) if batch.windows.is_empty() => {
                        self.refuse(store, &refusal, window, None);
                    }
                    last => {
                        batch.windows.extend(last);
                        self.commit_one_by_one(store, run, batch)?;
                    }
                },
            }
        }
        Ok(())
    }

    /// Offers each window of a refused batch by itself, up to the first that is refused: to the
    /// user, a batch is one window's bars.
    fn commit_one_by_one(
        &mut self,
        store: &Store,
        run: &RunId,
        batch: SeriesBatch,
    ) -> Result<(), Error> {
        let SeriesBatch {
            series,
            refetch,
            windows,
        } = batch;
        for window in windows {
            if self.refused.contains(&series) {
                window.finish(BatchOutcome::SkippedAfterRefusal);
                continue;
            }
            let mut alone = [window];
            let found = self.basis.compare(store, &self.context, &series, &alone)?;
            if let Some(found) = &found
                && !(self.basis).may_continue(store, &self.context, found, &alone[0].batch)
            {
                let [window] = alone;
                let outcome = found.stopped(store, &self.context, &window.batch);
                self.refused.insert(series.clone());
                window.finish(outcome);
                continue;
            }
            if alone[0].batch.bars.is_empty() {
                let [window] = alone;
                store.record_coverage(run, &window.batch.coverage)?;
                window.finish(BatchOutcome::Committed(Tally::default()));
                continue;
            }
            let offer = self.offer(&series, refetch, &mut alone);
            let outcome = store.commit(run, vec![offer])?.pop();
            let [window] = alone;
            match outcome {
                Some(Ok(committed)) => window.finish(BatchOutcome::Committed(committed.counts)),
                Some(Err(refusal)) => self.refuse(store, &refusal, window, found.as_ref()),
                None => {}
            }
        }
        Ok(())
    }

    /// The bars of consecutive windows as one offer. Several windows keep their bars, in case the
    /// offer is refused.
    fn offer(&self, series: &SeriesKey, refetch: bool, windows: &mut [QueuedBatch]) -> Offer {
        let mut bars = Bars::default();
        let mut coverage = Vec::new();
        let is_one = windows.len() == 1;
        for QueuedBatch { batch, .. } in windows {
            if is_one {
                bars = std::mem::take(&mut batch.bars);
            } else {
                bars.extend_from(&batch.bars, 0..batch.bars.len());
            }
            coverage.extend(batch.coverage.iter().cloned());
        }
        Offer {
            series: series.clone(),
            provenance: self.context.provenance.clone(),
            source: self.context.source.clone(),
            bars,
            on_conflict: self.context.on_conflict,
            is_repeated_request: refetch,
            coverage,
        }
    }

    fn refuse(
        &mut self,
        store: &Store,
        refusal: &Refusal,
        window: QueuedBatch,
        found: Option<&Restatement>,
    ) {
        let (error, hint) = match found {
            Some(found) => (
                format!("{refusal}: {found}"),
                Some(found.fetch_again(store, &self.context, &window.batch)),
            ),
            None => (refusal.to_string(), advice(store, refusal, &window.batch)),
        };
        self.refused.insert(window.batch.series.clone());
        window.finish(BatchOutcome::Refused {
            refusal: refusal.clone(),
            error,
            hint,
        });
    }
}

/// Writes rejects durably, before the bars of their windows are offered.
fn add_rejects(file: &mut RejectsFile, rejects: &[Reject]) -> Result<(), Error> {
    let lines = rejects.iter().map(|reject| RejectLine {
        origin: &reject.origin,
        line: reject.line,
        reason: reject.reason,
        raw: &reject.raw,
    });
    let added = file.add(std::iter::once((0, lines)));
    added.map_err(|source| Error::Rejects {
        path: file.path().to_owned(),
        source,
    })
}

/// What the user can do about a refused batch.
fn advice(store: &Store, refusal: &Refusal, batch: &Batch) -> Option<Advice> {
    match refusal.hint() {
        Some(Advice::OnConflict { .. }) => Some(Advice::OnConflict {
            can_resume: is_covered(store, batch),
        }),
        other => other,
    }
}

/// Whether coverage shows all of a batch as answered, so that a resumed run leaves it out.
fn is_covered(store: &Store, batch: &Batch) -> bool {
    let Some(provider) = batch.coverage.first().map(|entry| &entry.provider) else {
        return false;
    };
    let known = (store.reader()).and_then(|reader| reader.coverage(provider, &batch.series));
    known.is_ok_and(|known| {
        batch.coverage.iter().all(|entry| {
            known.iter().any(|known| {
                known.status.is_answered()
                    && known.provenance == entry.provenance
                    && known.dates.first() <= entry.dates.first()
                    && entry.dates.last() <= known.dates.last()
            })
        })
    })
}
