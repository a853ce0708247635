//! Before the first row: every table is found and checked, and the progress of every series is
//! read.

use std::collections::BTreeMap;

use super::context::{RunContext, SeriesTask, Unit};
use super::error::{Error, ErrorKind};
use super::settings::Settings;
use super::source::{SeriesInfo, Source};
use super::target::{Connection, Target};
use crate::advice::SyncAdvice;
use crate::calendar::Calendar;
use crate::model::{Interval, Ticker};

/// The series of the run, after checks that need no connection.
pub(super) fn wanted(source: &dyn Source, settings: &Settings) -> Result<Vec<SeriesInfo>, Error> {
    let all = source.series().map_err(|error| Error::store(&error))?;
    let series: Vec<_> = all
        .into_iter()
        .filter(|info| settings.includes(info))
        .collect();
    if let Some(demo) = series.iter().find(|info| info.demo)
        && !settings.allow_demo
    {
        let message = format!("{} has demo bars, which are simulated", demo.key.ticker);
        return Err(Error::new(ErrorKind::DemoBars, message).with_hint(SyncAdvice::AllowDemo));
    }
    let one_interval = series
        .windows(2)
        .all(|pair| pair[0].key.interval == pair[1].key.interval);
    if settings.table.is_some() && settings.interval.is_none() && !one_interval {
        let message = "bars of several intervals are stored, and a table can have only one";
        let hint = SyncAdvice::ChooseInterval;
        return Err(Error::new(ErrorKind::ManyIntervals, message).with_hint(hint));
    }
    Ok(series)
}

/// What a run does.
pub(super) struct Prepared<'a, T: Target + 'a> {
    /// The connection of the preparation, for the first worker.
    pub connection: T::Connection<'a>,
    pub tables: Vec<T::Table>,
    pub units: Vec<Unit>,
    /// Requested tickers without bars.
    pub missing: Vec<Ticker>,
}

/// Finds every table, then the progress of every series: nothing is written before all tables are
/// known to take bars.
pub(super) async fn prepare<'a, T: Target>(
    context: &RunContext<'a>,
    target: &'a T,
    wanted: Vec<SeriesInfo>,
) -> Result<Prepared<'a, T>, Error> {
    let settings = context.settings;
    let mut connection = target.open(context.signals).await?;
    let mut by_interval: BTreeMap<Interval, Vec<SeriesInfo>> = BTreeMap::new();
    for info in wanted {
        by_interval.entry(info.key.interval).or_default().push(info);
    }
    let store_id = context.source.store_id();
    let mut tables = Vec::new();
    for interval in by_interval.keys().copied() {
        let name = settings.table_for(interval);
        let found = connection.find_table(settings, store_id, &name, interval);
        tables.push(found.await?);
    }
    let mut units: BTreeMap<Ticker, Unit> = BTreeMap::new();
    for (index, series) in by_interval.into_values().enumerate() {
        let probes = connection
            .probe(settings, &mut tables[index], &series)
            .await?;
        for (info, probe) in series.into_iter().zip(probes) {
            let ticker = info.key.ticker.clone();
            let unit = units.entry(ticker.clone()).or_insert_with(|| Unit {
                ticker,
                series: Vec::new(),
            });
            unit.series.push(SeriesTask {
                table: index,
                range: Calendar::range_at(
                    &info.exchange,
                    &settings.calendars,
                    settings.start,
                    settings.end,
                )
                .map_err(|error| Error::store(&error.into()))?,
                info,
                probe,
            });
        }
    }
    let mut seqs: Vec<u64> = units
        .values()
        .flat_map(|unit| &unit.series)
        .flat_map(|task| {
            let progress = task.probe.progress.unwrap_or_default();
            [
                task.info.max_commit_seq,
                progress.base.seq,
                progress.pass.seq,
            ]
        })
        .collect();
    seqs.sort_unstable();
    seqs.dedup();
    context.look_up(&seqs)?;
    let missing = settings
        .tickers
        .iter()
        .filter(|ticker| !units.contains_key(ticker))
        .cloned()
        .collect();
    Ok(Prepared {
        connection,
        tables,
        units: units.into_values().collect(),
        missing,
    })
}
