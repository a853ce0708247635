//! Limits of a query: memory, disk space for temporary files, time until Ctrl-C ends it. It leaves
//! no temporary file.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use backfill::model::{Interval, OnConflict};

use super::{STORE, minutes, stage};
use crate::support::{Program, Running, TestEnv};

/// The longest wait of a test.
const WAIT_MAX: Duration = Duration::from_secs(200);
/// A sort that needs far more memory than `LIMIT`: it writes temporary files for minutes.
const LONG_SORT: &str =
    "select max(h) from (select hash(i) as h, i from range(300000000) t(i) order by h, i offset 1)";
const LIMIT: &str = "--memory-limit=256MiB";

fn store() -> TestEnv {
    let env = TestEnv::new();
    let bars = minutes("2025-01-02T14:30:00Z", 5);
    stage(&env, "A", Interval::M1, bars, OnConflict::Fail);
    env
}

/// The folders below `parent` whose names begin with `prefix`.
fn folders(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten();
    entries
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .collect()
}

fn in_store(env: &TestEnv) -> Vec<PathBuf> {
    folders(&env.path(STORE).join("tmp"), "")
}

/// Starts a query, waits until it writes temporary files below `parent`, and returns their folder.
fn spilling(program: Program<'_>, parent: &Path, prefix: &str) -> (Running, PathBuf) {
    let mut running = program.spawn();
    let until = Instant::now() + WAIT_MAX;
    loop {
        for folder in folders(parent, prefix) {
            // One of them is the lock.
            let files = fs::read_dir(&folder).into_iter().flatten().count();
            if files > 1 {
                return (running, folder);
            }
        }
        let ended = running.child().try_wait().unwrap();
        assert!(ended.is_none(), "{}", running.wait().snapshot());
        assert!(Instant::now() < until, "no temporary files");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends Ctrl-C, and waits for the end.
fn interrupt(running: Running) {
    running.signal("INT");
    let run = running.wait().code(130);
    assert!(
        run.stderr.ends_with("error: interrupted\n"),
        "{}",
        run.stderr
    );
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[cfg(unix)]
#[test]
fn temporary_files_are_private_and_gone_after_ctrl_c() {
    let env = store();
    let elsewhere = env.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    for umask in ["umask 000", "umask 277"] {
        let program = env
            .program(["query", LIMIT, LONG_SORT])
            .limited(umask)
            .env("TMPDIR", &elsewhere);
        let (running, folder) = spilling(program, &env.path(STORE).join("tmp"), "query-");
        assert_eq!(mode(&folder), 0o700, "{umask}");
        assert_eq!(folders(&elsewhere, ""), Vec::<PathBuf>::new());
        interrupt(running);
        assert_eq!(in_store(&env), Vec::<PathBuf>::new());
    }
    env.run(["verify"]).ok();
}

#[test]
fn ctrl_c_ends_a_single_function_call() {
    let env = store();
    // DuckDB can't be interrupted inside such a call. It has written to its memory when it is
    // interrupted.
    let sql = "select length(list_reduce(range(400000), (x, y) -> x + y + length(repeat('x', 1000000)))::varchar)";
    let running = env
        .program([
            "query",
            "--memory-limit=1TB",
            "--to",
            "rows.csv",
            "--summary-json=run.json",
            sql,
        ])
        .spawn();
    let until = Instant::now() + WAIT_MAX;
    while folders(env.dir(), ".rows.csv").is_empty() {
        assert!(Instant::now() < until, "the query doesn't begin");
        std::thread::sleep(Duration::from_millis(5));
    }
    interrupt(running);
    assert_eq!(in_store(&env), Vec::<PathBuf>::new());
    assert_eq!(folders(env.dir(), ".rows.csv"), Vec::<PathBuf>::new());
    assert!(!env.path("rows.csv").exists());
    let summary: serde_json::Value = serde_json::from_str(&env.read("run.json")).unwrap();
    assert_eq!(summary["status"], "interrupted");
    assert_eq!(summary["exit_code"], 130);
}

#[test]
fn the_next_command_removes_files_of_a_killed_query() {
    let env = store();
    let tmp = env.path(STORE).join("tmp");
    for next in [
        &["query", "select 1"][..],
        &["seal"],
        &["verify", "--repair"],
    ] {
        let (running, folder) = spilling(env.program(["query", LIMIT, LONG_SORT]), &tmp, "query-");
        // Not while the query runs: it holds the folder's lock.
        env.run(["query", "select 1"]).ok();
        assert_eq!(in_store(&env), std::slice::from_ref(&folder));
        assert_eq!(running.kill().code, None);
        assert_eq!(in_store(&env), [folder]);
        env.run(next).ok();
        assert_eq!(in_store(&env), Vec::<PathBuf>::new(), "{next:?}");
    }
    assert!(!env.path(STORE).join("quarantine").exists());
}

#[cfg(unix)]
#[test]
fn a_store_that_cannot_be_written_spills_elsewhere() {
    let env = store();
    let elsewhere = env.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    // Not even root can create a folder in a file.
    let tmp = env.path(STORE).join("tmp");
    fs::remove_dir(&tmp).unwrap();
    fs::write(&tmp, "").unwrap();
    let sort = || {
        env.program(["query", LIMIT, LONG_SORT])
            .limited("umask 000")
            .env("TMPDIR", &elsewhere)
    };
    for signal in ["INT", "KILL"] {
        let (running, folder) = spilling(sort(), &elsewhere, "backfill-query-");
        assert_eq!(mode(&folder), 0o700);
        running.signal(signal);
        running.wait();
    }
    assert_eq!(folders(&elsewhere, "").len(), 1);
    env.program(["query", "select 1"])
        .env("TMPDIR", &elsewhere)
        .run()
        .ok();
    assert_eq!(folders(&elsewhere, ""), Vec::<PathBuf>::new());
    // Neither folder can be written: everything stays in memory.
    let run = env
        .program(["query", LIMIT, LONG_SORT])
        .env("TMPDIR", &tmp)
        .run()
        .code(1);
    assert_eq!(
        run.stderr,
        "error: the query needs more than its memory limit of 256 MiB\nhint: --memory-limit SIZE sets another limit\n"
    );
}

#[test]
fn temporary_files_have_a_limit() {
    let env = store();
    let run = env
        .run(["query", LIMIT, "--temp-limit", "20MiB", LONG_SORT])
        .code(1);
    assert_eq!(
        run.stderr,
        "error: the query needs more than its memory limit of 256 MiB and its temporary files more than their limit of 20 MiB\n\
         hint: --temp-limit SIZE and --memory-limit SIZE set other limits\n"
    );
    let run = env
        .run(["query", LIMIT, "--temp-limit", "0", LONG_SORT])
        .code(1);
    assert!(
        run.stderr
            .starts_with("error: the query needs more than its memory limit of 256 MiB\n"),
        "{}",
        run.stderr
    );
    assert_eq!(in_store(&env), Vec::<PathBuf>::new());
    for (option, size, says) in [
        (
            "--memory-limit",
            "much",
            "it isn't a size like 512MiB or 2GB",
        ),
        ("--memory-limit", "1MiB", "the minimum is 64 MiB"),
        ("--temp-limit", "-1", "it isn't a size"),
    ] {
        let run = env
            .run(["query", &format!("{option}={size}"), "select 1"])
            .code(2);
        assert!(run.stderr.contains(says), "{}", run.stderr);
    }
}

/// The peak memory of a process in KiB; `None` if the process is gone.
#[cfg(target_os = "linux")]
fn peak_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(target_os = "linux")]
#[test]
fn strings_lists_and_results_count_as_memory() {
    let env = store();
    // Each needs gigabytes. The system's limit protects the machine if ours fails.
    for sql in [
        "select length(string_agg(repeat('x', 1000000), '')) from range(20000)",
        "select len(list(repeat('x', 1000000))) from range(20000)",
        "select len(array_agg(a.i)) from range(20000) a(i), range(50000) b(i)",
        "select length(repeat('x', 4000000000))",
        "select len(range(300000000))",
        "select len(string_split(repeat('x ', 1000000000), ' '))",
        "select repeat('x', 400000000) from range(10)",
        "select map(list(i), list(repeat('y', 10000) || i)) from range(1000000) t(i)",
    ] {
        let mut running = env
            .program(["query", "--memory-limit=64MiB", "--format=csv", sql])
            .limited("ulimit -v 6000000")
            .spawn();
        let mut peak = 0;
        while running.child().try_wait().unwrap().is_none() {
            peak = peak_kib(running.id()).map_or(peak, |now| peak.max(now));
            std::thread::sleep(Duration::from_millis(1));
        }
        let run = running.wait().code(1);
        assert_eq!(
            run.stderr,
            "error: the query needs more than its memory limit of 64 MiB\nhint: --memory-limit SIZE sets another limit\n",
            "{sql}"
        );
        // The program itself plus the limit and a quarter is about 150 MiB. On a busy machine the
        // watching thread is late, and it can be more.
        assert!(peak < 1 << 20, "{sql}: {peak} KiB");
        assert_eq!(in_store(&env), Vec::<PathBuf>::new());
    }
    env.run(["verify"]).ok();
}

#[test]
fn a_query_within_its_limits_is_answered() {
    let env = store();
    let sql = "select count(*) as n, max(h) > 0 as any from (select hash(i) as h from range(6000000) t(i) order by h)";
    let run = env
        .run(["query", "--memory-limit=64MiB", "--format=csv", sql])
        .ok();
    assert_eq!(run.out(), "n,any\n6000000,true\n");
    assert_eq!(in_store(&env), Vec::<PathBuf>::new());
}
