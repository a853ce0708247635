//! A run: the targets, the probe, the workers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use chrono::NaiveDate;
use chrono_tz::Tz;
use tokio_postgres::Client;
use uuid::Uuid;

use super::connect::{Address, ConnectError};
use super::errors::{Class, Error, classify};
use super::progress::{Probed, ProgressTable};
use super::receipt::Receipt;
use super::series::Worker;
use super::source::{SeriesInfo, Source};
use super::target::{self, Target, TargetSpec};
use crate::calendar::Calendar;
use crate::model::{DateRange, Interval, OnConflict, SeriesKey, Ticker, TimeRange};
use crate::report::{Counts, Event, Fatal, Observer, RunReport, Stop, UnitReport, UnitStatus};

/// Bars in a chunk: one transaction.
pub const CHUNK_ROWS_DEFAULT: usize = 131_072;
/// The table for 1-minute bars; those of other intervals have theirs behind it.
const TABLE_DEFAULT: &str = "market_data";

/// What a sync is to do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to.
    pub address: Address,
    /// Into which table; by interval where there is none.
    pub table: Option<String>,
    /// Create the table where it is missing.
    pub create_table: bool,
    /// Only these tickers; all where empty.
    pub tickers: Vec<Ticker>,
    /// Only this interval.
    pub interval: Option<Interval>,
    /// First trading date, inclusive.
    pub start: Option<NaiveDate>,
    /// Last trading date, inclusive.
    pub end: Option<NaiveDate>,
    /// What to do with rows that the target holds with other values.
    pub on_conflict: OnConflict,
    /// Connections at once.
    pub threads: usize,
    /// Ignore the recorded progress and compare all.
    pub full: bool,
    /// Compare, write nothing.
    pub dry_run: bool,
    /// How arrival is checked.
    pub receipt: Receipt,
    /// Let integer columns take rounded volumes.
    pub round_volume: bool,
    /// The zone of a `timestamp` column.
    pub target_zone: Option<Tz>,
    /// Sync the simulator's bars too.
    pub allow_demo: bool,
    /// Bars in a chunk.
    pub chunk_rows: usize,
    /// What a failure costs, and how many are borne.
    pub patience: Patience,
}

/// How failures that may pass are borne: lost connections, deadlocks, a server that restarts.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Failures in a row, without a chunk between them, that one series may cost.
    pub failures_max: u32,
    /// The first wait; each further one is twice as long.
    pub wait_ms_min: u64,
    /// The longest wait.
    pub wait_ms_max: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            failures_max: 8,
            wait_ms_min: 200,
            wait_ms_max: 8_000,
        }
    }
}

impl Settings {
    /// Settings as they are without any option.
    #[must_use]
    pub fn new(address: Address) -> Self {
        Self {
            address,
            table: None,
            create_table: false,
            tickers: Vec::new(),
            interval: None,
            start: None,
            end: None,
            on_conflict: OnConflict::Fail,
            threads: 4,
            full: false,
            dry_run: false,
            receipt: Receipt::default(),
            round_volume: false,
            target_zone: None,
            allow_demo: false,
            chunk_rows: CHUNK_ROWS_DEFAULT,
            patience: Patience::default(),
        }
    }

    /// Whether dates narrow the run: its progress does not move then.
    pub(super) fn is_narrowed(&self) -> bool {
        self.start.is_some() || self.end.is_some()
    }

    fn table_for(&self, interval: Interval) -> String {
        match (&self.table, interval) {
            (Some(table), _) => table.clone(),
            (None, Interval::M1) => TABLE_DEFAULT.to_owned(),
            (None, other) => format!("{TABLE_DEFAULT}_{other}"),
        }
    }

    fn wants(&self, info: &SeriesInfo) -> bool {
        (self.tickers.is_empty() || self.tickers.contains(&info.key.ticker))
            && self
                .interval
                .is_none_or(|interval| interval == info.key.interval)
    }
}

/// The way from one interval's series into one table.
pub(super) struct Stream {
    pub interval: Interval,
    pub target: Target,
    pub progress: ProgressTable,
}

