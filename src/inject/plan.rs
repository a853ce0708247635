//! How one dump is to be read, found out from its first lines and its name.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use chrono::NaiveDate;
use memchr::memchr;

use super::error::{Error, FileError};
use super::filename::{FromName, interval_anywhere, strip_end};
use super::layout::{Columns, Layout, Look, Role, from_header, from_looks, has, slot};
use super::number::{parse, parse_comma};
use super::record::{End, end_of, split};
use super::settings::Settings;
use super::stamp::{Clock, StampReader, time_of_day};
use crate::calendar::{Calendar, Zone};
use crate::model::{BadTicker, DateRange, Interval, Ticker};

const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Records that are looked at.
const SAMPLE_RECORDS_MAX: usize = 20;
/// A time and four prices.
const FIELDS_MIN: usize = 5;
/// HistData's New York winter time, local minus UTC, in microseconds.
const EST_MICROS: i64 = -5 * 3_600_000_000;
const YEAR_FIRST: i32 = 1980;
const YEAR_LAST: i32 = 2040;

/// The fields of a record.
type Fields<'a> = Vec<Cow<'a, [u8]>>;

/// How prices are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prices {
    /// `167.65`
    Decimal,
    /// `167,65`
    Comma,
    /// `167650000000`, in units of 1e-9
    Nano,
}

/// How one dump is to be read.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) delimiter: u8,
    /// What each column holds; a row has as many fields.
    pub(super) roles: Vec<Role>,
    pub(super) prices: Prices,
    /// How local times become instants.
    pub(super) clock: Clock,
    /// Whether date and time stand in two columns.
    pub(super) time_apart: bool,
    /// What the period column says in rows that are ours.
    pub(super) period: Option<Vec<u8>>,
    /// The ticker of every row, where no column gives it.
    pub(super) ticker: Option<Ticker>,
    /// The interval, where something says it.
    pub(super) interval: Option<Interval>,
    /// The exchange.
    pub(super) calendar: Calendar,
    wanted: Arc<HashSet<Ticker>>,
    strip_suffix: Option<String>,
}

impl Plan {
    /// The ticker that a field or a file's name stands for.
    pub(super) fn ticker_of(&self, text: &str) -> Result<Ticker, BadTicker> {
        stripped(text, self.strip_suffix.as_deref())
    }

    /// Whether the run takes bars of that ticker.
    pub(super) fn wants(&self, ticker: &Ticker) -> bool {
        self.wanted.is_empty() || self.wanted.contains(ticker)
    }
}

fn stripped(text: &str, suffix: Option<&str>) -> Result<Ticker, BadTicker> {
    let text = text.trim();
    Ticker::of_new_bars(suffix.and_then(|end| strip_end(text, end)).unwrap_or(text))
}

/// A plan, and where its rows begin.
#[derive(Clone, Debug)]
pub(super) struct Sniffed {
    pub(super) plan: Plan,
    /// Offset of the first record that is no header.
    pub(super) data_at: usize,
}

/// What all dumps of a run have in common.
pub(super) struct Sniffer<'s> {
    settings: &'s Settings,
    stocks: Calendar,
    crypto: Calendar,
    forex: Calendar,
    zone: Option<Arc<Zone>>,
    wanted: Arc<HashSet<Ticker>>,
}

impl<'s> Sniffer<'s> {
    pub(super) fn new(settings: &'s Settings) -> Result<Self, Error> {
        let zone = settings.timezone.and_then(|tz| {
            let first = NaiveDate::from_ymd_opt(YEAR_FIRST, 1, 1)?;
            let last = NaiveDate::from_ymd_opt(YEAR_LAST, 1, 1)?;
            Some(Arc::new(Zone::new(tz, DateRange::new(first, last).ok()?)))
        });
        let calendar = |code| Calendar::for_exchange_with(code, &settings.calendars);
        Ok(Self {
            settings,
            stocks: calendar("NASDAQ")?,
            crypto: calendar("CRYPTO")?,
            forex: calendar("FOREX")?,
            zone,
            wanted: Arc::new(settings.tickers.iter().cloned().collect()),
        })
    }

