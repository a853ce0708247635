//! The program's own CSV layout: `ticker,timestamp`, then the columns of a bar. Prices have a
//! decimal point, whole volumes have none.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};

use super::file::{Encoded, FileFormat, FileOptions, FileWriter, Out};
use crate::export::Error;
use crate::model::columns::{COLUMNS, Column, Kind, Packing};
use crate::model::{DAY_MICROS, MINUTE_MICROS, Timestamp};
use crate::store::columns::{FIRST_VALUE, TIMESTAMP};

#[derive(Clone, Copy)]
pub(super) struct Csv {
    /// Whether the optional columns are written.
    has_optional: bool,
}

struct Writer {
    path: PathBuf,
    out: Out,
}

/// One column of a batch.
enum Field<'a> {
    Price(&'a Float64Array),
    Volume(&'a Float64Array),
    Count(&'a Int64Array),
}

impl<'a> Field<'a> {
    fn new(column: &Column, array: &'a ArrayRef) -> Self {
        match (column.kind, column.packing) {
            (Kind::Integer, _) => Self::Count(array.as_primitive::<Int64Type>()),
            (Kind::Double, Packing::Volume) => Self::Volume(array.as_primitive::<Float64Type>()),
            (Kind::Double, _) => Self::Price(array.as_primitive::<Float64Type>()),
        }
    }

    /// Writes the value of a row; nothing if it is missing.
    fn write(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Self::Price(array) if array.is_valid(row) => write_price(out, array.value(row)),
            Self::Volume(array) if array.is_valid(row) => write_number(out, array.value(row)),
            Self::Count(array) if array.is_valid(row) => {
                let _ = write!(out, "{}", array.value(row));
            }
            Self::Price(_) | Self::Volume(_) | Self::Count(_) => {}
        }
    }
}

impl FileFormat for Csv {
    fn encode(&self, rows: &RecordBatch, _: &Path) -> Result<Encoded, Error> {
        Ok(Encoded::Bytes(self.lines(rows)))
    }

    fn begin(&self, path: &Path, mut out: Out) -> Result<Box<dyn FileWriter>, Error> {
        out.write_all(self.header().as_bytes())
            .map_err(Error::io(path))?;
        let path = path.to_owned();
        Ok(Box::new(Writer { path, out }))
    }
}

impl FileWriter for Writer {
    fn append(&mut self, rows: Encoded) -> Result<(), Error> {
        let Encoded::Bytes(lines) = rows else {
            unreachable!("rows are encoded by the format of the file");
        };
        self.out.write_all(&lines).map_err(Error::io(&self.path))
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        self.out.flush().map_err(Error::io(&self.path))
    }
}

/// Whether the file begins with a header line of this layout.
pub(super) fn is_exported(mut file: File) -> bool {
    [false, true].into_iter().any(|has_optional| {
        let header = Csv { has_optional }.header().into_bytes();
        let mut start = vec![0; header.len()];
        file.rewind().is_ok() && file.read_exact(&mut start).is_ok() && start == header
    })
}

impl Csv {
    pub fn new(options: FileOptions) -> Self {
        Self {
            has_optional: options.has_optional_values,
        }
    }

    fn has(self, column: &Column) -> bool {
        self.has_optional || !column.optional
    }

    /// The first line.
    fn header(self) -> String {
        let mut line = "ticker,timestamp".to_owned();
        for column in COLUMNS.iter().filter(|column| self.has(column)) {
            line.push(',');
            line.push_str(column.name);
        }
        line.push('\n');
        line
    }

    fn lines(self, batch: &RecordBatch) -> Vec<u8> {
        let tickers = batch.column(0).as_dictionary::<Int32Type>();
        let names: Vec<String> = tickers
            .values()
            .as_string::<i32>()
            .iter()
            .map(|name| quoted(name.unwrap_or_default()))
            .collect();
        let keys = tickers.keys().values();
        let bar = &batch.columns()[1..];
        let times = bar[TIMESTAMP].as_primitive::<TimestampMicrosecondType>();
        let fields: Vec<Field<'_>> = COLUMNS
            .iter()
            .zip(&bar[FIRST_VALUE..])
            .filter(|(column, _)| self.has(column))
            .map(|(column, array)| Field::new(column, array))
            .collect();
        let mut out = Vec::with_capacity(batch.num_rows() * 64);
        let mut clock = Clock::default();
        for (row, time) in times.values().iter().enumerate() {
            out.extend_from_slice(names[keys[row] as usize].as_bytes());
            out.push(b',');
            clock.write(&mut out, *time);
            for field in &fields {
                out.push(b',');
                field.write(row, &mut out);
            }
            out.push(b'\n');
        }
        out
    }
}

/// A field, in quotes if RFC 4180 requires them.
pub(crate) fn quoted(field: &str) -> String {
    if field.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

/// Writes instants. Keeps the text of the day, because most bars have the day of the bar before.
#[derive(Default)]
struct Clock {
    day: Option<(i64, String)>,
}

impl Clock {
    fn write(&mut self, out: &mut Vec<u8>, micros: i64) {
        if micros % MINUTE_MICROS != 0 {
            let _ = write!(out, "{}", Timestamp::from_micros(micros));
            return;
        }
        let day = micros.div_euclid(DAY_MICROS);
        let text = match &mut self.day {
            Some((known, text)) if *known == day => text,
            slot => {
                let midnight = Timestamp::from_micros(day * DAY_MICROS).to_utc();
                &mut slot
                    .insert((day, midnight.format("%Y-%m-%dT").to_string()))
                    .1
            }
        };
        out.extend_from_slice(text.as_bytes());
        let minute = (micros.rem_euclid(DAY_MICROS) / MINUTE_MICROS) as usize;
        let two = |number: usize| [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        out.extend_from_slice(&two(minute / 60));
        out.push(b':');
        out.extend_from_slice(&two(minute % 60));
        out.extend_from_slice(b":00Z");
    }
}

/// Writes a price: the shortest form that reads back as the same number, always with a decimal
/// point, so that readers which guess a column's type from its first lines guess right.
fn write_price(out: &mut Vec<u8>, value: f64) {
    let start = out.len();
    write_number(out, value);
    if !out[start..].contains(&b'.') {
        out.extend_from_slice(b".0");
    }
}

/// Writes a double in the shortest form that reads back as the same number, without a decimal point
/// if it is whole.
///
/// Numbers with few decimals take a fast path: a decimal number of at most fifteen digits is the
/// only one of that length that reads back as its double, so the digits of the quotient are the
/// shortest form.
pub(crate) fn write_number(out: &mut Vec<u8>, value: f64) {
    const SCALE: f64 = 10_000.0;
    const SHORT_MAX: f64 = 1e14;
    let scaled = (value * SCALE).round();
    if value.is_sign_negative() || scaled >= SHORT_MAX || scaled / SCALE != value {
        let _ = write!(out, "{value}");
        return;
    }
    let scaled = scaled as u64;
    let (whole, mut rest) = (scaled / 10_000, scaled % 10_000);
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    let mut left = whole;
    loop {
        start -= 1;
        digits[start] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
    if rest > 0 {
        out.push(b'.');
        let mut unit = 1000;
        while rest > 0 {
            out.push(b'0' + (rest / unit) as u8);
            rest %= unit;
            unit /= 10;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(value: f64) -> String {
        let mut out = Vec::new();
        write_number(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_short_and_integers_bare() {
        for (value, text) in [
            (0.0, "0"),
            (90.0, "90"),
            (644.8, "644.8"),
            (0.01, "0.01"),
            (0.0105, "0.0105"),
            (167.65, "167.65"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1.0 / 3.0, "0.3333333333333333"),
            (123_456_789.123_4, "123456789.1234"),
            (1e15, "1000000000000000"),
            (0.000_012_5, "0.0000125"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn prices_have_a_decimal_point() {
        for (value, text) in [
            (168.0, "168.0"),
            (167.65, "167.65"),
            (1e22, "10000000000000000000000.0"),
        ] {
            let mut out = Vec::new();
            write_price(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn instants_are_iso_8601() {
        let mut clock = Clock::default();
        let mut out = Vec::new();
        for micros in [1_735_828_200_000_000, -60_000_000, -59_000_000] {
            clock.write(&mut out, micros);
            out.push(b' ');
        }
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "2025-01-02T14:30:00Z 1969-12-31T23:59:00Z 1969-12-31T23:59:01Z "
        );
    }

    #[test]
    fn odd_tickers_are_quoted() {
        assert_eq!(quoted("BRK-B"), "BRK-B");
        assert_eq!(quoted("A,\"B\""), "\"A,\"\"B\"\"\"");
    }

    proptest! {
        #[test]
        fn every_number_reads_back_the_same_and_no_longer_than_rust_writes_it(
            value in prop_oneof![
                any::<f64>().prop_map(f64::abs).prop_filter("finite", |v| v.is_finite()),
                (0_u64..10_000_000_000_000).prop_map(|v| v as f64 / 100.0),
                (0_u64..1_000_000_000_000_000_000).prop_map(|v| v as f64 / 10_000.0),
                (0_u64..u64::MAX).prop_map(|v| v as f64),
            ]
        ) {
            let text = number(value);
            prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits());
            prop_assert_eq!(text, format!("{value}"));
        }
    }
}
