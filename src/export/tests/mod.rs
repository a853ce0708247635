//! Exports of bars in memory: what the files hold, what is replaced, what is left alone.

mod folders;
mod formats;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, TimestampMicrosecondType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;
use crate::calendar::Calendar;
use crate::model::{
    Bar, Bars, DateRange, Interval, MINUTE_MICROS, SeriesKey, Ticker, TimeRange, Timestamp,
};
use crate::report::{Silent, Stop};
use crate::store::columns::bar_batch;

#[derive(Default)]
struct Memory {
    bars: BTreeMap<Ticker, Bars>,
    breaks: Option<Ticker>,
}

impl BarSource for Memory {
    fn scan(&self, series: &SeriesPlan, range: TimeRange) -> Result<Batches<'_>, Error> {
        let ticker = series.key.ticker.clone();
        if self.breaks.as_ref() == Some(&ticker) {
            return Err(Error::Read {
                series: series.key.clone(),
                source: "damaged".into(),
            });
        }
        let bars = &self.bars[&ticker];
        let times = bars.timestamps();
        let from = times.partition_point(|at| *at < range.start);
        let to = times.partition_point(|at| *at < range.end);
        let cuts: Vec<usize> = (from..to).step_by(1000).chain([to]).collect();
        Ok(Box::new((1..cuts.len()).map(move |cut| {
            Ok(bar_batch(bars.slice(cuts[cut - 1]..cuts[cut])).unwrap())
        })))
    }
}

fn at(text: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(text)
        .unwrap()
        .timestamp_micros()
}

fn minutes(from: &str, count: i64) -> Bars {
    (0..count)
        .map(|number| {
            Bar::new(
                Timestamp::from_micros(at(from) + number * MINUTE_MICROS),
                [
                    10.0 + number as f64 / 100.0,
                    12.0 + number as f64 / 100.0,
                    9.5,
                    11.25,
                ],
                number as f64,
            )
        })
        .collect()
}

fn source(series: &[(&str, Bars)]) -> Memory {
    Memory {
        bars: series
            .iter()
            .map(|(name, bars)| (Ticker::new(name).unwrap(), bars.clone()))
            .collect(),
        breaks: None,
    }
}

fn plans(source: &Memory, grid: Option<&ResampleGrid>) -> Vec<SeriesPlan> {
    source
        .bars
        .iter()
        .map(|(ticker, bars)| {
            let key = SeriesKey {
                interval: Interval::M1,
                ticker: ticker.clone(),
            };
            let times = bars.timestamps();
            let ends = (times[0], times[times.len() - 1]);
            SeriesPlan::new(
                key,
                (
                    Timestamp::from_micros(ends.0),
                    Timestamp::from_micros(ends.1),
                ),
                TimeRange::ALL,
                grid.cloned(),
            )
        })
        .collect()
}

fn run(
    source: &Memory,
    format: Format,
    partition_by: PartitionBy,
    target: Target,
    grid: Option<&ResampleGrid>,
) -> Result<Exported, Error> {
    let plan = Plan {
        series: plans(source, grid),
        minutes: grid.map_or(1, |grid| grid.minutes),
        format,
        partition_by,
        target,
    };
    export(source, plan, &Stop::new(), &Silent)
}

