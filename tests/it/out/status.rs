//! `status` and `conflicts`.

use backfill::cli::format_value::Values;
use backfill::model::{Bar, Bars, Interval, OnConflict};

use super::{minutes, odd_tickers, stage};
use crate::support::TestEnv;

#[test]
fn every_series_has_a_line() {
    let env = TestEnv::new();
    odd_tickers(&env);
    let run = env.typed("status").ok();
    let lines: Vec<&str> = run.out().lines().collect();
    assert_eq!(
        lines[..7],
        [
            "interval  ticker   exchange    rows  first       last        sessions",
            "1m        007      NASDAQ         3  2025-01-02  2025-01-02       1/1",
            "1m        7203     NASDAQ         2  2025-01-02  2025-01-02       1/1",
            "1m        BRK-B    NASDAQ       390  2025-01-02  2025-01-02       1/1",
            "1m        BTC/USD  NASDAQ    40,000  2024-12-31  2025-01-28     16/18",
            "1m        O'NEIL   NASDAQ         1  2025-01-02  2025-01-02       1/1",
            "1m        ^GSPC    NASDAQ         5  2025-01-03  2025-01-03       1/1",
        ]
    );
    assert!(
        lines[8].starts_with("6 series, 40,401 rows (401 hot), 21/23 sessions complete, "),
        "{}",
        lines[8]
    );
    assert!(lines[8].ends_with(" in data/staging"), "{}", lines[8]);
}

#[test]
fn json_has_the_same_figures() {
    let env = TestEnv::new();
    // A complete session, a missing one, and half of one.
    for (from, count) in [
        ("2025-01-02T14:30:00Z", 390),
        ("2025-01-06T14:30:00Z", 390),
        ("2025-01-07T14:30:00Z", 190),
        ("2025-01-08T14:30:00Z", 390),
    ] {
        stage(
            &env,
            "A",
            Interval::M1,
            minutes(from, count),
            OnConflict::Fail,
        );
    }
    let status = env.typed("status --format json").ok().json();
    assert_eq!(status["schema"], "backfill.status/1");
    let series = &status["series"][0];
    assert_eq!(series["ticker"], "A");
    assert_eq!(series["interval_minutes"], 1);
    assert_eq!(series["rows"], 1360);
    assert_eq!(series["first"], "2025-01-02T14:30:00Z");
    assert_eq!(series["last"], "2025-01-08T20:59:00Z");
    assert_eq!(
        (&series["sessions_complete"], &series["sessions_expected"]),
        (&3.into(), &5.into())
    );
    assert_eq!(status["totals"]["rows"], 1360);
    assert!(status["bytes_on_disk"].as_u64().unwrap() > 1000);
    let none = env.typed("status --format json --tickers B").ok().json();
    assert_eq!(none["series"], serde_json::json!([]));
}

#[test]
fn a_calendar_marks_every_session() {
    let env = TestEnv::new();
    for (from, count) in [
        ("2025-01-02T14:30:00Z", 390),
        ("2025-01-07T14:30:00Z", 190),
        ("2025-01-08T14:30:00Z", 390),
        ("2025-01-10T14:30:00Z", 390),
    ] {
        stage(
            &env,
            "A",
            Interval::M1,
            minutes(from, count),
            OnConflict::Fail,
        );
    }
    let run = env.typed("status --calendar a").ok();
    let lines: Vec<&str> = run.out().lines().collect();
    assert_eq!(lines[0], "A 1m NASDAQ   # complete   + short   . missing");
    assert_eq!(lines[2], "2025  1   5    10   15   20   25   30");
    // The 4th and 5th were a weekend, the 9th a holiday (day of mourning).
    assert_eq!(lines[3], "Jan    #.  .+# #");
    assert_eq!(lines[4], "Feb");
    assert_eq!(lines.len(), 15);
    assert_eq!(
        env.typed("status --calendar B").code(1).stderr,
        "error: no bars of B are stored\n"
    );
    env.typed("status --calendar A --runs").code(2);
}

