//! How one file is to be read, from its first rows and its name.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::columns::{Role, clear, slot};
use super::date::DateOrder;
use super::decide;
use super::error::{Error, FileError};
use super::evidence::{Decided, Evidence};
use super::filename::strip_end;
use super::layouts::{self, Columns, FileName, Layout, columns_by_content, columns_by_header};
use super::number::Decimal;
use super::sample::{FieldKind, Fields, delimiter_of, kind_of, sample};
use super::settings::{Label, Settings};
use crate::calendar::Calendar;
use crate::model::{BadTicker, Interval, Ticker, Timestamp, Zone};
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
    /// The interval and why, if an option, a column or the file's name shows it.
    pub(super) interval: Option<(Interval, &'static str)>,
    pub(super) label: Label,
    pub(super) calendar: Calendar,
    pub(super) layout: &'static str,
    /// What the file is reported as.
    pub(super) form: Arc<FileForm>,
    wanted: Arc<HashSet<Ticker>>,
    strip_suffix: Option<String>,
}

/// What options decide instead of the rows. Rows that contradict an option are rejects; rows that
/// contradict what other rows decided fail the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) date_order: bool,
    pub(super) decimal: bool,
}

impl Plan {
    /// Completes the plan by what the rows decided.
    pub(super) fn complete(&mut self, decided: &Decided) {
        self.date_order = decided.date_order;
        if self.prices != Prices::Nano {
            self.prices = Prices::Decimal(decided.decimal);
        }
    }

    /// Whether the exchange trades on weekends.
    pub(super) fn has_weekends(&self) -> bool {
        matches!(self.calendar.exchange(), "CRYPTO" | "FOREX")
    }

    /// The ticker that a field names.
    pub(super) fn ticker_of(&self, field: &str) -> Result<Ticker, BadTicker> {
        without_suffix(field, self.strip_suffix.as_deref())
    }

    /// Whether the run reads bars of that ticker.
    pub(super) fn wants(&self, ticker: &Ticker) -> bool {
        self.wanted.is_empty() || self.wanted.contains(ticker)
    }
}

fn without_suffix(text: &str, suffix: Option<&str>) -> Result<Ticker, BadTicker> {
    let text = text.trim();
    Ticker::of_new_bars(suffix.and_then(|end| strip_end(text, end)).unwrap_or(text))
}

/// A plan that the rows have yet to complete.
#[derive(Clone, Debug)]
pub(super) struct Sniffed {
    pub(super) plan: Plan,
    /// What the user should check.
    pub(super) warnings: Vec<String>,
    /// Collects what the rows show.
    pub(super) evidence: Evidence,
    /// Where the rows begin, after the header.
    pub(super) data_at: usize,
}

/// The first rows of a file.
struct Content<'c> {
    delimiter: u8,
    /// The names of the columns; empty without a header.
    header: &'c [String],
    rows: &'c [Fields<'c>],
}

/// Makes the plans of a run's files.
pub(super) struct Sniffer<'s> {
    settings: &'s Settings,
    /// By exchange, one for each of the layouts'.
    calendars: HashMap<&'static str, Calendar>,
    wanted: Arc<HashSet<Ticker>>,
    /// The forms of files so far, so that many files share one.
    forms: Mutex<HashSet<Arc<FileForm>>>,
}

impl<'s> Sniffer<'s> {
    pub(super) fn new(settings: &'s Settings) -> Result<Self, Error> {
        let mut calendars = HashMap::new();
        for code in layouts::exchanges() {
            let calendar = match &settings.calendar {
                Some(calendar) => calendar.clone(),
                None => Calendar::for_exchange_with(code, &settings.calendars)?,
            };
            calendars.insert(code, calendar);
        }
        Ok(Self {
            settings,
            calendars,
            wanted: Arc::new(settings.tickers.iter().cloned().collect()),
            forms: Mutex::default(),
        })
    }

    fn shared(&self, form: FileForm) -> Arc<FileForm> {
        let mut forms = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = forms.get(&form) {
            return known.clone();
        }
        let form = Arc::new(form);
        forms.insert(form.clone());
        form
    }

    /// The plan for the file that begins with `head`; `None` if it has no rows. `last` means that
    /// nothing follows `head`.
    pub(super) fn sniff(
        &self,
        head: &[u8],
        last: bool,
        name: &FileName,
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
        let kinds: Vec<FieldKind> = records[0].iter().map(|field| kind_of(field)).collect();
        let has_header = kinds
            .iter()
            .all(|kind| matches!(kind, FieldKind::Text | FieldKind::Empty));
        let names: Vec<String> = if has_header {
            let fields = records[0].iter();
            fields
                .map(|field| String::from_utf8_lossy(field).into_owned())
                .collect()
        } else {
            Vec::new()
        };
        let columns = if has_header {
            columns_by_header(&names, &records[1..], &self.settings.columns)?
        } else {
            columns_by_content(&kinds, delimiter, &self.settings.columns).map_err(|error| {
                match error {
                    FileError::MissingColumns { .. } => FileError::Unrecognised,
                    other => other,
                }
            })?
        };
        let rows = &records[usize::from(has_header)..];
        if rows.is_empty() {
            return Ok(None);
        }
        let Columns {
            roles,
            warnings,
            layout,
        } = columns;
        let layout = name.layout.unwrap_or(layout);
        let content = Content {
            delimiter,
            header: &names,
            rows,
        };
        let plan = self.plan(&content, roles, layout, name, stem)?;
        let has_nano_prices = plan.prices == Prices::Nano;
        let evidence = Evidence::new(
            self.settings,
            delimiter,
            &plan.roles,
            layout,
            rows,
            has_nano_prices,
        );
        Ok(Some(Sniffed {
            plan,
            warnings,
            evidence,
            data_at: starts[usize::from(has_header)],
        }))
    }

