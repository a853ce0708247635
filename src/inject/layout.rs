//! What the columns of a dump are: by the names of its header, or by what its first row looks like.

use super::error::FileError;
use super::settings::{ColumnAt, ColumnName};

/// What one column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing that is asked for.
    Skip,
    /// The symbol.
    Ticker,
    /// Date and time together, or an epoch.
    Stamp,
    /// The date alone.
    Date,
    /// The time of day alone.
    Time,
    /// One of the numbers; see the constants of [`slot`].
    Number(usize),
    /// A word for the interval of the row: Stooq's `<PER>`, Databento's `rtype`.
    Period,
}

/// Places of the numbers of a row.
pub(super) mod slot {
    pub(in super::super) const OPEN: usize = 0;
    pub(in super::super) const CLOSE: usize = 3;
    pub(in super::super) const VOLUME: usize = 4;
    pub(in super::super) const VWAP: usize = 5;
    pub(in super::super) const TRADES: usize = 6;
    pub(in super::super) const TICK_VOLUME: usize = 7;
    /// How many there are.
    pub(in super::super) const COUNT: usize = 8;
}

const PRICE_NAMES: [&str; 4] = ["open", "high", "low", "close"];

/// Layouts with a rule of their own; every other is [`Layout::Plain`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Plain,
    Databento,
    MetaTrader,
    Stooq,
    Dukascopy,
    HistData,
    Binance,
}

/// The columns of a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) roles: Vec<Role>,
    pub(super) layout: Layout,
}

/// A header's name without case, blanks and marks.
pub(super) fn normal(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// What a header's name stands for, whatever the layout.
fn role_of(name: &str) -> Role {
    match name {
        "ticker" | "symbol" => Role::Ticker,
        "timestamp" | "datetime" | "tsevent" | "windowstart" | "gmttime" | "timeutc"
        | "opentime" | "ts" | "t" => Role::Stamp,
        "date" => Role::Date,
        "time" => Role::Time,
        "open" | "openprice" | "o" => Role::Number(0),
        "high" | "highprice" | "h" => Role::Number(1),
        "low" | "lowprice" | "l" => Role::Number(2),
        "close" | "closeprice" | "c" => Role::Number(3),
        "volume" | "vol" | "realvolume" | "v" => Role::Number(slot::VOLUME),
        "tickvolume" | "tickvol" => Role::Number(slot::TICK_VOLUME),
        "vwap" | "vw" => Role::Number(slot::VWAP),
        "trades" | "transactions" | "tradecount" | "numberoftrades" | "count" | "n" => {
            Role::Number(slot::TRADES)
        }
        "per" | "rtype" => Role::Period,
        _ => Role::Skip,
    }
}

fn layout_of(names: &[String]) -> Layout {
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    if has("tsevent") {
        Layout::Databento
    } else if has("gmttime") || has("timeutc") {
        Layout::Dukascopy
    } else if has("tickvol") {
        Layout::MetaTrader
    } else if has("per") && has("openint") {
        Layout::Stooq
    } else if has("opentime") && has("closetime") {
        Layout::Binance
    } else {
        Layout::Plain
    }
}

/// The columns that a header names, `chosen` (`--columns`) going before what the names mean by themselves.
pub(super) fn from_header(
    header: &[String],
    chosen: &[(ColumnName, ColumnAt)],
) -> Result<Columns, FileError> {
    let names: Vec<String> = header.iter().map(|name| normal(name)).collect();
    let layout = layout_of(&names);
    let mut roles: Vec<Role> = names.iter().map(|name| role_of(name)).collect();
    if layout != Layout::Stooq && layout != Layout::Databento {
        clear(&mut roles, |role| role == Role::Period);
    }
    match place(&mut roles, Some(&names), chosen) {
        Ok(()) => {}
        // Named for another dump of the folder: what this one says by itself stands.
        Err(_) if settle_time(&mut roles.clone()).is_ok() && complete(&roles).is_ok() => {}
        Err(error) => return Err(error),
    }
    settle_time(&mut roles)?;
    unique(&roles, header)?;
    if has(&roles, Role::Number(slot::VOLUME)) {
        if layout != Layout::MetaTrader {
            clear(&mut roles, |role| role == Role::Number(slot::TICK_VOLUME));
        }
    } else {
        for role in &mut roles {
            if *role == Role::Number(slot::TICK_VOLUME) {
                *role = Role::Number(slot::VOLUME);
            }
        }
    }
    complete(&roles)?;
    Ok(Columns { roles, layout })
}

/// What a field of a sampled row looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// A number that may be a price.
    Number,
    /// A number of so many digits that it is an epoch.
    Epoch,
    /// Date and time.
    Stamp,
    /// `20120201 000000`, as HistData writes it.
    CompactStamp,
    /// A date alone.
    Date,
    /// Eight digits that are a date, or a number after all.
    DateDigits,
    /// A time of day alone.
    Time,
    /// Six digits that are a time of day, or a number after all.
    TimeDigits,
    /// Nothing.
    Empty,
    /// Anything else.
    Text,
}

impl Look {
    /// Whether it can be read as a number.
    pub(super) fn is_number(self) -> bool {
        matches!(
            self,
            Self::Number | Self::Epoch | Self::DateDigits | Self::TimeDigits
        )
    }
}

