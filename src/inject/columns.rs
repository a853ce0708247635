//! The columns of a file: what each holds, by the names of a header or by `--columns`.

use std::str::FromStr;

use super::error::FileError;
use super::number::{Decimal, parse, parse_decorated};
use super::sample::{FieldKind, Fields};
use crate::model::columns::COLUMNS;

/// What one column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Not read.
    Skip,
    Ticker,
    /// Date and time together, or an epoch.
    Timestamp,
    Date,
    /// The time of day.
    Time,
    /// One of the numbers; see [`slot`].
    Number(usize),
    /// A code for the interval of the row: Stooq's `<PER>`, Databento's `rtype`.
    Interval,
}

/// The indices of a row's numbers: those of [`COLUMNS`], then those that change the volume.
pub(super) mod slot {
    use crate::model::columns::COLUMN_COUNT;
    pub(in super::super) use crate::model::columns::{CLOSE, OPEN, TRADES, VOLUME};

    pub(in super::super) const HIGH: usize = OPEN + 1;
    pub(in super::super) const LOW: usize = OPEN + 2;
    pub(in super::super) const VWAP: usize = VOLUME + 1;
    pub(in super::super) const TICK_VOLUME: usize = COLUMN_COUNT;
    /// The volume of trades at falling prices, which is added to the volume.
    pub(in super::super) const DOWN_VOLUME: usize = TICK_VOLUME + 1;
    pub(in super::super) const COUNT: usize = DOWN_VOLUME + 1;
}

impl Role {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Skip => "nothing",
            Self::Ticker => "ticker",
            Self::Timestamp => "timestamp",
            Self::Date => "date",
            Self::Time => "time",
            Self::Number(slot::TICK_VOLUME) => "tick volume",
            Self::Number(slot::DOWN_VOLUME) => "down volume",
            Self::Number(slot) => COLUMNS[slot].name,
            Self::Interval => "interval",
        }
    }

    pub(super) const fn is_time(self) -> bool {
        matches!(self, Self::Timestamp | Self::Date | Self::Time)
    }
}

/// A column of bars, as `--columns` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnName(Role);

impl ColumnName {
    /// Whether it is the volume.
    pub(super) fn is_volume(self) -> bool {
        self.0 == Role::Number(slot::VOLUME)
    }
}

/// A column of a file, as `--columns` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnAt {
    /// By number, from 1.
    Number(usize),
    Header(String),
}

/// The columns that `--columns` assigns.
pub type ChosenColumns = Vec<(ColumnName, ColumnAt)>;

/// Why `--columns` can't be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadColumns {
    /// There is no `=`, or nothing after it.
    #[error("{0:?} isn't of the form column=number or column=header")]
    Form(String),
    /// Bars have no such column.
    #[error(
        "{0:?} isn't a column of bars; use ts (or date and time), ticker, {names}",
        names = COLUMNS.map(|column| column.name).join(", ")
    )]
    Name(String),
    /// The number 0.
    #[error("columns are numbered from 1")]
    Zero,
    /// One column twice.
    #[error("{0:?} is given twice")]
    Twice(String),
}

/// Reads `ts=2,open=3` or `ts=Zeit,open=Erster`.
pub fn parse_columns(typed: &str) -> Result<ChosenColumns, BadColumns> {
    let mut columns = ChosenColumns::new();
    for part in typed.split(',').filter(|part| !part.trim().is_empty()) {
        let form = || BadColumns::Form(part.trim().to_owned());
        let (name, at) = part.split_once('=').ok_or_else(form)?;
        let column: ColumnName = name.parse()?;
        if columns.iter().any(|(known, _)| *known == column) {
            return Err(BadColumns::Twice(name.trim().to_owned()));
        }
        let at = match at.trim() {
            "" => return Err(form()),
            at => match at.parse() {
                Ok(0) => return Err(BadColumns::Zero),
                Ok(number) => ColumnAt::Number(number),
                Err(_) => ColumnAt::Header(at.to_owned()),
            },
        };
        columns.push((column, at));
    }
    Ok(columns)
}