/// What all workers share.
pub(super) struct Shared<'a> {
    pub settings: &'a Settings,
    pub source: &'a dyn Source,
    pub stop: &'a Stop,
    pub observer: &'a dyn Observer,
    aborted: AtomicBool,
    /// Ids of commits that were looked up; nil where the store has no such commit.
    commit_ids: Mutex<HashMap<u64, Uuid>>,
}

impl Shared<'_> {
    /// The id of a commit; nil for none, and where the store has no such commit.
    pub(super) fn commit_id(&self, seq: u64) -> Result<Uuid, Error> {
        if seq == 0 {
            return Ok(Uuid::nil());
        }
        if let Some(id) = lock(&self.commit_ids).get(&seq) {
            return Ok(*id);
        }
        self.look_up(&[seq])?;
        Ok(lock(&self.commit_ids)
            .get(&seq)
            .copied()
            .unwrap_or_default())
    }

    /// Looks up many commits at once.
    fn look_up(&self, seqs: &[u64]) -> Result<(), Error> {
        let found = self.source.commit_ids(seqs).map_err(Error::Store)?;
        let mut known = lock(&self.commit_ids);
        for seq in seqs {
            known.insert(*seq, found.get(seq).copied().unwrap_or_default());
        }
        Ok(())
    }

    /// Whether another worker found that the run cannot go on.
    pub(super) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Relaxed)
    }
}

/// A ticker's work: each of its series with what the probe found.
struct Unit {
    ticker: Ticker,
    series: Vec<(usize, SeriesInfo, TimeRange, Probed)>,
}

/// What a sync came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Tickers, numbers, and why it could not go on where it could not.
    pub report: RunReport,
    /// How far the target was when it was last seen.
    pub seen: Vec<Seen>,
}

/// How far a series was in the target when it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The table, qualified.
    pub table: String,
    /// Which series.
    pub series: SeriesKey,
    /// All its commits up to this one were there.
    pub base_seq: u64,
}

/// Brings staged bars to the target.
///
/// Blocks; call it from a thread that may. The report holds whatever was done, also where the run could not go on. An
/// error means that nothing was begun.
pub fn run(
    source: &dyn Source,
    settings: &Settings,
    stop: &Stop,
    observer: &dyn Observer,
) -> Result<Outcome, Error> {
    let wanted = wanted(source, settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Error::Store(Box::new(error)))?;
    let shared = Shared {
        settings,
        source,
        stop,
        observer,
        aborted: AtomicBool::new(false),
        commit_ids: Mutex::default(),
    };
    let prepared = runtime.block_on(prepare(&shared, wanted))?;
    let Some((streams, units, missing)) = prepared else {
        let tickers = settings.tickers.iter();
        return Ok(Outcome {
            report: RunReport {
                tickers: tickers.map(|ticker| empty(ticker, observer)).collect(),
                ..RunReport::default()
            },
            ..Outcome::default()
        });
    };
    let mut report = RunReport::default();
    report
        .tickers
        .extend(missing.iter().map(|ticker| empty(ticker, observer)));
    let threads = settings.threads.clamp(1, units.len().max(1));
    observer.event(&Event::Planned {
        unit: "tickers",
        total: units.len() as u64,
    });
    let queue = Mutex::new(VecDeque::from(units));
    let done = Mutex::new(Outcome {
        report,
        ..Outcome::default()
    });
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut worker = Worker {
                    shared: &shared,
                    session: None,
                };
                while !stop.is_set() && !shared.is_aborted() {
                    let Some(unit) = lock(&queue).pop_front() else {
                        break;
                    };
                    let (unit, fatal, seen) =
                        runtime.block_on(run_unit(&mut worker, &streams, &unit));
                    lock(&done).seen.extend(seen);
                    if let Some(fatal) = fatal {
                        shared.aborted.store(true, Ordering::Relaxed);
                        lock(&done).report.fatal.get_or_insert(fatal);
                    }
                    if let Some(unit) = unit {
                        observer.event(&Event::TickerDone(&unit));
                        observer.event(&Event::Progress { done: 1, bars: 0 });
                        let report = &mut lock(&done).report;
                        report.totals += unit.counts;
                        report.tickers.push(unit);
                    }
                }
            });
        }
    });
    runtime.shutdown_background();
    let mut outcome = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcome.report.tickers.sort_by(|a, b| a.name.cmp(&b.name));
    outcome.report.interrupted = stop.is_set();
    Ok(outcome)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn empty(ticker: &Ticker, observer: &dyn Observer) -> UnitReport {
    let unit = UnitReport::done(
        ticker.as_str(),
        Counts::default(),
        std::time::Duration::ZERO,
    );
    observer.event(&Event::TickerDone(&unit));
    unit
}

