//! How one dump is to be read, found out from its first lines and its name.

use std::collections::HashSet;
use std::sync::Arc;

use super::date::DateOrder;
use super::error::{Error, FileError};
use super::evidence::{Decided, Evidence};
use super::filename::{FromName, interval_anywhere, strip_end};
use super::layout::{Columns, Layout, Look, Role, from_header, from_looks, has, slot};
use super::number::Decimal;
use super::sample::{Fields, delimiter_of, look, sample};
use super::settings::Settings;
use crate::calendar::Calendar;
use crate::model::{BadTicker, Interval, Ticker, Timestamp, Zone};
use chrono_tz::Tz;

/// How prices are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prices {
    /// `167.65`, or `167,65` with a decimal comma.
    Decimal(Decimal),
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
    /// The order of its dates.
    pub(super) dates: DateOrder,
    /// What the user said of dates and numbers: a row that contradicts it is a reject, and no contradiction of the file.
    pub(super) given: Given,
    /// No bar opens later.
    pub(super) latest: Timestamp,
    /// The zone of local times.
    pub(super) zone: Zone,
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

/// What the user said of a dump's values, so that its rows do not decide it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) dates: bool,
    pub(super) decimal: bool,
}

impl Plan {
    /// Takes over what the rows decided.
    pub(super) fn decided(&mut self, decided: &Decided) {
        self.dates = decided.dates;
        if self.prices != Prices::Nano {
            self.prices = Prices::Decimal(decided.decimal);
        }
    }

    /// Whether the exchange trades on weekends too.
    pub(super) fn weekends(&self) -> bool {
        matches!(self.calendar.exchange(), "CRYPTO" | "FOREX")
    }

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
    /// Complete but for what the rows decide.
    pub(super) plan: Plan,
    /// That is to be decided from the rows.
    pub(super) evidence: Evidence,
    /// Offset of the first record that is no header.
    pub(super) data_at: usize,
}

/// What all dumps of a run have in common.
pub(super) struct Sniffer<'s> {
    settings: &'s Settings,
    stocks: Calendar,
    crypto: Calendar,
    forex: Calendar,
    wanted: Arc<HashSet<Ticker>>,
}

impl<'s> Sniffer<'s> {
    pub(super) fn new(settings: &'s Settings) -> Result<Self, Error> {
        let calendar = |code| Calendar::for_exchange_with(code, &settings.calendars);
        Ok(Self {
            settings,
            stocks: calendar("NASDAQ")?,
            crypto: calendar("CRYPTO")?,
            forex: calendar("FOREX")?,
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
        let layout = columns.layout;
        let plan = self.plan(delimiter, columns, rows, name, stem)?;
        let integers = plan.prices == Prices::Nano;
        let evidence = Evidence::new(
            self.settings,
            delimiter,
            &plan.roles,
            layout,
            rows,
            integers,
        );
        Ok(Some(Sniffed {
            plan,
            evidence,
            data_at,
        }))
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
        let zone = match (self.settings.timezone, layout) {
            (Some(tz), _) => Zone::of(tz),
            (None, Layout::Dukascopy) => Zone::of(Tz::UTC),
            // New York's winter time all year: UTC-5, which the tz database calls GMT+5.
            (None, Layout::HistData) => Zone::of(Tz::Etc__GMTPlus5),
            (None, _) => calendar.zone().clone(),
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
            prices: prices(&roles, layout, rows),
            dates: DateOrder::Ymd,
            given: Given {
                dates: self.settings.date_order.is_some(),
                decimal: self.settings.decimal.is_some(),
            },
            latest: self.settings.latest,
            zone,
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

/// The unit of the sampled rows' prices; how decimals are written is decided later.
fn prices(roles: &[Role], layout: Layout, rows: &[Fields<'_>]) -> Prices {
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
    } else {
        Prices::Decimal(Decimal::Point)
    }
}
