//! What a scheduler uses: `due`, and the metrics of a run.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};

use crate::fetch::Bench;
use crate::support::TestEnv;

#[test]
fn due_is_0_or_75_with_the_time() {
    let env = TestEnv::new();
    let due = |now: &str, line: &str| {
        let args = std::iter::once("due").chain(line.split_whitespace());
        let run = env.program(args).env("BACKFILL_NOW", now).run();
        assert_eq!(run.stderr, "", "{line}");
        (run.code.unwrap(), run.out().to_owned())
    };
    let published = (0, String::new());
    let later = |time: &str| (75, format!("{time}\n"));
    // FMP's bars are final 300 s after their close.
    let close = later("2025-02-03T21:05:00Z");
    assert_eq!(due("2025-02-03T15:00:00Z", ""), close);
    assert_eq!(due("2025-02-03T21:04:59Z", ""), close);
    assert_eq!(due("2025-02-03T21:05:00Z", ""), published);
    assert_eq!(
        due("2025-02-03T21:05:00Z", "--delay 6"),
        later("2025-02-03T21:06:00Z")
    );
    assert_eq!(due("2025-02-01T12:00:00Z", ""), published);
    assert_eq!(
        due("2025-02-03T21:05:00Z", "--provider massive"),
        later("2025-02-03T21:20:00Z")
    );
    assert_eq!(
        due("2025-02-03T00:00:30Z", "--provider binance"),
        later("2025-02-03T00:01:00Z")
    );
    assert_eq!(due("2025-02-03T23:59:59Z", "--provider binance"), published);
    // The last of all exchanges.
    assert_eq!(
        due("2025-02-03T15:00:00Z", "--exchange LSE"),
        later("2025-02-03T16:35:00Z")
    );
    assert_eq!(due("2025-02-03T15:00:00Z", "--tickers VOD.L,AAPL"), close);
    assert_eq!(
        due("2025-02-03T08:00:00Z", "--tickers 7203.T VOD.L"),
        later("2025-02-03T16:35:00Z")
    );
    assert!(env.files(".").is_empty(), "it creates no store");

    env.typed("due --exchange NOWHERE").code(2);
    env.typed("due --delay 1441").code(2);
    let after = env
        .program(["due"])
        .env("BACKFILL_NOW", "2099-01-02T12:00:00Z");
    let run = after.run().code(1);
    assert!(
        run.stderr.contains("the calendar of NASDAQ covers"),
        "{}",
        run.stderr
    );
}

#[test]
fn due_waits_until_ctrl_c() {
    let env = TestEnv::new();
    let waiting = env.program(["due", "--wait"]);
    let mut waiting = waiting.env("BACKFILL_NOW", "2025-02-03T15:00:00Z").spawn();
    let mut line = String::new();
    let mut stderr = BufReader::new(waiting.child().stderr.take().unwrap());
    stderr.read_line(&mut line).unwrap();
    assert_eq!(line, "waiting until 2025-02-03T21:05:00Z\n");
    waiting.signal("INT");
    assert_eq!(waiting.wait().code, Some(130));
    let over = env.program(["due", "--wait"]);
    over.env("BACKFILL_NOW", "2025-02-03T22:00:00Z").run().ok();
}

/// The values of a metrics file with this value of `name`.
fn metrics(env: &TestEnv, file: &str, name: &str) -> BTreeMap<String, f64> {
    let text = env.read(file);
    assert!(text.ends_with("# EOF\n"), "{text}");
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| {
            let (metric, value) = line.split_once(' ').unwrap();
            let label = format!("{{name=\"{name}\"}}");
            let metric = metric.strip_suffix(&label).unwrap();
            let metric = metric.strip_prefix("backfill_").unwrap();
            (metric.to_owned(), value.parse().unwrap())
        })
        .collect()
}

#[test]
fn metrics_continue_and_survive_failures() {
    let bench = Bench::new();
    let env = &bench.env;
    let run = |more: &str| {
        bench.run(&format!(
            "specific --tickers AAPL --start 2025-01-27 --end 2025-01-28 --metrics m/nightly.prom {more}"
        ))
    };
    std::fs::create_dir(env.path("m")).unwrap();
    run("--dry-run").ok();
    assert!(env.files("m").is_empty(), "a dry run writes none");
    run("").ok();
    let first = metrics(env, "m/nightly.prom", "nightly");
    assert_eq!(first["runs_total"], 1.0);
    assert_eq!(first["bars_total"], 780.0);
    assert!(first["requests_total"] >= 1.0);
    assert_eq!(first["gaps"], 0.0);
    assert_eq!(first["last_run_exit_code"], 0.0);
    let success = first["last_success_timestamp_seconds"];
    assert_eq!(first["last_run_timestamp_seconds"], success);

    // The same bars again conflict.
    run("").code(4);
    let conflict = metrics(env, "m/nightly.prom", "nightly");
    assert_eq!(conflict["last_run_exit_code"], 4.0);
    assert_eq!(conflict["last_success_timestamp_seconds"], success);

    env.write("old.csv", "timestamp,open,high,low,close,volume\n2025-01-24 10:00,1,1,1,1,1\n2025-01-24 10:01,2,1,1,1,1\n");
    run("--on-conflict update --provider-url http://127.0.0.1:1").code(1);
    let failed = metrics(env, "m/nightly.prom", "nightly");
    assert_eq!(failed["runs_total"], 3.0);
    assert_eq!(failed["bars_total"], 780.0);
    assert_eq!(failed["last_run_exit_code"], 1.0);
    assert!(failed["last_run_timestamp_seconds"] > failed["last_success_timestamp_seconds"]);
    assert!(failed["last_success_timestamp_seconds"] >= success);

    // Another command and file.
    let inject = "inject-csv old.csv --ticker AAPL --interval 1 --metrics m/csv.prom";
    bench.run(inject).ok();
    let csv = metrics(env, "m/csv.prom", "csv");
    assert_eq!((csv["bars_total"], csv["rejects_total"]), (1.0, 1.0));
    assert_eq!(csv["gaps"], 1.0, "{csv:?}");
    // An error of the command itself.
    let run = bench.run("inject-csv none.csv --metrics m/csv.prom");
    assert!(run.code != Some(0));
    let csv = metrics(env, "m/csv.prom", "csv");
    assert_eq!(csv["runs_total"], 2.0);
    assert_eq!(csv["last_run_exit_code"], f64::from(run.code.unwrap()));

    bench.run("gaps --metrics m/x.prom").code(2);
    bench
        .run("gaps --fill --on-conflict update --metrics m/fill.prom")
        .ok();
    assert_eq!(metrics(env, "m/fill.prom", "fill")["gaps"], 0.0);
}