    /// Finds out how the dump that begins with `head` is to be read. `None` when it holds no rows. `last` says that
    /// nothing follows `head`.
    pub(super) fn sniff(
        &self,
        head: &[u8],
        last: bool,
        name: &FromName,
        stem: &str,
    ) -> Result<Option<Sniffed>, FileError> {
        let Some(delimiter) = delimiter_of(head, last) else {
            return if head.trim_ascii().is_empty() {
                Ok(None)
            } else {
                Err(FileError::Unrecognised)
            };
        };
        let (records, starts) = sample(head, last, delimiter);
        let looks: Vec<Look> = records[0].iter().map(|field| look(field)).collect();
        let headed = looks
            .iter()
            .all(|look| matches!(look, Look::Text | Look::Empty));
        let columns = if headed {
            let names: Vec<String> = records[0]
                .iter()
                .map(|field| String::from_utf8_lossy(field).into_owned())
                .collect();
            from_header(&names, &self.settings.columns)?
        } else {
            from_looks(&looks, &self.settings.columns).map_err(|error| match error {
                FileError::MissingColumns { .. } => FileError::Unrecognised,
                other => other,
            })?
        };
        let rows = &records[usize::from(headed)..];
        if rows.is_empty() {
            return Ok(None);
        }
        let data_at = starts[usize::from(headed)];
        let plan = self.plan(delimiter, columns, rows, name, stem)?;
        Ok(Some(Sniffed { plan, data_at }))
    }

