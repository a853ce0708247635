//! Limits of the machine: a full disk, a read-only file system, too few file handles. Each is
//! reported clearly, loses no stored bar, and the same command succeeds without the limit.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::support::{Run, TestEnv};

/// A small file system, unmounted when dropped. Only root can mount one.
struct Small {
    at: PathBuf,
}

impl Small {
    fn mount(env: &TestEnv, kib: u64) -> Option<Self> {
        let at = env.path("small");
        fs::create_dir(&at).unwrap();
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"])
            .arg(&at)
            .output();
        match done {
            Ok(output) if output.status.success() => Some(Self { at }),
            other => {
                eprintln!(
                    "NOT TESTED: a full disk and a medium that can't be written: this user may not mount a file system ({other:?})"
                );
                None
            }
        }
    }

    fn remount(&self, how: &str) {
        let status = Command::new("mount")
            .args(["-o", &format!("remount,{how}")])
            .arg(&self.at)
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

fn write_csv(env: &TestEnv, name: &str, ticker: &str, rows: u32, price: u32) {
    let mut text = String::from("ticker,timestamp,open,high,low,close,volume\n");
    let start = chrono::DateTime::from_timestamp(1_735_675_200, 0).unwrap();
    for row in 0..rows {
        let at = start + chrono::Duration::minutes(i64::from(row));
        let at = at.format("%Y-%m-%dT%H:%M:%SZ");
        writeln!(
            text,
            "{ticker},{at},{price},{price}.5,{price},{price},{row}"
        )
        .unwrap();
    }
    env.write(name, text);
}

const INJECT: &str = "inject-csv --csv-dir csv --exchange CRYPTO --interval 1 --on-conflict update";

fn content(env: &TestEnv, store: &str) -> String {
    let sql = "SELECT ticker, count(*), count(DISTINCT timestamp), sum(open), sum(volume) FROM bars GROUP BY ticker ORDER BY ticker";
    let args = ["--store", store, "query", "--format", "csv", sql];
    env.run(args).ok().out().to_owned()
}

fn run_in(env: &TestEnv, store: &str, line: &str) -> Run {
    env.run(
        ["--store", store]
            .into_iter()
            .chain(line.split_whitespace()),
    )
}

/// Checks that the run failed with one plain line that has one of these texts.
fn reports(run: &Run, any_of: &[&str]) {
    assert!(matches!(run.code, Some(1 | 3)), "{}", run.snapshot());
    assert!(
        any_of.iter().any(|text| run.stderr.contains(text)),
        "{}",
        run.snapshot()
    );
    assert!(!run.stderr.contains("panicked"), "{}", run.snapshot());
}

#[test]
fn a_full_disk() {
    let env = TestEnv::new();
    let Some(small) = Small::mount(&env, 12 << 10) else {
        return;
    };
    let store = small.at.join("store").display().to_string();
    // Before: one sealed ticker and one hot.
    write_csv(&env, "csv/A.csv", "A", 17_000, 10);
    write_csv(&env, "csv/B.csv", "B", 500, 10);
    run_in(&env, &store, INJECT).ok();
    let before = content(&env, &store);
    let filler = small.at.join("filler");
    // After: other prices for both, and one more ticker.
    write_csv(&env, "csv/A.csv", "A", 17_000, 20);
    write_csv(&env, "csv/B.csv", "B", 500, 20);
    write_csv(&env, "csv/C.csv", "C", 900, 20);
    let truth = {
        let aside = TestEnv::new();
        for name in ["A", "B", "C"] {
            aside.write(
                &format!("csv/{name}.csv"),
                env.read(&format!("csv/{name}.csv")),
            );
        }
        aside.typed(INJECT).ok();
        content(&aside, "data/staging")
    };
    let saved = env.path("saved");
    copy(&small.at.join("store"), &saved);
    let mut refused = 0;
    for free_kib in [0, 8, 40, 120, 250, 400, 600, 900, 1_400, 2_400] {
        fs::remove_dir_all(small.at.join("store")).unwrap();
        copy(&saved, &small.at.join("store"));
        fill(&filler, free_kib);
        let run = run_in(&env, &store, INJECT);
        if run.code != Some(0) {
            refused += 1;
            reports(
                &run,
                &[
                    "No space left",
                    "no storage space",
                    "not enough space",
                    "Could not write",
                ],
            );
        }
        fs::remove_file(&filler).unwrap();
        let found = content(&env, &store);
        for line in found.lines() {
            assert!(
                before.contains(line) || truth.contains(line),
                "{free_kib} KiB free: {line} is neither of\n{before}nor of\n{truth}"
            );
        }
        run_in(&env, &store, "verify").ok();
        run_in(&env, &store, INJECT).ok();
        assert_eq!(content(&env, &store), truth, "{free_kib} KiB free");
        run_in(&env, &store, "verify").ok();
    }
    assert!(refused >= 3, "only {refused} runs met a full disk");
}

/// Fills the file system until `free_kib` are left.
fn fill(filler: &std::path::Path, free_kib: u64) {
    let output = Command::new("df")
        .args(["--output=avail", "-k"])
        .arg(filler.parent().unwrap())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let free: u64 = text.lines().nth(1).unwrap().trim().parse().unwrap();
    fs::write(
        filler,
        vec![1; (free.saturating_sub(free_kib) << 10) as usize],
    )
    .unwrap();
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn a_read_only_file_system() {
    let env = TestEnv::new();
    let Some(small) = Small::mount(&env, 12 << 10) else {
        return;
    };
    let store = small.at.join("store").display().to_string();
    write_csv(&env, "csv/A.csv", "A", 17_000, 10);
    write_csv(&env, "csv/B.csv", "B", 500, 10);
    run_in(&env, &store, INJECT).ok();
    let before = content(&env, &store);
    small.remount("ro");
    assert_eq!(content(&env, &store), before);
    for line in ["status", "verify", "export --to out.csv --format csv"] {
        run_in(&env, &store, line).ok();
    }
    for line in [INJECT, "seal", "drop --tickers A --yes", "verify --repair"] {
        reports(
            &run_in(&env, &store, line),
            &["Read-only file system", "read-only"],
        );
    }
    small.remount("rw");
    assert_eq!(content(&env, &store), before);
    run_in(&env, &store, "verify").ok();
}

/// From too few file handles to enough: each run reports it or succeeds.
#[cfg(unix)]
#[test]
fn too_few_file_handles() {
    let env = TestEnv::new();
    for name in ["A", "B", "C"] {
        write_csv(&env, &format!("csv/{name}.csv"), name, 600, 10);
    }
    run_in(&env, "store", INJECT).ok();
    let truth = content(&env, "store");
    let mut refused = 0;
    for limit in [6, 8, 10, 12, 14, 17, 20, 24, 32, 64] {
        let line = format!("--store limited-{limit} {INJECT}");
        let run = env
            .program(line.split_whitespace())
            .limited(&format!("ulimit -n {limit}"))
            .run();
        if run.code != Some(0) {
            refused += 1;
            // With too few for the dynamic linker, the program doesn't start.
            if run.stderr.contains("error: ") || run.code == Some(3) {
                reports(&run, &["Too many open files", "open files"]);
            }
        }
        let store = format!("limited-{limit}");
        run_in(&env, &store, INJECT).ok();
        assert_eq!(content(&env, &store), truth, "{limit} handles");
        run_in(&env, &store, "verify").ok();
    }
    assert!(refused > 0, "no limit was met");
}

/// Commands that write files, each of which can exceed a limit.
#[cfg(unix)]
const WRITERS: [&[&str]; 4] = [
    &[
        "inject-csv",
        "--csv-dir=csv",
        "--exchange=CRYPTO",
        "--interval=1",
    ],
    &["export", "--to=out.csv"],
    &["bundle", "create", "out.tar"],
    &["query", "--to=rows.csv", "from bars"],
];

/// Runs each of `WRITERS` under each limit: no file is half written, and without the limit the same
/// command succeeds.
#[cfg(unix)]
fn within(env: &TestEnv, limits: &[String], says: &[&str]) {
    let names = ["A", "B", "C"];
    for name in names {
        write_csv(env, &format!("csv/{name}.csv"), name, 100_000, 10);
    }
    run_in(env, "whole", INJECT).ok();
    let truth = content(env, "whole");
    let mut refused = [0; WRITERS.len()];
    for (number, limit) in limits.iter().enumerate() {
        let limited = format!("limited-{number}");
        for (which, args) in WRITERS.into_iter().enumerate() {
            let store = if which == 0 { &limited } else { "whole" };
            let run = env
                .program(["--store", store].iter().chain(args))
                .env("RUST_BACKTRACE", "1")
                .limited(limit)
                .run();
            if run.code != Some(0) {
                refused[which] += 1;
                reports(&run, says);
                assert!(
                    !run.stderr.contains("stack backtrace"),
                    "{}",
                    run.snapshot()
                );
            }
        }
        run_in(env, &limited, INJECT).ok();
        assert_eq!(content(env, &limited), truth, "{limit}");
        run_in(env, &limited, "verify").ok();
    }
    assert!(refused.iter().all(|count| *count > 0), "{refused:?}");
    run_in(env, "whole", "verify").ok();
    assert_eq!(content(env, "whole"), truth);
}

/// A file that exceeds the system's limit is an error that names it; no signal ends the program.
#[cfg(unix)]
#[test]
fn a_limit_on_the_size_of_files() {
    // In units of 512 bytes.
    let limits = [0, 1, 50, 700, 2_000].map(|blocks| format!("ulimit -f {blocks}"));
    within(&TestEnv::new(), &limits, &["File too large"]);
}

/// With too little address space a command ends with one line before it starts, even with
/// backtraces enabled. With enough it works as without a limit.
#[cfg(target_os = "linux")]
#[test]
fn a_limit_on_memory() {
    let env = TestEnv::new();
    let limits = [200, 400, 700, 1_000].map(|mib| format!("ulimit -v {}", mib << 10));
    within(&env, &limits, &["MiB of address space, but it needs"]);
    for args in WRITERS {
        let run = (env.program(["--store", "enough"].iter().chain(args)))
            .limited(&format!("ulimit -v {}", 6_000 << 10))
            .run();
        run.ok();
    }
}