#[cfg(unix)]
#[test]
fn another_user_can_read_metrics() {
    use std::os::unix::fs::PermissionsExt;
    let env = TestEnv::new();
    let run = env.program(["inject-csv", "none.csv", "--metrics", "x.prom"]);
    let run = run.limited("umask 077").run();
    assert_eq!(
        metrics(&env, "x.prom", "x")["last_run_exit_code"],
        f64::from(run.code.unwrap())
    );
    let metadata = std::fs::metadata(env.path("x.prom")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o644);
}

#[test]
fn metrics_go_through_the_guard() {
    let bench = Bench::new();
    let specific = "specific --tickers AAPL --start 2025-01-27 --end 2025-01-27";
    let refused = |line: &str| bench.run(&format!("{specific} {line}")).code(2).stderr;
    assert!(refused("--metrics data/staging/x.prom").contains("store"));
    let twice = refused("--output-filename x.csv --metrics x.csv");
    assert!(twice.contains("two outputs"), "{twice}");
    let twice = refused("--summary-json=x.json --metrics x.json");
    assert!(twice.contains("two outputs"), "{twice}");
    assert!(bench.env.files(".").is_empty());
    // Standard output is a pipe: there is nothing to continue.
    let run = bench.run(&format!("{specific} --metrics /dev/stdout")).ok();
    assert!(
        run.out()
            .contains("backfill_bars_total{name=\"stdout\"} 390\n")
    );
}

#[test]
fn metrics_that_cannot_be_written_are_refused_at_the_start() {
    let bench = Bench::new();
    let line = "specific --tickers AAPL --start 2025-01-27 --end 2025-01-27 --metrics none/x.prom";
    let refused = bench.run(line).code(2).stderr;
    assert!(
        refused.contains("error: the metrics can't be written to none/x.prom: No such file"),
        "{refused}"
    );
    assert!(
        refused.contains("hint: create its folder first"),
        "{refused}"
    );
    assert_eq!(bench.requests(), 0);
    assert!(bench.env.files(".").is_empty());
}

#[test]
fn runs_that_end_together_continue_one_file() {
    const RUNS: usize = 8;
    let env = TestEnv::new();
    std::fs::create_dir(env.path("m")).unwrap();
    let runs: Vec<_> = (0..RUNS)
        .map(|_| {
            env.program(["inject-csv", "none.csv", "--metrics", "m/x.prom"])
                .spawn()
        })
        .collect();
    for run in runs {
        assert_ne!(run.wait().code, Some(0));
    }
    assert_eq!(metrics(&env, "m/x.prom", "x")["runs_total"], RUNS as f64);
    assert_eq!(env.files("m"), ["m/x.prom"]);
}

/// The fenced blocks of a document in this language.
fn blocks<'a>(document: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let found = document.split(&fence).skip(1);
    found
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

/// The command lines in the document's files have options that exist, and systemd accepts its
/// units.
#[test]
fn the_documented_schedules_work() {
    let document = include_str!("../../docs/schedule.md");
    let env = TestEnv::new();
    let mut commands = 0;
    for language in ["ini", "crontab", "xml"] {
        for block in blocks(document, language) {
            for line in block.lines().flat_map(|line| line.split("&amp;&amp;")) {
                for command in line.split("&&") {
                    let Some((_, command)) = command.split_once("/usr/local/bin/backfill ") else {
                        continue;
                    };
                    let command = command.split('<').next().unwrap();
                    // The help is printed only if the options before it are valid.
                    env.typed(&format!("{command} --help")).ok();
                    commands += 1;
                }
            }
        }
    }
    assert_eq!(commands, 6);

    let units = blocks(document, "ini");
    let program = env!("CARGO_BIN_EXE_backfill");
    let names = ["backfill.service", "backfill.timer"];
    assert_eq!(units.len(), names.len());
    for (unit, name) in units.iter().zip(names) {
        env.write(name, unit.replace("/usr/local/bin/backfill", program));
    }
    let verify = std::process::Command::new("systemd-analyze")
        .args(["verify", "--user", "--man=no"])
        .args(names)
        .env("XDG_RUNTIME_DIR", env.dir())
        .current_dir(env.dir())
        .output();
    // It isn't on every machine.
    if let Ok(verify) = verify {
        let printed = String::from_utf8_lossy(&verify.stderr);
        assert!(verify.status.success(), "{printed}");
        assert!(!printed.contains("backfill."), "{printed}");
    }
}
