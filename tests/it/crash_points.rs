//! The program is killed at each crash point: then the store is as before the command or as after
//! it, and the same command succeeds. `make test` compiles the points in. `crash_readers.rs` reaches
//! every point with readers.

use crate::support::{Run, TestEnv};

/// Enough rows for two partitions, and few enough to stay hot.
const ROWS: usize = 600;

fn write_csv(env: &TestEnv, ticker: &str, price: u32) {
    write_rows(env, &format!("{ticker}.csv"), 0..ROWS, price);
}

fn write_rows(env: &TestEnv, file: &str, rows: std::ops::Range<usize>, price: u32) {
    let mut text = String::from("timestamp,open,high,low,close,volume\n");
    // From 2024-12-31T20:00:00Z, 600 minutes are in two years: two partitions.
    let start = chrono::DateTime::from_timestamp(1_735_675_200, 0).unwrap();
    for row in rows {
        let at = start + chrono::Duration::minutes(i64::try_from(row).unwrap());
        let at = at.format("%Y-%m-%dT%H:%M:%SZ");
        text += &format!("{at},{price},{},{price},{price},{row}\n", price + 1);
    }
    env.write(file, text);
}

/// Counts and sums of the store, by ticker; empty if there is no store yet.
fn content(env: &TestEnv) -> String {
    let sql = "SELECT ticker, count(*), count(DISTINCT timestamp), sum(open), sum(high), sum(volume) FROM bars GROUP BY ticker ORDER BY ticker";
    let run = env.run(["query", "--format", "csv", sql]);
    match run.code {
        Some(0) => run
            .out()
            .lines()
            .skip(1)
            .map(|line| format!("{line}\n"))
            .collect(),
        _ => {
            assert!(
                run.stderr.contains("there is no store"),
                "{}",
                run.snapshot()
            );
            String::new()
        }
    }
}

fn run_to(env: &TestEnv, point: &str, line: &str) -> Run {
    let program = env.program(line.split_whitespace());
    program.env("BACKFILL_CRASH", point).run()
}

const INJECT_A: &str = "inject-csv A.csv --exchange CRYPTO --on-conflict update --seal never";
const INJECT_B: &str = "inject-csv B.csv --exchange CRYPTO --on-conflict update --seal never";
const INJECT_LATER: &str =
    "inject-csv later/A.csv --exchange CRYPTO --on-conflict update --seal never";

/// Runs `before` in a new store, then `line`, killed at `point`: each must be done completely or not
/// at all.
fn killed_at(point: &str, before: &[&str], line: &str) {
    let start = || {
        let env = TestEnv::new();
        write_csv(&env, "A", 10);
        write_csv(&env, "B", 20);
        write_rows(&env, "later/A.csv", ROWS..ROWS + 100, 10);
        for earlier in before {
            env.typed(earlier).ok();
        }
        // The same bars of A with other prices: `update` writes them into sealed partitions.
        write_csv(&env, "A", 30);
        env
    };
    let whole = start();
    let old = content(&whole);
    whole.typed(line).ok();
    let new = content(&whole);

    let env = start();
    let killed = run_to(&env, point, line);
    assert_eq!(
        killed.code,
        None,
        "{point} is not reached by {line}: {}",
        killed.snapshot()
    );
    let found = content(&env);
    assert!(
        found == old || found == new,
        "{point}, {line}:\n{found}is neither\n{old}nor\n{new}"
    );
    env.typed(line).ok();
    assert_eq!(content(&env), new, "{point}, {line}, again");
    env.typed("verify").ok();
    assert_eq!(
        env.files("data/staging/tmp"),
        Vec::<String>::new(),
        "{point}, {line}"
    );
}

#[test]
fn a_small_commit() {
    for point in [
        "commit.begin",
        "commit.before-transaction",
        "commit.after-transaction",
        "commit.done",
    ] {
        killed_at(point, &[], INJECT_B);
        killed_at(point, &[INJECT_A], INJECT_B);
    }
}

