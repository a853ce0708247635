//! A body straight into columns.
//!
//! The array is walked once; each row is borrowed from the body, read field by field without an allocation, and pushed
//! onto the columns. Numbers are read by the standard library, which gives the nearest double: `588656.8568699993` comes
//! out as it stands.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::local_time::read_local_time;
use crate::model::{
    Bar, Bars, Interval, Local, Reason, Reject, Repeated, Timestamp, Zone, resolve_repeated,
};
use crate::provider::{BadRow, Request, Rows};

/// Bytes that a row takes in the service's own spelling, for a first guess at how many there are.
const ROW_BYTES: usize = 110;

/// Why a body holds no rows.
#[derive(Debug)]
pub(super) enum NotRows {
    /// No JSON: cut short, or a page of HTML.
    NotJson(serde_json::Error),
    /// JSON, but not an array of objects with a date.
    OtherJson,
}

/// One row, its values as they stand in the body.
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
    /// The service sends none; where there is one, it has to be the one that was asked for.
    #[serde(borrow)]
    symbol: Option<&'a RawValue>,
}

/// Why a row is not a bar, and when it opens, where that is known.
type NotBar = (Reason, Option<i64>);

/// Reads the rows of `body`.
pub(super) fn rows(body: &[u8], request: &Request, origin: &str) -> Result<Rows, NotRows> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let table = reader
        .deserialize_seq(TableVisitor {
            table: Table::new(request, origin, body.len() / ROW_BYTES + 1),
        })
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
    /// First and last date asked for, as rows spell them.
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

    /// The row as a bar. If its local time occurs twice, the bar is at the earlier instant, and the
    /// later one is returned too.
    fn bar(&self, row: &Row<'q>) -> Result<(Bar, Option<i64>), NotBar> {
        let undated = |reason| (reason, None);
        let date = (row.date.get().strip_prefix('"'))
            .and_then(|date| date.strip_suffix('"'))
            .ok_or(undated(Reason::BadTimestamp))?;
        let local = read_local_time(date.as_bytes()).ok_or(undated(Reason::BadTimestamp))?;
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
        let dated = |reason| (reason, Some(micros));
        if (row.symbol).is_some_and(|symbol| !names(symbol.get(), self.ticker)) {
            return Err(dated(Reason::OtherTicker));
        }
        let number = |raw| number(raw).map_err(dated);
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

    fn reject(&mut self, line: u64, raw: &str, (reason, at): NotBar) {
        self.rejects.push(BadRow {
            at: at.map(Timestamp::from_micros),
            reject: Reject {
                origin: self.origin.to_owned(),
                line,
                reason,
                raw: raw.to_owned(),
            },
        });
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

fn number(raw: Option<&RawValue>) -> Result<f64, Reason> {
    // `parse` also reads "inf" and "NaN", but no JSON number is spelled so.
    raw.and_then(|raw| raw.get().parse().ok())
        .ok_or(Reason::BadNumber)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::contract::request;

    fn read(body: &str) -> Rows {
        let request = request("AAPL", "2025-01-01", "2025-12-31");
        rows(body.as_bytes(), &request, "http://x/").unwrap_or_else(|e| panic!("{body}: {e:?}"))
    }

    /// The short form of the fuzz target `fmp`: its corpus, changed a little by fixed numbers; by others, and for longer,
    /// with `FUZZ_SEED` and `FUZZ_ROUNDS`.
    #[test]
    fn mutated_bodies_never_panic_and_bars_are_valid() {
        let number = |name: &str, otherwise: u64| {
            std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
        };
        let rounds = number("FUZZ_ROUNDS", 4_000) as usize;
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/fmp");
        let mut seeds: Vec<Vec<u8>> = std::fs::read_dir(corpus)
            .unwrap()
            .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
            .collect();
        seeds.sort();
        let request = request("AAPL", "2025-02-03", "2025-02-05");
        let mut state = number("FUZZ_SEED", 1);
        let mut roll = move |limit: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % limit.max(1)
        };
        let pieces = [
            "\"",
            ",",
            "{",
            "]",
            "null",
            "1e999",
            "-1",
            "\\u0000",
            "2025-11-02 01:30:00",
        ];
        let mut read = 0;
        for round in 0..rounds {
            let mut bytes = seeds[round % seeds.len()].clone();
            for _ in 0..=roll(3) {
                let place = roll(bytes.len());
                match roll(4) {
                    0 if !bytes.is_empty() => bytes[place] ^= 1 << roll(8),
                    1 => bytes.truncate(place),
                    2 => drop(bytes.splice(place..place, pieces[roll(pieces.len())].bytes())),
                    _ => drop(bytes.drain(place..(place + roll(10)).min(bytes.len()))),
                }
            }
            if let Ok(rows) = rows(&bytes, &request, "http://x/") {
                read += 1;
                assert!(
                    rows.bars.iter().all(|bar| bar.check().is_ok()),
                    "round {round}"
                );
                assert!(rows.bars.timestamps().is_sorted(), "round {round}");
            }
        }
        assert!(read > 100, "{read} of {rounds} bodies were read");
    }

    #[test]
    fn newest_first_becomes_oldest_first_to_the_last_digit() {
        let rows = read(
            r#"[{"date":"2025-02-04 15:59:00","open":233.01,"low":232.72,"high":233.13,"close":232.79,"volume":720121},
                {"date":"2025-02-04 15:58:00","open":233,"low":2.3e2,"high":233.10,"close":233,"volume":588656.8568699993}]"#,
        );
        assert!(rows.rejects.is_empty());
        let bars: Vec<Bar> = rows.bars.iter().collect();
        assert_eq!(bars[0].timestamp.to_string(), "2025-02-04T20:58:00Z");
        assert_eq!(bars[0].volume, 588_656.856_869_999_3);
        assert_eq!((bars[0].open, bars[0].low), (233.0, 230.0));
        assert_eq!(bars[1].timestamp.to_string(), "2025-02-04T20:59:00Z");
        assert_eq!(bars[1].high, 233.13);
    }

    #[test]
    fn bad_rows_are_rejected_with_reason_place_and_text_and_stop_no_other() {
        let good =
            r#"{"date":"2025-02-04 15:59:00","open":2,"low":1,"high":3,"close":2,"volume":1}"#;
        let bad = [
            (
                r#"{"date":"2025-02-04 15:5","open":2,"low":1,"high":3,"close":2,"volume":1}"#,
                Reason::BadTimestamp,
            ),
            (
                r#"{"date":null,"open":2,"low":1,"high":3,"close":2,"volume":1}"#,
                Reason::BadTimestamp,
            ),
            (
                r#"{"date":"2025-02-04 15:57:30","open":2,"low":1,"high":3,"close":2,"volume":1}"#,
                Reason::NotWholeMinute,
            ),
            (
                r#"{"date":"2025-02-04 15:56:00","open":null,"low":1,"high":3,"close":2,"volume":1}"#,
                Reason::BadNumber,
            ),
            (
                r#"{"date":"2025-02-04 15:55:00","open":"2","low":1,"high":3,"close":2,"volume":1}"#,
                Reason::BadNumber,
            ),
            (
                r#"{"date":"2025-02-04 15:54:00","open":2,"low":1,"high":3,"close":2}"#,
                Reason::BadNumber,
            ),
            (
                r#"{"date":"2025-02-04 15:53:00","open":9,"low":1,"high":3,"close":2,"volume":1}"#,
                Reason::HighLowOrder,
            ),
            (
                r#"{"date":"2025-02-04 15:52:00","open":0,"low":0,"high":3,"close":2,"volume":1}"#,
                Reason::PriceNotPositive,
            ),
            (
                r#"{"date":"2025-02-04 15:51:00","open":2,"low":1,"high":3,"close":2,"volume":-1}"#,
                Reason::BadVolume,
            ),
            (
                r#"{"date":"2025-03-09 02:30:00","open":2,"low":1,"high":3,"close":2,"volume":1}"#,
                Reason::SkippedLocalTime,
            ),
            (
                r#"{"date":"2025-11-02 01:30:00","open":2,"low":1,"high":3,"close":2,"volume":1}"#,
                Reason::RepeatedLocalTime,
            ),
        ];
        let body = bad
            .iter()
            .fold(format!("[{good}"), |body, (row, _)| body + "," + row)
            + "]";
        let rows = read(&body);
        assert_eq!(rows.bars.len(), 1);
        let got: Vec<_> = (rows.rejects.iter())
            .map(|row| &row.reject)
            .map(|r| (r.line, r.raw.as_str(), r.reason))
            .collect();
        let want: Vec<_> = (bad.iter().zip(2..))
            .map(|((raw, reason), line)| (line, *raw, *reason))
            .collect();
        assert_eq!(got, want);
        assert_eq!(rows.rejects[0].reject.origin, "http://x/");
    }

    #[test]
    fn rows_that_answer_another_question_are_rejects() {
        let row = |date: &str, symbol: &str| {
            format!(r#"{{"date":"{date}","open":2,"low":1,"high":3,"close":2,"volume":1{symbol}}}"#)
        };
        let request = Request {
            latest: "2025-02-06T00:00:00Z"
                .parse::<chrono::DateTime<chrono::Utc>>()
                .unwrap()
                .into(),
            ..request("BRK-B", "2025-02-03", "2025-02-06")
        };
        let rows_of = |row: String| rows(format!("[{row}]").as_bytes(), &request, "").unwrap();
        let noon = "2025-02-04 12:00:00";
        for symbol in [
            "",
            r#","symbol":"BRK-B""#,
            r#","symbol":"brk.b""#,
            r#","symbol":null"#,
        ] {
            assert_eq!(rows_of(row(noon, symbol)).bars.len(), 1, "{symbol}");
        }
        let at = Some("2025-02-04T17:00:00Z".to_owned());
        for (date, symbol, reason, at) in [
            (
                noon,
                r#","symbol":"BRK-A""#,
                Reason::OtherTicker,
                at.clone(),
            ),
            (noon, r#","symbol":7"#, Reason::OtherTicker, at),
            ("2025-02-02 23:59:00", "", Reason::OutsideRange, None),
            ("2025-02-05 20:00:00", "", Reason::InTheFuture, None),
            ("2025-02-07 00:00:00", "", Reason::InTheFuture, None),
        ] {
            let rows = rows_of(row(date, symbol));
            assert!(rows.bars.is_empty(), "{date} {symbol}");
            assert_eq!(rows.rejects[0].reject.reason, reason, "{date} {symbol}");
            assert_eq!(
                rows.rejects[0].at.map(|at| at.to_string()),
                at,
                "{date} {symbol}"
            );
        }
        let last = rows_of(row("2025-02-05 19:00:00", ""));
        assert_eq!(last.bars.len(), 1, "exactly the latest");
    }

    #[test]
    fn a_repeated_hour_served_whole_is_told_apart() {
        let row = |time: &str| {
            format!(
                r#"{{"date":"2025-11-02 {time}:00","open":2,"low":1,"high":3,"close":2,"volume":1}}"#
            )
        };
        let served = ["02:00", "01:59", "01:00", "01:59", "01:00", "00:59"]
            .map(row)
            .join(",");
        let rows = read(&format!("[{served}]"));
        let times: Vec<String> = rows.bars.iter().map(|b| b.timestamp.to_string()).collect();
        assert_eq!(
            times,
            ["04:59", "05:00", "05:59", "06:00", "06:59", "07:00"]
                .map(|t| format!("2025-11-02T{t}:00Z"))
        );
    }

    #[test]
    fn any_order_comes_out_sorted() {
        let row = |time: &str| {
            format!(
                r#"{{"date":"2025-02-04 {time}:00","open":2,"low":1,"high":3,"close":2,"volume":1}}"#
            )
        };
        for order in [
            ["10:02", "10:00", "10:01"],
            ["10:00", "10:02", "10:01"],
            ["10:00", "10:01", "10:02"],
        ] {
            let rows = read(&format!("[{}]", order.map(row).join(",")));
            assert!(
                rows.bars.is_sorted_unique() && rows.bars.len() == 3,
                "{order:?}"
            );
        }
    }

    #[test]
    fn what_is_no_array_of_bars_is_told_apart() {
        let request = request("AAPL", "2025-02-03", "2025-02-05");
        let kind = |body: &str| rows(body.as_bytes(), &request, "").map(|rows| rows.bars.len());
        assert_eq!(kind("[]").unwrap(), 0);
        assert_eq!(kind(" [ ] \n").unwrap(), 0);
        for body in [
            "{}",
            "null",
            "3",
            r#""x""#,
            "[1]",
            "[[]]",
            r#"[{"open":1}]"#,
            r#"{"a":[]}"#,
        ] {
            assert!(matches!(kind(body), Err(NotRows::OtherJson)), "{body}");
        }
        for body in [
            "",
            "[",
            "<html>",
            "[{\"date\":",
            "[]x",
            r#"[{"date":"2025-02-04 10:00:00","op"#,
        ] {
            assert!(matches!(kind(body), Err(NotRows::NotJson(_))), "{body}");
        }
        assert!(matches!(
            rows(b"[\xff]", &request, ""),
            Err(NotRows::NotJson(_))
        ));
    }
}
