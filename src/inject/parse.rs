//! Blocks of text into bars, the hot loop of the whole path.
//!
//! A plain row is read in one pass over its bytes, field after field, straight into columns: no row, no field and no
//! string is ever built. Whatever is not plain (quotes, blanks, exponents, commas in numbers, anything wrong) sends that
//! row to the slow way, which decides what it is and, where it is no bar, why.

use std::borrow::Cow;
use std::collections::HashMap;

use memchr::{memchr, memchr2};

use super::date::ShortDate;
use super::evidence::{Contrary, Written};
use super::layout::{Role, slot};
use super::number::{Decimal, digits, parse, parse_form, parse_nano, peek, scan};
use super::parsed::{Block, Parsed, Run, bad_row};
use super::plan::{Plan, Prices};
use super::record::{End, end_of, split};
use super::stamp::{StampReader, time_of_day};
use crate::model::{Bar, Local, Reason, Repeated, Ticker, Timestamp};

/// Integers of 1e-9 up to which a division is exact.
const NANO_DIGITS_MAX: usize = 15;

/// Reads the blocks of one dump.
pub(super) struct Parser<'p> {
    plan: &'p Plan,
    stamps: StampReader,
    out: Parsed,
    /// Every ticker met, in order; `None` for one that is filtered out.
    tickers: Vec<Option<Ticker>>,
    index: HashMap<Vec<u8>, u32>,
    /// The bytes of the last ticker, and its index.
    last: (Vec<u8>, u32),
}

/// A row's ticker.
enum Whose {
    /// This one.
    Index(u32),
    /// One that is filtered out.
    Nobody,
}

/// The values of a row while it is read.
struct Row {
    local: Local,
    values: [f64; slot::COUNT],
    whose: u32,
}

impl<'p> Parser<'p> {
    pub(super) fn new(plan: &'p Plan) -> Self {
        let mut parser = Self {
            plan,
            stamps: StampReader::new(plan.zone.clone(), Some(plan.dates)),
            out: Parsed::default(),
            tickers: Vec::new(),
            index: HashMap::new(),
            last: (Vec::new(), 0),
        };
        if let Some(ticker) = &plan.ticker {
            parser.tickers.push(Some(ticker.clone()));
        }
        parser
    }

    /// Every ticker met, in order; `None` for one that is filtered out.
    pub(super) fn tickers(&self) -> &[Option<Ticker>] {
        &self.tickers
    }

    /// Hands over what was read since the last time.
    pub(super) fn take(&mut self) -> Parsed {
        std::mem::take(&mut self.out)
    }

    /// What was read since it was last taken.
    pub(super) fn parsed(&self) -> &Parsed {
        &self.out
    }

    /// Reads a block, adding to what was read before.
    pub(super) fn parse(&mut self, block: &Block) {
        let text = &block.text;
        let mut line = block.first_line;
        let mut at = 0;
        while at < text.len() {
            if let Some(end) = self.plain_row(text, at, line) {
                at = end;
                line += 1;
                continue;
            }
            let (end, whole) = match end_of(text, at, self.plan.delimiter, true) {
                End::At(end) => (end, true),
                End::Unclosed(end) => (end, false),
                End::Unknown => (text.len(), true),
            };
            let record = &text[at..end];
            if !record.trim_ascii().is_empty() {
                self.out.rows += 1;
                let outcome = if whole {
                    self.odd_row(record, line)
                } else {
                    Err(Reason::Unreadable)
                };
                if let Err(reason) = outcome {
                    self.reject(record, line, reason);
                }
            }
            line += memchr::memchr_iter(b'\n', record).count() as u64;
            at = end;
        }
    }

