//! How one file is to be read: what the parser and the checks of a file need.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use super::columns::Role;
use super::date::DateOrder;
use super::decide::{self, ExchangeBy, KnownInterval};
use super::grid::Grid;
use super::number::Decimal;
use super::settings::Label;
use super::wide::WideSeries;
use crate::calendar::Calendar;
use crate::model::{BadTicker, Ticker, Timestamp, Zone};
use crate::report::FileForm;

/// How prices are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prices {
    /// `167.65`, or `167,65` with a decimal comma.
    Decimal(Decimal),
    /// `167650000000`, in units of 1e-9.
    Nano,
}

/// How one file is to be read.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) delimiter: u8,
    /// What each column holds; a row has as many fields.
    pub(super) roles: Vec<Role>,
    pub(super) prices: Prices,
    pub(super) date_order: DateOrder,
    pub(super) given: Given,
    /// The form of times that `--time-format` gives.
    pub(super) time_format: Option<Arc<str>>,
    /// No bar opens later.
    pub(super) latest: Timestamp,
    /// The zone of local times.
    pub(super) zone: Zone,
    /// Whether date and time are in two columns.
    pub(super) has_two_time_columns: bool,
    /// What the interval column has in the rows to read.
    pub(super) interval_code: Option<Vec<u8>>,
    /// The ticker of all rows, if no column has it.
    pub(super) ticker: Option<Ticker>,
    /// The columns of each ticker, if those of several are next to each other; else empty.
    pub(super) wide: Vec<WideSeries>,
    pub(super) interval: KnownInterval,
    /// When bars open, once the first piece shows it. Bars of one minute may open at any minute.
    pub(super) grid: OnceLock<Grid>,
    pub(super) label: Label,
    pub(super) calendar: Calendar,
    pub(super) exchange_by: ExchangeBy,
    pub(super) layout: &'static str,
    /// What the file is reported as.
    pub(super) form: Arc<FileForm>,
    pub(super) is_default: IsDefault,
    /// Whether the ticker is from the name and has upper and lower case, which tickers don't.
    pub(super) has_guessed_ticker: bool,
    pub(super) wanted: Arc<HashSet<Ticker>>,
    pub(super) strip_suffix: Option<String>,
}

/// What options decide instead of the rows. Rows that contradict an option are rejects; rows that
/// contradict what other rows decided fail the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) date_order: bool,
    pub(super) decimal: bool,
}

/// Which parts no option, content or convention decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IsDefault {
    pub(super) zone: bool,
    pub(super) label: bool,
}

impl Plan {
    /// Whether the exchange trades on weekends.
    pub(super) fn has_weekends(&self) -> bool {
        decide::has_weekends(self.calendar.exchange())
    }

    /// The ticker that a field names.
    pub(super) fn ticker_of(&self, field: &str) -> Result<Ticker, BadTicker> {
        decide::without_suffix(field, self.strip_suffix.as_deref())
    }

    /// Whether the run reads bars of that ticker.
    pub(super) fn wants(&self, ticker: &Ticker) -> bool {
        self.wanted.is_empty() || self.wanted.contains(ticker)
    }
}