fn files(folder: &Path) -> Vec<String> {
    fn visit(folder: &Path, root: &Path, out: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(&path, root, out);
            } else {
                out.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    let mut out = Vec::new();
    visit(folder, folder, &mut out);
    out.sort();
    out
}

fn read(path: &Path) -> Vec<RecordBatch> {
    let file = fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    reader.build().unwrap().map(Result::unwrap).collect()
}

/// Ticker, timestamp, open and volume of every row.
fn rows(batches: &[RecordBatch]) -> Vec<(String, i64, f64, f64)> {
    let mut out = Vec::new();
    for batch in batches {
        let tickers = arrow::compute::cast(batch.column(0), &DataType::Utf8).unwrap();
        let times = batch.column(1).as_primitive::<TimestampMicrosecondType>();
        for row in 0..batch.num_rows() {
            let value = |column: usize| {
                batch
                    .column(column)
                    .as_primitive::<Float64Type>()
                    .value(row)
            };
            out.push((
                tickers.as_string::<i32>().value(row).to_owned(),
                times.value(row),
                value(2),
                value(6),
            ));
        }
    }
    out
}

fn expected(source: &Memory) -> Vec<(String, i64, f64, f64)> {
    source
        .bars
        .iter()
        .flat_map(|(ticker, bars)| {
            bars.iter().map(|bar| {
                (
                    ticker.to_string(),
                    bar.timestamp.micros(),
                    bar.open,
                    bar.volume,
                )
            })
        })
        .collect()
}

fn folder_at(path: &Path) -> OutputFolder {
    Guard::default().folder(path).unwrap()
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn two_years() -> Memory {
    source(&[
        ("BTC/USD", minutes("2024-12-31T20:00:00Z", 600)),
        ("007", minutes("2025-03-03T14:30:00Z", 150_000)),
        ("A", minutes("2025-03-03T14:30:00Z", 1)),
    ])
}

#[test]
fn every_way_to_divide_holds_every_bar_once() {
    let source = two_years();
    for (partition_by, count) in [
        (PartitionBy::None, 1),
        (PartitionBy::Ticker, 3),
        (PartitionBy::Year, 2),
        (PartitionBy::TickerYear, 4),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::Folder(folder_at(&folder.path().join("out")));
        let done = run(&source, Format::Parquet, partition_by, target, None).unwrap();
        assert_eq!((done.files, done.rows), (count, 150_601));
        let mut all = Vec::new();
        for file in files(&folder.path().join("out")) {
            let part = rows(&read(&folder.path().join("out").join(&file)));
            assert!(
                part.is_sorted_by(|a, b| (&a.0, a.1) < (&b.0, b.1)),
                "{file}"
            );
            all.extend(part);
        }
        all.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        assert_eq!(all, expected(&source), "{partition_by}");
    }
}

#[test]
fn longer_bars_are_the_same_however_they_are_divided() {
    let source = source(&[("BTC/USD", minutes("2024-12-31T20:07:00Z", 900))]);
    // Seven hours from each midnight: one bar is cut by the year.
    let grid = ResampleGrid {
        calendar: Calendar::for_exchange("FOREX").unwrap(),
        minutes: 420,
    };
    let folder = tempfile::tempdir().unwrap();
    let read_all = |partition_by: PartitionBy| {
        let root = folder.path().join(partition_by.to_string());
        run(
            &source,
            Format::Parquet,
            partition_by,
            Target::Folder(folder_at(&root)),
            Some(&grid),
        )
        .unwrap();
        let mut all = Vec::new();
        for file in files(&root) {
            all.extend(rows(&read(&root.join(file))));
        }
        all
    };
    let whole = read_all(PartitionBy::None);
    let opens: Vec<String> = whole
        .iter()
        .map(|row| Timestamp::from_micros(row.1).to_string())
        .collect();
    assert_eq!(
        opens,
        [
            "2024-12-31T19:00:00Z",
            "2024-12-31T22:00:00Z",
            "2025-01-01T05:00:00Z"
        ]
    );
    assert_eq!(
        whole.iter().map(|row| row.3).sum::<f64>(),
        (0..900).sum::<i64>() as f64
    );
    assert_eq!(read_all(PartitionBy::TickerYear), whole);
    assert_eq!(read_all(PartitionBy::Year), whole);
}

#[test]
fn dates_bound_longer_bars_too() {
    // Pre-market bars of two days; the range is the second.
    let mut bars = minutes("2025-03-03T20:00:00Z", 240);
    bars.append(minutes("2025-03-04T09:00:00Z", 600));
    let source = source(&[("A", bars.clone())]);
    let calendar = Calendar::for_exchange("NASDAQ").unwrap();
    let day = chrono::NaiveDate::from_ymd_opt(2025, 3, 4).unwrap();
    let wanted = calendar.instants(DateRange::new(day, day).unwrap());
    let mut plan = plans(&source, None).remove(0);
    let ends = (bars.get(0).timestamp, bars.get(bars.len() - 1).timestamp);
    plan = SeriesPlan::new(
        plan.key,
        ends,
        wanted,
        Some(ResampleGrid {
            calendar,
            minutes: 60,
        }),
    );
    let out = Shared::default();
    let done = export(
        &source,
        Plan {
            series: vec![plan],
            minutes: 60,
            format: Format::Csv,
            partition_by: PartitionBy::None,
            target: Target::Stream(Box::new(out.clone())),
        },
        &Stop::new(),
        &Silent,
    )
    .unwrap();
    let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
    let first = text.lines().nth(1).unwrap();
    assert!(first.starts_with("A,2025-03-04T08:30:00Z,"), "{first}");
    assert_eq!(done.rows, 11);
}

#[test]
fn nothing_staged_still_makes_a_file_that_opens() {
    let empty = Memory::default();
    let folder = tempfile::tempdir().unwrap();
    for &format in Format::ALL {
        let path = folder.path().join(format!("out.{format}"));
        run(
            &empty,
            format,
            PartitionBy::None,
            Target::File(Guard::default().file(&path).unwrap()),
            None,
        )
        .unwrap();
        assert!(fs::metadata(&path).unwrap().len() > 0);
    }
    assert!(read(&folder.path().join("out.parquet")).is_empty());
}
