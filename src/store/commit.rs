//! Commit: one batch, or the batches of many series, durably taken in one transaction.
//!
//! ```text
//! Offer ──sort──> Draft ──compare with staged──> Prepared ──transaction──> Committed
//!                                   └──────────> Refusal
//! ```
//!
//! Each step takes the one before by value, and only the transaction makes a [`Committed`]: what is not durable cannot
//! be counted.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::model::{
    Bars, Basis, Hours, Interval, OnConflict, Provenance, SeriesKey, Source, TimeRange, Timestamp,
};

use super::catalog::{CommitRecord, HotYear, LedgerRow, SeriesFacts, years};
use super::coverage::Answer;
use super::error::{Error, Refusal};
use super::handle::{Inner, Store};
use super::merge::{self, Sorted};
use super::publish::{self, Planned};
use super::rows::StagedRows;
use super::run::RunId;
use super::sessions;

/// A batch offered to the store.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Whose bars.
    pub series: SeriesKey,
    /// What they are: exchange, price basis, hours.
    pub provenance: Provenance,
    /// Where they come from.
    pub source: Source,
    /// The bars, in the order of the file or the answer.
    pub bars: Bars,
    /// What to do with keys that are staged already.
    pub on_conflict: OnConflict,
    /// The program itself asks again: under `fail`, identical rows are no conflict then.
    pub asked_again: bool,
    /// What was asked to get these bars; recorded with them.
    pub coverage: Vec<Answer>,
}

/// What a commit did, row by row counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows written, updated ones too.
    pub committed: u64,
    /// Rows that replaced staged values.
    pub updated: u64,
    /// Rows skipped because they say what is staged.
    pub skipped_identical: u64,
    /// Rows skipped although they say otherwise than what is staged.
    pub skipped_restated: u64,
}

/// Proof that a batch is durable. Only the store makes one, after its transaction.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Committed {
    /// The commit's place in the store's order; `None` when there was nothing to write.
    pub commit: Option<(u64, Uuid)>,
    /// What it did.
    pub counts: Tally,
}

/// A sorted offer.
struct Draft {
    offer: Offer,
    sorted: Sorted,
    offered: u64,
}

/// A draft that may be written: what it adds, what it replaces, and whereto.
pub(super) struct Prepared {
    pub series: SeriesKey,
    pub series_id: i32,
    pub is_new_series: bool,
    pub provenance: Provenance,
    pub demo: bool,
    pub commit_seq: u64,
    pub commit_id: Uuid,
    /// New and restated rows, sorted.
    pub rows: StagedRows,
    /// Keys among `rows` that replace a staged row.
    pub replaced: Vec<i64>,
    pub ledger: Vec<LedgerRow>,
    pub new_timestamps: Vec<i64>,
    pub coverage: Vec<Answer>,
    pub counts: Tally,
    pub publishes: bool,
}

