//! Exports of bars in memory: what the files hold, what is replaced, what is left alone.

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

fn plans(source: &Memory, grid: Option<&Grid>) -> Vec<SeriesPlan> {
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
    grid: Option<&Grid>,
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
fn types_need_no_cast() {
    let source = two_years();
    let folder = tempfile::tempdir().unwrap();
    let types = |path: &Path| -> Vec<(String, String)> {
        read(path)[0]
            .schema()
            .fields()
            .iter()
            .map(|field| (field.name().clone(), field.data_type().to_string()))
            .collect()
    };
    let file = folder.path().join("one.parquet");
    run(
        &source,
        Format::Parquet,
        PartitionBy::None,
        Target::File(Guard::default().file(&file).unwrap()),
        None,
    )
    .unwrap();
    let plain = types(&file);
    assert_eq!(plain[0], ("ticker".into(), "Utf8".into()));
    assert_eq!(
        plain[1],
        ("timestamp".into(), "Timestamp(µs, \"UTC\")".into())
    );
    assert_eq!(plain.len(), 9);
    let target = Target::Folder(folder_at(&folder.path().join("out")));
    run(&source, Format::Parquet, PartitionBy::Ticker, target, None).unwrap();
    let inside = types(&folder.path().join("out/ticker=007/bars.parquet"));
    assert_eq!(
        inside[0],
        ("ticker".into(), "Dictionary(Int32, Utf8)".into())
    );
    assert_eq!(inside[1..], plain[1..]);
}

#[test]
fn a_folder_keeps_what_no_export_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_path_buf();
    let keep = [
        "notes.txt",
        "ticker=A/mine.parquet",
        "ticker=X/bars.txt",
        "sub/bars.csv",
    ];
    for name in keep {
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        fs::write(root.join(name), "mine").unwrap();
    }
    // A file named like a partition of a lake isn't one of an export.
    let lake = root.join("ticker=L/year=2020/bars.parquet");
    fs::create_dir_all(lake.parent().unwrap()).unwrap();
    let writer = BarsWriter::create(
        &Guard::default().file(&lake).unwrap(),
        crate::model::OnConflict::Fail,
    )
    .unwrap();
    writer
        .add(
            &Ticker::new("L").unwrap(),
            minutes("2020-01-02T14:30:00Z", 3),
        )
        .unwrap();
    writer.finish().unwrap();
    let mut expected: Vec<String> = keep.iter().map(ToString::to_string).collect();
    expected.push("ticker=L/year=2020/bars.parquet".into());

    let target = || Target::Folder(folder_at(&root));
    for format in [Format::Parquet, Format::Csv, Format::Arrow, Format::Parquet] {
        for (partition_by, written) in [
            (
                PartitionBy::TickerYear,
                vec![
                    "ticker=007/year=2025/bars",
                    "ticker=A/year=2025/bars",
                    "ticker=BTC%2FUSD/year=2024/bars",
                    "ticker=BTC%2FUSD/year=2025/bars",
                ],
            ),
            (PartitionBy::Year, vec!["year=2024/bars", "year=2025/bars"]),
            (PartitionBy::None, vec!["bars"]),
        ] {
            run(&two_years(), format, partition_by, target(), None).unwrap();
            let mut now: Vec<String> = written
                .iter()
                .map(|name| format!("{name}.{format}"))
                .collect();
            now.extend(expected.clone());
            now.sort();
            assert_eq!(files(&root), now);
        }
    }
    assert!(!root.join("ticker=007").exists(), "empty folders go too");
    assert_eq!(fs::read_to_string(root.join("notes.txt")).unwrap(), "mine");
}

#[test]
fn a_file_that_no_export_wrote_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bars.csv");
    fs::write(&path, "ticker;time\n").unwrap();
    let target = Target::Folder(folder_at(folder.path()));
    let error = run(&two_years(), Format::Csv, PartitionBy::None, target, None).unwrap_err();
    assert!(matches!(error, Error::Foreign { path: named } if named == path));
    assert_eq!(fs::read_to_string(&path).unwrap(), "ticker;time\n");
}