/// The series that the run is about, checked for what would refuse it whole.
fn wanted(source: &dyn Source, settings: &Settings) -> Result<Vec<SeriesInfo>, Error> {
    let series: Vec<_> = source
        .series()
        .map_err(Error::Store)?
        .into_iter()
        .filter(|info| settings.wants(info))
        .collect();
    if let Some(demo) = series.iter().find(|info| info.demo)
        && !settings.allow_demo
    {
        return Err(Error::DemoBars {
            ticker: demo.key.ticker.to_string(),
        });
    }
    let one_interval = series
        .windows(2)
        .all(|pair| pair[0].key.interval == pair[1].key.interval);
    if settings.table.is_some() && settings.interval.is_none() && !one_interval {
        return Err(Error::ManyIntervals);
    }
    Ok(series)
}

type Prepared = (Vec<Stream>, Vec<Unit>, Vec<Ticker>);

/// Finds every target, then probes every series: nothing is written before all of them can take bars.
async fn prepare(shared: &Shared<'_>, wanted: Vec<SeriesInfo>) -> Result<Option<Prepared>, Error> {
    let settings = shared.settings;
    let client = first_connection(shared).await?;
    if wanted.is_empty() {
        return Ok(None);
    }
    let mut by_interval: BTreeMap<Interval, Vec<SeriesInfo>> = BTreeMap::new();
    for info in wanted {
        by_interval.entry(info.key.interval).or_default().push(info);
    }
    let mut streams = Vec::new();
    for interval in by_interval.keys() {
        let spec = TargetSpec {
            name: settings.table_for(*interval),
            zone: settings.target_zone,
            round_volume: settings.round_volume,
        };
        if settings.create_table && !settings.dry_run {
            target::create(&client, &spec.name).await?;
        }
        let target = target::resolve(&client, &spec).await?;
        streams.push(Stream {
            interval: *interval,
            progress: ProgressTable::beside(&target, shared.source.store_id()),
            target,
        });
    }
    let mut units: BTreeMap<Ticker, Unit> = BTreeMap::new();
    for (index, (stream, series)) in streams.iter().zip(by_interval.into_values()).enumerate() {
        let probed = probe(shared, &client, stream, &series).await?;
        for (info, probed) in series.into_iter().zip(probed) {
            let range = range_of(settings, &info)?;
            units
                .entry(info.key.ticker.clone())
                .or_insert_with(|| Unit {
                    ticker: info.key.ticker.clone(),
                    series: Vec::new(),
                })
                .series
                .push((index, info, range, probed));
        }
    }
    let mut seqs: Vec<u64> = units
        .values()
        .flat_map(|unit| &unit.series)
        .flat_map(|(_, info, _, probed)| {
            let progress = probed.progress.unwrap_or_default();
            [info.max_commit_seq, progress.base.seq, progress.pass.seq]
        })
        .collect();
    seqs.sort_unstable();
    seqs.dedup();
    shared.look_up(&seqs)?;
    let missing = settings
        .tickers
        .iter()
        .filter(|ticker| !units.contains_key(ticker))
        .cloned()
        .collect();
    Ok(Some((streams, units.into_values().collect(), missing)))
}

