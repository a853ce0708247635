//! Before the first row: every target found and checked, every series probed by one query.

use std::collections::BTreeMap;

use super::column::ColumnClock;
use super::errors::Error;
use super::link::Link;
use super::progress::{Probed, ProgressTable};
use super::run::{Shared, Stream, Unit};
use super::settings::Settings;
use super::source::{SeriesInfo, Source};
use super::target::{self, TargetSpec};
use super::zone::settle_zone;
use crate::calendar::Calendar;
use crate::model::{Interval, OnConflict, Ticker};

/// The series that the run is about, checked for what would refuse it whole.
pub(super) fn wanted(source: &dyn Source, settings: &Settings) -> Result<Vec<SeriesInfo>, Error> {
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

pub(super) type Prepared = (Vec<Stream>, Vec<Unit>, Vec<Ticker>);

/// Finds every target, then probes every series: nothing is written before all of them can take bars.
pub(super) async fn prepare(
    shared: &Shared<'_>,
    wanted: Vec<SeriesInfo>,
) -> Result<Option<Prepared>, Error> {
    let settings = shared.settings;
    let link = first_connection(shared).await?;
    check_transactions(&link, settings.address.label()).await?;
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
            target::create(&link, &spec.name).await?;
        }
        let target = target::resolve(&link, &spec).await?;
        streams.push(Stream {
            interval: *interval,
            progress: ProgressTable::next_to(&target, shared.source.store_id()),
            target,
        });
    }
    let mut units: BTreeMap<Ticker, Unit> = BTreeMap::new();
    for (index, (stream, series)) in streams
        .iter_mut()
        .zip(by_interval.into_values())
        .enumerate()
    {
        let probed = probe(shared, &link, stream, &series).await?;
        for (info, probed) in series.into_iter().zip(probed) {
            let range = Calendar::range_at(
                &info.exchange,
                &settings.calendars,
                settings.start,
                settings.end,
            )
            .map_err(|error| Error::Store(Box::new(error)))?;
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

/// The run's first connection. A server that is coming up is waited for; one that is not there is reported at once.
async fn first_connection<'a>(shared: &'a Shared<'a>) -> Result<Link<'a>, Error> {
    let mut left = 20;
    loop {
        match Link::connect(shared).await {
            Err(Error::Connect(error))
                if left > 0 && error.is_starting() && !shared.stop.is_set() =>
            {
                left -= 1;
                tokio::time::sleep(std::time::Duration::from_millis(250)).await;
            }
            other => return other,
        }
    }
}

/// Before anything is written: a pooler in statement mode has no transactions, and says so at the first.
async fn check_transactions(link: &Link<'_>, label: &str) -> Result<(), Error> {
    match link.begin().await {
        Err(Error::Database { answer, .. })
            if answer
                .as_db_error()
                .is_some_and(|db| db.message().contains("statement pooling mode")) =>
        {
            Err(Error::NoTransactions {
                label: label.to_owned(),
            })
        }
        begun => {
            begun?;
            link.rollback().await;
            Ok(())
        }
    }
}

/// What the target knows of the series, and rows for those that it does not know.
async fn probe(
    shared: &Shared<'_>,
    link: &Link<'_>,
    stream: &mut Stream,
    series: &[SeriesInfo],
) -> Result<Vec<Probed>, Error> {
    let tickers: Vec<&str> = series.iter().map(|info| info.key.ticker.as_str()).collect();
    let dry = shared.settings.dry_run;
    let keeps = shared.settings.on_conflict == OnConflict::Ignore;
    let Some(found) = stream.progress.ensure(link, dry, keeps).await? else {
        let unknown = Probed {
            progress: None,
            edges_changed: false,
        };
        return Ok(vec![unknown; series.len()]);
    };
    if stream.target.clock != ColumnClock::Instant {
        settle_zone(shared, link, stream, series, found).await?;
    }
    let probed = stream
        .progress
        .probe(link, &stream.target, stream.interval, &tickers)
        .await?;
    let new: Vec<&str> = tickers
        .iter()
        .zip(&probed)
        .filter(|(_, probed)| probed.progress.is_none())
        .map(|(ticker, _)| *ticker)
        .collect();
    if !new.is_empty() && !dry {
        stream.make_rows(link, &new).await?;
    }
    Ok(probed)
}