impl FromStr for ColumnName {
    type Err = BadColumns;

    fn from_str(typed: &str) -> Result<Self, Self::Err> {
        let role = match typed.trim().to_ascii_lowercase().as_str() {
            "ts" | "timestamp" | "datetime" => Role::Timestamp,
            "date" => Role::Date,
            "time" => Role::Time,
            "ticker" | "symbol" => Role::Ticker,
            name => match COLUMNS.iter().position(|column| column.name == name) {
                Some(slot) => Role::Number(slot),
                None => return Err(BadColumns::Name(typed.trim().to_owned())),
            },
        };
        Ok(Self(role))
    }
}

/// A header's name in lower case, letters and digits only.
pub(super) fn normalise(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// The role of a normalised header name, in any layout.
pub(super) fn role_of(name: &str) -> Role {
    match name {
        "ticker" | "symbol" => Role::Ticker,
        "timestamp" | "datetime" | "tsevent" | "windowstart" | "gmttime" | "timeutc"
        | "opentime" | "ts" | "dt" | "t" | "unix" | "unixtime" | "unixtimestamp" | "epoch"
        | "localtime" | "beginsat" | "startat" | "starttime" | "bartime" => Role::Timestamp,
        "date" | "dtyyyymmdd" => Role::Date,
        "time" => Role::Time,
        "tickvolume" | "tickvol" => Role::Number(slot::TICK_VOLUME),
        "bidopen" => Role::Number(slot::OPEN),
        "bidhigh" => Role::Number(slot::HIGH),
        "bidlow" => Role::Number(slot::LOW),
        "bidclose" | "closelast" => Role::Number(slot::CLOSE),
        "up" => Role::Number(slot::VOLUME),
        "down" => Role::Number(slot::DOWN_VOLUME),
        "per" | "rtype" => Role::Interval,
        _ => COLUMNS
            .iter()
            .position(|column| column.name == name || column.csv_names.contains(&name))
            .map_or(Role::Skip, Role::Number),
    }
}

/// Assigns the columns of `--columns`, over what `roles` has. Without a header `names` is empty.
pub(super) fn assign_chosen(
    roles: &mut [Role],
    names: &[String],
    chosen: &ChosenColumns,
) -> Result<(), FileError> {
    let mut assigned = Vec::new();
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
                .iter()
                .position(|known| *known == normalise(name))
                .ok_or_else(|| FileError::NoColumnNamed { name: name.clone() })?,
        };
        assigned.push((column.0, index));
    }
    let has_time = assigned.iter().any(|(role, _)| role.is_time());
    clear(roles, |role| {
        assigned.iter().any(|(assigned, _)| *assigned == role) || (has_time && role.is_time())
    });
    for (role, index) in assigned {
        roles[index] = role;
    }
    Ok(())
}

/// Decides which columns are the time: a whole timestamp, else date and time together, else either
/// of them alone as a whole timestamp.
pub(super) fn choose_time(roles: &mut [Role]) {
    let has = |role| roles.contains(&role);
    match (has(Role::Timestamp), has(Role::Date), has(Role::Time)) {
        (true, _, _) => clear(roles, |role| matches!(role, Role::Date | Role::Time)),
        (false, true, true) => {}
        (false, _, _) => replace(roles, Role::is_time, Role::Timestamp),
    }
}

/// Fails if two columns have the same role.
pub(super) fn check_unique(roles: &[Role], header: &[String]) -> Result<(), FileError> {
    for (at, role) in roles
        .iter()
        .enumerate()
        .filter(|(_, role)| **role != Role::Skip)
    {
        if let Some(before) = roles[..at].iter().position(|other| other == role) {
            return Err(FileError::TwoHeaders {
                first: header[before].trim().to_owned(),
                second: header[at].trim().to_owned(),
                column: role.name(),
            });
        }
    }
    Ok(())
}

