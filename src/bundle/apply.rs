//! Apply: commits the bars of a bundle to a store.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::archive::Archive;
use super::defect::Defect;
use super::error::Error;
use super::manifest::Manifest;
use super::verify::{VerifiedBundle, open};
use crate::advice::Hint;
use crate::model::{OnConflict, SeriesKey, TimeRange, Timestamp};
use crate::report::{Counts, Event, Observer, RunReport, Stop, UnitReport, UnitStatus};
use crate::store::{AppliedBundle, Offer, Reader, Refusal, RunId, Store};

/// The most rows in one commit, unless one partition alone has more.
const PIECE_ROWS: u64 = 262_144;
/// The most offers in one commit.
const PIECE_OFFERS: usize = 256;

/// Decoded partitions for one commit.
#[derive(Default)]
struct Piece {
    offers: Vec<Offer>,
    /// The number of partitions of each ticker.
    partitions: BTreeMap<String, u64>,
    rows: u64,
    bytes: u64,
}

/// Refuses a bundle made with `--since` if the store lacks its base. `reader` is `None` if there is
/// no store.
///
/// A store has the base if the base was applied, or if it has the base's last commit, as a copy of
/// the source store does.
pub fn check_base(reader: Option<&Reader>, manifest: &Manifest) -> Result<(), Error> {
    let Some(base) = &manifest.base else {
        return Ok(());
    };
    let Some(reader) = reader else {
        return Err(Error::BaseMissing(Box::new(base.clone())));
    };
    let applied = reader.applied_bundles()?;
    if applied
        .iter()
        .any(|bundle| bundle.manifest == base.manifest_sha256)
    {
        return Ok(());
    }
    if reader.store_id() == manifest.store_id
        && let Some(commit) = &base.commit
        && reader.commit_id(commit.seq)? == Some(commit.id)
    {
        return Ok(());
    }
    Err(Error::BaseMissing(Box::new(base.clone())))
}

/// Commits all bars of a bundle under `on_conflict`, each with its own source, and then records that
/// the bundle was applied.
///
/// Bars that are stored with the same values are skipped and counted, under `fail` too, so a bundle
/// can be applied again, also after a stop or a kill.
#[allow(clippy::too_many_arguments)]
pub fn apply<R: Read + Seek + Send>(
    store: &Store,
    run: &RunId,
    bundle: VerifiedBundle<R>,
    name: &str,
    on_conflict: OnConflict,
    applied_at: Timestamp,
    observer: &dyn Observer,
    stop: &Stop,
) -> Result<RunReport, Error> {
    let began = Instant::now();
    let VerifiedBundle(mut archive) = bundle;
    let manifest = Arc::clone(archive.manifest());
    let hash = archive.hash().to_owned();
    let reader = store.reader()?;
    check_base(Some(&reader), &manifest)?;
    drop(reader);
    observer.event(&Event::Planned {
        unit: "bytes",
        total: manifest.totals.bytes,
    });
    let mut state = ApplyState::new(&manifest);
    archive.rewind()?;
    std::thread::scope(|scope| {
        // A channel without a buffer: one piece is decoded while the previous one is committed.
        let (sender, pieces) = sync_channel::<Result<Piece, Error>>(0);
        let archive = &mut archive;
        scope.spawn(move || read_pieces(archive, on_conflict, &sender));
        for piece in pieces {
            if stop.is_set() {
                break;
            }
            state.commit(store, run, piece?, observer)?;
            crate::crash_point!("bundle.apply.between-commits");
        }
        Ok::<(), Error>(())
    })?;
    let interrupted = stop.is_set();
    if !interrupted && state.refused.is_empty() {
        crate::crash_point!("bundle.apply.before-record");
        store.record_bundle(
            run,
            &AppliedBundle {
                manifest: hash,
                store_id: manifest.store_id,
                commit_seq: manifest.last_seq(),
                filter: manifest.filter.to_json(),
                bars: manifest.totals.rows,
                applied_at,
            },
        )?;
        crate::crash_point!("bundle.apply.after-record");
    }
    Ok(state.conclude(name, began.elapsed(), interrupted))
}