impl Store {
    /// Takes the offers, each whole or not at all, in one transaction; one answer an offer, in their order.
    ///
    /// Offers of one series in the same call are taken one after another. An error means that nothing more than what
    /// was answered before it is known to be durable; a refusal means that nothing of that offer was written.
    pub fn commit(
        &self,
        run: &RunId,
        offers: Vec<Offer>,
    ) -> Result<Vec<Result<Committed, Refusal>>, Error> {
        self.check_whole()?;
        let mut answers: Vec<Option<Result<Committed, Refusal>>> =
            offers.iter().map(|_| None).collect();
        let mut waiting: Vec<(usize, Offer)> = offers.into_iter().enumerate().collect();
        while !waiting.is_empty() {
            let mut seen = BTreeSet::new();
            let (wave, rest): (Vec<_>, Vec<_>) = waiting
                .into_iter()
                .partition(|(_, offer)| seen.insert(offer.series.clone()));
            waiting = rest;
            let (places, offers): (Vec<usize>, Vec<Offer>) = wave.into_iter().unzip();
            for (place, answer) in places
                .into_iter()
                .zip(self.commit_wave(run, offers, &seen)?)
            {
                answers[place] = Some(answer);
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }

    fn commit_wave(
        &self,
        run: &RunId,
        offers: Vec<Offer>,
        keys: &BTreeSet<SeriesKey>,
    ) -> Result<Vec<Result<Committed, Refusal>>, Error> {
        let drafts: Vec<Draft> = offers
            .into_iter()
            .map(|mut offer| {
                let offered = offer.bars.len() as u64;
                let sorted = merge::sort(std::mem::take(&mut offer.bars), offer.on_conflict);
                Draft {
                    offer,
                    sorted,
                    offered,
                }
            })
            .collect();

        let held = self.locks.lock(keys.clone());
        let (facts, hot) = self.facts_of(&drafts)?;
        let mut answers = Vec::with_capacity(drafts.len());
        let mut prepared = Vec::new();
        for (draft, facts) in drafts.into_iter().zip(facts) {
            let staged_hot = facts.as_ref().and_then(|facts| hot.get(&facts.id));
            match self.prepare(draft, facts.as_ref(), staged_hot)? {
                Ok(ready)
                    if ready.rows.is_empty()
                        && ready.coverage.is_empty()
                        && ready.ledger.is_empty() =>
                {
                    answers.push(Some(Ok(Committed {
                        commit: None,
                        counts: ready.counts,
                    })));
                }
                Ok(ready) => {
                    answers.push(None);
                    prepared.push(ready);
                }
                Err(refusal) => answers.push(Some(Err(refusal))),
            }
        }
        let mut committed = self.write(run, prepared)?.into_iter();
        drop(held);
        self.seal_where_due(keys)?;
        Ok(answers
            .into_iter()
            .filter_map(|answer| answer.or_else(|| committed.next().map(Ok)))
            .collect())
    }

    /// What the catalog knows of the drafts' series, and their hot rows inside the drafts' range, in one query.
    #[allow(clippy::type_complexity)]
    fn facts_of(
        &self,
        drafts: &[Draft],
    ) -> Result<
        (
            Vec<Option<SeriesFacts>>,
            std::collections::HashMap<i32, StagedRows>,
        ),
        Error,
    > {
        let inner = self.inner();
        for draft in drafts {
            let offered = draft.offer.source.is_demo();
            if inner.demo.is_some_and(|demo| demo != offered) {
                let word = |demo: bool| if demo { "demo" } else { "real" };
                return Err(Error::DemoMix {
                    dir: self.layout.root().to_path_buf(),
                    held: word(!offered),
                    offered: word(offered),
                });
            }
        }
        let facts: Vec<Option<SeriesFacts>> = drafts
            .iter()
            .map(|draft| inner.series.get(&draft.offer.series).cloned())
            .collect();
        let mut wanted = Vec::new();
        let mut range = TimeRange {
            start: i64::MAX,
            end: i64::MIN,
        };
        for (draft, facts) in drafts.iter().zip(&facts) {
            let Some(facts) = facts else { continue };
            let span = span(&draft.sorted.bars);
            let overlaps =
                |year: &HotYear| year.first.micros() < span.end && year.last.micros() >= span.start;
            if facts.hot.values().any(overlaps) {
                wanted.push(facts.id);
                range = TimeRange {
                    start: range.start.min(span.start),
                    end: range.end.max(span.end),
                };
            }
        }
        let hot = if wanted.is_empty() {
            Default::default()
        } else {
            inner.catalog.hot_rows(&wanted, range)?
        };
        Ok((facts, hot))
    }

    /// Compares a draft with what is staged and applies the policy.
    fn prepare(
        &self,
        draft: Draft,
        facts: Option<&SeriesFacts>,
        hot: Option<&StagedRows>,
    ) -> Result<Result<Prepared, Refusal>, Error> {
        let Draft {
            offer,
            sorted,
            offered,
        } = draft;
        let Offer {
            series,
            source,
            on_conflict,
            ..
        } = &offer;
        let mut provenance = offer.provenance.clone();
        if let Some(facts) = facts {
            match mix(&facts.provenance, &offer.provenance, series.interval) {
                Some(mixed) => provenance = mixed,
                None => {
                    return Ok(Err(Refusal::Mismatch {
                        series: series.clone(),
                        recorded: facts.provenance.clone(),
                        offered: offer.provenance,
                    }));
                }
            }
        }
        let staged = match facts {
            Some(facts) => self.staged_in(series, facts, span(&sorted.bars), hot)?,
            None => StagedRows::default(),
        };
        let compared = merge::compare(&sorted.bars, &staged);
        let restated = compared.restated.len() as u64 + sorted.clashes.len() as u64;
        let identical_counts = if offer.asked_again {
            0
        } else {
            compared.identical
        };
        if *on_conflict == OnConflict::Fail && identical_counts + restated > 0 {
            let first_clash = sorted.clashes.iter().map(|(kept, _)| kept.timestamp).min();
            let first = if offer.asked_again {
                compared.first_restated
            } else {
                compared.first_conflict
            };
            return Ok(Err(Refusal::Conflicts {
                series: series.clone(),
                offered,
                identical: identical_counts,
                restated,
                first: first
                    .into_iter()
                    .chain(first_clash)
                    .min()
                    .unwrap_or(Timestamp::from_micros(0)),
            }));
        }

        let (series_id, is_new_series) =
            facts.as_ref().map_or((0, true), |facts| (facts.id, false));
        let updates = *on_conflict == OnConflict::Update;
        let mut ledger: Vec<LedgerRow> = Vec::new();
        for (batch_place, staged_place) in &compared.restated {
            ledger.push(LedgerRow {
                series_id,
                staged: staged.bars.get(*staged_place),
                staged_source: staged.sources[staged.source[*staged_place] as usize]
                    .as_str()
                    .to_owned(),
                offered: sorted.bars.get(*batch_place),
                offered_source: source.as_str().to_owned(),
                resolution: if updates { "updated" } else { "skipped" },
            });
        }
        for (kept, dropped) in &sorted.clashes {
            ledger.push(LedgerRow {
                series_id,
                staged: *kept,
                staged_source: source.as_str().to_owned(),
                offered: *dropped,
                offered_source: source.as_str().to_owned(),
                resolution: "skipped",
            });
        }

        let all_new = compared.new.len() == sorted.bars.len();
        let timestamps = sorted.bars.timestamps();
        let new_timestamps: Vec<i64> = compared
            .new
            .iter()
            .map(|place| timestamps[*place])
            .collect();
        let replaced: Vec<i64> = if updates {
            compared
                .restated
                .iter()
                .map(|(place, _)| timestamps[*place])
                .collect()
        } else {
            Vec::new()
        };
        let counts = Tally {
            committed: (new_timestamps.len() + replaced.len()) as u64,
            updated: replaced.len() as u64,
            skipped_identical: compared.identical + sorted.identical,
            skipped_restated: if updates {
                0
            } else {
                compared.restated.len() as u64
            } + sorted.clashes.len() as u64,
        };
        let bars = if all_new {
            sorted.bars
        } else {
            let mut places = compared.new;
            if updates {
                places.extend(compared.restated.iter().map(|(place, _)| *place));
                places.sort_unstable();
            }
            sorted.bars.select(&places)
        };
        let restates_sealed = facts.as_ref().is_some_and(|facts| {
            replaced.iter().any(|ts| {
                facts
                    .partitions
                    .contains_key(&Timestamp::from_micros(*ts).year())
            })
        });
        let commit_seq = self.take_seq();
        Ok(Ok(Prepared {
            publishes: restates_sealed || bars.len() as u64 >= self.options.seal.publish_rows_min,
            rows: StagedRows::of_commit(bars, source, commit_seq),
            series: series.clone(),
            series_id,
            is_new_series,
            provenance,
            demo: source.is_demo(),
            commit_seq,
            commit_id: Uuid::new_v4(),
            replaced,
            ledger,
            new_timestamps,
            coverage: offer.coverage,
            counts,
        }))
    }

    /// The staged rows of a series inside `range`, from both tiers, sorted.
    fn staged_in(
        &self,
        series: &SeriesKey,
        facts: &SeriesFacts,
        range: TimeRange,
        hot: Option<&StagedRows>,
    ) -> Result<StagedRows, Error> {
        let mut sealed = StagedRows::default();
        for (year, partition) in &facts.partitions {
            if partition.first.micros() < range.end && partition.last.micros() >= range.start {
                let open = publish::open_checked(&self.layout, series, *year, partition)?;
                sealed.append(open.rows(range)?);
            }
        }
        let hot = hot.map_or_else(StagedRows::default, |hot| {
            let ts = hot.bars.timestamps();
            hot.slice(
                ts.partition_point(|t| *t < range.start)..ts.partition_point(|t| *t < range.end),
            )
        });
        Ok(sealed.merge(hot))
    }

    /// Writes what was prepared: partitions first, then the one transaction, then the renames.
    fn write(&self, run: &RunId, mut prepared: Vec<Prepared>) -> Result<Vec<Committed>, Error> {
        if prepared.is_empty() {
            return Ok(Vec::new());
        }
        let new_partitions: Vec<Planned> = publish::encode(self, &mut prepared)?;
        let mut inner = self.inner();
        let before = inner.next_series_id;
        let result = self.transact(&mut inner, run, &mut prepared, new_partitions);
        let intents = match result {
            Ok(intents) => intents,
            Err(error) => {
                inner.next_series_id = before;
                return Err(error);
            }
        };
        drop(inner);
        crate::crash_point!("commit.after-transaction");
        let written = prepared.iter().filter(|ready| ready.counts.committed > 0);
        if let Some(last) = written.map(|ready| ready.commit_seq).max() {
            self.acknowledge(last);
        }
        publish::carry_out(self, intents)?;
        Ok(prepared
            .into_iter()
            .map(|ready| Committed {
                commit: (ready.counts.committed > 0).then_some((ready.commit_seq, ready.commit_id)),
                counts: ready.counts,
            })
            .collect())
    }

    fn transact(
        &self,
        inner: &mut Inner,
        run: &RunId,
        prepared: &mut [Prepared],
        partitions: Vec<Planned>,
    ) -> Result<Vec<publish::Pending>, Error> {
        for ready in prepared.iter_mut().filter(|ready| ready.is_new_series) {
            // An offer that adds no bars makes no series.
            if ready.counts.committed > 0 {
                ready.series_id = inner.next_series_id;
                inner.next_series_id += 1;
            }
        }
        for ready in prepared.iter_mut() {
            let id = ready.series_id;
            ready.ledger.iter_mut().for_each(|row| row.series_id = id);
        }
        let mut session_rows = Vec::new();
        for ready in prepared.iter() {
            let calendar = inner.calendar(&ready.provenance.exchange);
            session_rows.extend(sessions::count(
                ready.series_id,
                &ready.new_timestamps,
                calendar.as_ref(),
            ));
        }
        let commits: Vec<CommitRecord> = prepared
            .iter()
            .filter(|ready| ready.counts.committed > 0)
            .map(|ready| CommitRecord {
                commit_seq: ready.commit_seq,
                commit_id: ready.commit_id,
                series_id: ready.series_id,
                rows: ready.counts.committed,
                updated: ready.counts.updated,
            })
            .collect();
        let ledger: Vec<LedgerRow> = prepared
            .iter()
            .flat_map(|ready| ready.ledger.iter().cloned())
            .collect();
        let coverage: Vec<Answer> = prepared
            .iter()
            .flat_map(|ready| ready.coverage.iter().cloned())
            .collect();
        let ids: BTreeMap<&SeriesKey, i32> =
            prepared.iter().map(|r| (&r.series, r.series_id)).collect();
        let pending: Vec<publish::Pending> = partitions
            .into_iter()
            .map(|planned| {
                let id = ids.get(&planned.key.series).copied().unwrap_or_default();
                planned.with_series_id(id)
            })
            .collect();

        let mark_kind =
            inner.demo.is_none() && prepared.iter().any(|ready| ready.counts.committed > 0);
        let demo = prepared.iter().any(|ready| ready.demo);
        crate::crash_point!("commit.before-transaction");
        let result = inner.catalog.transaction(|catalog| {
            if mark_kind {
                catalog.set_meta("bars", if demo { "demo" } else { "real" })?;
            }
            let new_series: Vec<_> = prepared
                .iter()
                .filter(|ready| ready.counts.committed > 0 && ready.is_new_series)
                .map(|ready| (ready.series_id, &ready.series, &ready.provenance))
                .collect();
            catalog.insert_all_series(&new_series)?;
            for ready in prepared.iter().filter(|ready| ready.counts.committed > 0) {
                if inner
                    .series
                    .get(&ready.series)
                    .is_some_and(|f| f.provenance != ready.provenance)
                {
                    catalog.update_series(ready.series_id, &ready.provenance)?;
                }
                if !ready.publishes {
                    catalog.delete_hot(ready.series_id, &ready.replaced)?;
                }
            }
            let hot = prepared
                .iter()
                .filter(|ready| !ready.publishes && !ready.rows.is_empty());
            catalog.insert_hot(hot.map(|ready| (ready.series_id, &ready.rows)))?;
            catalog.insert_commits(run, &commits)?;
            catalog.insert_conflicts(run, &ledger)?;
            catalog.insert_sessions(&session_rows)?;
            catalog.insert_coverage(run, &coverage)?;
            catalog.insert_intents(pending.iter().map(|one| &one.intent))
        });
        if let Err(error) = result {
            publish::discard(self, &pending, &error);
            return Err(error);
        }
        if mark_kind {
            inner.demo = Some(demo);
        }
        for ready in prepared.iter().filter(|ready| ready.counts.committed > 0) {
            let facts = inner
                .series
                .entry(ready.series.clone())
                .or_insert_with(|| SeriesFacts::new(ready.series_id, ready.provenance.clone()));
            facts.provenance = ready.provenance.clone();
            if !ready.publishes {
                note_hot(facts, ready);
            }
        }
        Ok(pending)
    }
}

/// Counts a commit's rows into the hot tier's facts.
fn note_hot(facts: &mut SeriesFacts, ready: &Prepared) {
    let timestamps = ready.rows.bars.timestamps();
    for (year, range) in years(timestamps) {
        let first = Timestamp::from_micros(timestamps[range.start]);
        let last = Timestamp::from_micros(timestamps[range.end - 1]);
        let replaced = ready
            .replaced
            .iter()
            .filter(|ts| Timestamp::from_micros(**ts).year() == year)
            .count();
        let added = (range.len() - replaced) as u64;
        facts
            .hot
            .entry(year)
            .or_insert(HotYear {
                rows: 0,
                first,
                last,
                max_commit_seq: 0,
            })
            .add(added, first, last, ready.commit_seq);
    }
}

/// The range that sorted bars span; empty for no bars.
fn span(bars: &Bars) -> TimeRange {
    match (bars.timestamps().first(), bars.timestamps().last()) {
        (Some(first), Some(last)) => TimeRange {
            start: *first,
            end: *last + 1,
        },
        _ => TimeRange { start: 0, end: 0 },
    }
}

/// What a series is recorded as after bars of `offered` join it; `None` when they must not mix.
fn mix(recorded: &Provenance, offered: &Provenance, interval: Interval) -> Option<Provenance> {
    if recorded.exchange != offered.exchange {
        return None;
    }
    let basis = match (recorded.basis, offered.basis) {
        (Basis::Unknown, other) | (other, Basis::Unknown) => other,
        (a, b) if a == b => a,
        _ => return None,
    };
    let hours = match (recorded.hours, offered.hours) {
        (Hours::Unknown, other) | (other, Hours::Unknown) => other,
        (a, b) if a == b => a,
        // At 60 minutes the grids of regular and extended hours differ; below, extended hours only add bars.
        _ if interval == Interval::M60 => return None,
        _ => Hours::Extended,
    };
    Some(Provenance {
        exchange: recorded.exchange.clone(),
        basis,
        hours,
    })
}