#[test]
fn rejected_rows_before_their_commit() {
    let files = |env: &TestEnv| {
        write_csv(env, "B", 20);
        let rows = env
            .read("B.csv")
            .replace(",20,21,20,20,7\n", ",20,21,20,x,7\n");
        env.write("B.csv", rows);
    };
    let sessions = |env: &TestEnv| {
        let gaps = env.typed("gaps --format json").ok().json();
        let rejected = |gap: &serde_json::Value| gap["rejected"].as_u64().unwrap();
        let gaps = gaps["gaps"].as_array().unwrap().clone();
        gaps.iter().map(rejected).sum::<u64>()
    };
    let env = TestEnv::new();
    files(&env);
    let point = "rejected.after-transaction";
    let killed = run_to(&env, point, INJECT_B);
    assert_eq!(killed.code, None, "{point}: {}", killed.snapshot());
    assert_eq!(content(&env), "");
    // The row is known before the bars around it, and once.
    assert_eq!(sessions(&env), 1);
    env.typed(INJECT_B).ok();
    assert_eq!(sessions(&env), 1);
    assert!(content(&env).starts_with("B,599,"), "{}", content(&env));
    write_csv(&env, "B", 20);
    env.typed(INJECT_B).ok();
    assert_eq!(sessions(&env), 0);
    env.typed("verify").ok();
}

#[test]
fn many_small_files_in_one_commit() {
    let files = |env: &TestEnv, price: u32| {
        for (ticker, day) in (0..4).flat_map(|ticker| (1..6).map(move |day| (ticker, day))) {
            let rows: String = (0..10)
                .map(|row| {
                    format!("2025-01-0{day}T00:0{row}:00Z,{price},{price},{price},{price},1\n")
                })
                .collect();
            let header = "timestamp,open,high,low,close,volume";
            env.write(
                &format!("in/{day}/S{ticker}.csv"),
                format!("{header}\n{rows}"),
            );
        }
    };
    let line = "inject-csv --csv-dir in --interval 1 --exchange CRYPTO --on-conflict update";
    for point in [
        "commit.begin",
        "commit.before-transaction",
        "commit.after-transaction",
        "commit.done",
    ] {
        let env = TestEnv::new();
        files(&env, 10);
        env.typed(line).ok();
        let old = content(&env);
        files(&env, 20);
        let killed = run_to(&env, point, line);
        assert_eq!(killed.code, None, "{point}: {}", killed.snapshot());
        assert!(
            !killed.stderr.contains("Inserted"),
            "{point}: {}",
            killed.snapshot()
        );
        let found = content(&env);
        env.typed(line).ok();
        let new = content(&env);
        assert!(new.contains("S3,50,50,1000"), "{new}");
        let is_durable = point != "commit.begin" && point != "commit.before-transaction";
        assert_eq!(
            found,
            if is_durable { &new } else { &old }.clone(),
            "{point}"
        );
        env.typed("verify").ok();
    }
}

/// A file with one day of 70 tickers, whose rows go into a segment.
fn day(env: &TestEnv, price: u32) {
    let mut text = String::from("ticker,timestamp,open,high,low,close,volume\n");
    let start = chrono::DateTime::from_timestamp(1_735_675_200, 0).unwrap();
    for ticker in 0..70 {
        for row in 0..1_000_u32 {
            let at = start + chrono::Duration::minutes(i64::from(row));
            let at = at.format("%Y-%m-%dT%H:%M:%SZ");
            text += &format!(
                "S{ticker},{at},{price},{},{price},{price},{row}\n",
                price + 1
            );
        }
    }
    env.write("day.csv", text);
}

#[test]
fn a_commit_of_many_series_and_its_seal() {
    let inject = "inject-csv day.csv --exchange CRYPTO --on-conflict update --seal never";
    for (point, line) in [
        ("segment.after-write", inject),
        ("segment.after-rename", inject),
        ("commit.before-transaction", inject),
        ("commit.after-transaction", inject),
        ("seal.after-intent", "seal"),
        ("publish.after-settle", "seal"),
    ] {
        let env = TestEnv::new();
        write_csv(&env, "A", 10);
        env.typed(INJECT_A).ok();
        day(&env, 10);
        let old = content(&env);
        if line != inject {
            env.typed(inject).ok();
            assert_eq!(env.files("data/staging/segments").len(), 1);
        }
        let killed = run_to(&env, point, line);
        assert_eq!(
            killed.code,
            None,
            "{point} is not reached by {line}: {}",
            killed.snapshot()
        );
        let found = content(&env);
        env.typed(inject).ok();
        let new = content(&env);
        assert_eq!(new.lines().count(), 71);
        assert!(new.contains("S69,1000,1000,10000"), "{new}");
        let allowed = if line == inject {
            vec![&old, &new]
        } else {
            vec![&new]
        };
        assert!(allowed.contains(&&found), "{point}, {line}:\n{found}");
        env.typed("verify").ok();
        env.typed("seal").ok();
        assert_eq!(env.files("data/staging/segments"), Vec::<String>::new());
        assert_eq!(content(&env), new);
        env.typed("verify").ok();
    }
}