/// A writer that publishes no snapshot, as where the file system has no hard links.
#[test]
fn of_a_writer_without_snapshots_only_the_lake_is_read() {
    let env = TestEnv::new();
    stage(
        &env,
        "A",
        Interval::M1,
        minutes("2025-01-02T14:30:00Z", 30_000),
        OnConflict::Fail,
    );
    stage(
        &env,
        "B",
        Interval::M1,
        minutes("2025-01-02T14:30:00Z", 3),
        OnConflict::Fail,
    );
    let mut options = backfill::store::OpenOptions::default();
    options.snapshots.first_after = None;
    let store = backfill::store::Store::open(&env.path(super::STORE), &options).unwrap();
    let pid = std::process::id().to_string();
    let run = env
        .run([
            "query",
            "select ticker, count(*) n from bars group by all",
            "--format",
            "csv",
        ])
        .ok();
    assert_eq!(run.out(), "ticker,n\nA,30000\n");
    assert!(run.stderr.contains("another process"), "{}", run.stderr);
    let run = env.typed("status").ok();
    assert!(
        run.out().contains("30,000") && run.stderr.contains(&pid),
        "{run:?}"
    );
    let running = [
        "export --to out.csv",
        "conflicts",
        "status --runs",
        "status --calendar A",
    ]
    .map(|typed| (typed, env.program(typed.split_whitespace()).spawn()));
    for (typed, run) in running {
        let run = run.wait().code(1);
        assert!(run.stderr.contains(&pid), "{typed}: {}", run.stderr);
    }
    let run = env.run(["query", "select * from runs"]).code(1);
    assert!(run.stderr.contains(&pid), "{}", run.stderr);
    assert!(!env.path("out.csv").exists());
    drop(store);
    assert_eq!(
        env.run(["query", "select count(*) n from bars", "--format", "csv"])
            .ok()
            .out(),
        "n\n30003\n"
    );
}

#[test]
fn runs_are_listed() {
    let env = TestEnv::new();
    stage(
        &env,
        "A",
        Interval::M1,
        minutes("2025-01-02T14:30:00Z", 2),
        OnConflict::Fail,
    );
    let run = env.typed("status --runs").ok();
    let lines: Vec<&str> = run.out().lines().collect();
    assert_eq!(lines.len(), 2);
    let (run, rest) = lines[1].split_once("  ").unwrap();
    assert!(run.starts_with("20250601T100000Z-"), "{lines:?}");
    assert_eq!(rest, "inject-csv  ok      0:01:05         7        -");
    let runs = env.typed("status --runs --format json").ok().json();
    assert_eq!(runs["runs"][0]["summary"]["totals"]["committed"], 7);
}

#[test]
fn conflicts_show_the_values_that_differ() {
    let env = TestEnv::new();
    let staged = minutes("2025-01-02T14:30:00Z", 3);
    stage(&env, "A", Interval::M1, staged.clone(), OnConflict::Fail);
    assert_eq!(
        env.typed("conflicts").ok().out(),
        "interval  ticker  timestamp  stored -> offered  resolution  run\n"
    );
    let restated: Bars = staged
        .iter()
        .map(|bar| Bar {
            close: if bar.volume == 101.0 { 11.5 } else { bar.close },
            vwap: (bar.volume == 101.0).then_some(10.5),
            ..bar
        })
        .collect();
    assert_eq!(
        stage(&env, "A", Interval::M1, restated, OnConflict::Ignore),
        0
    );
    let run = env.typed("conflicts").ok();
    let line = run.out().lines().nth(1).unwrap();
    assert!(
        line.starts_with(
            "1m        A       2025-01-02T14:31:00Z  close 11.1 -> 11.5, vwap none -> 10.5  skipped"
        ),
        "{line}"
    );
    let json = env.typed("conflicts --format json").ok().json();
    let row = &json["conflicts"][0];
    assert_eq!(
        (&row["staged"]["close"], &row["offered"]["close"]),
        (&11.1.into(), &11.5.into())
    );
    let csv = env.typed("conflicts --format csv").ok();
    let fields: Vec<&str> = csv.out().lines().nth(1).unwrap().split(',').collect();
    assert_eq!(
        fields[..8],
        [
            "1",
            "A",
            "2025-01-02T14:31:00Z",
            "10.01",
            "12.26",
            "9.5",
            "11.1",
            "101"
        ]
    );
    assert_eq!(
        csv.out().lines().next().unwrap().split(',').count(),
        fields.len()
    );
}

