//! Makes the plan of a file from its first rows and its name.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::columns::{Role, clear, normalise, slot};
use super::date::DateOrder;
use super::decide::{self, ExchangeBy};
use super::error::{Error, FileError};
use super::evidence::{Decided, Evidence};
use super::layouts::{
    self, Columns, DEFAULT_EXCHANGE, Excerpt, FileName, Layout, PLAIN, columns_by_content,
    columns_by_header,
};
use super::number::Decimal;
use super::plan::{Given, IsDefault, Plan, Prices};
use super::preamble::{after_lines, find_table};
use super::sample::{FieldKind, Fields, delimiter_of, kind_of, sample};
use super::settings::{Label, Settings};
use super::timestamp::has_form;
use super::wide::{Names, WideSeries, wide_columns};
use crate::calendar::Calendar;
use crate::model::{Interval, Ticker};
use crate::report::FileForm;

/// A plan that the rows have yet to complete.
pub(super) struct Draft {
    pub(super) plan: Plan,
    pub(super) layout: &'static Layout,
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
    names: &'c Names,
    rows: &'c [Fields<'c>],
}

/// Makes the plans of a run's files.
pub(super) struct Planner<'s> {
    settings: &'s Settings,
    /// By exchange, one for each of the layouts' and of the stored series'.
    calendars: HashMap<String, Calendar>,
    wanted: Arc<HashSet<Ticker>>,
    /// The forms of files so far, so that many files share one.
    forms: Mutex<HashSet<Arc<FileForm>>>,
}

impl<'s> Planner<'s> {
    pub(super) fn new(settings: &'s Settings) -> Result<Self, Error> {
        let mut calendars = HashMap::new();
        for code in layouts::exchanges() {
            let calendar = match &settings.calendar {
                Some(calendar) => calendar.clone(),
                None => Calendar::for_exchange_with(code, &settings.calendars)?,
            };
            calendars.insert(code.to_owned(), calendar);
        }
        for code in settings.stored.codes() {
            // An exchange without a calendar can't be used.
            if let Ok(calendar) = Calendar::for_exchange_with(code, &settings.calendars) {
                calendars.entry(code.to_owned()).or_insert(calendar);
            }
        }
        Ok(Self {
            settings,
            calendars,
            wanted: Arc::new(settings.tickers.iter().cloned().collect()),
            forms: Mutex::default(),
        })
    }