#[test]
fn an_update_with_many_conflicts() {
    let line = "inject-csv day.csv --exchange CRYPTO --on-conflict update";
    let conflicts = |env: &TestEnv| {
        let sql = "SELECT count(*) FROM conflicts WHERE offered_open = 20";
        let run = env.run(["query", "--format", "csv", sql]).ok();
        run.out().lines().nth(1).unwrap().to_owned()
    };
    for point in [
        "conflicts.after-write",
        "segment.after-rename",
        "commit.after-transaction",
    ] {
        let env = TestEnv::new();
        day(&env, 10);
        env.typed(line).ok();
        let old = content(&env);
        day(&env, 20);
        let killed = run_to(&env, point, line);
        assert_eq!(killed.code, None, "{point}: {}", killed.snapshot());
        let found = (content(&env), conflicts(&env));
        env.typed(line).ok();
        let new = (content(&env), conflicts(&env));
        assert_eq!(new.1, "70000");
        let is_durable = point == "commit.after-transaction";
        let expected = if is_durable { new } else { (old, "0".into()) };
        assert!(found == expected, "{point}: {found:?}");
        env.typed("verify").ok();
        let mut files = env.files("data/staging/segments");
        files.retain(|file| file.contains("conflicts-"));
        assert_eq!(files.len(), 1, "{point}: {files:?}");
    }
}

#[test]
fn a_seal() {
    for point in [
        "publish.after-encode",
        "seal.after-intent",
        "publish.after-rename",
        "publish.before-rename",
        "publish.before-rename@2",
        "publish.between-renames",
        "publish.between-renames@2",
        "publish.after-settle",
    ] {
        killed_at(point, &[INJECT_A, INJECT_B], "seal");
    }
}

/// Bars after the sealed ones: the row group before them is copied.
#[test]
fn a_seal_that_copies_row_groups() {
    for point in [
        "publish.after-copy",
        "publish.after-encode",
        "seal.after-intent",
        "publish.between-renames",
        "publish.after-rename",
        "publish.after-settle",
    ] {
        killed_at(point, &[INJECT_A, "seal", INJECT_LATER], "seal");
    }
}

/// The bars are stored before they are sealed, and the next command that writes seals them.
#[test]
fn a_run_that_seals_at_its_end() {
    for point in [
        "publish.after-encode",
        "seal.after-intent",
        "publish.between-renames",
        "publish.after-rename",
        "publish.after-settle",
    ] {
        let line = "inject-csv B.csv --exchange CRYPTO --on-conflict update";
        killed_at(point, &[INJECT_A], line);

        let env = TestEnv::new();
        write_csv(&env, "A", 10);
        write_csv(&env, "B", 20);
        assert_eq!(run_to(&env, point, line).code, None, "{point}");
        let run = env.typed("inject-csv A.csv --exchange CRYPTO").ok();
        assert!(
            !run.stderr.contains("not in the lake"),
            "{}",
            run.snapshot()
        );
        let status = env.typed("status --format json").ok().json();
        assert_eq!(status["totals"]["rows"], 2 * ROWS, "{point}");
        assert_eq!(status["totals"]["hot_rows"], 0, "{point}");
    }
}

#[test]
fn an_update_of_sealed_bars() {
    for point in [
        "publish.after-encode",
        "publish.between-renames",
        "publish.after-rename",
        "publish.after-settle",
    ] {
        killed_at(point, &[INJECT_A, "seal", INJECT_B], INJECT_A);
    }
}

