//! Values of a column as text and as JSON.

use std::io::Write;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    ArrowTimestampType, DataType, Date32Type, Float32Type, Float64Type, IntervalMonthDayNanoType,
    IntervalUnit, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow::temporal_conversions::as_datetime;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{NaiveDate, NaiveDateTime, TimeDelta};

use crate::export::write_number;

/// The values of one column.
pub struct Values<'a> {
    array: &'a dyn Array,
    /// For the types that Arrow formats as wanted.
    formatter: Option<ArrayFormatter<'a>>,
}

impl<'a> Values<'a> {
    /// The values of `array`.
    #[must_use]
    pub fn new(array: &'a ArrayRef) -> Self {
        const OPTIONS: FormatOptions<'_> = FormatOptions::new();
        Self {
            array,
            formatter: ArrayFormatter::try_new(array, &OPTIONS).ok(),
        }
    }

    /// Whether the value at `row` is null.
    #[must_use]
    pub fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }

    /// Writes the value at `row` as text, nothing for a null: floats in the shortest form that
    /// reads back the same, instants as `2025-01-02T14:30:00Z`, lists and structs as JSON.
    pub fn write_text(&self, out: &mut Vec<u8>, row: usize) {
        let array = self.array;
        if array.is_null(row) {
            return;
        }
        match array.data_type() {
            DataType::Float64 => write_number(out, array.as_primitive::<Float64Type>().value(row)),
            DataType::Float32 => put(out, array.as_primitive::<Float32Type>().value(row)),
            DataType::Timestamp(unit, zone) => {
                write_instant(out, *unit, zone.is_some(), array, row);
            }
            DataType::Date32 => write_date(out, array.as_primitive::<Date32Type>().value(row)),
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                let value = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
                write_interval(out, value.months, value.days, value.nanoseconds);
            }
            kind if kind.is_nested() && !matches!(kind, DataType::Dictionary(..)) => {
                self.write_json(out, row);
            }
            _ => {
                if let Some(formatter) = &self.formatter {
                    put(out, formatter.value(row));
                }
            }
        }
    }

    /// Writes the value at `row` as JSON: numbers and booleans bare, everything else as quoted
    /// text.
    pub fn write_json(&self, out: &mut Vec<u8>, row: usize) {
        let array = self.array;
        let is_finite = match array.data_type() {
            DataType::Float64 => array.as_primitive::<Float64Type>().value(row).is_finite(),
            DataType::Float32 => array.as_primitive::<Float32Type>().value(row).is_finite(),
            _ => true,
        };
        // JSON has no NaN.
        if array.is_null(row) || !is_finite {
            out.extend_from_slice(b"null");
            return;
        }
        match array.data_type() {
            DataType::Null => out.extend_from_slice(b"null"),
            DataType::List(_) => write_list(out, &array.as_list::<i32>().value(row)),
            DataType::LargeList(_) => write_list(out, &array.as_list::<i64>().value(row)),
            DataType::FixedSizeList(..) => {
                write_list(out, &array.as_fixed_size_list().value(row));
            }
            DataType::Map(..) => {
                let entries: ArrayRef = std::sync::Arc::new(array.as_map().value(row));
                write_list(out, &entries);
            }
            DataType::Struct(fields) => {
                out.push(b'{');
                for (index, (field, column)) in
                    fields.iter().zip(array.as_struct().columns()).enumerate()
                {
                    if index > 0 {
                        out.push(b',');
                    }
                    write_json_text(out, field.name());
                    out.push(b':');
                    Values::new(column).write_json(out, row);
                }
                out.push(b'}');
            }
            kind if kind.is_numeric() || *kind == DataType::Boolean => self.write_text(out, row),
            _ => {
                let mut text = Vec::new();
                self.write_text(&mut text, row);
                write_json_text(out, &String::from_utf8_lossy(&text));
            }
        }
    }
}

/// Writes a text as JSON.
pub fn write_json_text(out: &mut Vec<u8>, text: &str) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, text);
}

fn put(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    let _ = write!(out, "{value}");
}

fn write_list(out: &mut Vec<u8>, values: &ArrayRef) {
    let column = Values::new(values);
    out.push(b'[');
    for row in 0..values.len() {
        if row > 0 {
            out.push(b',');
        }
        column.write_json(out, row);
    }
    out.push(b']');
}