    fn plan(
        &self,
        content: &Content<'_>,
        mut roles: Vec<Role>,
        layout: &Layout,
        name: &FileName,
        stem: &str,
    ) -> Result<Plan, FileError> {
        let settings = self.settings;
        let Content {
            delimiter,
            header,
            rows,
        } = *content;
        let (interval_code, by_code) = self.interval_code(&mut roles, layout, rows);
        let calendar = self.calendars[layout.exchange].clone();
        let zone = decide::zone(settings, layout, &calendar, &roles, header, rows);
        let label = decide::label(settings, layout);
        let has_ticker_column = roles.contains(&Role::Ticker);
        let ticker = match &settings.ticker {
            Some(ticker) => Some(ticker.clone()),
            None if has_ticker_column => None,
            None => Some(without_suffix(
                &name.ticker,
                settings.strip_suffix.as_deref(),
            )?),
        };
        if ticker.is_some() {
            clear(&mut roles, |role| role == Role::Ticker);
        }
        let by_name = if has_ticker_column {
            name.interval_anywhere(stem)
        } else {
            name.interval
        };
        let by_option = settings.interval.map(|interval| (interval, "the option"));
        let by_code = by_code.map(|interval| (interval, "a column"));
        let by_name = by_name.map(|interval| (interval, "the file's name"));
        let ticker_reason = match (&settings.ticker, has_ticker_column) {
            (Some(_), _) => "the option",
            (None, true) => "a column",
            (None, false) => "the file's name",
        };
        let layout_reason = if layout.is_plain() {
            "the columns that its header or values show"
        } else {
            "what its header, values or name show"
        };
        let form = self.shared(FileForm {
            layout: layout.name.into(),
            timezone: zone.value.name,
            timestamp_label: label.value.as_str(),
            exchange: calendar.exchange().to_owned(),
            columns: columns_of(&roles, header),
            reasons: vec![
                ("layout", layout_reason.into()),
                ("timezone", zone.reason),
                ("timestamp_label", label.reason),
                ("exchange", decide::exchange_reason(settings, layout)),
                ("tickers", ticker_reason.into()),
            ],
        });
        Ok(Plan {
            delimiter,
            prices: prices(&roles, layout, rows),
            date_order: DateOrder::Ymd,
            given: Given {
                date_order: settings.date_order.is_some(),
                decimal: settings.decimal.is_some(),
            },
            latest: settings.latest,
            zone: zone.value.zone,
            label: label.value,
            form,
            has_two_time_columns: roles.contains(&Role::Date),
            roles,
            interval_code,
            ticker,
            interval: by_option.or(by_code).or(by_name),
            calendar,
            layout: layout.name,
            wanted: self.wanted.clone(),
            strip_suffix: settings.strip_suffix.clone(),
        })
    }

    /// What the interval column has in the rows to read, and the interval of that code.
    fn interval_code(
        &self,
        roles: &mut [Role],
        layout: &Layout,
        rows: &[Fields<'_>],
    ) -> (Option<Vec<u8>>, Option<Interval>) {
        let Some(at) = roles.iter().position(|role| *role == Role::Interval) else {
            return (None, None);
        };
        let first = rows
            .iter()
            .find_map(|row| row.get(at))
            .map(|field| field.trim_ascii().to_vec())
            .unwrap_or_default();
        let codes = layout.interval_codes;
        let shown = codes
            .iter()
            .find(|(code, _)| code.as_bytes() == first)
            .map(|(_, interval)| *interval);
        let code = match self.settings.interval {
            Some(wanted) => codes
                .iter()
                .find(|(_, interval)| *interval == wanted)
                .map(|(code, _)| code.as_bytes().to_vec()),
            None if shown.is_none() && codes.len() < Interval::ALL.len() => None,
            None => Some(first),
        };
        if code.is_none() {
            roles[at] = Role::Skip;
        }
        (code, shown)
    }
}

/// The columns that are read: what each holds, and its header or number.
fn columns_of(roles: &[Role], header: &[String]) -> Vec<(&'static str, String)> {
    let read = roles
        .iter()
        .enumerate()
        .filter(|(_, role)| **role != Role::Skip);
    read.map(|(at, role)| {
        let column = header.get(at).map(|name| name.trim().to_owned());
        (role.name(), column.unwrap_or_else(|| (at + 1).to_string()))
    })
    .collect()
}

/// The unit of the sampled rows' prices. Their decimal mark is decided later.
fn prices(roles: &[Role], layout: &Layout, rows: &[Fields<'_>]) -> Prices {
    let fields = || {
        rows.iter().flat_map(|row| {
            roles
                .iter()
                .zip(row)
                .filter(|(role, _)| matches!(role, Role::Number(at) if *at <= slot::CLOSE))
                .map(|(_, field)| field.trim_ascii())
        })
    };
    let is_whole = |field: &[u8]| !field.is_empty() && field.iter().all(u8::is_ascii_digit);
    if layout.has_nano_prices && fields().next().is_some() && fields().all(is_whole) {
        Prices::Nano
    } else {
        Prices::Decimal(Decimal::Point)
    }
}