/// A Parquet file or an Arrow stream as text: the names of its columns, then its rows.
fn texts(bytes: Vec<u8>, format: &str) -> Vec<Vec<String>> {
    use arrow::array::RecordBatch;
    use arrow::ipc::reader::StreamReader;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let bytes = bytes::Bytes::from(bytes);
    let batches: Vec<RecordBatch> = match format {
        "arrow" => {
            let reader = StreamReader::try_new(std::io::Cursor::new(bytes), None);
            reader.unwrap().map(Result::unwrap).collect()
        }
        _ => {
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
            reader.build().unwrap().map(Result::unwrap).collect()
        }
    };
    let schema = batches[0].schema();
    let mut rows = vec![
        schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect(),
    ];
    for batch in &batches {
        let columns: Vec<Values> = batch.columns().iter().map(Values::new).collect();
        rows.extend((0..batch.num_rows()).map(|row| {
            let texts = columns.iter().map(|column| {
                let mut text = Vec::new();
                column.write_text(&mut text, row);
                String::from_utf8(text).unwrap()
            });
            texts.collect()
        }));
    }
    rows
}

#[test]
fn every_list_has_the_same_rows_in_every_format() {
    let env = TestEnv::new();
    let staged = minutes("2025-01-02T14:30:00Z", 390);
    stage(&env, "A", Interval::M1, staged.clone(), OnConflict::Fail);
    let short = minutes("2025-01-03T14:30:00Z", 10);
    stage(&env, "A", Interval::M1, short, OnConflict::Fail);
    let restated: Bars = staged
        .iter()
        .map(|bar| Bar { close: 11.5, ..bar })
        .collect();
    stage(&env, "A", Interval::M1, restated, OnConflict::Ignore);
    for (command, list, rows) in [
        ("status", "series", 1),
        ("status --runs", "runs", 3),
        ("gaps", "gaps", 1),
        ("conflicts", "conflicts", 390),
    ] {
        let document = env.typed(&format!("{command} --format json")).ok().json();
        assert_eq!(document[list].as_array().unwrap().len(), rows, "{command}");
        let csv = env.typed(&format!("{command} --format csv")).ok();
        let mut reader = csv::ReaderBuilder::new();
        let mut reader = reader.has_headers(false).from_reader(csv.stdout.as_slice());
        let lines: Vec<Vec<String>> = reader.deserialize().map(Result::unwrap).collect();
        assert_eq!(lines.len(), rows + 1, "{command}");
        for format in ["parquet", "arrow"] {
            let run = env.typed(&format!("{command} --format {format}")).ok();
            assert_eq!(texts(run.stdout, format), lines, "{command} {format}");
        }
    }
    let csv = env.typed("gaps --format csv").ok();
    assert_eq!(
        csv.out(),
        "interval,ticker,session,expected,bars,first_missing,last_missing,reason,shortage,rejected\n\
         1,A,2025-01-03,390,10,2025-01-03T14:40:00Z,2025-01-03T20:59:00Z,short,few_bars,0\n"
    );
    let csv = env.typed("status --format csv").ok();
    assert_eq!(
        csv.out(),
        "interval,ticker,exchange,basis,hours,rows,hot_rows,first,last,sessions_complete,\
         sessions_expected,unsynced\n\
         1,A,NASDAQ,unknown,unknown,400,400,2025-01-02T14:30:00Z,2025-01-03T14:39:00Z,1,2,{}\n"
    );
}

#[test]
fn a_missing_store_is_an_error_with_a_hint() {
    let env = TestEnv::new();
    for typed in ["status", "conflicts", "query select"] {
        let run = env.typed(typed).code(1);
        assert!(
            run.stderr
                .starts_with("error: there is no store in data/staging\nhint: "),
            "{}",
            run.stderr
        );
    }
    assert!(env.files("").is_empty());
}