#[test]
fn a_drop() {
    let drop = "drop --tickers A --yes";
    killed_at("drop.after-transaction", &[INJECT_A, INJECT_B], drop);
    killed_at(
        "drop.after-transaction",
        &[INJECT_A, INJECT_B, "seal"],
        drop,
    );
}

#[test]
fn a_recovery() {
    for point in [
        "recover.before-rename",
        "recover.after-rename",
        "recover.after-settle",
    ] {
        let env = TestEnv::new();
        write_csv(&env, "A", 10);
        env.typed(INJECT_A).ok();
        let whole = content(&env);
        let killed = run_to(&env, "publish.between-renames", "seal");
        assert_eq!(killed.code, None, "{}", killed.snapshot());
        let killed = run_to(&env, point, "seal");
        assert_eq!(
            killed.code,
            None,
            "{point} is not reached: {}",
            killed.snapshot()
        );
        assert_eq!(content(&env), whole, "{point}");
        env.typed("seal").ok();
        env.typed("verify").ok();
        assert_eq!(content(&env), whole, "{point}");
    }
}

#[test]
fn a_first_opening() {
    killed_at("catalog.before-rename", &[], INJECT_B);
}

/// Makes the store one of an older format: its conflicts lack the numbers of the commits.
pub fn make_older(env: &TestEnv) {
    let database = env.path("data/staging/staging.duckdb");
    let connection = duckdb::Connection::open(database).unwrap();
    connection
        .execute_batch(
            "ALTER TABLE conflicts DROP COLUMN staged_seq; ALTER TABLE conflicts DROP COLUMN commit_seq;
             UPDATE meta SET value = '4' WHERE key = 'schema_version';
             DELETE FROM meta WHERE key = 'history_from'",
        )
        .unwrap();
}

/// The bars and the conflicts stay, and what is replaced from then on can be read later.
#[test]
fn an_upgrade_of_an_older_store() {
    let conflicts = |env: &TestEnv| {
        let sql = "SELECT count(*), sum(staged_open), sum(offered_open) FROM conflicts";
        env.run(["query", "--format", "csv", sql])
            .ok()
            .out()
            .to_owned()
    };
    for point in ["upgrade.before-commit", "upgrade.after-commit"] {
        let env = TestEnv::new();
        for price in [10, 30] {
            write_csv(&env, "A", price);
            env.typed(INJECT_A).ok();
        }
        make_older(&env);
        let (bars, replaced) = (content(&env), conflicts(&env));
        let is_unknown = || {
            let run = env.run(["query", "--as-of", "2", "SELECT 1"]).code(1);
            assert!(run.stderr.contains("from commit 3 on"), "{}", run.stderr);
        };
        is_unknown();
        let killed = run_to(&env, point, "seal");
        assert_eq!(killed.code, None, "{point}: {}", killed.snapshot());
        assert_eq!(content(&env), bars, "{point}");
        assert_eq!(conflicts(&env), replaced, "{point}");
        is_unknown();
        for price in [40, 50] {
            write_csv(&env, "A", price);
            env.typed(INJECT_A).ok();
        }
        let sql = "SELECT sum(open) FROM bars";
        let run = env.run(["query", "--as-of", "3", "--format", "csv", sql]);
        let sum = run.ok().out().lines().last().unwrap().to_owned();
        assert_eq!(sum.parse(), Ok(40.0 * ROWS as f64), "{point}");
        is_unknown();
        env.typed("verify").ok();
    }
}

#[test]
fn a_checkpoint() {
    for point in ["checkpoint.before", "checkpoint.after"] {
        killed_at(point, &[], INJECT_B);
        killed_at(point, &[INJECT_A], INJECT_B);
        killed_at(point, &[INJECT_A], "seal");
    }
}

