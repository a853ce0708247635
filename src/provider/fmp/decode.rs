//! Parses a body directly into columns.
//!
//! A body whose rows are all bars in the service's usual form is read in one pass (`plain.rs`). Any
//! other body is read as JSON: each row is borrowed from the body, parsed field by field without an
//! allocation, and added to the columns or to the rejects. Both ways read numbers to the nearest
//! double.

mod plain;

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::model::{
    Bar, Bars, Interval, Local, Reason, Repeated, Timestamp, Zone, resolve_repeated,
};
use crate::provider::json_number::number;
use crate::provider::plain_time::read_time;
use crate::provider::{BadRow, NotBar, Request, Rows};

/// Bytes of a typical row, for a first guess at the number of rows.
const ROW_BYTES: usize = 110;

/// Why a body has no rows.
#[derive(Debug)]
pub(super) enum NotRows {
    /// Not JSON: a torn body, or a page of HTML.
    NotJson(serde_json::Error),
    /// JSON, but not an array of objects with a date.
    OtherJson,
}

/// One row, its values unparsed.
#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    date: &'a RawValue,
    #[serde(borrow)]
    open: Option<&'a RawValue>,
    #[serde(borrow)]
    high: Option<&'a RawValue>,
    #[serde(borrow)]
    low: Option<&'a RawValue>,
    #[serde(borrow)]
    close: Option<&'a RawValue>,
    #[serde(borrow)]
    volume: Option<&'a RawValue>,
    /// The service sends none. If there is one, it must be the requested one.
    #[serde(borrow)]
    symbol: Option<&'a RawValue>,
}

/// Reads the rows of `body`.
pub(super) fn rows(body: &[u8], request: &Request, origin: &str) -> Result<Rows, NotRows> {
    let new_table = || Table::new(request, origin, body.len() / ROW_BYTES + 1);
    if let Some(table) = new_table().filled_with_plain_rows(body) {
        return Ok(table.finish(request.interval));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let table = reader
        .deserialize_seq(TableVisitor { table: new_table() })
        .and_then(|table| reader.end().map(|()| table))
        .map_err(|error| match serde_json::from_slice::<&RawValue>(body) {
            Ok(_) => NotRows::OtherJson,
            Err(_) => NotRows::NotJson(error),
        })?;
    if table.strange {
        return Err(NotRows::OtherJson);
    }
    Ok(table.finish(request.interval))
}

struct TableVisitor<'q> {
    table: Table<'q>,
}

impl<'de: 'q, 'q> Visitor<'de> for TableVisitor<'q> {
    type Value = Table<'q>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of bars")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut rows: A) -> Result<Self::Value, A::Error> {
        while let Some(row) = rows.next_element::<&'de RawValue>()? {
            self.table.push(row.get());
        }
        Ok(self.table)
    }
}

/// The rows read so far, in the order served.
struct Table<'q> {
    zone: Zone,
    /// First and last requested date, in the form of the rows.
    dates: [String; 2],
    latest: i64,
    ticker: &'q str,
    origin: &'q str,
    seen: u64,
    bars: Bars,
    /// With the row's number, text and earlier instant.
    repeated: Vec<Repeated<(u64, &'q str, i64)>>,
    rejects: Vec<BadRow>,
    strange: bool,
}

impl<'q> Table<'q> {
    fn new(request: &'q Request, origin: &'q str, capacity: usize) -> Self {
        Self {
            zone: Zone::of(request.tz),
            dates: [request.dates.first(), request.dates.last()].map(|date| date.to_string()),
            latest: request.latest.micros(),
            ticker: request.tickers.first().map_or("", |ticker| ticker.as_str()),
            origin,
            seen: 0,
            bars: Bars::with_capacity(capacity),
            repeated: Vec::new(),
            rejects: Vec::new(),
            strange: false,
        }
    }

    /// The table with the rows of `body`, if all are bars in the usual form.
    fn filled_with_plain_rows(mut self, body: &[u8]) -> Option<Self> {
        plain::rows(body, |row| {
            let (micros, None) = self.instant(row.date).ok()? else {
                return None;
            };
            let [open, low, high, close, volume] = row.numbers;
            let bar = Bar::new(
                Timestamp::from_micros(micros),
                [open, high, low, close],
                volume,
            );
            bar.check().ok()?;
            self.bars.push(&bar);
            Some(())
        })?;
        Some(self)
    }

