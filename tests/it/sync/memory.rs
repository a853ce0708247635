//! A store in memory: commits of bars, with a sequence and an id as in the real store.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use backfill::model::columns::Value;
use backfill::model::{Bar, Interval, OnConflict, SeriesKey, Ticker, TimeRange, Timestamp};
use backfill::report::{Observer, RunReport, Silent, Stop};
use backfill::sync::postgres::{Address, Options, Postgres};
use backfill::sync::{
    self, Batches, DeliveryCheck, Error, RetryPolicy, SeriesInfo, Source, SourceError, Synced,
};
use chrono::NaiveDate;
use chrono_tz::Tz;
use uuid::Uuid;

use crate::support::Database;

/// 2025-01-02T14:30:00Z, the first bar of the tests.
pub const START: i64 = 1_735_828_200_000_000;
pub const MINUTE: i64 = 60_000_000;
/// Rows of a batch. Small, so that a chunk needs several.
const BATCH_ROWS: usize = 7;

/// A clone is a copy of the store: it has the same id and the same commits so far.
#[derive(Clone)]
pub struct Memory {
    id: Uuid,
    commits: Vec<Uuid>,
    series: BTreeMap<SeriesKey, BTreeMap<i64, (Bar, u64)>>,
    pub demo: bool,
}

impl Memory {
    pub fn new() -> Self {
        Self {
            id: Uuid::new_v4(),
            commits: Vec::new(),
            series: BTreeMap::new(),
            demo: false,
        }
    }

    /// Commits bars; existing ones are replaced.
    pub fn commit(&mut self, ticker: &str, bars: impl IntoIterator<Item = Bar>) {
        self.commit_of(Interval::M1, ticker, bars);
    }

    pub fn commit_of(
        &mut self,
        interval: Interval,
        ticker: &str,
        bars: impl IntoIterator<Item = Bar>,
    ) {
        self.commits.push(Uuid::new_v4());
        let seq = self.commits.len() as u64;
        let key = SeriesKey {
            interval,
            ticker: Ticker::new(ticker).unwrap(),
        };
        let series = self.series.entry(key).or_default();
        for bar in bars {
            series.insert(bar.timestamp.micros(), (bar, seq));
        }
    }

    pub fn rows(&self) -> u64 {
        self.series.values().map(|bars| bars.len() as u64).sum()
    }

    /// All bars as [`table`] shows them.
    pub fn table(&self) -> String {
        let mut lines = Vec::new();
        for (series, bars) in &self.series {
            lines.extend(bars.values().map(|(bar, _)| line(series, bar)));
        }
        lines.join("\n")
    }
}

/// A bar as [`table`] shows it.
pub fn line(series: &SeriesKey, bar: &Bar) -> String {
    let text = |value: Value| value.to_double().map(|value| value.to_string());
    let values = bar.values().map(|value| text(value).unwrap_or_default());
    let seconds = bar.timestamp.micros() / 1_000_000;
    format!("{}|{seconds}|{}", series.ticker, values.join("|"))
}

/// The rows of a table with the default columns, sorted.
#[track_caller]
pub fn table(db: &Database, name: &str) -> String {
    db.sql(&format!(
        "SELECT ticker, extract(epoch FROM \"timestamp\")::bigint, open, high, low, close, volume, vwap, trades \
         FROM {name} ORDER BY ticker COLLATE \"C\", 2"
    ))
}

/// The bar `minute` minutes after the first. Its prices differ from those of its neighbours.
pub fn bar(minute: i64) -> Bar {
    let open = 100.0 + (minute % 97) as f64 / 8.0;
    Bar {
        vwap: (minute % 3 == 0).then_some(open + 0.125),
        trades: (minute % 4 == 0).then_some(minute),
        ..Bar::new(
            Timestamp::from_micros(START + minute * MINUTE),
            [open, open + 1.25, open - 1.5, open + 0.5],
            1000.0 + minute as f64,
        )
    }
}

/// The same bar with another close.
pub fn restated(minute: i64) -> Bar {
    let bar = bar(minute);
    Bar {
        close: bar.close + 0.25,
        ..bar
    }
}

/// The address of a URL, without variables.
pub fn address(url: &str) -> Address {
    Address::resolve(Some(&url.into()), &|_| None).unwrap()
}

