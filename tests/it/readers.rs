//! Commands that read, while another process writes: they read the snapshot that the writer
//! published last, and say so.

use std::time::Duration;

use crate::support::{Database, Running, TestEnv};

const ROWS: usize = 300;

/// Bars over the turn of a year: two partitions.
fn dump(env: &TestEnv, ticker: &str, price: u32) {
    let mut text = String::from("timestamp,open,high,low,close,volume\n");
    let start = chrono::DateTime::from_timestamp(1_735_682_400, 0).unwrap();
    for row in 0..ROWS {
        let at = start + chrono::Duration::minutes(i64::try_from(row).unwrap());
        let at = at.format("%Y-%m-%dT%H:%M:%SZ");
        text += &format!("{at},{price},{},{price},{price},{row}\n", price + 1);
    }
    env.write(&format!("{ticker}.csv"), text);
}

fn inject(ticker: &str) -> String {
    format!("inject-csv {ticker}.csv --exchange CRYPTO --on-conflict update")
}

/// A store with sealed bars of A, hot bars of B, and a writer that is held after it committed C.
fn written(env: &TestEnv) -> Running {
    dump(env, "A", 10);
    dump(env, "B", 20);
    dump(env, "C", 30);
    env.typed(&inject("A")).ok();
    env.typed("seal").ok();
    env.typed(&format!("{} --seal never", inject("B"))).ok();
    let file = env.write("hold", "");
    let line = inject("C");
    let writer = (env.program(line.split_whitespace()))
        .env("BACKFILL_HOLD", "commit.done")
        .env("BACKFILL_HOLD_FILE", file)
        .spawn();
    while !env.typed("status").ok().stderr.contains("is writing") {
        std::thread::sleep(Duration::from_millis(20));
    }
    writer
}

/// The note of a reader, without its time of day.
fn note(writer: u32) -> String {
    format!("note: process {writer} is writing; reading the store as of ")
}

#[test]
fn every_command_that_reads_works_while_another_process_writes() {
    let (env, database) = (TestEnv::new(), Database::new());
    let writer = written(&env);
    let note = note(writer.id());
    for line in [
        "status",
        "status --runs",
        "status --calendar A",
        "gaps --end 2025-01-02",
        "conflicts",
        "export --to out/",
        "sync --create-table",
        "bundle create a.bundle",
    ] {
        let program = env.program(line.split_whitespace());
        let run = program.env("DATABASE_URL", database.url()).run();
        assert_eq!(run.code, Some(0), "{line}: {}", run.snapshot());
        let found = run.stderr.lines().find(|line| line.starts_with(&note));
        let time = found
            .and_then(|line| line.strip_prefix(&note))
            .unwrap_or_default();
        let time = chrono::NaiveTime::parse_from_str(time, "%H:%M:%SZ");
        assert!(time.is_ok(), "{line}: {}", run.stderr);
    }
    let of_market = database.sql("SELECT count(*) FROM market_data WHERE ticker IN ('A', 'B')");
    assert_eq!(of_market, "600");
    for (sql, expected) in [
        ("select count(*) from bars where ticker = 'A'", "300"),
        ("select count(*) from bars where ticker = 'B'", "300"),
        ("select count(*) > 0 from runs", "true"),
        ("select count(*) from conflicts", "0"),
        ("select count(*) from coverage", "0"),
    ] {
        let run = env.run(["query", sql, "--format", "csv"]).ok();
        assert_eq!(run.out().lines().nth(1), Some(expected), "{sql}");
        assert!(run.stderr.starts_with(&note), "{sql}: {}", run.stderr);
    }
    let bundle = env.typed("bundle verify a.bundle").ok();
    // All bars of A, which are sealed, and of B, which are not; those of C if they were committed
    // when the snapshot was made.
    let is_whole = ["rows=600 ", "rows=900 "].map(|rows| bundle.out().contains(rows));
    assert!(is_whole.contains(&true), "{}", bundle.out());
    std::fs::remove_file(env.path("hold")).unwrap();
    writer.wait().ok();
    let run = env.typed("status").ok();
    assert!(!run.stderr.contains("is writing"), "{}", run.stderr);
    assert_eq!(env.files("data/staging/tmp"), Vec::<String>::new());
    env.typed("verify").ok();
}

