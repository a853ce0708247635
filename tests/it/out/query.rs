//! `query`: reads all stored bars, and writes nothing.

use backfill::model::{Interval, OnConflict};

use super::{minutes, odd_tickers, stage};
use crate::support::TestEnv;

fn query(env: &TestEnv, format: &str, sql: &str) -> String {
    env.run(["query", sql, "--format", format])
        .ok()
        .out()
        .to_owned()
}

#[test]
fn both_tiers_are_one_view() {
    let env = TestEnv::new();
    let series = odd_tickers(&env);
    let expected: String = series
        .iter()
        .map(|(ticker, bars)| format!("{ticker},{}\n", bars.len()))
        .collect();
    assert_eq!(
        query(
            &env,
            "csv",
            "select ticker, count(*) as bars from bars group by ticker order by ticker"
        ),
        format!("ticker,bars\n{expected}")
    );
    assert_eq!(
        query(
            &env,
            "csv",
            "select * from bars where ticker = '007' order by timestamp limit 1"
        ),
        "ticker,timestamp,open,high,low,close,volume,vwap,trades,source,commit_seq,interval\n\
         007,2025-01-02T14:30:00Z,10,12.25,9.5,11.1,100,,,csv,1,1\n"
    );
    assert_eq!(
        query(
            &env,
            "json",
            "select ticker, timestamp, open, vwap from bars where ticker = '^GSPC' order by 2 limit 2"
        ),
        "[\n{\"ticker\":\"^GSPC\",\"timestamp\":\"2025-01-03T14:30:00Z\",\"open\":10,\"vwap\":null},\n\
         {\"ticker\":\"^GSPC\",\"timestamp\":\"2025-01-03T14:31:00Z\",\"open\":10.01,\"vwap\":null}\n]\n"
    );
    assert_eq!(query(&env, "json", "select 1 where false"), "[]\n");
    assert_eq!(
        query(
            &env,
            "table",
            "select ticker, sum(volume) as volume from bars where ticker < '8' group by all order by all"
        ),
        "ticker  volume\n007        303\n7203       201\n"
    );
}

#[test]
fn the_catalog_has_views_too() {
    let env = TestEnv::new();
    stage(
        &env,
        "A",
        Interval::M1,
        minutes("2025-01-02T14:30:00Z", 2),
        OnConflict::Fail,
    );
    assert_eq!(
        query(
            &env,
            "csv",
            "select command, started_at, finished_at - started_at as took, status from runs"
        ),
        "command,started_at,took,status\ninject-csv,2025-06-01T10:00:00Z,00:01:05,ok\n"
    );
    assert_eq!(
        query(&env, "csv", "select count(*) from conflicts"),
        "count(*)\n0\n"
    );
    assert_eq!(
        query(&env, "csv", "select count(*) from coverage"),
        "count(*)\n0\n"
    );
}