#[test]
fn an_error_half_way_leaves_all_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("out");
    let mut source = two_years();
    let target = || Target::Folder(folder_at(&root));
    run(&source, Format::Csv, PartitionBy::Ticker, target(), None).unwrap();
    let before: Vec<(String, Vec<u8>)> = files(&root)
        .into_iter()
        .map(|file| (file.clone(), fs::read(root.join(file)).unwrap()))
        .collect();
    source.breaks = Some(Ticker::new("BTC/USD").unwrap());
    let error = run(
        &source,
        Format::Parquet,
        PartitionBy::Ticker,
        target(),
        None,
    )
    .unwrap_err();
    assert_eq!(error.to_string(), "BTC/USD 1m: damaged");
    let after: Vec<(String, Vec<u8>)> = files(&root)
        .into_iter()
        .map(|file| (file.clone(), fs::read(root.join(file)).unwrap()))
        .collect();
    assert!(before == after);
}

#[test]
fn csv_has_vwap_and_trades_where_any_bar_has_either() {
    let mut late = minutes("2025-03-03T14:30:00Z", 3);
    late.push(&Bar {
        timestamp: Timestamp::from_micros(at("2025-03-03T15:30:00Z")),
        trades: Some(7),
        vwap: None,
        ..late.get(0)
    });
    let text = |bars: Bars| {
        let out = Shared::default();
        let target = Target::Stream(Box::new(out.clone()));
        run(
            &source(&[("^GSPC", bars)]),
            Format::Csv,
            PartitionBy::None,
            target,
            None,
        )
        .unwrap();
        let bytes = out.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    };
    assert_eq!(
        text(minutes("2025-03-03T14:30:00Z", 2)),
        "ticker,timestamp,open,high,low,close,volume\n\
         ^GSPC,2025-03-03T14:30:00Z,10.0,12.0,9.5,11.25,0\n\
         ^GSPC,2025-03-03T14:31:00Z,10.01,12.01,9.5,11.25,1\n"
    );
    let extended = text(late);
    assert!(extended.starts_with("ticker,timestamp,open,high,low,close,volume,vwap,trades\n"));
    assert!(extended.contains("\n^GSPC,2025-03-03T14:31:00Z,10.01,12.01,9.5,11.25,1,,\n"));
    assert!(extended.ends_with("\n^GSPC,2025-03-03T15:30:00Z,10.0,12.0,9.5,11.25,0,,7\n"));
}

