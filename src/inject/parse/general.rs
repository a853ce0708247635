//! The general way to read a row: its fields one by one.

use std::borrow::Cow;

use super::{Parser, Row, TickerMatch, known};
use crate::inject::clock::time_of_day;
use crate::inject::columns::{Role, slot};
use crate::inject::date::ShortDate;
use crate::inject::error::{Contradiction, Form};
use crate::inject::number::{Decimal, parse, parse_decorated, parse_form, parse_nano};
use crate::inject::plan::Prices;
use crate::inject::record::split;
use crate::model::Reason;

/// Whether a field has no value.
fn is_missing(field: &[u8]) -> bool {
    matches!(field, b"" | b"-")
        || [&b"nan"[..], b"null", b"none", b"n/a"]
            .iter()
            .any(|word| field.eq_ignore_ascii_case(word))
}

/// The fields of date and time with a blank between them.
fn date_and_time<'f>(
    columns: &(impl Iterator<Item = (Role, &'f Cow<'f, [u8]>)> + Clone),
) -> Vec<u8> {
    let field = |role| {
        let mut columns = columns.clone();
        let found = columns.find(|(known, _)| *known == role);
        found.map_or(&[][..], |(_, field)| field.trim_ascii())
    };
    [field(Role::Date), field(Role::Time)].join(&b' ')
}

impl Parser<'_> {
    /// Reads any row.
    pub(super) fn general_row(&mut self, record: &[u8], line: u64) -> Result<(), Reason> {
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
        if plan.wide.is_empty() {
            let columns = plan.roles.iter().copied().zip(&fields);
            return self.columns_of_row(columns, 0, record, line);
        }
        // One bar for each ticker, with the time of the row.
        self.out.rows -= 1;
        for (index, series) in plan.wide.iter().enumerate() {
            if self.tickers[index].is_none() {
                continue;
            }
            self.out.rows += 1;
            let columns = series.columns.iter();
            let columns = columns.filter_map(|(at, role)| Some((*role, fields.get(*at)?)));
            if let Err(reason) = self.columns_of_row(columns, index as u32, record, line) {
                self.reject(record, line, reason);
            }
        }
        Ok(())
    }

    /// Reads one bar from its columns. `ticker` is its ticker unless a column has it.
    fn columns_of_row<'f>(
        &mut self,
        columns: impl Iterator<Item = (Role, &'f Cow<'f, [u8]>)> + Clone,
        mut ticker: u32,
        record: &[u8],
        line: u64,
    ) -> Result<(), Reason> {
        let plan = self.plan;
        let mut values = [f64::NAN; slot::COUNT];
        values[slot::VOLUME] = 0.0;
        let mut local = None;
        let (mut day, mut time) = (None, None);
        for (role, field) in columns.clone() {
            if role == Role::Ticker {
                match self.ticker(field)? {
                    TickerMatch::Wanted(index) => ticker = index,
                    TickerMatch::Unwanted => {
                        self.out.rows -= 1;
                        return Ok(());
                    }
                }
            }
            let field = field.trim_ascii();
            let is_all = |end: usize| end == field.len();
            match role {
                Role::Timestamp => {
                    local = self
                        .timestamps
                        .timestamp(field, 0)
                        .filter(|(_, end)| is_all(*end));
                    if local.is_none() {
                        self.contradict_dates(field, line);
                    }
                }
                Role::Date => {
                    day = self
                        .timestamps
                        .date(field, 0)
                        .filter(|(_, end)| is_all(*end));
                    if day.is_none() {
                        self.contradict_dates(field, line);
                    }
                }
                Role::Time => time = time_of_day(field, 0).filter(|(_, end)| is_all(*end)),
                Role::Interval => {
                    if plan
                        .interval_code
                        .as_deref()
                        .is_some_and(|code| code != field)
                    {
                        return Err(Reason::OtherInterval);
                    }
                }
                Role::Number(_) | Role::Ticker | Role::Skip => {}
            }
        }
        let mut prices = columns
            .clone()
            .filter(|(role, _)| matches!(role, Role::Number(slot) if *slot <= slot::CLOSE));
        if prices.all(|(_, field)| is_missing(field.trim_ascii())) {
            self.out.rows -= 1;
            self.out.empty_minutes += 1;
            return Ok(());
        }
        let local = if let (Some(format), true) = (&plan.time_format, plan.has_two_time_columns) {
            let both = date_and_time(&columns);
            let read = self.timestamps.formatted(&both, format);
            read.ok_or(Reason::BadTimestamp)?
        } else if plan.has_two_time_columns {
            let ((day, _), (time, _)) = day.zip(time).ok_or(Reason::BadTimestamp)?;
            self.timestamps.local(day, time)
        } else {
            local.ok_or(Reason::BadTimestamp)?.0
        };
        self.known = known(ticker, local);
        for (role, field) in columns {
            let Role::Number(slot) = role else { continue };
            let field = field.trim_ascii();
            if slot >= slot::VOLUME && is_missing(field) {
                self.out.empty_volumes += u64::from(slot == slot::VOLUME);
                continue;
            }
            let value = match plan.prices {
                Prices::Nano if slot <= slot::CLOSE => parse_nano(field),
                Prices::Decimal(decimal) => {
                    let value =
                        parse_form(field, decimal).or_else(|| parse_decorated(field, decimal));
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
            ticker,
        };
        self.bar(&row, record, line)
    }

    /// Records a date that is valid only in the other order.
    #[cold]
    fn contradict_dates(&mut self, field: &[u8], line: u64) {
        let other = self.plan.date_order.other();
        if let Some((date, end)) = ShortDate::read(field, 0)
            && !self.plan.given.date_order
            && date.in_order(self.plan.date_order).is_none()
            && date.in_order(other).is_some()
        {
            self.contradict(&field[..end], Form::Date(other), line);
        }
    }

    /// Records a number that is valid only with the other decimal mark.
    #[cold]
    fn contradict_numbers(&mut self, field: &[u8], decimal: Decimal, line: u64) {
        let other = decimal.other();
        if !self.plan.given.decimal && parse_form(field, other).is_some() {
            self.contradict(field, Form::Number(other), line);
        }
    }

    fn contradict(&mut self, value: &[u8], form: Form, line: u64) {
        self.out.contradiction.get_or_insert_with(|| Contradiction {
            line,
            value: String::from_utf8_lossy(value).into_owned(),
            form,
        });
    }
}