/// Writes an interval as DuckDB does: `1 year 2 months 3 days 04:05:06.5`, leaving out what is
/// zero.
fn write_interval(out: &mut Vec<u8>, months: i32, days: i32, nanos: i64) {
    let mut parts = Vec::new();
    let mut part = |number: i32, unit: &str| {
        if number != 0 {
            let plural = if number.abs() == 1 { "" } else { "s" };
            parts.push(format!("{number} {unit}{plural}"));
        }
    };
    part(months / 12, "year");
    part(months % 12, "month");
    part(days, "day");
    if nanos != 0 || parts.is_empty() {
        let sign = if nanos < 0 { "-" } else { "" };
        let seconds = nanos.unsigned_abs() / 1_000_000_000;
        let mut clock = format!(
            "{sign}{:02}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        );
        let rest = nanos.unsigned_abs() % 1_000_000_000;
        if rest > 0 {
            clock += format!(".{rest:09}").trim_end_matches('0');
        }
        parts.push(clock);
    }
    put(out, parts.join(" "));
}

fn write_instant(out: &mut Vec<u8>, unit: TimeUnit, utc: bool, array: &dyn Array, row: usize) {
    fn read<T: ArrowTimestampType>(array: &dyn Array, row: usize) -> (i64, Option<NaiveDateTime>) {
        let value = array.as_primitive::<T>().value(row);
        (value, as_datetime::<T>(value))
    }
    let (value, instant) = match unit {
        TimeUnit::Second => read::<TimestampSecondType>(array, row),
        TimeUnit::Millisecond => read::<TimestampMillisecondType>(array, row),
        TimeUnit::Microsecond => read::<TimestampMicrosecondType>(array, row),
        TimeUnit::Nanosecond => read::<TimestampNanosecondType>(array, row),
    };
    let Some(instant) = instant else {
        return write_infinity(out, value < 0);
    };
    put(out, instant.format("%Y-%m-%dT%H:%M:%S%.f"));
    if utc {
        out.push(b'Z');
    }
}

/// DuckDB's infinities are outside the range of dates.
fn write_infinity(out: &mut Vec<u8>, is_negative: bool) {
    out.extend_from_slice(if is_negative {
        b"-infinity"
    } else {
        b"infinity"
    });
}

fn write_date(out: &mut Vec<u8>, days: i32) {
    match NaiveDate::default().checked_add_signed(TimeDelta::days(days.into())) {
        Some(date) => put(out, date),
        None => write_infinity(out, days < 0),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, ListArray,
        StringArray, StructArray, TimestampMicrosecondArray, TimestampNanosecondArray,
    };
    use arrow::datatypes::{Field, Int64Type};

    use super::*;

    fn both(array: &ArrayRef, row: usize) -> (String, String) {
        let (mut text, mut json) = (Vec::new(), Vec::new());
        let values = Values::new(array);
        values.write_text(&mut text, row);
        values.write_json(&mut json, row);
        (
            String::from_utf8(text).unwrap(),
            String::from_utf8(json).unwrap(),
        )
    }

    fn check(array: impl Array + 'static, expected: &[(&str, &str)]) {
        let array: ArrayRef = Arc::new(array);
        for (row, (text, json)) in expected.iter().enumerate() {
            assert_eq!(both(&array, row), ((*text).to_owned(), (*json).to_owned()));
        }
    }

    #[test]
    fn values_are_written_as_people_and_programs_read_them() {
        check(
            Float64Array::from(vec![Some(90.0), Some(0.1), Some(f64::NAN), None]),
            &[("90", "90"), ("0.1", "0.1"), ("NaN", "null"), ("", "null")],
        );
        check(Int64Array::from(vec![-7]), &[("-7", "-7")]);
        check(BooleanArray::from(vec![true]), &[("true", "true")]);
        check(
            StringArray::from(vec!["a\"b\n"]),
            &[("a\"b\n", "\"a\\\"b\\n\"")],
        );
        check(
            TimestampMicrosecondArray::from(vec![1_735_828_200_000_000, 1_500_000, i64::MAX])
                .with_timezone("UTC"),
            &[
                ("2025-01-02T14:30:00Z", "\"2025-01-02T14:30:00Z\""),
                ("1970-01-01T00:00:01.500Z", "\"1970-01-01T00:00:01.500Z\""),
                ("infinity", "\"infinity\""),
            ],
        );
        check(
            TimestampNanosecondArray::from(vec![-1]),
            &[(
                "1969-12-31T23:59:59.999999999",
                "\"1969-12-31T23:59:59.999999999\"",
            )],
        );
        check(
            Date32Array::from(vec![20_090, -1]),
            &[
                ("2025-01-02", "\"2025-01-02\""),
                ("1969-12-31", "\"1969-12-31\""),
            ],
        );
        check(
            Decimal128Array::from(vec![12_345])
                .with_precision_and_scale(38, 2)
                .unwrap(),
            &[("123.45", "123.45")],
        );
    }

    #[test]
    fn intervals_are_written_as_duckdb_writes_them() {
        let text = |months, days, nanos| {
            let mut out = Vec::new();
            write_interval(&mut out, months, days, nanos);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(0, 0, 65_000_000_000), "00:01:05");
        assert_eq!(
            text(14, -3, 1_500_000_000),
            "1 year 2 months -3 days 00:00:01.5"
        );
        assert_eq!(text(0, 1, 0), "1 day");
        assert_eq!(text(0, 0, 0), "00:00:00");
        assert_eq!(text(0, 0, -1_000_000_000), "-00:00:01");
    }

    #[test]
    fn lists_and_structs_are_json() {
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1), None])]);
        check(list, &[("[1,null]", "[1,null]")]);
        let text: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
        let field = Arc::new(Field::new("a", DataType::Utf8, false));
        check(
            StructArray::from(vec![(field, text)]),
            &[("{\"a\":\"x\"}", "{\"a\":\"x\"}")],
        );
    }
}
