//! From a query to its bars: calendar, holes, forming bars, longer intervals.

use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate};

use crate::calendar::{self, Session};
use crate::model::{DAY_MICROS, DateRange, Interval, MINUTE_MICROS, Timestamp};

use super::fault_kind::FaultKind;
use super::instrument::{Instrument, mix, unit};
use super::market::{Market, View, parts};
use super::row::Row;
use super::world::World;

/// How long after its close a bar's values still change.
const SETTLE_MICROS: i64 = 200 * 1_000_000;

/// A query for bars.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Query {
    /// As the simulated market spells it: upper case, share classes with a dash.
    pub symbol: String,
    /// Length of the bars.
    pub interval: Interval,
    /// First exchange-local date; by default the last one.
    pub from: Option<NaiveDate>,
    /// Last exchange-local date, included; by default today.
    pub to: Option<NaiveDate>,
    /// Whether extended hours are included.
    pub extended: bool,
    /// Prices and volumes adjusted for splits.
    pub adjusted: bool,
}

/// What the vendors see of the simulated market at one instant.
pub(super) struct Service<'a> {
    pub market: &'a Market,
    pub world: &'a World,
    pub seed: u64,
    pub now: Timestamp,
    /// Calls of the request's key in the last minute, with this one.
    pub calls: usize,
}

impl Service<'_> {
    /// The exchange's current date.
    pub(super) fn today(&self, instrument: &Instrument) -> NaiveDate {
        local_date(instrument, self.now.micros())
    }

    /// The bars of `query`, ascending, and their instrument. An unknown symbol has no bars. `cut`
    /// removes minutes of a session that the vendor leaves out.
    ///
    /// They start where those of a store do: at the session's open, and in extended hours at the
    /// full hour.
    pub(super) fn bars(
        &self,
        query: &Query,
        mut cut: impl FnMut(&Session, &mut Vec<Row>),
    ) -> Result<(Vec<Row>, Arc<Instrument>), calendar::Error> {
        let instrument = self.market.instrument(&query.symbol)?;
        let mut out = Vec::new();
        self.each_session(&instrument, query, |session, minutes| {
            cut(session, minutes);
            let parts = parts(&instrument, session, query.extended);
            combine(minutes, &parts, query.interval, &mut out);
        });
        self.spoil(&query.symbol, &mut out);
        Ok((out, instrument))
    }

    /// Calls `visit` with the minutes of each session that has started, ascending.
    pub(super) fn each_session(
        &self,
        instrument: &Instrument,
        query: &Query,
        mut visit: impl FnMut(&Session, &mut Vec<Row>),
    ) {
        let (world, symbol, now) = (self.world, query.symbol.as_str(), self.now.micros());
        if !self.market.knows(symbol) || world.is_unknown(symbol) {
            return;
        }
        let today = self.today(instrument);
        let to = query.to.unwrap_or(today);
        let from = query.from.unwrap_or(to).min(to);
        let view = View {
            extended: query.extended,
            adjusted: query.adjusted,
            today,
            revision: world.revision,
            splits: world.splits(symbol),
        };
        let holes = world.holes(symbol);
        // An exchange for coins serves its own trades.
        let settle = if instrument.is_pair() {
            0
        } else {
            SETTLE_MICROS
        };
        let mut minutes = Vec::new();
        for session in sessions(instrument, from, to) {
            if session.open.micros() - DAY_MICROS > now {
                break;
            }
            if holes.is_some_and(|holes| holes.has_date(session.date)) {
                continue;
            }
            minutes.clear();
            (self.market).minutes(symbol, instrument, &session, &view, &mut minutes);
            minutes
                .retain(|row| row.at <= now && holes.is_none_or(|holes| !holes.has_minute(row.at)));
            if instrument.calendar.span().is_none() {
                // A trading date by rule can differ from the local date, which the query means.
                minutes.retain(|row| (from..=to).contains(&local_date(instrument, row.at)));
            }
            for row in minutes.iter_mut().rev() {
                if row.at + MINUTE_MICROS + settle <= now {
                    break;
                }
                unsettle(row, now);
            }
            for row in &mut minutes {
                row.add_trades();
            }
            visit(&session, &mut minutes);
        }
    }

    /// Makes single bars impossible or extreme, by the fault plan.
    pub(super) fn spoil(&self, symbol: &str, rows: &mut [Row]) {
        for rule in &self.world.faults {
            if !matches!(rule.kind, FaultKind::BadOhlc | FaultKind::Spike) {
                continue;
            }
            let share = rule.share_of_bars(symbol);
            if share == 0.0 {
                continue;
            }
            let seed = self.seed ^ rule.kind as u64;
            let key = xxhash_rust::xxh3::xxh3_64_with_seed(symbol.as_bytes(), seed);
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
}

/// The exchange's local date at an instant in microseconds UTC.
pub(super) fn local_date(instrument: &Instrument, at: i64) -> NaiveDate {
    DateTime::from_timestamp_micros(instrument.calendar.zone().to_local(at))
        .map_or(NaiveDate::MAX, |at| at.date_naive())
}

/// The sessions whose bars can have a local date from `from` to `to`, inside the calendar's span.
fn sessions(instrument: &Instrument, from: NaiveDate, to: NaiveDate) -> Vec<Session> {
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
pub(super) fn combine(
    minutes: &[Row],
    parts: &[(i64, i64)],
    interval: Interval,
    out: &mut Vec<Row>,
) {
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
            Some(bar) if bar.at == label => bar.absorb(minute),
            _ => out.push(Row {
                at: label,
                ..*minute
            }),
        }
    }
}
