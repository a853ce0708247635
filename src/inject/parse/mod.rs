//! Parses blocks of text into bars: the hot loop of an injection.
//!
//! A plain row goes from its bytes into columns in one pass; no row, field or string is built
//! (`plain.rs`). Any other row (with quotes, blanks, exponents, commas in numbers, or an error) is
//! read field by field, which also decides why it is a reject (`general.rs`).

mod general;
mod plain;

use std::collections::HashMap;

use super::block::{BadRow, Block, MissingBar, Parsed, Run, bad_row};
use super::columns::slot;
use super::plan::Plan;
use super::record::{End, end_of};
use super::timestamp::TimestampReader;
use crate::model::{Bar, Local, Reason, Repeated, Ticker, Timestamp};

/// Digits of a price in units of 1e-9 up to which a division is exact.
const NANO_DIGITS_MAX: usize = 15;

/// Parses the blocks of one file.
pub(super) struct Parser<'p> {
    plan: &'p Plan,
    timestamps: TimestampReader,
    out: Parsed,
    /// All tickers so far; `None` for one that the run doesn't read.
    tickers: Vec<Option<Ticker>>,
    /// The index of each ticker by the bytes of its field.
    index: HashMap<Vec<u8>, u32>,
    /// The last field, and its index.
    last: (Vec<u8>, u32),
    /// Ticker and time of the row that is being read, once they are known.
    known: Option<(u32, i64)>,
}

/// The ticker of a row.
enum TickerMatch {
    /// The ticker with this index.
    Wanted(u32),
    /// One that the run doesn't read.
    Unwanted,
}

/// The values of a row.
struct Row {
    local: Local,
    values: [f64; slot::COUNT],
    ticker: u32,
}

/// Ticker and time of a row; `None` if a clock change skips the time.
fn known(ticker: u32, local: Local) -> Option<(u32, i64)> {
    match local {
        Local::Single(at) | Local::Repeated(at, _) => Some((ticker, at)),
        Local::Skipped(_) => None,
    }
}

impl<'p> Parser<'p> {
    pub(super) fn new(plan: &'p Plan) -> Self {
        let mut parser = Self {
            plan,
            timestamps: TimestampReader::new(plan.zone.clone(), Some(plan.date_order))
                .with_format(plan.time_format.clone()),
            out: Parsed::default(),
            tickers: Vec::new(),
            index: HashMap::new(),
            last: (Vec::new(), 0),
            known: None,
        };
        if let Some(ticker) = &plan.ticker {
            parser.tickers.push(Some(ticker.clone()));
        }
        for series in &plan.wide {
            let ticker = &series.ticker;
            parser
                .tickers
                .push(plan.wants(ticker).then(|| ticker.clone()));
        }
        parser
    }

    /// All tickers so far; `None` for one that the run doesn't read.
    pub(super) fn tickers(&self) -> &[Option<Ticker>] {
        &self.tickers
    }

    /// Takes what was parsed since the last call.
    pub(super) fn take(&mut self) -> Parsed {
        std::mem::take(&mut self.out)
    }

    /// What was parsed since the last [`take`](Self::take).
    pub(super) fn parsed(&self) -> &Parsed {
        &self.out
    }

    /// Parses a block, adding to what was parsed before.
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
                self.known = None;
                let outcome = if whole {
                    self.general_row(record, line)
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

    /// Checks a row's values and adds the bar.
    #[inline]
    fn bar(&mut self, row: &Row, raw: &[u8], line: u64) -> Result<(), Reason> {
        let timestamp = match row.local {
            Local::Single(at) | Local::Repeated(at, _) => at,
            Local::Skipped(_) => return Err(Reason::SkippedLocalTime),
        };
        let [mut values @ .., tick_volume, down_volume] = row.values;
        if values[slot::VOLUME] == 0.0 && !tick_volume.is_nan() {
            values[slot::VOLUME] = tick_volume;
        }
        if !down_volume.is_nan() {
            values[slot::VOLUME] += down_volume;
        }
        let bar = Bar::from_doubles(Timestamp::from_micros(timestamp), values)?;
        bar.check_until(self.plan.latest)?;
        if self
            .plan
            .grid
            .get()
            .is_some_and(|grid| !grid.has(timestamp))
        {
            return Err(Reason::OffGrid);
        }
        if let Local::Repeated(_, second) = row.local {
            self.known = known(row.ticker, row.local);
            self.out.repeated.push(Repeated {
                row: self.out.bars.len(),
                second,
                origin: BadRow {
                    bar: self.known_bar(),
                    ..bad_row(raw, line, Reason::RepeatedLocalTime)
                },
            });
        }
        self.out.bars.push(&bar);
        match self.out.runs.last_mut() {
            Some(run) if run.ticker == row.ticker => run.len += 1,
            _ => self.out.runs.push(Run {
                ticker: row.ticker,
                len: 1,
            }),
        }
        Ok(())
    }

    /// The ticker that a field names.
    #[inline]
    fn ticker(&mut self, field: &[u8]) -> Result<TickerMatch, Reason> {
        if self.last.0 != field || self.tickers.is_empty() {
            self.look_up(field)?;
        }
        let index = self.last.1;
        Ok(if self.tickers[index as usize].is_some() {
            TickerMatch::Wanted(index)
        } else {
            TickerMatch::Unwanted
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
        let mut row = bad_row(raw, line, reason);
        // No bar is missing because of these.
        let is_no_bar = matches!(
            reason,
            Reason::InTheFuture
                | Reason::OtherInterval
                | Reason::SkippedLocalTime
                | Reason::BadTicker
        );
        if !is_no_bar {
            row.bar = self.known_bar();
            if self.known.is_none() {
                let before = self.out.bars.len();
                self.out.unplaced.push((self.out.rejects.len(), before));
            }
        }
        self.out.rejects.push(row);
    }

    /// The bar that the row would be, if its ticker and time are known.
    fn known_bar(&self) -> Option<MissingBar> {
        let (ticker, time) = self.known?;
        Some(MissingBar {
            ticker: self.tickers.get(ticker as usize)?.clone()?,
            time,
            steps: 0,
        })
    }
}
