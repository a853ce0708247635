//! The columns of a bar, in one table.
//!
//! Everything that loops over columns derives its loop from [`COLUMNS`]: Arrow schemas and arrays,
//! tables and views in DuckDB, the lake's writer, hash and guard, CSV lines and headers, resampling,
//! and the columns of a sync target. **The order is part of the file formats**: tables are filled by
//! position, and row hashes are seeded by it. So a new column needs more than a line here:
//! ARCHITECTURE.md (A column of bars) lists it.

/// One column of a bar. The timestamp is the key and not among them.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name in files, tables and views.
    pub name: &'static str,
    /// The type of its values.
    pub kind: Kind,
    /// Whether a bar can lack it.
    pub optional: bool,
    /// How a longer bar gets its value from those of shorter bars.
    pub combine: Combine,
    /// How its values are distributed, which decides how files encode them.
    pub packing: Packing,
    /// Other names for it in the headers of CSV files, in lower case without blanks and marks.
    pub csv_names: &'static [&'static str],
}

/// The type of a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 64-bit floating point.
    Double,
    /// 64-bit signed integer.
    Integer,
}

/// How a longer bar gets its value from those of shorter bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combine {
    /// The first bar's value.
    First,
    /// The highest value.
    Max,
    /// The lowest value.
    Min,
    /// The last bar's value.
    Last,
    /// The sum; missing if any bar lacks the value.
    Sum,
    /// The mean weighted by volume; missing if any bar with a volume lacks the value.
    VolumeWeighted,
}

/// How values are distributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Prices: few decimals, close to their neighbours. CSV files give them a decimal point.
    Price,
    /// Volumes: a wide range, often whole.
    Volume,
    /// Counts: integers, written as deltas.
    Count,
}

/// Number of columns.
pub const COLUMN_COUNT: usize = COLUMNS.len();

/// Index of the first price in [`COLUMNS`].
pub const OPEN: usize = 0;
/// Index of the last price.
pub const CLOSE: usize = 3;
/// Index of the volume.
pub const VOLUME: usize = 4;
/// Index of the number of trades.
pub const TRADES: usize = 6;

/// The columns, in the order in which files, tables and views have them.
pub const COLUMNS: [Column; 7] = [
    price("open", Combine::First, &["openprice", "o"]),
    price("high", Combine::Max, &["highprice", "h"]),
    price("low", Combine::Min, &["lowprice", "l"]),
    price("close", Combine::Last, &["closeprice", "c"]),
    Column {
        name: "volume",
        kind: Kind::Double,
        optional: false,
        combine: Combine::Sum,
        packing: Packing::Volume,
        csv_names: &["vol", "realvolume", "v"],
    },
    Column {
        optional: true,
        ..price("vwap", Combine::VolumeWeighted, &["vw"])
    },
    Column {
        name: "trades",
        kind: Kind::Integer,
        optional: true,
        combine: Combine::Sum,
        packing: Packing::Count,
        csv_names: &["transactions", "tradecount", "numberoftrades", "count", "n"],
    },
];

const fn price(name: &'static str, combine: Combine, csv_names: &'static [&'static str]) -> Column {
    Column {
        name,
        kind: Kind::Double,
        optional: false,
        combine,
        packing: Packing::Price,
        csv_names,
    }
}

/// One value of a bar. A missing value is NaN or [`i64::MIN`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Of a [`Kind::Double`] column.
    Double(f64),
    /// Of a [`Kind::Integer`] column.
    Integer(i64),
}

/// A type with a reserved value for a missing one.
pub trait Optional: Copy {
    /// The reserved value.
    const MISSING: Self;
    /// Whether this is the reserved value.
    fn is_missing(self) -> bool;
}

impl Optional for f64 {
    const MISSING: Self = Self::NAN;

    fn is_missing(self) -> bool {
        self.is_nan()
    }
}

impl Optional for i64 {
    const MISSING: Self = Self::MIN;

    fn is_missing(self) -> bool {
        self == Self::MISSING
    }
}

impl Value {
    /// A double, or its mark for a missing value.
    #[must_use]
    pub fn double(value: Option<f64>) -> Self {
        Self::Double(value.unwrap_or(f64::MISSING))
    }

    /// An integer, or its mark for a missing value.
    #[must_use]
    pub fn integer(value: Option<i64>) -> Self {
        Self::Integer(value.unwrap_or(i64::MISSING))
    }

    /// The mark for a missing value.
    #[must_use]
    pub const fn missing(kind: Kind) -> Self {
        match kind {
            Kind::Double => Self::Double(f64::MISSING),
            Kind::Integer => Self::Integer(i64::MISSING),
        }
    }

    /// Whether the bar has no such value.
    #[must_use]
    pub fn is_missing(self) -> bool {
        match self {
            Self::Double(value) => value.is_missing(),
            Self::Integer(value) => value.is_missing(),
        }
    }

    /// The value of a double column; `None` if it is missing.
    #[must_use]
    pub fn as_double(self) -> Option<f64> {
        match self {
            Self::Double(value) if !value.is_missing() => Some(value),
            _ => None,
        }
    }

    /// The value of an integer column; `None` if it is missing.
    #[must_use]
    pub fn as_integer(self) -> Option<i64> {
        match self {
            Self::Integer(value) if !value.is_missing() => Some(value),
            _ => None,
        }
    }

    /// The value as the nearest double; `None` if it is missing.
    #[must_use]
    pub fn to_double(self) -> Option<f64> {
        match self {
            Self::Double(_) => self.as_double(),
            Self::Integer(_) => self.as_integer().map(|value| value as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_indices_are_those_of_the_table() {
        let name = |index: usize| COLUMNS[index].name;
        assert_eq!(
            [OPEN, CLOSE, VOLUME, TRADES].map(name),
            ["open", "close", "volume", "trades"]
        );
    }
}
