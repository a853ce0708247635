//! From a query to its bars: look-back, calendar, holes, forming bars, longer intervals.

use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate};

use crate::calendar;
use crate::model::{DAY_MICROS, DateRange, Interval, MINUTE_MICROS, Timestamp};

use super::fault::FaultKind;
use super::instrument::{Instrument, mix, unit};
use super::market::{Market, View, parts};
use super::row::Row;
use super::world::World;

/// How long after its close a bar's values still change.
const SETTLE_MICROS: i64 = 200 * 1_000_000;

/// A query for bars.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Query {
    /// Upper case.
    pub symbol: String,
    /// Length of the bars.
    pub interval: Interval,
    /// First exchange-local date; by default as far back as a response reaches.
    pub from: Option<NaiveDate>,
    /// Last exchange-local date, included; by default today.
    pub to: Option<NaiveDate>,
    /// Whether extended hours are included.
    pub extended: bool,
    /// Prices and volumes adjusted for splits.
    pub adjusted: bool,
}

/// Which bars a query returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Completeness {
    /// Those that the service sends: not before its look-back limit, and with its late openings.
    AsSent,
    /// All that the service has.
    All,
}

/// Calendar days that a response reaches back.
pub(super) const fn reach_days(interval: Interval) -> u64 {
    match interval {
        Interval::M1 => 3,
        Interval::M5 => 10,
        Interval::M15 => 45,
        Interval::M30 => 30,
        Interval::M60 => 90,
    }
}

/// The bars of `query` at `now`, ascending, and their instrument. An unknown symbol has no bars.
pub(super) fn bars(
    market: &Market,
    world: &World,
    seed: u64,
    query: &Query,
    now: Timestamp,
    completeness: Completeness,
) -> Result<(Vec<Row>, Arc<Instrument>), calendar::Error> {
    let symbol = query.symbol.as_str();
    let instrument = market.instrument(symbol)?;
    if !market.knows(symbol) || world.is_unknown(symbol) {
        return Ok((Vec::new(), instrument));
    }
    let zone = instrument.calendar.zone();
    let local_date = |at: i64| {
        DateTime::from_timestamp_micros(zone.to_local(at))
            .map_or(NaiveDate::MAX, |at| at.date_naive())
    };
    let today = local_date(now.micros());
    let to = query.to.unwrap_or(today);
    let earliest = to
        .checked_sub_days(Days::new(reach_days(query.interval) - 1))
        .unwrap_or(to);
    let from = match (query.from, completeness) {
        (Some(from), Completeness::AsSent) => from.max(earliest),
        (Some(from), Completeness::All) => from,
        (None, _) => earliest,
    };
    let from = from.min(to);
    let view = View {
        extended: query.extended,
        adjusted: query.adjusted,
        today,
        revision: world.revision,
        splits: world.splits(symbol),
    };
    let holes = world.holes(symbol);
    let single_day = query.from.is_some_and(|from| from >= to);
    let mut minutes = Vec::new();
    let mut out = Vec::new();
    for session in sessions(&instrument, from, to) {
        if session.open.micros() - DAY_MICROS > now.micros() {
            break;
        }
        if holes.is_some_and(|holes| holes.has_date(session.date)) {
            continue;
        }
        minutes.clear();
        market.minutes(symbol, &instrument, &session, &view, &mut minutes);
        minutes.retain(|row| {
            row.at <= now.micros() && holes.is_none_or(|holes| !holes.has_minute(row.at))
        });
        if instrument.calendar.span().is_none() {
            // A trading date by rule can differ from the local date, which the query means.
            minutes.retain(|row| (from..=to).contains(&local_date(row.at)));
        }
        if single_day
            && completeness == Completeness::AsSent
            && query.interval == Interval::M1
            && !query.extended
        {
            let late = late_minutes(world, seed, symbol, session.date);
            let opening = session.open.micros() + i64::from(late) * MINUTE_MICROS;
            minutes.retain(|row| row.at >= opening);
        }
        for row in minutes.iter_mut().rev() {
            if row.at + MINUTE_MICROS + SETTLE_MICROS <= now.micros() {
                break;
            }
            unsettle(row, now.micros());
        }
        let parts = parts(&instrument, &session, query.extended);
        add_up(&minutes, &parts, query.interval, &mut out);
    }
    spoil(world, seed, query, &mut out);
    Ok((out, instrument))
}

