//! `query`: the user's own files, statements of several steps, and what must not be read.

use std::io::Write;

use super::odd_tickers;
use crate::support::TestEnv;

const NAMES: &str = "ticker,name\n007,Bond\nBRK-B,Berkshire\n";

fn csv(env: &TestEnv, sql: &str, files: &[&str]) -> String {
    let mut args = vec!["query", sql, "--format", "csv"];
    for file in files {
        args.extend(["--file", file]);
    }
    env.run(args).ok().out().to_owned()
}

#[test]
fn files_are_joined_with_bars() {
    let env = TestEnv::new();
    odd_tickers(&env);
    env.write("names.csv", NAMES);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(NAMES.as_bytes()).unwrap();
    env.write("names.csv.gz", gzip.finish().unwrap());
    // Characters that DuckDB would read as a pattern, and a folder that looks like a key.
    env.write("ticker=X/a[b]*?.csv", NAMES);
    env.run([
        "query",
        "from n",
        "--file",
        "n=names.csv",
        "--to",
        "n.parquet",
    ])
    .ok();
    for file in [
        "names.csv",
        "names.csv.gz",
        "ticker=X/a[b]*?.csv",
        "n.parquet",
    ] {
        assert_eq!(
            csv(
                &env,
                "select name, count(*) as bars from bars join n using (ticker) group by all order by 1",
                &[&format!("n={file}")]
            ),
            "name,bars\nBerkshire,390\nBond,3\n",
            "{file}"
        );
    }
    assert_eq!(
        csv(
            &env,
            "select a.ticker from a join B using (name) order by 1",
            &["a=names.csv", "b=n.parquet"]
        ),
        "ticker\n007\nBRK-B\n"
    );
    assert_eq!(
        csv(&env, "show tables", &["n=names.csv"]),
        "name\nbars\nconflicts\ncoverage\nn\nruns\n"
    );
}

#[test]
fn a_file_that_cannot_be_a_view_is_named() {
    let env = TestEnv::new();
    odd_tickers(&env);
    env.write("names.csv", NAMES);
    env.write("x.xlsx", "PK\u{3}\u{4}\0");
    env.write("empty.csv", "");
    env.write("torn.parquet", "PAR1 torn");
    let before = env.files("");
    for (file, code, reason) in [
        ("n=missing.csv", 2, "n: missing.csv: "),
        ("n=data", 2, "n: data: it is a folder"),
        ("n=/dev/null", 2, "n: /dev/null: it is a pipe or a device"),
        ("n=x.xlsx", 2, "n: x.xlsx: it isn't a CSV or Parquet file"),
        ("n=empty.csv", 2, "n: empty.csv: it isn't a CSV"),
        ("n=torn.parquet", 1, "n: torn.parquet: "),
        (
            "n=data/staging/staging.duckdb",
            2,
            "n: data/staging/staging.duckdb is inside the store",
        ),
        (
            "n=./data/../data/staging/store.lock",
            2,
            "is inside the store",
        ),
        ("BARS=names.csv", 2, "BARS is already a view of the store"),
        ("a\"b=names.csv", 2, "isn't a valid name"),
        ("names.csv", 2, "it isn't NAME=PATH"),
    ] {
        let run = env.run(["query", "select 1", "--file", file]).code(code);
        assert!(run.stderr.contains(reason), "{file}: {}", run.stderr);
        assert!(run.stdout.is_empty(), "{file}");
    }
    let run = env
        .run([
            "query",
            "from n",
            "--file",
            "n=names.csv",
            "--file",
            "N=x.csv",
        ])
        .code(2);
    assert!(run.stderr.contains("given to two files"), "{}", run.stderr);
    // A file that is read can't be replaced by the result.
    let run = env
        .run([
            "query",
            "from n",
            "--file",
            "n=names.csv",
            "--to",
            "names.csv",
        ])
        .code(2);
    assert!(
        run.stderr.contains("is read by this command"),
        "{}",
        run.stderr
    );
    assert_eq!(env.files(""), before);
}