/// Refuses a bundle if a newer one of the same store and filter was applied: under `update` it would
/// put older values back.
///
/// Nothing proves which commit a bundle ends with, so a forged bundle can make true ones look older.
/// The user can then apply those without this check.
pub fn check_order(reader: &Reader, manifest: &Manifest) -> Result<(), Error> {
    let last = manifest.last_seq();
    let filter = manifest.filter.to_json();
    let newer = reader.applied_bundles()?.into_iter().find(|bundle| {
        bundle.store_id == manifest.store_id && bundle.filter == filter && bundle.commit_seq > last
    });
    match newer {
        Some(newer) => Err(Error::Superseded {
            commit: newer.commit_seq,
            applied_at: newer.applied_at,
        }),
        None => Ok(()),
    }
}

/// Decodes the partitions in order and sends them in pieces, until the receiver is gone.
fn read_pieces<R: Read + Seek>(
    archive: &mut Archive<R>,
    on_conflict: OnConflict,
    sender: &SyncSender<Result<Piece, Error>>,
) {
    let mut piece = Piece::default();
    loop {
        match add_partition(archive, on_conflict, &mut piece) {
            Ok(true) if piece.rows < PIECE_ROWS && piece.offers.len() < PIECE_OFFERS => {}
            Ok(more) => {
                if sender.send(Ok(std::mem::take(&mut piece))).is_err() || !more {
                    return;
                }
            }
            Err(error) => {
                let _ = sender.send(Err(error));
                return;
            }
        }
    }
}

/// Adds the next partition to the piece; `false` after the last.
fn add_partition<R: Read + Seek>(
    archive: &mut Archive<R>,
    on_conflict: OnConflict,
    piece: &mut Piece,
) -> Result<bool, Error> {
    let Some((index, bytes)) = archive.next_partition()? else {
        return Ok(false);
    };
    let entry = &archive.manifest().partitions[index];
    // This is the second read of the file: it may have changed since it was verified.
    let image = open(entry, bytes)?;
    let damaged = |why: &str| Defect::Invalid {
        path: entry.path.clone(),
        why: why.to_owned(),
    };
    let key = entry
        .key()
        .ok_or_else(|| damaged("its path doesn't name a partition"))?;
    let provenance = entry
        .provenance()
        .ok_or_else(|| damaged("its provenance can't be read"))?;
    let rows = image.rows(TimeRange::ALL, 0).map_err(|why| damaged(&why))?;
    *piece.partitions.entry(entry.ticker.clone()).or_default() += 1;
    piece.rows += entry.rows;
    piece.bytes += entry.bytes;
    for (source, bars) in rows.by_source() {
        let same = piece.offers.iter_mut().rev().find(|offer| {
            offer.series == key.series && offer.source == source && offer.provenance == provenance
        });
        match same {
            Some(offer) => offer.bars.append(bars),
            None => piece.offers.push(Offer {
                series: key.series.clone(),
                provenance: provenance.clone(),
                source,
                bars,
                on_conflict,
                is_repeated_request: true,
                coverage: Vec::new(),
            }),
        }
    }
    Ok(true)
}

/// The results so far.
struct ApplyState {
    units: BTreeMap<String, UnitReport>,
    /// The number of partitions of each ticker that aren't committed yet.
    left: BTreeMap<String, u64>,
    /// Series with refused bars. No further bars of theirs are offered.
    refused: BTreeSet<SeriesKey>,
    /// Series with a warning about their price basis: one each.
    warned: BTreeSet<SeriesKey>,
}

impl ApplyState {
    fn new(manifest: &Manifest) -> Self {
        let mut left: BTreeMap<String, u64> = BTreeMap::new();
        for entry in &manifest.partitions {
            *left.entry(entry.ticker.clone()).or_default() += 1;
        }
        let unit = |ticker: &String| UnitReport {
            status: UnitStatus::Ok,
            ..UnitReport::done(ticker.as_str(), Counts::default(), Duration::ZERO)
        };
        Self {
            units: left
                .keys()
                .map(|ticker| (ticker.clone(), unit(ticker)))
                .collect(),
            left,
            refused: BTreeSet::new(),
            warned: BTreeSet::new(),
        }
    }