    /// Reads the row at `at` if it is plain; returns where the next begins.
    #[inline]
    fn plain_row(&mut self, text: &[u8], start: usize, line: u64) -> Option<usize> {
        let plan = self.plan;
        if plan.prices == Prices::Decimal(Decimal::Comma) {
            return None;
        }
        let mut at = start;
        let mut values = [f64::NAN; slot::COUNT];
        values[slot::VOLUME] = 0.0;
        let mut local = Local::Single(0);
        let mut day = 0;
        let mut time = 0;
        let mut whose = 0;
        let last = plan.roles.len() - 1;
        for (column, role) in plan.roles.iter().enumerate() {
            match *role {
                Role::Number(slot) => {
                    let next = peek(text, at);
                    if slot > slot::VOLUME
                        && (next == plan.delimiter || next == b'\n' || next == b'\r')
                    {
                        // No vwap, no number of trades.
                    } else if plan.prices == Prices::Nano && slot <= slot::CLOSE {
                        let (value, end) = digits(text, at, 0);
                        if !(1..=NANO_DIGITS_MAX).contains(&(end - at)) {
                            return None;
                        }
                        values[slot] = value as f64 / 1e9;
                        at = end;
                    } else {
                        let (value, end) = scan(text, at)?;
                        values[slot] = value;
                        at = end;
                    }
                }
                Role::Stamp => {
                    let (meant, end) = self.stamps.stamp(text, at)?;
                    local = meant;
                    at = end;
                }
                Role::Date => (day, at) = self.stamps.date(text, at)?,
                Role::Time => (time, at) = time_of_day(text, at)?,
                Role::Ticker => {
                    let end = field_end(text, at, plan.delimiter)?;
                    match self.whose(&text[at..end]) {
                        Ok(Whose::Index(index)) => whose = index,
                        Ok(Whose::Nobody) => whose = u32::MAX,
                        Err(_) => return None,
                    }
                    at = end;
                }
                Role::Period => {
                    let end = field_end(text, at, plan.delimiter)?;
                    if plan
                        .period
                        .as_deref()
                        .is_some_and(|ours| ours != &text[at..end])
                    {
                        return None;
                    }
                    at = end;
                }
                Role::Skip => at = field_end(text, at, plan.delimiter)?,
            }
            if column < last {
                if peek(text, at) != plan.delimiter {
                    return None;
                }
                at += 1;
            }
        }
        if peek(text, at) == b'\r' {
            at += 1;
        }
        if peek(text, at) != b'\n' {
            return None;
        }
        if whose == u32::MAX {
            return Some(at + 1);
        }
        self.out.rows += 1;
        if plan.time_apart {
            local = self.stamps.local(day, time);
        }
        let row = Row {
            local,
            values,
            whose,
        };
        if let Err(reason) = self.bar(&row, &text[start..at], line) {
            self.reject(&text[start..at], line, reason);
        }
        Some(at + 1)
    }

    /// Reads a row that is not plain.
    fn odd_row(&mut self, record: &[u8], line: u64) -> Result<(), Reason> {
        let plan = self.plan;
        let mut fields: Vec<Cow<'_, [u8]>> = Vec::with_capacity(plan.roles.len() + 1);
        split(record, plan.delimiter, &mut fields);
        let expected = plan.roles.len();
        let trailing = fields.len() == expected + 1
            && fields
                .last()
                .is_some_and(|last| last.trim_ascii().is_empty());
        if fields.len() != expected && !trailing {
            return Err(Reason::FieldCount);
        }
        let mut values = [f64::NAN; slot::COUNT];
        values[slot::VOLUME] = 0.0;
        let mut local = None;
        let (mut day, mut time) = (None, None);
        let mut whose = 0;
        for (role, field) in plan.roles.iter().zip(&fields) {
            if *role == Role::Ticker {
                match self.whose(field)? {
                    Whose::Index(index) => whose = index,
                    Whose::Nobody => {
                        self.out.rows -= 1;
                        return Ok(());
                    }
                }
            }
            let field = field.trim_ascii();
            let whole = |end: usize| end == field.len();
            match *role {
                Role::Stamp => {
                    local = self.stamps.stamp(field, 0).filter(|(_, end)| whole(*end));
                    if local.is_none() {
                        self.contradict_dates(field, line);
                    }
                }
                Role::Date => {
                    day = self.stamps.date(field, 0).filter(|(_, end)| whole(*end));
                    if day.is_none() {
                        self.contradict_dates(field, line);
                    }
                }
                Role::Time => time = time_of_day(field, 0).filter(|(_, end)| whole(*end)),
                Role::Period => {
                    if plan.period.as_deref().is_some_and(|ours| ours != field) {
                        return Err(Reason::OtherInterval);
                    }
                }
                Role::Number(_) | Role::Ticker | Role::Skip => {}
            }
        }
        let local = if plan.time_apart {
            let ((day, _), (time, _)) = day.zip(time).ok_or(Reason::BadTimestamp)?;
            self.stamps.local(day, time)
        } else {
            local.ok_or(Reason::BadTimestamp)?.0
        };
        for (role, field) in plan.roles.iter().zip(&fields) {
            let Role::Number(slot) = *role else { continue };
            let field = field.trim_ascii();
            if slot > slot::VOLUME && (field.is_empty() || field.eq_ignore_ascii_case(b"nan")) {
                continue;
            }
            let value = match plan.prices {
                Prices::Nano if slot <= slot::CLOSE => parse_nano(field),
                Prices::Decimal(decimal) => {
                    let value = parse_form(field, decimal);
                    if value.is_none() {
                        self.contradict_numbers(field, decimal, line);
                    }
                    value
                }
                Prices::Nano => parse(field),
            };
            values[slot] = value.ok_or(Reason::BadNumber)?;
        }
        let row = Row {
            local,
            values,
            whose,
        };
        self.bar(&row, record, line)
    }