    fn plan(
        &self,
        delimiter: u8,
        columns: Columns,
        rows: &[Fields<'_>],
        name: &FromName,
        stem: &str,
    ) -> Result<Plan, FileError> {
        let Columns { mut roles, layout } = columns;
        let layout = match layout {
            Layout::Plain if name.histdata => Layout::HistData,
            Layout::HistData if delimiter != b';' && !name.histdata => Layout::Plain,
            layout => layout,
        };
        let (period, said) = self.period(&mut roles, layout, rows);
        let calendar = self
            .settings
            .calendar
            .clone()
            .unwrap_or_else(|| match layout {
                Layout::Binance => self.crypto.clone(),
                Layout::HistData | Layout::Dukascopy => self.forex.clone(),
                Layout::Plain | Layout::Databento | Layout::MetaTrader | Layout::Stooq => {
                    self.stocks.clone()
                }
            });
        let clock = match (&self.zone, layout) {
            (Some(zone), _) => Clock::Zone(zone.clone()),
            (None, Layout::Dukascopy) => Clock::Fixed(0),
            (None, Layout::HistData) => Clock::Fixed(EST_MICROS),
            (None, _) => Clock::Exchange(calendar.clone()),
        };
        let strip_suffix = self.settings.strip_suffix.clone();
        let in_column = has(&roles, Role::Ticker);
        let ticker = match &self.settings.ticker {
            Some(ticker) => Some(ticker.clone()),
            None if in_column => None,
            None => Some(stripped(&name.ticker, strip_suffix.as_deref())?),
        };
        if ticker.is_some() {
            for role in &mut roles {
                if *role == Role::Ticker {
                    *role = Role::Skip;
                }
            }
        }
        let by_name = if in_column {
            interval_anywhere(stem)
        } else {
            name.interval
        };
        Ok(Plan {
            delimiter,
            prices: prices(&roles, layout, delimiter, rows),
            clock,
            time_apart: has(&roles, Role::Date),
            roles,
            period,
            ticker,
            interval: self.settings.interval.or(said).or(by_name),
            calendar,
            wanted: self.wanted.clone(),
            strip_suffix,
        })
    }

    /// What the period column says in rows of this run, and the interval that it stands for.
    fn period(
        &self,
        roles: &mut [Role],
        layout: Layout,
        rows: &[Fields<'_>],
    ) -> (Option<Vec<u8>>, Option<Interval>) {
        let Some(at) = roles.iter().position(|role| *role == Role::Period) else {
            return (None, None);
        };
        let databento = layout == Layout::Databento;
        let first = rows
            .iter()
            .find_map(|row| row.get(at))
            .map(|field| field.trim_ascii().to_vec())
            .unwrap_or_default();
        // Databento numbers its schemas: 33 is a bar of a minute, 34 of an hour.
        let word = |interval: Interval| match (databento, interval) {
            (false, interval) => Some(interval.minutes().to_string().into_bytes()),
            (true, Interval::M1) => Some(b"33".to_vec()),
            (true, Interval::M60) => Some(b"34".to_vec()),
            (true, _) => None,
        };
        let said = Interval::ALL
            .into_iter()
            .find(|interval| word(*interval).as_deref() == Some(&first[..]));
        let period = match self.settings.interval {
            Some(interval) => word(interval),
            None if databento => said.and(Some(first)),
            None => Some(first),
        };
        if period.is_none() {
            roles[at] = Role::Skip;
        }
        (period, said)
    }
}

/// How the sampled rows write their prices.
fn prices(roles: &[Role], layout: Layout, delimiter: u8, rows: &[Fields<'_>]) -> Prices {
    let fields = || {
        rows.iter().flat_map(|row| {
            roles
                .iter()
                .zip(row)
                .filter(|(role, _)| matches!(role, Role::Number(at) if *at <= slot::CLOSE))
                .map(|(_, field)| field.trim_ascii())
        })
    };
    let whole = |field: &[u8]| !field.is_empty() && field.iter().all(u8::is_ascii_digit);
    if layout == Layout::Databento && fields().next().is_some() && fields().all(whole) {
        Prices::Nano
    } else if delimiter != b',' && fields().any(|field| memchr(b',', field).is_some()) {
        Prices::Comma
    } else {
        Prices::Decimal
    }
}

/// The delimiter whose fields look most like times and numbers.
fn delimiter_of(head: &[u8], last: bool) -> Option<u8> {
    let mut best = None;
    for delimiter in DELIMITERS {
        let (records, _) = sample(head, last, delimiter);
        let wide = records
            .iter()
            .filter(|fields| fields.len() >= FIELDS_MIN)
            .count();
        if wide == 0 || wide * 2 < records.len() {
            continue;
        }
        let meaning = records
            .iter()
            .flatten()
            .filter(|field| !matches!(look(field), Look::Text | Look::Empty))
            .count();
        let score = (meaning, records[0].len());
        if best.is_none_or(|(_, before)| score > before) {
            best = Some((delimiter, score));
        }
    }
    best.map(|(delimiter, _)| delimiter)
}

/// The first records that are not blank, cut into fields, and where each begins.
fn sample(head: &[u8], last: bool, delimiter: u8) -> (Vec<Fields<'_>>, Vec<usize>) {
    let (mut records, mut starts) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < head.len() && records.len() < SAMPLE_RECORDS_MAX {
        let end = match end_of(head, at, delimiter, last) {
            End::At(end) | End::Unclosed(end) => end,
            End::Unknown => break,
        };
        let record = &head[at..end];
        if !record.trim_ascii().is_empty() {
            let mut fields = Vec::new();
            split(record, delimiter, &mut fields);
            records.push(fields);
            starts.push(at);
        }
        at = end;
    }
    (records, starts)
}

/// What a field looks like.
fn look(field: &[u8]) -> Look {
    let field = field.trim_ascii();
    if field.is_empty() {
        return Look::Empty;
    }
    let mut reader = StampReader::new(Clock::Fixed(0));
    let mut is_date = |text: &[u8]| {
        reader
            .date(text, 0)
            .is_some_and(|(_, end)| end == text.len())
    };
    if field.iter().all(u8::is_ascii_digit) {
        return match field.len() {
            6 if time_of_day(field, 0).is_some() => Look::TimeDigits,
            8 if is_date(field) => Look::DateDigits,
            14 => Look::Stamp,
            9..=19 => Look::Epoch,
            _ => Look::Number,
        };
    }
    // `1735828200.0`, as a table of doubles writes an epoch.
    let whole = memchr(b'.', field).unwrap_or(field.len());
    if (9..=19).contains(&whole) && field[whole..].iter().all(|b| matches!(b, b'.' | b'0')) {
        let digits = field[..whole].iter().all(u8::is_ascii_digit);
        if digits {
            return Look::Epoch;
        }
    }
    if parse(field).is_some() || (field.contains(&b',') && parse_comma(field).is_some()) {
        return Look::Number;
    }
    if is_date(field) {
        return Look::Date;
    }
    if time_of_day(field, 0).is_some_and(|(_, end)| end == field.len()) {
        return Look::Time;
    }
    let stamp = StampReader::new(Clock::Fixed(0)).stamp(field, 0);
    if stamp.is_some_and(|(_, end)| end == field.len()) {
        let compact = field.len() == 15 && field[..8].iter().all(u8::is_ascii_digit);
        return if compact {
            Look::CompactStamp
        } else {
            Look::Stamp
        };
    }
    Look::Text
}