/// Fails if a bar's time or one of its prices has no column. The error has an example that maps the
/// missing ones to columns of the right kind, if the rows are bars then.
pub(super) fn check_complete(
    roles: &[Role],
    kinds: &[FieldKind],
    rows: &[Fields<'_>],
) -> Result<(), FileError> {
    let has = |role| roles.contains(&role);
    let has_time = has(Role::Timestamp) || (has(Role::Date) && has(Role::Time));
    let time = (!has_time).then_some(("timestamp", "ts"));
    let prices = (slot::OPEN..=slot::CLOSE).filter(|price| !has(Role::Number(*price)));
    let missing: Vec<(&str, &str)> = time
        .into_iter()
        .chain(prices.map(|price| (COLUMNS[price].name, COLUMNS[price].name)))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut free: Vec<usize> = (0..roles.len())
        .filter(|at| roles[*at] == Role::Skip)
        .collect();
    let mut proposed = roles.to_vec();
    let mut take = |is_time: bool| {
        let fits = |at: &usize| match kinds.get(*at) {
            Some(kind) => kind.is_time() == is_time && (is_time || kind.is_number()),
            None => true,
        };
        let found = free.iter().position(fits)?;
        Some(free.remove(found) + 1)
    };
    let mut example: Vec<(&str, Option<usize>)> = missing
        .iter()
        .map(|(_, column)| (*column, take(*column == "ts")))
        .collect();
    let has_volume = has(Role::Number(slot::VOLUME)) || has(Role::Number(slot::TICK_VOLUME));
    let has_other_names = missing.iter().any(|(_, column)| *column != "ts");
    if !has_volume
        && has_other_names
        && !kinds.is_empty()
        && let Some(number) = take(false)
    {
        example.push(("volume", Some(number)));
    }
    for (column, number) in &example {
        if let (Some(number), Ok(ColumnName(role))) = (number, column.parse()) {
            proposed[number - 1] = role;
        }
    }
    if !are_bars(&proposed, rows) {
        example.retain(|(column, _)| *column != "volume");
        for (_, number) in &mut example {
            *number = None;
        }
    }
    let example: Vec<String> = example
        .into_iter()
        .map(|(column, number)| match number {
            Some(number) => format!("{column}={number}"),
            None => format!("{column}=N"),
        })
        .collect();
    let missing: Vec<&str> = missing.iter().map(|(name, _)| *name).collect();
    Err(FileError::MissingColumns {
        missing: missing.join(", "),
        example: example.join(","),
    })
}

/// Whether no row has a price above its high or below its low.
fn are_bars(roles: &[Role], rows: &[Fields<'_>]) -> bool {
    let value = |row: &Fields<'_>, price: usize| {
        let at = roles.iter().position(|role| *role == Role::Number(price))?;
        let field = row.get(at)?.trim_ascii();
        parse(field).or_else(|| parse_decorated(field, Decimal::Point))
    };
    rows.iter().all(|row| {
        let prices =
            [slot::OPEN, slot::HIGH, slot::LOW, slot::CLOSE].map(|price| value(row, price));
        match prices {
            [Some(open), Some(high), Some(low), Some(close)] => {
                low <= open.min(close) && open.max(close) <= high
            }
            // A row without prices, or one that can't be read: it shows nothing.
            _ => true,
        }
    })
}

pub(super) fn clear(roles: &mut [Role], which: impl Fn(Role) -> bool) {
    replace(roles, which, Role::Skip);
}

pub(super) fn replace(roles: &mut [Role], which: impl Fn(Role) -> bool, with: Role) {
    for role in roles.iter_mut().filter(|role| which(**role)) {
        *role = with;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_by_number_and_by_header() {
        let columns = parse_columns("ts=2, open=Erster").unwrap();
        assert_eq!(
            columns[0],
            (ColumnName(Role::Timestamp), ColumnAt::Number(2))
        );
        assert_eq!(columns[1].1, ColumnAt::Header("Erster".into()));
        for typed in ["ts", "foo=1", "ts=0", "ts=1,ts=2", "ts="] {
            assert!(parse_columns(typed).is_err(), "{typed}");
        }
    }
}