    /// Remembers a date that can be read in the other order only.
    #[cold]
    fn contradict_dates(&mut self, field: &[u8], line: u64) {
        let other = self.plan.dates.other();
        if let Some((date, end)) = ShortDate::read(field, 0)
            && !self.plan.given.dates
            && date.in_order(self.plan.dates).is_none()
            && date.in_order(other).is_some()
        {
            self.contradict(&field[..end], Written::Date(other), line);
        }
    }

    /// Remembers a number that can be read with the other decimal mark only.
    #[cold]
    fn contradict_numbers(&mut self, field: &[u8], decimal: Decimal, line: u64) {
        let other = decimal.other();
        if !self.plan.given.decimal && parse_form(field, other).is_some() {
            self.contradict(field, Written::Number(other), line);
        }
    }

    fn contradict(&mut self, value: &[u8], what: Written, line: u64) {
        self.out.contrary.get_or_insert_with(|| Contrary {
            line,
            value: String::from_utf8_lossy(value).into_owned(),
            what,
        });
    }

    /// Checks a row's values and adds the bar.
    #[inline]
    fn bar(&mut self, row: &Row, raw: &[u8], line: u64) -> Result<(), Reason> {
        let values = &row.values;
        let timestamp = match row.local {
            Local::Single(at) | Local::Repeated(at, _) => at,
            Local::Skipped(_) => return Err(Reason::SkippedLocalTime),
        };
        let mut volume = values[slot::VOLUME];
        if volume == 0.0 && !values[slot::TICK_VOLUME].is_nan() {
            volume = values[slot::TICK_VOLUME];
        }
        let bar = Bar {
            vwap: optional(values[slot::VWAP]),
            trades: trades(values[slot::TRADES])?,
            ..Bar::new(
                Timestamp::from_micros(timestamp),
                [
                    values[slot::OPEN],
                    values[1],
                    values[2],
                    values[slot::CLOSE],
                ],
                volume,
            )
        };
        bar.check_until(self.plan.latest)?;
        if let Local::Repeated(_, second) = row.local {
            self.out.repeated.push(Repeated {
                row: self.out.bars.len(),
                second,
                origin: bad_row(raw, line, Reason::RepeatedLocalTime),
            });
        }
        self.out.bars.push(&bar);
        match self.out.runs.last_mut() {
            Some(run) if run.ticker == row.whose => run.len += 1,
            _ => self.out.runs.push(Run {
                ticker: row.whose,
                len: 1,
            }),
        }
        Ok(())
    }

    /// The index of the ticker that a field names.
    #[inline]
    fn whose(&mut self, field: &[u8]) -> Result<Whose, Reason> {
        if self.last.0 != field || self.tickers.is_empty() {
            self.look_up(field)?;
        }
        let index = self.last.1;
        Ok(if self.tickers[index as usize].is_some() {
            Whose::Index(index)
        } else {
            Whose::Nobody
        })
    }

    fn look_up(&mut self, field: &[u8]) -> Result<(), Reason> {
        let index = match self.index.get(field) {
            Some(index) => *index,
            None => {
                let text = std::str::from_utf8(field).map_err(|_| Reason::BadTicker)?;
                let ticker = self.plan.ticker_of(text).map_err(|_| Reason::BadTicker)?;
                let index = u32::try_from(self.tickers.len()).map_err(|_| Reason::BadTicker)?;
                self.tickers
                    .push(self.plan.wants(&ticker).then_some(ticker));
                self.index.insert(field.to_vec(), index);
                index
            }
        };
        self.last.0.clear();
        self.last.0.extend_from_slice(field);
        self.last.1 = index;
        Ok(())
    }

    #[cold]
    fn reject(&mut self, raw: &[u8], line: u64, reason: Reason) {
        self.out.rejects.push(bad_row(raw, line, reason));
    }
}

/// Where the field that begins at `at` ends; `None` when a quote makes that hard to tell.
#[inline]
fn field_end(text: &[u8], at: usize, delimiter: u8) -> Option<usize> {
    let end = at + memchr2(delimiter, b'\n', &text[at..])?;
    if memchr(b'"', &text[at..end]).is_some() {
        return None;
    }
    let end = if text[end] == b'\n' && end > at && text[end - 1] == b'\r' {
        end - 1
    } else {
        end
    };
    Some(end)
}

#[inline]
fn optional(value: f64) -> Option<f64> {
    (!value.is_nan()).then_some(value)
}

/// A number of trades is whole, whether written `12` or `12.0`.
#[inline]
fn trades(value: f64) -> Result<Option<i64>, Reason> {
    if value.is_nan() {
        return Ok(None);
    }
    let whole = value as i64;
    if whole as f64 == value && whole < i64::MAX {
        Ok(Some(whole))
    } else {
        Err(Reason::BadNumber)
    }
}