    fn push(&mut self, raw: &'q str) {
        self.seen += 1;
        let Ok(row) = serde_json::from_str::<Row<'q>>(raw) else {
            self.strange = true;
            return;
        };
        match self.bar(&row) {
            Ok((bar, later)) => {
                if let Some(second) = later {
                    self.repeated.push(Repeated {
                        row: self.bars.len(),
                        second,
                        origin: (self.seen, raw, bar.timestamp.micros()),
                    });
                }
                self.bars.push(&bar);
            }
            Err(why) => self.reject(self.seen, raw, why),
        }
    }

    /// When a row opens; if its local time occurs twice, the earlier and the later instant.
    fn instant(&self, date: &str) -> Result<(i64, Option<i64>), NotBar> {
        let undated = |reason| (reason, None);
        let local = read_time(date.as_bytes(), b' ').ok_or(undated(Reason::BadTimestamp))?;
        let (micros, later) = match self.zone.from_local(local) {
            Local::Single(micros) => (micros, None),
            Local::Repeated(earlier, later) => (earlier, Some(later)),
            Local::Skipped(_) => return Err(undated(Reason::SkippedLocalTime)),
        };
        if micros > self.latest {
            return Err(undated(Reason::InTheFuture));
        }
        // Both are `YYYY-MM-DD`, so that text compares as dates do.
        let day = &date[..10];
        if day < self.dates[0].as_str() || day > self.dates[1].as_str() {
            return Err(undated(Reason::OutsideRange));
        }
        Ok((micros, later))
    }

    /// The row as a bar. If its local time occurs twice, the bar is at the earlier instant, and the
    /// later one is returned too.
    fn bar(&self, row: &Row<'q>) -> Result<(Bar, Option<i64>), NotBar> {
        let date = (row.date.get().strip_prefix('"'))
            .and_then(|date| date.strip_suffix('"'))
            .ok_or((Reason::BadTimestamp, None))?;
        let (micros, later) = self.instant(date)?;
        let dated = |reason| (reason, Some(micros));
        if (row.symbol).is_some_and(|symbol| !names(symbol.get(), self.ticker)) {
            return Err(dated(Reason::OtherTicker));
        }
        let number = |raw: Option<&RawValue>| number(raw.map(RawValue::get)).map_err(dated);
        let bar = Bar::new(
            Timestamp::from_micros(micros),
            [
                number(row.open)?,
                number(row.high)?,
                number(row.low)?,
                number(row.close)?,
            ],
            number(row.volume)?,
        );
        bar.check().map_err(dated)?;
        Ok((bar, later))
    }

    fn reject(&mut self, line: u64, raw: &str, why: NotBar) {
        self.rejects.push(BadRow::new(self.origin, line, raw, why));
    }

    /// The rows oldest first, local times that occur twice resolved.
    fn finish(mut self, interval: Interval) -> Rows {
        let mut bars = std::mem::take(&mut self.bars);
        let len = bars.len();
        let newest_first = bars.timestamps().first() > bars.timestamps().last();
        if newest_first {
            bars.reverse();
            self.repeated.reverse();
            for entry in &mut self.repeated {
                entry.row = len - 1 - entry.row;
            }
        }
        let repeated = std::mem::take(&mut self.repeated);
        for entry in resolve_repeated(&mut bars, repeated, Some(interval)) {
            let (line, raw, at) = entry.origin;
            self.reject(line, raw, (Reason::RepeatedLocalTime, Some(at)));
        }
        if !bars.timestamps().is_sorted() {
            let mut order: Vec<usize> = (0..bars.len()).collect();
            order.sort_by_key(|&row| bars.timestamps()[row]);
            bars = bars.select(&order);
        }
        self.rejects.sort_by_key(|row| row.reject.line);
        Rows {
            bars,
            rejects: self.rejects,
        }
    }
}

/// Whether the JSON value `symbol` names `ticker`, however share classes are written (`BRK-B`,
/// `brk.b`).
fn names(symbol: &str, ticker: &str) -> bool {
    let plain = |text: &str| -> String {
        let dash = |c: char| if c.is_alphanumeric() { c } else { '-' };
        text.chars()
            .map(dash)
            .flat_map(char::to_uppercase)
            .collect()
    };
    serde_json::from_str::<Option<String>>(symbol)
        .is_ok_and(|symbol| symbol.is_none_or(|symbol| plain(&symbol) == plain(ticker)))
}

#[cfg(test)]
mod tests;
