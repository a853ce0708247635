//! The fast way to read a row: one pass over its bytes.

use memchr::{memchr, memchr2};

use super::{NANO_DIGITS_MAX, Parser, Row, TickerMatch, known};
use crate::inject::clock::time_of_day;
use crate::inject::columns::{Role, slot};
use crate::inject::number::{Decimal, digits, peek, scan};
use crate::inject::plan::Prices;
use crate::model::Local;

impl Parser<'_> {
    /// Reads the row that starts at `start` if it is plain; returns where the next one starts.
    #[inline]
    pub(super) fn plain_row(&mut self, text: &[u8], start: usize, line: u64) -> Option<usize> {
        let plan = self.plan;
        if plan.prices == Prices::Decimal(Decimal::Comma)
            || plan.time_format.is_some()
            || !plan.wide.is_empty()
        {
            return None;
        }
        let mut at = start;
        let mut values = [f64::NAN; slot::COUNT];
        values[slot::VOLUME] = 0.0;
        let mut local = Local::Single(0);
        let mut day = 0;
        let mut time = 0;
        let mut ticker = 0;
        let last = plan.roles.len() - 1;
        for (column, role) in plan.roles.iter().enumerate() {
            match *role {
                Role::Number(slot) => {
                    let next = peek(text, at);
                    if slot > slot::VOLUME
                        && (next == plan.delimiter || next == b'\n' || next == b'\r')
                    {
                        // Missing: vwap, trades or tick volume.
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
                Role::Timestamp => {
                    let (instant, end) = self.timestamps.timestamp(text, at)?;
                    local = instant;
                    at = end;
                }
                Role::Date => (day, at) = self.timestamps.date(text, at)?,
                Role::Time => (time, at) = time_of_day(text, at)?,
                Role::Ticker => {
                    let end = field_end(text, at, plan.delimiter)?;
                    match self.ticker(&text[at..end]) {
                        Ok(TickerMatch::Wanted(index)) => ticker = index,
                        Ok(TickerMatch::Unwanted) => ticker = u32::MAX,
                        Err(_) => return None,
                    }
                    at = end;
                }
                Role::Interval => {
                    let end = field_end(text, at, plan.delimiter)?;
                    if plan
                        .interval_code
                        .as_deref()
                        .is_some_and(|code| code != &text[at..end])
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
        if ticker == u32::MAX {
            return Some(at + 1);
        }
        self.out.rows += 1;
        if plan.has_two_time_columns {
            local = self.timestamps.local(day, time);
        }
        let row = Row {
            local,
            values,
            ticker,
        };
        if let Err(reason) = self.bar(&row, &text[start..at], line) {
            self.known = known(ticker, local);
            self.reject(&text[start..at], line, reason);
        }
        Some(at + 1)
    }
}

/// Where the field that starts at `at` ends; `None` if it has quotes.
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