/// A checkpoint was cut off, or the log is torn, and the recovery from that is killed too.
#[test]
fn a_recovery_of_the_catalog() {
    for (left_by, point) in [
        ("checkpoint.before", "recover.after-undo"),
        ("commit.after-transaction", "recover.before-log-cut"),
    ] {
        let env = TestEnv::new();
        write_csv(&env, "A", 10);
        write_csv(&env, "B", 20);
        env.typed(INJECT_A).ok();
        let old = content(&env);
        assert_eq!(run_to(&env, left_by, INJECT_B).code, None);
        if point == "recover.before-log-cut" {
            let log = env.path("data/staging/staging.duckdb.wal");
            let bytes = std::fs::read(&log).unwrap();
            std::fs::write(&log, &bytes[..bytes.len() - 3]).unwrap();
        }
        let killed = run_to(&env, point, "status");
        assert_eq!(
            killed.code,
            None,
            "{point} is not reached: {}",
            killed.snapshot()
        );
        let found = content(&env);
        env.typed(INJECT_B).ok();
        let new = content(&env);
        assert!(found == old || found == new, "{point}: {found}");
        env.typed("verify").ok();
    }
}

#[test]
fn a_repair() {
    let env = TestEnv::new();
    write_csv(&env, "A", 10);
    env.typed(INJECT_A).ok();
    env.typed("seal").ok();
    let whole = content(&env);
    std::fs::remove_file(env.path("data/staging/staging.duckdb")).unwrap();
    for point in ["repair.before-transaction", "repair.after-transaction"] {
        let killed = run_to(&env, point, "verify --repair");
        assert_eq!(killed.code, None, "{}", killed.snapshot());
    }
    env.typed("verify --repair").ok();
    env.typed("verify").ok();
    assert_eq!(content(&env), whole);
}

/// A sync killed around its COMMIT: the next one sends what is missing, and nothing twice.
#[test]
fn a_sync() {
    let database = crate::support::Database::new();
    for point in [
        "sync.before-commit",
        "sync.after-commit",
        "sync.after-commit@2",
    ] {
        let env = TestEnv::new();
        write_csv(&env, "A", 10);
        write_csv(&env, "B", 20);
        env.typed(INJECT_A).ok();
        env.typed(INJECT_B).ok();
        let table = point.replace(['.', '-', '@'], "_");
        let line = format!("sync --create-table --threads 1 --table {table}");
        let sync = |point: &str| {
            let program = env.program(line.split_whitespace());
            let program = program.env("DATABASE_URL", database.url());
            program.env("BACKFILL_CRASH", point).run()
        };
        let killed = sync(point);
        assert_eq!(killed.code, None, "{point}: {}", killed.snapshot());
        sync("").ok();
        let rows = database.sql(&format!(
            "SELECT ticker, count(*), count(DISTINCT timestamp), sum(volume) FROM {table} GROUP BY 1 ORDER BY 1"
        ));
        assert_eq!(rows, "A|600|600|179700\nB|600|600|179700", "{point}");
        env.typed("verify").ok();
    }
}

/// A killed reader leaves its snapshot, and the next writer removes it.
#[test]
fn a_snapshot_of_a_reader() {
    let env = TestEnv::new();
    write_csv(&env, "A", 10);
    env.typed(INJECT_A).ok();
    let whole = content(&env);
    let killed = run_to(&env, "snapshot.after-copy", "export --to out/");
    assert_eq!(killed.code, None, "{}", killed.snapshot());
    assert_ne!(env.files("data/staging/tmp"), Vec::<String>::new());
    assert_eq!(content(&env), whole);
    write_csv(&env, "B", 20);
    env.typed(INJECT_B).ok();
    assert_eq!(env.files("data/staging/tmp"), Vec::<String>::new());
    env.typed("verify").ok();
}

/// All crash points in the sources.
pub fn all() -> Vec<String> {
    fn walk(dir: &std::path::Path, points: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, points);
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                let named = text.split("crash_point!(\"").skip(1);
                points.extend(named.map(|rest| rest.split('"').next().unwrap().to_owned()));
            }
        }
    }
    let mut points = Vec::new();
    walk(
        &std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut points,
    );
    points.sort();
    points
}

/// Each crash point is one of a case there, which fails if its command doesn't reach the point.
#[test]
fn each_crash_point_has_a_test() {
    let points = all();
    assert!(points.len() >= 10, "{points:?}");
    let tests = include_str!("crash_readers.rs");
    let code = || tests.lines().filter(|line| !line.trim().starts_with("//"));
    for point in points {
        let quoted = format!("\"{point}\"");
        assert!(code().any(|line| line.contains(&quoted)), "{point}");
    }
}