    /// The calendar of the exchange with which a file's tickers are stored. `None` also if an option
    /// decides, or if the layout's bars are round the clock and those of the exchange aren't.
    pub(super) fn stored_calendar<'t>(
        &self,
        by_layout: &str,
        tickers: impl IntoIterator<Item = &'t Ticker>,
    ) -> Option<&Calendar> {
        if self.settings.calendar.is_some() {
            return None;
        }
        let code = self.settings.stored.of_tickers(tickers)?;
        let fits = by_layout == DEFAULT_EXCHANGE || decide::has_weekends(code);
        self.calendars.get(code).filter(|_| fits)
    }

    /// Sets the exchange that the bars or their tickers show.
    pub(super) fn set_exchange(&self, plan: &mut Plan, exchange: &str, reason: &'static str) {
        let Some(calendar) = self.calendars.get(exchange) else {
            return;
        };
        let mut form = FileForm::clone(&plan.form);
        form.exchange = calendar.exchange().to_owned();
        let mut reasons = vec![("exchange", Cow::Borrowed(reason))];
        if plan.is_default.zone {
            form.timezone = decide::zone_name(calendar.tz());
            reasons.push(("timezone", format!("default of {exchange}").into()));
            plan.zone = calendar.zone().clone();
        }
        for (part, reason) in reasons {
            form.reasons.retain(|(known, _)| *known != part);
            form.reasons.push((part, reason));
        }
        plan.calendar = calendar.clone();
        plan.exchange_by = ExchangeBy::Bars;
        plan.form = self.shared(form);
    }

    /// Completes the plan by what the rows decided.
    pub(super) fn complete(&self, plan: &mut Plan, layout: &Layout, decided: &Decided) {
        plan.date_order = decided.date_order;
        if plan.prices != Prices::Nano {
            plan.prices = Prices::Decimal(decided.decimal);
        }
        let is_other = |only| only != decided.date_order;
        if layout.only_order.is_some_and(is_other) {
            plan.layout = PLAIN.name;
            plan.form = self.shared(FileForm {
                layout: PLAIN.name.into(),
                ..FileForm::clone(&plan.form)
            });
        }
    }

    /// Adds what the rows were before they were written as CSV.
    pub(super) fn set_form(&self, plan: &mut Plan, before: &'static str) {
        let mut form = FileForm::clone(&plan.form);
        form.layout = match form.layout == PLAIN.name {
            true => before.into(),
            false => format!("{before}, {}", form.layout).into(),
        };
        plan.form = self.shared(form);
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
    pub(super) fn draft(
        &self,
        head: &[u8],
        last: bool,
        skip_lines: usize,
        name: &FileName,
        stem: &str,
    ) -> Result<Option<Draft>, FileError> {
        let skipped = after_lines(head, skip_lines);
        let head = &head[skipped..];
        let Some(delimiter) = delimiter_of(head, last) else {
            return if head.trim_ascii().is_empty() {
                Ok(None)
            } else {
                Err(FileError::Unrecognised)
            };
        };
        let (records, starts) = sample(head, last, delimiter);
        let table = find_table(&records)?;
        let names = Names::of(&table, &records);
        let rows = records.get(table.rows..).unwrap_or_default();
        let kind = |field: &[u8]| match &self.settings.time_format {
            Some(format) if has_form(field, format) => FieldKind::Timestamp,
            _ => kind_of(field),
        };
        let first = rows.first().map_or(&[][..], Vec::as_slice);
        let kinds: Vec<FieldKind> = first.iter().map(|field| kind(field)).collect();
        let normalised: Vec<String> = names.names.iter().map(|name| normalise(name)).collect();
        let excerpt = Excerpt {
            names: &normalised,
            above: &records[..table.header.unwrap_or(0)],
            rows,
            kinds: &kinds,
            delimiter,
            stem,
            is_yfinance: names.is_yfinance,
        };
        let chosen = &self.settings.columns;
        let (columns, wide) = if names.has_several_tickers() {
            wide_columns(self.settings, &names, &excerpt)?
        } else if table.header.is_some() {
            let columns = columns_by_header(&names.names, &excerpt, chosen)?;
            (columns, Vec::new())
        } else {
            (columns_by_content(&excerpt, chosen)?, Vec::new())
        };
        if rows.is_empty() {
            return Ok(None);
        }
        let (layout, warnings) = (columns.layout, columns.warnings.clone());
        let content = Content {
            delimiter,
            names: &names,
            rows,
        };
        let plan = self.plan(&content, columns, wide, name, stem)?;
        let has_nano_prices = plan.prices == Prices::Nano;
        let evidence = Evidence::new(
            self.settings,
            delimiter,
            &plan.roles,
            layout,
            rows,
            has_nano_prices,
        );
        Ok(Some(Draft {
            plan,
            layout,
            warnings,
            evidence,
            data_at: skipped + starts[table.rows],
        }))
    }

    fn plan(
        &self,
        content: &Content<'_>,
        columns: Columns,
        wide: Vec<WideSeries>,
        name: &FileName,
        stem: &str,
    ) -> Result<Plan, FileError> {
        let settings = self.settings;
        let Content {
            delimiter,
            names,
            rows,
        } = *content;
        let header = &names.names[..];
        let Columns {
            mut roles, layout, ..
        } = columns;
        let (interval_code, by_code) = self.interval_code(&mut roles, layout, rows);
        let has_ticker_column = roles.contains(&Role::Ticker) || !wide.is_empty();
        let ticker = if wide.is_empty() {
            decide::ticker(settings, has_ticker_column, names.ticker(), name)?
        } else {
            decide::several_tickers()
        };
        let (ticker, ticker_reason) = (ticker.value, ticker.reason);
        let stored = self.stored_calendar(layout.exchange, &ticker);
        let exchange = decide::exchange(settings, layout, stored.is_some());
        let calendar = stored.unwrap_or(&self.calendars[layout.exchange]).clone();
        let zone = decide::zone(settings, layout, &calendar, &roles, header, rows);
        let label = decide::label(settings, layout);
        if ticker.is_some() {
            clear(&mut roles, |role| role == Role::Ticker);
        }
        let by_name = if has_ticker_column {
            name.interval_anywhere(stem)
        } else {
            name.interval
        };
        let interval = decide::interval(settings, by_code, by_name);
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
                ("exchange", exchange.reason),
                ("tickers", ticker_reason.clone()),
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
            time_format: settings.time_format.clone(),
            latest: settings.latest,
            zone: zone.value.zone,
            grid: OnceLock::new(),
            label: label.value,
            form,
            has_guessed_ticker: ticker_reason == decide::BY_NAME
                && name.ticker.as_deref().is_some_and(has_both_cases),
            is_default: IsDefault {
                zone: zone.value.is_default,
                label: settings.label.is_none() && layout.label == Label::Open,
            },
            has_two_time_columns: roles.contains(&Role::Date),
            roles,
            interval_code,
            ticker,
            wide,
            interval,
            calendar,
            exchange_by: exchange.value,
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

fn has_both_cases(name: &str) -> bool {
    let lower = name.bytes().filter(u8::is_ascii_lowercase).count();
    // `BRKb` and `brk.B` are common.
    lower > 1 && name.bytes().filter(u8::is_ascii_uppercase).count() > 1
}

/// The columns that are read: what each holds, and its header or number.
fn columns_of(roles: &[Role], header: &[String]) -> Vec<(&'static str, String)> {
    // Of several tickers next to each other, those of the first are named.
    let read = roles
        .iter()
        .enumerate()
        .filter(|(at, role)| **role != Role::Skip && !roles[..*at].contains(role));
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
