//! Decides what a file is, from options, its content, its name and its layout, in this order. Each
//! decision has its reason, for [`ReadAs`](crate::report::ReadAs).

use std::borrow::Cow;

use chrono_tz::Tz;

use super::columns::Role;
use super::error::FileError;
use super::filename::strip_end;
use super::header_zone::zone_in_header;
use super::layouts::{DEFAULT_EXCHANGE, FileName, Layout};
use super::sample::Fields;
use super::settings::{Label, Settings};
use super::timestamp::is_instant;
use crate::calendar::Calendar;
use crate::model::{BadTicker, Interval, Ticker, Zone};

/// The reason of what the file's name shows.
pub(super) const BY_NAME: &str = "the file's name";

/// A part of the plan, and why it is so.
#[derive(Clone, Debug)]
pub(super) struct Decision<T> {
    pub(super) value: T,
    pub(super) reason: Cow<'static, str>,
}

fn decision<T>(value: T, reason: impl Into<Cow<'static, str>>) -> Decision<T> {
    Decision {
        value,
        reason: reason.into(),
    }
}

/// The zone of a file's local times.
pub(super) struct FileZone {
    pub(super) zone: Zone,
    /// The name that is shown.
    pub(super) name: Cow<'static, str>,
    /// Whether only the exchange shows it.
    pub(super) is_default: bool,
}

impl FileZone {
    fn known(tz: Tz) -> Self {
        Self {
            zone: Zone::of(tz),
            name: zone_name(tz),
            is_default: false,
        }
    }
}

/// The zone of local times.
pub(super) fn zone(
    settings: &Settings,
    layout: &Layout,
    calendar: &Calendar,
    roles: &[Role],
    header: &[String],
    rows: &[Fields<'_>],
) -> Decision<FileZone> {
    if has_instants(roles, rows) {
        let zone = FileZone {
            zone: calendar.zone().clone(),
            name: "UTC".into(),
            is_default: false,
        };
        return decision(zone, "its timestamps are epochs or have a time zone");
    }
    if let Some(tz) = settings.timezone {
        return decision(FileZone::known(tz), "the option");
    }
    let times = roles.iter().zip(header);
    let mut times = times.filter(|(role, _)| role.is_time());
    if let Some((tz, name)) = times.find_map(|(_, name)| Some((zone_in_header(name)?, name))) {
        return decision(FileZone::known(tz), format!("the header {:?}", name.trim()));
    }
    if let Some(tz) = layout.zone {
        let reason = format!("convention of {}", layout.name);
        return decision(FileZone::known(tz), reason);
    }
    let zone = FileZone {
        is_default: true,
        ..FileZone::known(calendar.tz())
    };
    decision(zone, format!("default of {}", calendar.exchange()))
}

/// Whether the sampled times are instants: epochs, or times with a zone.
fn has_instants(roles: &[Role], rows: &[Fields<'_>]) -> bool {
    let Some(at) = roles.iter().position(|role| *role == Role::Timestamp) else {
        return false;
    };
    let mut fields = rows.iter().filter_map(|row| row.get(at)).peekable();
    fields.peek().is_some() && fields.all(|field| is_instant(field.trim_ascii()))
}

/// Which instant of a bar its timestamp is.
pub(super) fn label(settings: &Settings, layout: &Layout) -> Decision<Label> {
    match (settings.label, layout.label) {
        (Some(label), _) => decision(label, "the option"),
        (None, Label::Close) => decision(Label::Close, format!("convention of {}", layout.name)),
        (None, Label::Open) => decision(Label::Open, "the default"),
    }
}

/// The ticker of all rows; `None` if a column has it.
pub(super) fn ticker(
    settings: &Settings,
    has_column: bool,
    line: Option<&str>,
    name: &FileName,
) -> Result<Decision<Option<Ticker>>, FileError> {
    if let Some(ticker) = &settings.ticker {
        return Ok(decision(Some(ticker.clone()), "the option"));
    }
    if has_column {
        return Ok(decision(None, "a column"));
    }
    let (text, reason) = match (line, &name.ticker) {
        (Some(line), _) => (line, "a line of the header"),
        (None, Some(name)) => (name.as_str(), BY_NAME),
        (None, None) => return Err(FileError::NoTicker),
    };
    let ticker = without_suffix(text, settings.strip_suffix.as_deref())?;
    Ok(decision(Some(ticker), reason))
}

/// No ticker of all rows, because the header has one for each column.
pub(super) fn several_tickers() -> Decision<Option<Ticker>> {
    decision(None, "a line of the header")
}

/// What is known of the interval before any bar is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum KnownInterval {
    /// An option, a column or the file's name shows it. The text names which of them.
    Shown(Interval, &'static str),
    /// The name shows bars of this many minutes, which can't be stored.
    Unsupported(u32),
    Unknown,
}

pub(super) fn interval(
    settings: &Settings,
    by_code: Option<Interval>,
    minutes_by_name: Option<u32>,
) -> KnownInterval {
    match (settings.interval, by_code, minutes_by_name) {
        (Some(interval), ..) => KnownInterval::Shown(interval, "the option"),
        (None, Some(interval), _) => KnownInterval::Shown(interval, "a column"),
        (None, None, Some(minutes)) => match Interval::from_minutes(minutes) {
            Some(interval) => KnownInterval::Shown(interval, BY_NAME),
            None => KnownInterval::Unsupported(minutes),
        },
        (None, None, None) => KnownInterval::Unknown,
    }
}

/// The ticker that a text names, without the suffix to remove.
pub(super) fn without_suffix(text: &str, suffix: Option<&str>) -> Result<Ticker, BadTicker> {
    let text = text.trim();
    Ticker::of_new_bars(suffix.and_then(|end| strip_end(text, end)).unwrap_or(text))
}

/// What decided the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExchangeBy {
    Option,
    /// The stored series of the file's ticker.
    Stored {
        /// The layout's exchange, for bars that contradict the stored series.
        otherwise: &'static str,
    },
    Layout,
    /// The bars, or the stored series of their tickers.
    Bars,
    Default,
}

/// What decides the exchange before any bar is read; `is_stored`: whether the store has it.
pub(super) fn exchange(
    settings: &Settings,
    layout: &Layout,
    is_stored: bool,
) -> Decision<ExchangeBy> {
    if settings.calendar.is_some() {
        decision(ExchangeBy::Option, "the option")
    } else if is_stored {
        let otherwise = layout.exchange;
        decision(ExchangeBy::Stored { otherwise }, "its stored series")
    } else if layout.exchange == DEFAULT_EXCHANGE {
        decision(ExchangeBy::Default, "the default")
    } else {
        let reason = format!("convention of {}", layout.name);
        decision(ExchangeBy::Layout, reason)
    }
}

/// Whether an exchange trades on weekends.
pub(super) fn has_weekends(exchange: &str) -> bool {
    matches!(exchange, "CRYPTO" | "FOREX")
}

/// A zone's name as it is shown. In the tz database `Etc/GMT+5` is UTC-5.
pub(super) fn zone_name(tz: Tz) -> Cow<'static, str> {
    let name = tz.name();
    match name.strip_prefix("Etc/GMT") {
        Some(offset) if offset.starts_with('+') => {
            format!("UTC{}", offset.replace('+', "-")).into()
        }
        Some(offset) if offset.starts_with('-') => {
            format!("UTC{}", offset.replace('-', "+")).into()
        }
        _ => name.into(),
    }
}