#[test]
fn longer_bars_are_the_same_however_they_are_divided() {
    let source = source(&[("BTC/USD", minutes("2024-12-31T20:07:00Z", 900))]);
    // Seven hours from each midnight: one bar is cut by the year.
    let grid = Grid {
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
        Some(Grid {
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
    for format in [Format::Parquet, Format::Csv, Format::Arrow] {
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

#[test]
fn arrow_files_and_streams_hold_plain_tickers() {
    let source = two_years();
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("out.arrow");
    run(
        &source,
        Format::Arrow,
        PartitionBy::None,
        Target::File(Guard::default().file(&path).unwrap()),
        None,
    )
    .unwrap();
    let reader =
        arrow::ipc::reader::FileReader::try_new(fs::File::open(&path).unwrap(), None).unwrap();
    assert_eq!(reader.schema().field(0).data_type(), &DataType::Utf8);
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    assert_eq!(rows(&batches), expected(&source));
    let out = Shared::default();
    let target = Target::Stream(Box::new(out.clone()));
    run(&source, Format::Arrow, PartitionBy::None, target, None).unwrap();
    let bytes = out.0.lock().unwrap().clone();
    let reader = arrow::ipc::reader::StreamReader::try_new(io::Cursor::new(bytes), None).unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    assert_eq!(rows(&batches), expected(&source));
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

/// The bytes of a file or stream of 500 bars, some with optional values.
fn encoded(format: Format, extras: bool) -> Vec<u8> {
    let mut bars: Vec<Bar> = minutes("2025-03-03T14:30:00Z", 500).iter().collect();
    for (number, bar) in bars.iter_mut().enumerate().filter(|_| extras) {
        bar.vwap = (number % 3 != 0).then_some(11.0 + number as f64 / 7.0);
        bar.trades = (number % 5 != 0).then_some(number as i64);
    }
    let bars: Bars = bars.into_iter().collect();
    let source = source(&[("A,B", bars), ("Z", minutes("2024-12-31T23:59:00Z", 2))]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bars");
    let target = Target::File(Guard::default().file(&file).unwrap());
    run(&source, format, PartitionBy::None, target, None).unwrap();
    fs::read(&file).unwrap()
}

/// Exported files change on purpose only. Parquet and Arrow also change with their crates, and with
/// this program's version, which is in a Parquet footer.
#[test]
fn the_bytes_of_exported_files_do_not_change() {
    let lines = String::from_utf8(encoded(Format::Csv, true)).unwrap();
    let head: Vec<&str> = lines.lines().take(3).collect();
    assert_eq!(
        head,
        [
            "ticker,timestamp,open,high,low,close,volume,vwap,trades",
            "\"A,B\",2025-03-03T14:30:00Z,10.0,12.0,9.5,11.25,0,,",
            "\"A,B\",2025-03-03T14:31:00Z,10.01,12.01,9.5,11.25,1,11.142857142857142,1",
        ]
    );
    let checksums = [
        (Format::Csv, false),
        (Format::Csv, true),
        (Format::Parquet, true),
        (Format::Arrow, true),
    ]
    .map(|(format, extras)| {
        let bytes = encoded(format, extras);
        format!("{:032x}", xxhash_rust::xxh3::xxh3_128(&bytes))
    });
    assert_eq!(
        checksums,
        [
            "01c78b7fbdb42b784c3bdbcb7dcac4b1",
            "af860d31a7470166b840a8703f3d5a72",
            "271541c523a937198eedb6c0fe155f3b",
            "f18a5b194cd2ed4c4d1831be63dbf5d6",
        ]
    );
}

#[test]
fn a_folder_inside_another_export_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("out");
    let export_to = |path: &Path, partition_by| {
        let target = Target::Folder(folder_at(path));
        run(&two_years(), Format::Csv, partition_by, target, None)
    };
    for partition_by in [PartitionBy::Ticker, PartitionBy::Year, PartitionBy::None] {
        export_to(&root, partition_by).unwrap();
        let before = files(&root);
        for inside in [
            "ticker=A",
            "year=2024",
            "2024",
            "2024/deeper",
            "ticker=A/year=2025",
        ] {
            let refused = export_to(&root.join(inside), PartitionBy::None).unwrap_err();
            let Error::InsideExport { path, outer } = refused else {
                panic!("{inside}: {refused}");
            };
            assert_eq!(path, root.join(inside));
            assert!(outer.starts_with(&root));
        }
        assert_eq!(files(&root), before);
        // The export's own folder, and one next to it, are not inside it.
        export_to(&root, partition_by).unwrap();
        export_to(&folder.path().join("next"), partition_by).unwrap();
    }
    // A folder with the name of a hive folder can be exported to again.
    let alone = folder.path().join("alone/ticker=A");
    export_to(&alone, PartitionBy::None).unwrap();
    export_to(&alone, PartitionBy::None).unwrap();
}

#[test]
fn part_files_of_ended_processes_are_removed_and_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("out");
    let abandoned = root.join("ticker=Z/.bars.csv.1-0.part");
    fs::create_dir_all(abandoned.parent().unwrap()).unwrap();
    fs::write(&abandoned, "half").unwrap();
    let other = folder_at(&root).file(Path::new("bars.parquet")).unwrap();
    let written = AtomicFile::create(&other).unwrap();
    let part = written.path().unwrap().to_owned();
    let target = || Target::Folder(folder_at(&root));
    run(&two_years(), Format::Csv, PartitionBy::None, target(), None).unwrap();
    assert!(part.exists() && !abandoned.parent().unwrap().exists());
    // As after a kill: the file stays, and its lock is gone.
    let copy = part.with_file_name(".bars.parquet.2-0.part");
    fs::copy(&part, &copy).unwrap();
    written.publish().unwrap();
    run(&two_years(), Format::Csv, PartitionBy::None, target(), None).unwrap();
    assert!(!copy.exists());
}