/// The sessions whose bars can have a local date from `from` to `to`, inside the calendar's span.
fn sessions(instrument: &Instrument, from: NaiveDate, to: NaiveDate) -> Vec<calendar::Session> {
    let calendar = &instrument.calendar;
    let (first, last) = match calendar.span() {
        Some(span) => (from.max(span.first()), to.min(span.last())),
        None => (from, to.checked_add_days(Days::new(1)).unwrap_or(to)),
    };
    DateRange::new(first, last)
        .ok()
        .and_then(|range| calendar.sessions(range).ok())
        .unwrap_or_default()
}

/// How many of the first minutes are missing from a request for that day alone.
fn late_minutes(world: &World, seed: u64, symbol: &str, date: NaiveDate) -> u32 {
    if let Some(minutes) = world.late(symbol, date) {
        return minutes;
    }
    let shares = world
        .faults
        .iter()
        .filter(|rule| rule.kind == FaultKind::LateOpening);
    let share = shares
        .map(|rule| rule.share_of_bars(symbol))
        .reduce(f64::max)
        .unwrap_or(world.late_opening);
    let random =
        xxhash_rust::xxh3::xxh3_64_with_seed(format!("{symbol} {date} late").as_bytes(), seed);
    u32::from(unit(random) < share)
}

/// Changes a bar to what it shows before it is final: the trades so far while it forms, then a
/// little less volume.
fn unsettle(row: &mut Row, now: i64) {
    let formed = ((now - row.at) as f64 / MINUTE_MICROS as f64).clamp(0.0, 1.0);
    if formed >= 1.0 {
        row.volume = (row.volume * 0.97).floor();
        return;
    }
    let step = 10_000.0;
    row.close = ((row.open + (row.close - row.open) * formed) * step).round() / step;
    row.high = row.open.max(row.close);
    row.low = row.open.min(row.close);
    row.volume = (row.volume * formed).floor();
}

/// Combines `minutes` into bars of `interval`. The grid starts again with each part.
fn add_up(minutes: &[Row], parts: &[(i64, i64)], interval: Interval, out: &mut Vec<Row>) {
    if interval == Interval::M1 {
        out.extend_from_slice(minutes);
        return;
    }
    let first = out.len();
    let mut part = 0;
    for minute in minutes {
        while part + 1 < parts.len() && minute.at >= parts[part + 1].0 {
            part += 1;
        }
        let start = parts.get(part).map_or(minute.at, |part| part.0);
        let label = minute.at - (minute.at - start).rem_euclid(interval.micros());
        match out[first..].last_mut() {
            Some(bar) if bar.at == label => {
                bar.high = bar.high.max(minute.high);
                bar.low = bar.low.min(minute.low);
                bar.close = minute.close;
                bar.volume += minute.volume;
            }
            _ => out.push(Row {
                at: label,
                ..*minute
            }),
        }
    }
}

/// Makes single bars impossible or extreme, by the fault plan.
fn spoil(world: &World, seed: u64, query: &Query, rows: &mut [Row]) {
    for rule in &world.faults {
        if !matches!(rule.kind, FaultKind::BadOhlc | FaultKind::Spike) {
            continue;
        }
        let share = rule.share_of_bars(&query.symbol);
        if share == 0.0 {
            continue;
        }
        let key =
            xxhash_rust::xxh3::xxh3_64_with_seed(query.symbol.as_bytes(), seed ^ rule.kind as u64);
        for row in rows.iter_mut() {
            if unit(mix(key ^ row.at as u64)) >= share {
                continue;
            }
            if rule.kind == FaultKind::Spike {
                row.high = (row.high * 2_000.0).round() / 100.0;
            } else {
                row.high = (row.low * 99.0).round() / 100.0;
            }
        }
    }
}