#[test]
fn other_files_are_refused_in_every_kind_of_statement() {
    let env = TestEnv::new();
    odd_tickers(&env);
    env.write("names.csv", NAMES);
    env.write("secret.csv", "a\n1\n");
    let before = env.files("");
    for source in [
        "read_csv('secret.csv')",
        "read_text('secret.csv')",
        "read_blob('secret.csv')",
        "read_json('secret.csv')",
        "sniff_csv('secret.csv')",
        "read_parquet('secret.csv')",
        "parquet_metadata('secret.csv')",
        "glob('/etc/*')",
        "'secret.csv'",
        "'/etc/passwd'",
        "'/etc/x.parquet'",
        "'https://example.com/x.parquet'",
        "query_table(['secret.csv'])",
    ] {
        for sql in [
            format!("from {source}"),
            format!("with a as (from {source}) from a"),
            format!("explain analyze from {source}"),
            format!("describe (from {source})"),
            format!("summarize (from {source})"),
            format!("pivot (from {source}) on a using count(*)"),
            format!("with a as (from {source}) pivot a on a using count(*)"),
            format!("pivot bars on ticker using max((select count(*) from {source}))"),
        ] {
            let run = env.run(["query", &sql, "--file", "n=names.csv"]).code(2);
            assert!(run.stdout.is_empty(), "{sql}: {}", run.out());
            assert!(run.stderr.starts_with("error: "), "{sql}: {}", run.stderr);
        }
    }
    for sql in [
        "attach 'x.db'",
        "copy bars to 'x.csv'",
        "copy (pivot bars on ticker using max(close)) to 'x.csv'",
        "create table t as pivot bars on ticker using max(close)",
        "create macro m() as table from read_csv('secret.csv')",
        "explain copy bars to 'x.csv'",
        "install httpfs",
        "pivot bars on ticker using max(close); copy bars to 'x.csv'",
        "copy bars to 'x.csv'; pivot bars on ticker using max(close)",
        "set allowed_paths = ['secret.csv']",
        "select getenv('HOME')",
    ] {
        let run = env.run(["query", sql, "--file", "n=names.csv"]).code(2);
        assert!(run.stderr.starts_with("error: "), "{sql}: {}", run.stderr);
    }
    for (sql, hint) in [
        ("from 'secret.csv'", "hint: --file NAME=PATH"),
        ("from read_csv('secret.csv')", "--file NAME=PATH"),
        ("from '/etc/passwd'", "hint: SHOW TABLES lists the views"),
    ] {
        let run = env.run(["query", sql]).code(2);
        assert!(run.stderr.contains(hint), "{sql}: {}", run.stderr);
    }
    assert_eq!(env.files(""), before);
}

#[test]
fn pivot_finds_its_columns() {
    let env = TestEnv::new();
    odd_tickers(&env);
    assert_eq!(
        csv(
            &env,
            "pivot (from bars where ticker < '8') on ticker using count(*) group by interval",
            &[]
        ),
        "interval,007,7203\n1,3,2\n"
    );
    assert_eq!(
        csv(
            &env,
            "with b as (from bars where ticker = '007'), p as (pivot b on ticker, source using count(*) group by interval) from p",
            &[]
        ),
        "interval,007_csv\n1,3\n"
    );
    let run = env
        .run([
            "query",
            "pivot (from bars where false) on ticker using count(*)",
        ])
        .code(1);
    assert!(
        run.stderr.contains("PIVOT found no values"),
        "{}",
        run.stderr
    );
    let run = env
        .run(["query", "pivot bars on nope using count(*)"])
        .code(2);
    assert!(run.stderr.contains("nope"), "{}", run.stderr);
}

#[test]
fn lists_and_plans_are_for_people() {
    let env = TestEnv::new();
    odd_tickers(&env);
    let all = csv(&env, "show all tables", &[]);
    assert!(
        all.lines().skip(1).all(|line| line.starts_with("temp,")),
        "{all}"
    );
    assert!(csv(&env, "describe bars", &[]).contains("\nclose,DOUBLE,"));
    assert!(csv(&env, "summarize bars", &[]).contains("\nclose,DOUBLE,"));
    for sql in [
        "explain select 42 as n",
        "-- why\nexplain analyze select 42 as n",
    ] {
        let run = env.run(["query", sql]).ok();
        assert!(run.out().contains("PROJECTION"), "{sql}: {}", run.out());
        assert!(!run.out().contains("\\n"), "{sql}: {}", run.out());
        assert!(run.out().lines().count() > 5, "{sql}: {}", run.out());
    }
    assert_eq!(
        csv(
            &env,
            "select last(close order by timestamp), max(high) as \"f(\"\"x\"\")\" from bars where ticker = '007'",
            &[]
        )
        .lines()
        .next(),
        Some("last(close),\"f(\"\"x\"\")\"")
    );
    // A pipe gets all rows.
    let run = env
        .run(["query", "from range(3)", "--limit", "1", "--format", "csv"])
        .ok();
    assert_eq!(run.out(), "range\n0\n1\n2\n");
    assert_eq!(run.stderr, "");
}
