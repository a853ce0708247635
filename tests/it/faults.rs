//! The machine at its limits: no room on the disk, a medium that cannot be written, no more open files. Each is told
//! clearly, harms nothing that is staged, and the same command goes well once the limit is gone.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::support::{Run, TestEnv};

/// A small file system of its own, gone when dropped. Only root can make one.
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
                    "NOT TESTED: a full disk and a medium that cannot be written: this user may not mount a file system ({other:?})"
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

fn dump(env: &TestEnv, name: &str, ticker: &str, rows: u32, price: u32) {
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

const INJECT: &str =
    "inject-csv --csv-dir dumps --exchange CRYPTO --interval 1 --on-conflict update";

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

/// An error of one line that says what was refused, and no Rust in it.
fn told(run: &Run, any_of: &[&str]) {
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
    // Before: a ticker that is sealed and one that is hot.
    dump(&env, "dumps/A.csv", "A", 17_000, 10);
    dump(&env, "dumps/B.csv", "B", 500, 10);
    run_in(&env, &store, INJECT).ok();
    let before = content(&env, &store);
    let filler = small.at.join("filler");
    // The new truth: other prices for both, and a ticker more.
    dump(&env, "dumps/A.csv", "A", 17_000, 20);
    dump(&env, "dumps/B.csv", "B", 500, 20);
    dump(&env, "dumps/C.csv", "C", 900, 20);
    let truth = {
        let aside = TestEnv::new();
        for name in ["A", "B", "C"] {
            aside.write(
                &format!("dumps/{name}.csv"),
                env.read(&format!("dumps/{name}.csv")),
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
            told(
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

/// Leaves so much room on the file system.
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
fn a_medium_that_cannot_be_written() {
    let env = TestEnv::new();
    let Some(small) = Small::mount(&env, 12 << 10) else {
        return;
    };
    let store = small.at.join("store").display().to_string();
    dump(&env, "dumps/A.csv", "A", 17_000, 10);
    dump(&env, "dumps/B.csv", "B", 500, 10);
    run_in(&env, &store, INJECT).ok();
    let before = content(&env, &store);
    small.remount("ro");
    assert_eq!(content(&env, &store), before);
    for line in ["status", "verify", "export --to out.csv --format csv"] {
        run_in(&env, &store, line).ok();
    }
    for line in [INJECT, "seal", "drop --tickers A --yes", "verify --repair"] {
        told(
            &run_in(&env, &store, line),
            &["Read-only file system", "read-only"],
        );
    }
    small.remount("rw");
    assert_eq!(content(&env, &store), before);
    run_in(&env, &store, "verify").ok();
}

/// From no handle to spare up to enough: told, or done.
#[cfg(unix)]
#[test]
fn no_more_open_files() {
    let env = TestEnv::new();
    for name in ["A", "B", "C"] {
        dump(&env, &format!("dumps/{name}.csv"), name, 600, 10);
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
            // With too few even for the dynamic linker the program does not begin.
            if run.stderr.contains("error: ") || run.code == Some(3) {
                told(&run, &["Too many open files", "open files"]);
            }
        }
        let store = format!("limited-{limit}");
        run_in(&env, &store, INJECT).ok();
        assert_eq!(content(&env, &store), truth, "{limit} handles");
        run_in(&env, &store, "verify").ok();
    }
    assert!(refused > 0, "no limit was met");
}

/// Commands that write files, each of which can become too large for a limit.
#[cfg(unix)]
const WRITERS: [&[&str]; 4] = [
    &[
        "inject-csv",
        "--csv-dir=dumps",
        "--exchange=CRYPTO",
        "--interval=1",
    ],
    &["export", "--to=out.csv"],
    &["bundle", "create", "out.tar"],
    &["query", "--to=rows.csv", "from bars"],
];

/// Runs each of `WRITERS` under each limit: what it wrote is whole, and without the limit the same command does well.
#[cfg(unix)]
fn within(env: &TestEnv, limits: &[String], says: &[&str]) {
    let names = ["A", "B", "C"];
    for name in names {
        dump(env, &format!("dumps/{name}.csv"), name, 100_000, 10);
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
                told(&run, says);
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

/// A file can't become larger than the system allows. That is an error that names it; no signal ends the program.
#[cfg(unix)]
#[test]
fn a_limit_on_the_size_of_files() {
    // In units of 512 bytes.
    let limits = [0, 1, 50, 700, 2_000].map(|blocks| format!("ulimit -f {blocks}"));
    within(&TestEnv::new(), &limits, &["File too large"]);
}

/// A command that the system gives too little address space is refused before it starts, in one line, even if
/// backtraces are asked for. With enough it works as without a limit.
#[cfg(target_os = "linux")]
#[test]
fn a_limit_on_memory() {
    let env = TestEnv::new();
    let limits = [200, 400, 700, 1_000].map(|mib| format!("ulimit -v {}", mib << 10));
    within(&env, &limits, &["MiB of address space, and it needs"]);
    for args in WRITERS {
        let run = (env.program(["--store", "enough"].iter().chain(args)))
            .limited(&format!("ulimit -v {}", 6_000 << 10))
            .run();
        run.ok();
    }
}