/// The run's first connection. A server that is coming up is waited for, one that is not there is told at once.
async fn first_connection(shared: &Shared<'_>) -> Result<Client, Error> {
    let mut left = 20;
    loop {
        match shared.settings.address.connect().await.map_err(Error::from) {
            Err(error)
                if left > 0
                    && matches!(&error, Error::Connect(ConnectError::Failed { source, .. }) if source.as_db_error().is_some())
                    && classify(&error) == Class::Reconnect
                    && !shared.stop.is_set() =>
            {
                left -= 1;
                tokio::time::sleep(std::time::Duration::from_millis(250)).await;
            }
            other => return other,
        }
    }
}

/// What the target knows of the series, and rows for those that it does not know.
async fn probe(
    shared: &Shared<'_>,
    client: &Client,
    stream: &Stream,
    series: &[SeriesInfo],
) -> Result<Vec<Probed>, Error> {
    let tickers: Vec<&str> = series.iter().map(|info| info.key.ticker.as_str()).collect();
    let dry = shared.settings.dry_run;
    if !stream.progress.ensure(client, dry).await? {
        let unknown = Probed {
            progress: None,
            edges_changed: false,
        };
        return Ok(vec![unknown; series.len()]);
    }
    let probed = stream
        .progress
        .probe(client, &stream.target, stream.interval, &tickers)
        .await?;
    let new: Vec<&str> = tickers
        .iter()
        .zip(&probed)
        .filter(|(_, probed)| probed.progress.is_none())
        .map(|(ticker, _)| *ticker)
        .collect();
    if !new.is_empty() && !dry {
        stream.make_rows(client, &new).await?;
    }
    Ok(probed)
}

/// The instants of the dates that the run is about, by the series' exchange.
fn range_of(settings: &Settings, info: &SeriesInfo) -> Result<TimeRange, Error> {
    if !settings.is_narrowed() {
        return Ok(TimeRange::ALL);
    }
    let calendar =
        Calendar::for_exchange(&info.exchange).map_err(|error| Error::Store(Box::new(error)))?;
    // A date alone is no range that could be the wrong way round.
    let day = |date: NaiveDate| DateRange::new(date, date).map(|dates| calendar.instants(dates));
    Ok(TimeRange {
        start: settings
            .start
            .and_then(|date| day(date).ok())
            .map_or(i64::MIN, |day| day.start),
        end: settings
            .end
            .and_then(|date| day(date).ok())
            .map_or(i64::MAX, |day| day.end),
    })
}

/// Syncs one ticker, series after series. Says also why the whole run cannot go on, if that is so.
async fn run_unit(
    worker: &mut Worker<'_>,
    streams: &[Stream],
    unit: &Unit,
) -> (Option<UnitReport>, Option<Fatal>, Vec<Seen>) {
    let began = Instant::now();
    let mut counts = Counts::default();
    let mut seen = Vec::new();
    for (index, info, range, probed) in &unit.series {
        let stream = &streams[*index];
        let synced = worker.sync(stream, info, *range, *probed).await;
        counts += synced.counts;
        seen.push(Seen {
            table: stream.target.table.clone(),
            series: info.key.clone(),
            base_seq: synced.base_seq,
        });
        let Err(error) = synced.result else { continue };
        if matches!(error, Error::Interrupted) && counts == Counts::default() {
            return (None, None, seen);
        }
        let fatal = (classify(&error) == Class::Reconnect).then(|| Fatal {
            error: error.to_string(),
            hint: error.hint(),
        });
        let status = match error {
            Error::Restated { .. } => UnitStatus::Conflict,
            _ => UnitStatus::Failed,
        };
        let report = UnitReport {
            name: unit.ticker.to_string(),
            status,
            counts,
            elapsed: began.elapsed(),
            error: Some(error.to_string()),
            hint: error.hint(),
        };
        return (Some(report), fatal, seen);
    }
    let report = UnitReport {
        name: unit.ticker.to_string(),
        status: UnitStatus::Ok,
        counts,
        elapsed: began.elapsed(),
        error: None,
        hint: None,
    };
    (Some(report), None, seen)
}