/// The run in progress is in the table, in JSON and in `--watch`, which ends with the run.
#[test]
fn status_shows_the_run_in_progress() {
    let env = TestEnv::new();
    let writer = written(&env);
    let pid = writer.id();
    let status = || env.typed("status --format json").ok().json();
    while status()["writer"]["run"]["rows_committed"] != ROWS {
        std::thread::sleep(Duration::from_millis(20));
    }
    let found = status();
    let run = &found["writer"]["run"];
    assert_eq!(found["writer"]["pid"], pid);
    assert_eq!(run["command"], "inject-csv");
    assert_eq!(run["unit"], "bytes");
    let size = std::fs::metadata(env.path("C.csv")).unwrap().len();
    assert_eq!(run["total"], size);
    assert_eq!(run["failed"], 0);
    assert_eq!(run["requests"], serde_json::Value::Null);
    let first = format!("process {pid} is running inject-csv since ");
    let table = env.typed("status").ok();
    assert!(table.out().contains(&first), "{}", table.out());
    assert!(table.out().contains("\n  300 rows committed, 0 failed\n"));
    let runs = env.typed("status --runs --format json").ok().json();
    let statuses = runs["runs"].as_array().unwrap().iter();
    let statuses: Vec<&str> = statuses.filter_map(|run| run["status"].as_str()).collect();
    assert_eq!(statuses, ["ok", "ok", "running"]);

    let watch = env.program(["status", "--watch"]).spawn();
    std::thread::sleep(Duration::from_millis(200));
    std::fs::remove_file(env.path("hold")).unwrap();
    writer.wait().ok();
    let watched = watch.wait().ok();
    assert!(watched.out().contains("3 series, 900 rows"));
    assert_eq!(status()["writer"], serde_json::Value::Null);
}

/// A killed run has no progress and isn't running. The next writer records that it was killed.
#[test]
fn a_killed_run_is_not_running() {
    let env = TestEnv::new();
    let writer = written(&env);
    assert_eq!(writer.kill().code, None);
    std::fs::remove_file(env.path("hold")).unwrap();
    let last = || {
        let runs = env.typed("status --runs --format json").ok().json();
        runs["runs"].as_array().unwrap().last().unwrap().clone()
    };
    assert_eq!(last()["status"], "killed");
    assert_eq!(last()["finished_at"], serde_json::Value::Null);
    let sql = "SELECT status FROM runs ORDER BY started_at DESC LIMIT 1";
    let query = || {
        let run = env.run(["query", "--format", "csv", sql]).ok();
        run.out().lines().nth(1).unwrap().to_owned()
    };
    assert_eq!(query(), "killed");
    let status = env.typed("status --format json").ok().json();
    assert_eq!(status["writer"], serde_json::Value::Null);
    // Killed again, just after that was recorded.
    let program = env.program(["seal"]);
    let killed = program
        .env("BACKFILL_CRASH", "open.after-killed-runs")
        .run();
    assert_eq!(killed.code, None, "{}", killed.snapshot());
    assert_eq!(
        (last()["status"].as_str(), query().as_str()),
        (Some("killed"), "killed")
    );
    env.typed("seal").ok();
    assert_eq!(last()["status"], "killed");
    env.typed("verify").ok();
    assert_eq!(env.files("data/staging/tmp"), Vec::<String>::new());
}

/// The first line that a running program prints to standard error.
fn first_line(running: &mut Running) -> String {
    use std::io::{BufRead, BufReader};

    let mut line = String::new();
    let stderr = running.child().stderr.as_mut().unwrap();
    BufReader::new(stderr).read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// `--wait` waits for the end of another writer, and Ctrl-C for the wait.
#[test]
fn a_writer_waits_for_another_one_if_it_is_asked_to() {
    let env = TestEnv::new();
    let writer = written(&env);
    let pid = writer.id();
    let refused = env.typed("seal").code(1);
    let hint = "hint: --wait SECONDS waits for its end";
    assert!(refused.stderr.contains(hint), "{}", refused.stderr);
    let refused = env.typed("drop --tickers A --yes --wait 0").code(1);
    assert!(refused.stderr.contains(hint), "{}", refused.stderr);
    env.typed("verify --wait 3").code(2);
    env.typed("gaps --wait 3").code(2);

    let note = format!("note: process {pid} is writing; waiting up to 600 s for its end");
    // The first handles signals itself.
    for (line, code) in [
        (
            "inject-csv B.csv --exchange CRYPTO --on-conflict ignore",
            Some(130),
        ),
        ("seal", None),
    ] {
        let line = format!("{line} --wait 600");
        let mut waiting = env.program(line.split_whitespace()).spawn();
        assert_eq!(first_line(&mut waiting), note, "{line}");
        waiting.signal("INT");
        assert_eq!(waiting.wait().code, code, "{line}");
    }
    let mut waiting = ["seal --wait 600", "drop --tickers B --yes --wait 600"]
        .map(|line| env.program(line.split_whitespace()).spawn());
    for one in &mut waiting {
        assert_eq!(first_line(one), note);
    }
    std::fs::remove_file(env.path("hold")).unwrap();
    writer.wait().ok();
    for one in waiting {
        one.wait().ok();
    }
    let run = env.typed("status --format json").ok().json();
    assert_eq!(run["totals"]["series"], 2);
}