/// All settings of a sync to Postgres, in one struct.
#[derive(Clone, Debug)]
pub struct Settings {
    pub address: Address,
    pub statement_timeout: Option<Duration>,
    pub round_volume: bool,
    pub target_zone: Option<Tz>,
    pub table: Option<String>,
    pub create_table: bool,
    pub interval: Option<Interval>,
    pub start: Option<NaiveDate>,
    pub end: Option<NaiveDate>,
    pub on_conflict: OnConflict,
    pub threads: usize,
    pub full: bool,
    pub dry_run: bool,
    pub check: DeliveryCheck,
    pub allow_demo: bool,
    pub chunk_rows: usize,
    pub retry: RetryPolicy,
}

impl Settings {
    /// The settings of the algorithm.
    pub fn of_sync(&self) -> sync::Settings {
        sync::Settings {
            table: self.table.clone(),
            create_table: self.create_table,
            interval: self.interval,
            start: self.start,
            end: self.end,
            on_conflict: self.on_conflict,
            threads: self.threads,
            full: self.full,
            dry_run: self.dry_run,
            check: self.check,
            allow_demo: self.allow_demo,
            chunk_rows: self.chunk_rows,
            retry: self.retry,
            ..sync::Settings::default()
        }
    }
}

/// Settings of the tests: the table is created, chunks are small, retries are fast.
pub fn settings(url: &str) -> Settings {
    let options = Options::new(address(url));
    let defaults = sync::Settings::default();
    Settings {
        create_table: true,
        chunk_rows: 40,
        threads: 2,
        retry: RetryPolicy {
            failures_max: 8,
            wait_ms_min: 10,
            wait_ms_max: 500,
        },
        address: options.address,
        statement_timeout: options.statement_timeout,
        round_volume: options.round_volume,
        target_zone: options.target_zone,
        table: defaults.table,
        interval: defaults.interval,
        start: defaults.start,
        end: defaults.end,
        on_conflict: defaults.on_conflict,
        full: defaults.full,
        dry_run: defaults.dry_run,
        check: defaults.check,
        allow_demo: defaults.allow_demo,
    }
}

/// A sync to Postgres.
pub fn try_sync(
    memory: &Memory,
    settings: &Settings,
    stop: &Stop,
    observer: &dyn Observer,
) -> Result<Synced, Error> {
    let target = Postgres::new(Options {
        address: settings.address.clone(),
        statement_timeout: settings.statement_timeout,
        round_volume: settings.round_volume,
        target_zone: settings.target_zone,
    });
    sync::run(memory, &target, &settings.of_sync(), stop, observer)
}

/// A sync that must start; its report may have failures.
#[track_caller]
pub fn run(memory: &Memory, settings: &Settings) -> RunReport {
    try_sync(memory, settings, &Stop::new(), &Silent)
        .unwrap()
        .report
}

/// A sync that must succeed.
#[track_caller]
pub fn sync_ok(memory: &Memory, settings: &Settings) -> RunReport {
    let report = run(memory, settings);
    assert_eq!(report.status().code(), 0, "{report:#?}");
    report
}

/// A sync under `update`.
pub fn updating(url: &str) -> Settings {
    Settings {
        on_conflict: OnConflict::Update,
        ..settings(url)
    }
}

impl Source for Memory {
    fn store_id(&self) -> Uuid {
        self.id
    }

    fn series(&self) -> Result<Vec<SeriesInfo>, SourceError> {
        Ok(self
            .series
            .iter()
            .map(|(key, bars)| SeriesInfo {
                key: key.clone(),
                exchange: "NASDAQ".into(),
                first: Timestamp::from_micros(*bars.keys().next().unwrap()),
                max_commit_seq: bars.values().map(|(_, seq)| *seq).max().unwrap_or(0),
                demo: self.demo,
            })
            .collect())
    }

    fn commit_ids(&self, seqs: &[u64]) -> Result<HashMap<u64, Uuid>, SourceError> {
        let id = |seq: u64| self.commits.get((seq as usize).checked_sub(1)?);
        Ok(seqs
            .iter()
            .filter_map(|seq| Some((*seq, *id(*seq)?)))
            .collect())
    }

    fn scan_since(
        &self,
        key: &SeriesKey,
        range: TimeRange,
        after_seq: u64,
        through_seq: u64,
    ) -> Result<Batches<'_>, SourceError> {
        let bars: Vec<Bar> = self.series[key]
            .values()
            .filter(|(bar, seq)| {
                range.contains(bar.timestamp.micros()) && after_seq < *seq && *seq <= through_seq
            })
            .map(|(bar, _)| *bar)
            .collect();
        let batches: Vec<_> = bars
            .chunks(BATCH_ROWS)
            .map(|rows| Ok(rows.iter().copied().collect()))
            .collect();
        Ok(Box::new(batches.into_iter()))
    }
}