#[test]
fn sql_comes_from_standard_input_and_rows_go_to_files() {
    let env = TestEnv::new();
    odd_tickers(&env);
    let run = env
        .program(["query", "-", "--format", "csv"])
        .stdin("-- from a file\nselect max(timestamp) as last\nfrom bars where ticker = 'BRK-B';\n")
        .run()
        .ok();
    assert_eq!(run.out(), "last\n2025-01-02T20:59:00Z\n");
    let run = env
        .run(["query", "from bars order by all", "--to", "all.parquet"])
        .ok();
    assert!(run.stdout.is_empty());
    let connection = duckdb::Connection::open_in_memory().unwrap();
    let (count, kind): (i64, String) = connection
        .query_row(
            &format!(
                "SELECT count(*), any_value(typeof(timestamp)) FROM read_parquet('{}')",
                env.path("all.parquet").display()
            ),
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!((count, kind.as_str()), (40_401, "TIMESTAMP WITH TIME ZONE"));
}

#[test]
fn the_ending_of_a_file_sets_the_format_and_an_unknown_one_is_refused() {
    let env = TestEnv::new();
    odd_tickers(&env);
    let to = |file: &str| env.run(["query", "select 1 as one", "--to", file]);
    for (file, start) in [
        ("one.CSV", &b"one\n1\n"[..]),
        ("one.json", b"["),
        ("one.pq", b"PAR1"),
        ("one.arrows", b"\xff\xff\xff\xff"),
        ("one.txt", b"one"),
        ("one", b"one"),
    ] {
        to(file).ok();
        let bytes = std::fs::read(env.path(file)).unwrap();
        assert!(bytes.starts_with(start), "{file}: {bytes:?}");
    }
    let refused = to("one.feather").code(2);
    assert!(refused.stderr.contains(".feather"), "{}", refused.stderr);
    assert!(refused.stderr.contains("--format"), "{}", refused.stderr);
    assert!(!env.path("one.feather").exists());
    env.run(["query", "select 1", "--to", "one.dat", "--format", "csv"])
        .ok();
}

#[test]
fn only_the_store_can_be_read_and_nothing_written() {
    let env = TestEnv::new();
    stage(
        &env,
        "A",
        Interval::M1,
        minutes("2025-01-02T14:30:00Z", 30_000),
        OnConflict::Fail,
    );
    env.write("secret.csv", "a\n1\n");
    let before = env.files("");
    for sql in [
        "copy bars to 'data/staging/lake/x.parquet'",
        "copy bars to 'x.csv'",
        "attach 'x.db'",
        "create table t (a int)",
        "delete from staging.main.hot",
        "drop view bars",
        "set enable_external_access = true",
        "install httpfs",
        "load httpfs",
        "export database 'x'",
        "select 1; copy bars to 'x.csv'",
        "select * from enable_logging(storage := 'file', storage_path := 'data/staging/lake/logs')",
        "select * from query('select 1')",
        "",
        "selct 1",
        "select nope from bars",
    ] {
        let run = env.run(["query", sql]).code(2);
        assert!(run.stderr.starts_with("error: "), "{sql}: {}", run.stderr);
        assert!(run.stderr.lines().count() <= 2, "{sql}: {}", run.stderr);
    }
    for sql in [
        "from 'secret.csv'",
        "select * from read_parquet('/etc/passwd')",
        "select * from read_text('secret.csv')",
        "select * from glob('/etc/*')",
        "from 'https://example.com/x.parquet'",
    ] {
        let run = env.run(["query", sql]);
        assert!(
            matches!(run.code, Some(1 | 2)),
            "{sql}: {:?} {}",
            run.code,
            run.out()
        );
        assert!(run.stdout.is_empty(), "{sql}");
    }
    assert_eq!(env.files(""), before);
    assert_eq!(
        env.run(["query", "select count(*) as n from bars", "--format", "csv"])
            .ok()
            .out(),
        "n\n30000\n"
    );
}

#[test]
fn an_error_in_the_middle_of_a_result_is_reported() {
    let env = TestEnv::new();
    odd_tickers(&env);
    let run = env
        .run([
            "query",
            "select ticker::int from bars order by ticker",
            "--format",
            "csv",
        ])
        .code(1);
    assert!(
        run.stderr.starts_with("error: Conversion Error: "),
        "{}",
        run.stderr
    );
    assert!(!run.stderr.contains("internal error"), "{}", run.stderr);
}

#[test]
fn a_statement_may_begin_with_a_comment() {
    let env = TestEnv::new();
    odd_tickers(&env);
    for sql in ["-- a note\nselect 1 as n", "--a note\nselect 1 as n"] {
        for args in [
            &["query", sql, "--format", "csv"][..],
            &["query", "--format", "csv", sql],
            &["query", "--format=csv", "--", sql],
            &["-q", "query", sql, "--format=csv"],
        ] {
            assert_eq!(env.run(args).ok().out(), "n\n1\n", "{args:?}");
        }
        for args in [
            ["query", "-", "--format=csv"],
            ["query", "--format=csv", "-"],
        ] {
            let run = env.program(args).stdin(sql).run().ok();
            assert_eq!(run.out(), "n\n1\n", "{args:?}");
        }
    }
    // A word alone could be an option.
    let run = env.run(["query", "--note"]).code(2);
    assert!(
        run.stderr.contains("hint: SQL that begins with a comment"),
        "{}",
        run.stderr
    );
    // A misspelt option is still an option, even with a space in its value.
    for (option, name) in [("--formt", "--formt"), ("--tto=my file.csv", "--tto")] {
        let run = env.run(["query", option, "select 1"]).code(2);
        let expected = format!("error: unexpected argument '{name}' found");
        assert!(run.stderr.starts_with(&expected), "{}", run.stderr);
    }
}
