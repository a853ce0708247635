//! The bars that differ, as batches of rows.

use std::io;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::Date32Type;

use crate::cli::rows::RowFormat;
use crate::compare::{Bars, DifferingBar};
use crate::model::columns::{COLUMNS, VOLUME};

/// One row per bar of a day; without a day only the columns. A table shows only the values that differ.
pub(super) fn batch(format: RowFormat, day: Option<Bars<'_>>) -> io::Result<RecordBatch> {
    let bars = day.map_or(&[][..], |day| day.bars);
    let rows = || bars.iter();
    let interval = day.map(|day| i64::from(day.series.interval.minutes()));
    let ticker = day.map(|day| day.series.ticker.as_str());
    let session = day.map(|day| Date32Type::from_naive_date(day.session));
    let intervals: Int64Array = rows().map(|_| interval).collect();
    let tickers: StringArray = rows().map(|_| ticker).collect();
    let sessions: Date32Array = rows().map(|_| session).collect();
    let times: TimestampMicrosecondArray = rows().map(|bar| Some(bar.micros)).collect();
    let differences: StringArray = rows().map(|bar| Some(bar.difference.as_str())).collect();
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("interval".to_owned(), Arc::new(intervals)),
        ("ticker".to_owned(), Arc::new(tickers)),
        ("session".to_owned(), Arc::new(sessions)),
        ("timestamp".to_owned(), Arc::new(times.with_timezone("UTC"))),
        ("difference".to_owned(), Arc::new(differences)),
    ];
    if format == RowFormat::Table {
        let values: StringArray = rows().map(|bar| Some(in_words(bar))).collect();
        columns.push(("here -> there".to_owned(), Arc::new(values)));
    } else {
        for (side, is_here) in [("here", true), ("there", false)] {
            let values = |bar: &DifferingBar| if is_here { bar.here } else { bar.there };
            for (index, column) in COLUMNS[..=VOLUME].iter().enumerate() {
                let values: Float64Array = rows()
                    .map(|bar| values(bar).map(|values: [f64; VOLUME + 1]| values[index]))
                    .collect();
                columns.push((format!("{side}_{}", column.name), Arc::new(values)));
            }
        }
    }
    let nullable = columns.into_iter().map(|(name, array)| (name, array, true));
    RecordBatch::try_from_iter_with_nullable(nullable).map_err(io::Error::other)
}

/// `close 10.5 -> 10.6`; all values of a bar that only one store has.
fn in_words(bar: &DifferingBar) -> String {
    let mut words = Vec::new();
    for (index, column) in COLUMNS[..=VOLUME].iter().enumerate() {
        let value = |values: Option<[f64; VOLUME + 1]>| values.map(|values| values[index]);
        match (value(bar.here), value(bar.there)) {
            (Some(here), Some(there)) if here != there => {
                words.push(format!("{} {here} -> {there}", column.name));
            }
            (Some(one), None) | (None, Some(one)) => words.push(format!("{} {one}", column.name)),
            _ => {}
        }
    }
    words.join(", ")
}