/// The columns of a dump without a header, by the looks of a row.
pub(super) fn from_looks(
    looks: &[Look],
    chosen: &[(ColumnName, ColumnAt)],
) -> Result<Columns, FileError> {
    let mut roles = vec![Role::Skip; looks.len()];
    let mut layout = Layout::Plain;
    // Columns that are named in full leave nothing to guess.
    let mut named = roles.clone();
    if !chosen.is_empty() && place(&mut named, None, chosen).is_ok() && complete(&named).is_ok() {
        return Ok(Columns {
            roles: named,
            layout,
        });
    }
    if looks.len() >= 11 && looks[0] == Look::Epoch && looks[6] == Look::Epoch {
        layout = Layout::Binance;
        roles[0] = Role::Stamp;
        for (at, role) in roles[1..6].iter_mut().enumerate() {
            *role = Role::Number(at);
        }
        roles[8] = Role::Number(slot::TRADES);
    } else if let Some(first_price) = place_time(looks, &mut roles) {
        for (at, look) in looks[first_price..].iter().take(5).enumerate() {
            if !look.is_number() {
                break;
            }
            roles[first_price + at] = Role::Number(at);
        }
        if looks.contains(&Look::CompactStamp) {
            layout = Layout::HistData;
        }
    }
    match place(&mut roles, None, chosen) {
        Err(error) if complete(&roles).is_err() => return Err(error),
        _ => {}
    }
    complete(&roles)?;
    Ok(Columns { roles, layout })
}

/// Gives the time columns of a row their roles, and a ticker before them; returns where the prices begin.
fn place_time(looks: &[Look], roles: &mut [Role]) -> Option<usize> {
    let whole = |at: usize| {
        matches!(
            looks.get(at),
            Some(Look::Stamp | Look::CompactStamp | Look::Epoch)
        )
    };
    let date = |at: usize| matches!(looks.get(at), Some(Look::Date | Look::DateDigits));
    let time = |at: usize| matches!(looks.get(at), Some(Look::Time | Look::TimeDigits));
    // A symbol first: `AAPL`, or `007` before something that can only be a time.
    let at = usize::from(!whole(0) && !date(0) && (whole(1) || date(1)));
    if at == 1 {
        roles[0] = Role::Ticker;
    }
    if date(at) && time(at + 1) {
        roles[at] = Role::Date;
        roles[at + 1] = Role::Time;
        Some(at + 2)
    } else if whole(at) || date(at) {
        roles[at] = Role::Stamp;
        Some(at + 1)
    } else {
        None
    }
}

/// Puts the columns of `--columns` in their places.
fn place(
    roles: &mut [Role],
    names: Option<&[String]>,
    chosen: &[(ColumnName, ColumnAt)],
) -> Result<(), FileError> {
    let mut places = Vec::new();
    for (column, at) in chosen {
        let index = match at {
            ColumnAt::Number(number) => number
                .checked_sub(1)
                .filter(|index| *index < roles.len())
                .ok_or(FileError::NoColumnNumber {
                    number: *number,
                    columns: roles.len(),
                })?,
            ColumnAt::Header(name) => names
                .and_then(|names| names.iter().position(|known| *known == normal(name)))
                .ok_or_else(|| FileError::NoColumnNamed { name: name.clone() })?,
        };
        places.push((column.role(), index));
    }
    let is_time = |role| matches!(role, Role::Stamp | Role::Date | Role::Time);
    let times = places.iter().any(|(role, _)| is_time(*role));
    for role in &mut *roles {
        if places.iter().any(|(placed, _)| placed == role) || (times && is_time(*role)) {
            *role = Role::Skip;
        }
    }
    for (role, index) in places {
        roles[index] = role;
    }
    Ok(())
}

/// `date` alone and `time` alone are whole timestamps; both together are a pair; beside a whole one they are extra.
fn settle_time(roles: &mut [Role]) -> Result<(), FileError> {
    match (
        has(roles, Role::Stamp),
        has(roles, Role::Date),
        has(roles, Role::Time),
    ) {
        (true, _, _) => clear(roles, |role| matches!(role, Role::Date | Role::Time)),
        (false, true, true) => {}
        (false, true, false) | (false, false, true) => {
            for role in roles {
                if matches!(role, Role::Date | Role::Time) {
                    *role = Role::Stamp;
                }
            }
        }
        (false, false, false) => return complete(roles),
    }
    Ok(())
}

fn unique(roles: &[Role], header: &[String]) -> Result<(), FileError> {
    for (at, role) in roles.iter().enumerate() {
        if *role == Role::Skip {
            continue;
        }
        if let Some(before) = roles[..at].iter().position(|other| other == role) {
            return Err(FileError::TwoHeaders {
                first: header[before].trim().to_owned(),
                second: header[at].trim().to_owned(),
                column: name_of(*role),
            });
        }
    }
    Ok(())
}

fn complete(roles: &[Role]) -> Result<(), FileError> {
    let mut missing = Vec::new();
    let apart = has(roles, Role::Date) && has(roles, Role::Time);
    if !apart && !has(roles, Role::Stamp) {
        missing.push("timestamp");
    }
    for (at, name) in PRICE_NAMES.into_iter().enumerate() {
        if !has(roles, Role::Number(at)) {
            missing.push(name);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(FileError::MissingColumns {
        missing: missing.join(", "),
    })
}

fn name_of(role: Role) -> &'static str {
    match role {
        Role::Skip => "nothing",
        Role::Ticker => "ticker",
        Role::Stamp => "timestamp",
        Role::Date => "date",
        Role::Time => "time",
        Role::Number(slot::VOLUME) => "volume",
        Role::Number(slot::VWAP) => "vwap",
        Role::Number(slot::TRADES) => "trades",
        Role::Number(slot::TICK_VOLUME) => "tick volume",
        Role::Number(at) => PRICE_NAMES[at],
        Role::Period => "interval",
    }
}

pub(super) fn has(roles: &[Role], wanted: Role) -> bool {
    roles.contains(&wanted)
}

fn clear(roles: &mut [Role], which: impl Fn(Role) -> bool) {
    for role in roles {
        if which(*role) {
            *role = Role::Skip;
        }
    }
}