    fn commit(
        &mut self,
        store: &Store,
        run: &RunId,
        piece: Piece,
        observer: &dyn Observer,
    ) -> Result<(), Error> {
        let began = Instant::now();
        let mut offers = piece.offers;
        let mut rows_of: BTreeMap<String, u64> = BTreeMap::new();
        for offer in &offers {
            let ticker = offer.series.ticker.as_str();
            let rows = offer.bars.len() as u64;
            *rows_of.entry(ticker.to_owned()).or_default() += rows;
            self.count(ticker, |counts| {
                counts.fetched += rows;
                counts.prepared += rows;
            });
        }
        offers.retain(|offer| !self.refused.contains(&offer.series));
        let series: Vec<SeriesKey> = offers.iter().map(|offer| offer.series.clone()).collect();
        for (series, result) in series.into_iter().zip(store.commit(run, offers)?) {
            let ticker = series.ticker.as_str();
            match result {
                Ok(done) => {
                    if let Some(warning) = done.basis_warning(ticker)
                        && self.warned.insert(series.clone())
                    {
                        observer.event(&Event::Warning(&warning));
                    }
                    self.count(ticker, |counts| {
                        counts.committed += done.counts.committed;
                        counts.updated += done.counts.updated;
                        counts.skipped_identical += done.counts.skipped_identical;
                        counts.skipped_restated += done.counts.skipped_restated;
                    });
                }
                Err(refusal) => {
                    self.refuse(&refusal, ticker);
                    self.refused.insert(series);
                }
            }
        }
        let elapsed = began.elapsed();
        for (ticker, rows) in rows_of {
            if let Some(unit) = self.units.get_mut(&ticker) {
                unit.elapsed += elapsed.mul_f64(rows as f64 / piece.rows.max(1) as f64);
            }
        }
        observer.event(&Event::Progress {
            done: piece.bytes,
            bars: piece.rows,
        });
        for (ticker, partitions) in piece.partitions {
            let left = self.left.entry(ticker.clone()).or_default();
            *left = left.saturating_sub(partitions);
            if *left == 0
                && let Some(unit) = self.units.get(&ticker)
            {
                observer.event(&Event::TickerDone(unit));
            }
        }
        Ok(())
    }

    fn count(&mut self, ticker: &str, add: impl FnOnce(&mut Counts)) {
        if let Some(unit) = self.units.get_mut(ticker) {
            add(&mut unit.counts);
        }
    }

    fn refuse(&mut self, refusal: &Refusal, ticker: &str) {
        let Some(unit) = self.units.get_mut(ticker) else {
            return;
        };
        let conflicts = refusal.conflicts();
        unit.counts.conflicts += conflicts.unwrap_or_default();
        if unit.status != UnitStatus::Failed {
            unit.status = UnitStatus::refused(conflicts);
        }
        unit.hint = refusal.hint();
        unit.error.get_or_insert_with(|| refusal.to_string());
    }

    fn conclude(self, name: &str, elapsed: Duration, interrupted: bool) -> RunReport {
        let tickers: Vec<UnitReport> = self.units.into_values().collect();
        let totals: Counts = tickers.iter().map(|unit| unit.counts).sum();
        let has = |status| tickers.iter().any(|unit| unit.status == status);
        let status = if has(UnitStatus::Failed) {
            UnitStatus::Failed
        } else if has(UnitStatus::Conflict) {
            UnitStatus::Conflict
        } else {
            UnitStatus::Ok
        };
        let error = tickers.iter().find_map(|unit| unit.error.clone());
        let file = UnitReport {
            status,
            error,
            ..UnitReport::done(name, totals, elapsed)
        };
        RunReport {
            tickers,
            files: vec![file],
            totals,
            interrupted,
            ..RunReport::default()
        }
    }
}
