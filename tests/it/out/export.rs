//! `export`: files hold exactly the stored bars.

use std::fs::File;

use backfill::model::{Interval, OnConflict};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{csv, minutes, odd_tickers, stage};
use crate::support::TestEnv;

#[test]
fn csv_has_every_digit_of_the_stored_bars() {
    let env = TestEnv::new();
    let series = odd_tickers(&env);
    let run = env.typed("export --to out.csv").ok();
    assert_eq!(env.read("out.csv"), csv(&series));
    assert!(run.stdout.is_empty());
    assert!(
        run.stderr.contains("40,401 bars of 6 series in 1 file"),
        "{}",
        run.stderr
    );
    let piped = env.typed("export --to -").ok();
    assert_eq!(piped.out(), csv(&series));
    assert_eq!(
        env.typed("export --to - --tickers brk-b,007").ok().out(),
        csv(&[series[0].clone(), series[2].clone()])
    );
}

#[test]
fn a_folder_has_the_files_of_the_last_export_only() {
    let env = TestEnv::new();
    let series = odd_tickers(&env);
    for _ in 0..2 {
        env.typed("export --to exports/ --partition-by ticker,year")
            .ok();
    }
    assert_eq!(
        env.files("exports"),
        [
            "exports/ticker=%5EGSPC/year=2025/bars.parquet",
            "exports/ticker=007/year=2025/bars.parquet",
            "exports/ticker=7203/year=2025/bars.parquet",
            "exports/ticker=BRK-B/year=2025/bars.parquet",
            "exports/ticker=BTC%2FUSD/year=2024/bars.parquet",
            "exports/ticker=BTC%2FUSD/year=2025/bars.parquet",
            "exports/ticker=O%27NEIL/year=2025/bars.parquet",
        ]
    );
    // The partitions hold the same rows as one file.
    let connection = duckdb::Connection::open_in_memory().unwrap();
    let differing: i64 = connection
        .query_row(
            &format!(
                "WITH exported AS (FROM read_parquet('{0}/exports/**/*.parquet', hive_partitioning = false)),
                      staged AS (FROM read_parquet('{0}/one.parquet'))
                 SELECT (SELECT count(*) FROM (FROM exported EXCEPT ALL FROM staged))
                      + (SELECT count(*) FROM (FROM staged EXCEPT ALL FROM exported))",
                env.dir().display()
            )
            .replace("one.parquet", {
                env.typed("export --to one.parquet").ok();
                "one.parquet"
            }),
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(differing, 0);
    let rows: usize =
        ParquetRecordBatchReaderBuilder::try_new(File::open(env.path("one.parquet")).unwrap())
            .unwrap()
            .build()
            .unwrap()
            .map(|batch| batch.unwrap().num_rows())
            .sum();
    assert_eq!(
        rows,
        series.iter().map(|(_, bars)| bars.len()).sum::<usize>()
    );
    env.typed("export --to exports/ --format csv --partition-by year")
        .ok();
    assert_eq!(
        env.files("exports"),
        ["exports/year=2024/bars.csv", "exports/year=2025/bars.csv"]
    );
}

#[test]
fn dates_are_exchange_local_and_inclusive() {
    let env = TestEnv::new();
    // 19:00 in New York on the 2nd is the 3rd in UTC.
    stage(
        &env,
        "A",
        Interval::M1,
        minutes("2025-01-02T23:58:00Z", 10),
        OnConflict::Fail,
    );
    stage(
        &env,
        "A",
        Interval::M1,
        minutes("2025-01-03T14:30:00Z", 2),
        OnConflict::Fail,
    );
    let count = |range: &str| {
        env.typed(&format!("export --to - {range}"))
            .ok()
            .out()
            .lines()
            .count()
            - 1
    };
    assert_eq!(count("--start 020125 --end 020125"), 10);
    assert_eq!(count("--start 2025-01-03"), 2);
    assert_eq!(count("--end 2025-01-01"), 0);
    env.typed("export --to - --start 030125 --end 020125")
        .code(2);
}

#[test]
fn resampled_bars_start_at_the_open() {
    let env = TestEnv::new();
    stage(
        &env,
        "A",
        Interval::M1,
        minutes("2025-01-02T14:00:00Z", 420),
        OnConflict::Fail,
    );
    let run = env.typed("export --to - --resample 60").ok();
    let opens: Vec<&str> = run.out().lines().skip(1).map(|line| &line[2..22]).collect();
    assert_eq!(
        opens,
        [
            "2025-01-02T13:30:00Z",
            "2025-01-02T14:30:00Z",
            "2025-01-02T15:30:00Z",
            "2025-01-02T16:30:00Z",
            "2025-01-02T17:30:00Z",
            "2025-01-02T18:30:00Z",
            "2025-01-02T19:30:00Z",
            "2025-01-02T20:30:00Z",
        ]
    );
    assert_eq!(
        run.out().lines().nth(2).unwrap(),
        "A,2025-01-02T14:30:00Z,10.3,13.14,9.5,11.1,9570"
    );
    env.typed("export --to - --resample 1").code(2);
    env.typed("export --to - --resample 60 --interval 5")
        .code(2);
}

#[test]
fn several_intervals_need_a_choice() {
    let env = TestEnv::new();
    stage(
        &env,
        "A",
        Interval::M1,
        minutes("2025-01-02T14:30:00Z", 2),
        OnConflict::Fail,
    );
    stage(
        &env,
        "A",
        Interval::M5,
        minutes("2025-01-02T14:30:00Z", 1),
        OnConflict::Fail,
    );
    let run = env.typed("export --to out.csv").code(2);
    assert_eq!(
        run.stderr,
        "error: the store has bars of 1 and 5 minutes\nhint: --interval N selects one\n"
    );
    assert_eq!(
        env.typed("export --to - --interval 5")
            .ok()
            .out()
            .lines()
            .count(),
        2
    );
    assert_eq!(
        env.typed("export --to - --resample 5")
            .ok()
            .out()
            .lines()
            .count(),
        2
    );
}

#[test]
fn a_wrong_target_is_named_in_the_error() {
    let env = TestEnv::new();
    stage(
        &env,
        "A",
        Interval::M1,
        minutes("2025-01-02T14:30:00Z", 2),
        OnConflict::Fail,
    );
    for (typed, needle) in [
        ("export --to out.xlsx", ".parquet, .csv or .arrow"),
        (
            "export --to out.csv --partition-by ticker",
            "--partition-by",
        ),
        ("export --to out/ --partition-by month", "month"),
        (
            "export --to data/staging/lake/interval=1m",
            "inside the store",
        ),
        ("export --to data/staging/out.csv", "inside the store"),
        (
            "export --to data/x/../staging/new/deep/",
            "inside the store",
        ),
        ("export", "--to"),
    ] {
        let run = env.typed(typed).code(2);
        assert!(run.stderr.contains(needle), "{typed}: {}", run.stderr);
    }
    env.write("out/bars.parquet", "mine");
    let run = env.typed("export --to out").code(1);
    assert!(
        run.stderr.contains("out/bars.parquet exists already"),
        "{}",
        run.stderr
    );
    assert_eq!(env.read("out/bars.parquet"), "mine");
    assert!(
        env.typed("export --to missing/out.csv")
            .code(1)
            .stderr
            .contains("missing/out.csv")
    );
    let run = env.typed("export --to - --tickers NOPE").ok();
    assert!(
        run.stderr.contains("no bars of NOPE are stored"),
        "{}",
        run.stderr
    );
    assert_eq!(
        env.typed("--store nowhere export --to out.csv")
            .code(1)
            .stderr
            .lines()
            .next()
            .unwrap(),
        "error: there is no store in nowhere"
    );
}

#[test]
fn a_reader_may_close_the_output_early() {
    let env = TestEnv::new();
    stage(
        &env,
        "A",
        Interval::M1,
        minutes("2024-01-02T14:30:00Z", 200_000),
        OnConflict::Fail,
    );
    for typed in [
        "export --to -",
        "export --to - --format arrow",
        "export --to /dev/stdout",
        "query",
        "query --format json",
        "query --to /dev/stdout",
    ] {
        let mut words: Vec<&str> = typed.split_whitespace().collect();
        if words[0] == "query" {
            words.push("select * from bars");
        }
        let mut running = env.program(words).spawn();
        let mut stdout = running.child().stdout.take().unwrap();
        std::io::Read::read_exact(&mut stdout, &mut [0; 100]).unwrap();
        drop(stdout);
        let run = running.wait().ok();
        assert!(!run.stderr.contains("error"), "{}", run.stderr);
    }
}
