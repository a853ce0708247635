//! Command lines, their output and exit codes.

use super::*;

/// The command lines of the documentation, exactly.
#[test]
fn the_documented_command_lines_work() {
    let bench = Bench::new();
    let run = bench.run("specific --start 010125 --end 310125 --tickers AAPL MSFT --interval 1 --dry-run --on-conflict ignore --log-level INFO").ok();
    let rows = |ticker| {
        bench
            .truth(ticker, Interval::M1, "2025-01-01", "2025-01-31")
            .len()
    };
    let (aapl, msft) = (rows("AAPL"), rows("MSFT"));
    let all = aapl + msft;
    let expected = format!(
        "exit code: 0\n----- stdout -----\n----- stderr -----\n[AAPL] Prepared in [TIME]s (rows={aapl})\n\
         [MSFT] Prepared in [TIME]s (rows={msft})\nSummary: tickers=2 prepared={all} skipped=0 elapsed=[TIME]\n"
    );
    assert_eq!(run.snapshot(), expected);
    assert!(bench.env.files(".").is_empty(), "a dry run touches nothing");

    bench.run("specific --start 010125 --end 070125 --tickers NVDA --interval 5 --on-conflict ignore --output-filename nvda_0101_0701.csv").ok();
    let truth = bench.truth("NVDA", Interval::M5, "2025-01-01", "2025-01-07");
    same(&bench.staged("NVDA", Interval::M5), &truth, "NVDA");
    let csv = bench.env.read("nvda_0101_0701.csv");
    assert_eq!(csv.lines().count(), truth.len() + 1);

    let line = "concurrent --start 010125 --end 310125 --tickers AAPL MSFT AMD INTC META --interval 1 --threads 8 --on-conflict ignore";
    let run = bench.run(line).ok();
    let summary = run.stderr.lines().last().unwrap().to_owned();
    assert!(
        summary.starts_with("Summary: tickers=5 inserted="),
        "{summary}"
    );
    for ticker in ["AAPL", "MSFT", "AMD", "INTC", "META"] {
        let truth = bench.truth(ticker, Interval::M1, "2025-01-01", "2025-01-31");
        same(&bench.staged(ticker, Interval::M1), &truth, ticker);
    }

    bench.env.write("tickers.json", "['AAPL', 'MSFT', 'GOOGL']");
    let run = bench
        .run("specific --start 010125 --end 050125 --interval 15 --dry-run")
        .ok();
    assert!(
        run.stderr.contains("Summary: tickers=3 prepared="),
        "{}",
        run.snapshot()
    );

    // A file that an export wrote can be injected.
    bench.env.write("historical_csv/NVDA.csv", csv);
    let run = bench
        .run("--store other inject-csv --csv-dir ./historical_csv --threads 8")
        .ok();
    let counts = format!("(ins={} skip=0 rejects=0)", truth.len());
    assert!(run.stderr.contains(&counts), "{}", run.snapshot());
}

#[test]
fn forming_bars_are_held_back_unless_requested() {
    let bench = Bench::new();
    let today = chrono::Utc::now().date_naive();
    let line = format!(
        "specific --exchange CRYPTO --tickers BTCUSD --start {} --end {today} --on-conflict ignore --summary-json",
        today - chrono::Days::new(1)
    );
    let before = bench.run(&line).ok().json();
    // Each minute that opened less than 60 + 300 s ago; the clock may tick between the server and here.
    let held = before["totals"]["held"].as_u64().unwrap();
    assert!((5..=7).contains(&held), "{before}");
    let settled = bench.staged("BTCUSD", Interval::M1);
    let requested = chrono::Utc::now().timestamp_micros();
    assert!(settled.last().unwrap().timestamp.micros() <= requested - 360_000_000);

    let after = bench.run(&format!("{line} --include-forming")).ok().json();
    assert_eq!(after["totals"]["held"], 0, "{after}");
    let all = bench.staged("BTCUSD", Interval::M1);
    assert!(all.len() as u64 >= settled.len() as u64 + held);
    assert!(all.last().unwrap().timestamp.micros() > requested - 120_000_000);
}

#[test]
fn the_same_command_twice_under_each_mode() {
    let bench = Bench::new();
    let line = "concurrent --rate 60000 --start 2025-02-03 --end 2025-02-12 --tickers AAPL MSFT --summary-json";
    let first = bench.run(line).ok().json();
    let rows = first["totals"]["committed"].as_u64().unwrap();
    let before = bench.staged("AAPL", Interval::M1);

    let again = bench.run(line).code(4);
    let json = again.json();
    assert_eq!(
        (
            json["status"].as_str(),
            json["totals"]["committed"].as_u64()
        ),
        (Some("conflict"), Some(0))
    );
    assert!(
        again
            .stderr
            .contains("rows are stored already, the first AAPL 2025-02-03T14:30:00Z"),
        "{}",
        again.snapshot()
    );
    assert!(
        again.stderr.contains("hint: --resume skips what is stored"),
        "{}",
        again.snapshot()
    );
    let ignored = bench
        .run(&format!("{line} --on-conflict ignore"))
        .ok()
        .json();
    assert_eq!(ignored["totals"]["skipped_identical"], rows);
    let updated = bench
        .run(&format!("{line} --on-conflict update"))
        .ok()
        .json();
    assert_eq!(
        (
            updated["totals"]["skipped_identical"].as_u64(),
            updated["totals"]["updated"].as_u64()
        ),
        (Some(rows), Some(0))
    );
    assert_eq!(bench.staged("AAPL", Interval::M1), before);

    // History is revised.
    bench.change(Change::Revision(1));
    bench.run(line).code(4);
    let ignored = bench.run(&format!("{line} --on-conflict ignore")).ok();
    let restated = ignored.json()["totals"]["skipped_restated"]
        .as_u64()
        .unwrap();
    assert!(
        restated > 0 && ignored.stderr.contains(" restated="),
        "{}",
        ignored.snapshot()
    );
    assert_eq!(bench.staged("AAPL", Interval::M1), before);
    let updated = bench
        .run(&format!("{line} --on-conflict update"))
        .ok()
        .json();
    assert_eq!(updated["totals"]["updated"], restated);
    let truth = bench.truth("AAPL", Interval::M1, "2025-02-03", "2025-02-12");
    same(&bench.staged("AAPL", Interval::M1), &truth, "revised");
}

#[test]
fn numbers_of_the_summary_add_up() {
    let bench = Bench::faulty(&["bad-ohlc@MSFT=1.0"]);
    let run = bench.run("concurrent --rate 60000 --start 2025-02-03 --end 2025-02-12 --tickers AAPL MSFT NOSUCH --summary-json=out.json");
    bench.change(Change::Unknown(vec!["NOSUCH".into()]));
    let json: serde_json::Value = serde_json::from_str(&bench.env.read("out.json")).unwrap();
    assert_eq!(json["exit_code"], i64::from(run.code.unwrap()));
    assert_eq!(
        (json["command"].as_str(), json["start"].as_str()),
        (Some("concurrent"), Some("2025-02-03"))
    );
    for counts in json["tickers"]
        .as_array()
        .unwrap()
        .iter()
        .chain([&json["totals"]])
    {
        let of = |key: &str| counts[key].as_u64().unwrap();
        assert_eq!(
            of("fetched"),
            of("prepared") + of("rejected") + of("held"),
            "{counts}"
        );
        assert_eq!(
            of("prepared"),
            of("committed") + of("skipped_identical") + of("skipped_restated"),
            "{counts}"
        );
    }
}

#[test]
fn no_data_isnt_an_error_and_comes_with_a_hint() {
    let bench = Bench::new();
    bench.change(Change::Unknown(vec!["NOSUCH".into(), "NEITHER".into()]));
    let run = bench
        .run("specific --start 2025-02-03 --end 2025-02-05 --tickers NOSUCH NEITHER")
        .ok();
    insta::assert_snapshot!(run.snapshot(), @r"
    exit code: 0
    ----- stdout -----
    ----- stderr -----
    [NOSUCH] No data in [TIME]s
    [NEITHER] No data in [TIME]s
    Summary: tickers=2 inserted=0 skipped=0 elapsed=[TIME]
    hint: no ticker had any data: check --interval, --start and --end, and what your plan with the provider covers
    ");
    // A weekend: nothing is requested.
    let requests = bench.requests();
    let run = bench
        .run("specific --start 2025-02-08 --end 2025-02-09 --tickers AAPL")
        .ok();
    assert!(
        run.stderr.starts_with("[AAPL] No data in "),
        "{}",
        run.snapshot()
    );
    assert_eq!(bench.requests(), requests);
}

#[test]
fn many_windows_one_by_one_come_with_a_hint() {
    let bench = Bench::new();
    let run = bench
        .run("specific --rate 60000 --start 2025-01-01 --end 2025-07-31 --tickers AAPL --dry-run")
        .ok();
    assert!(
        run.stderr.lines().last().unwrap().contains("concurrent"),
        "{}",
        run.snapshot()
    );
}

#[test]
fn wrong_command_lines_end_with_two_before_any_request() {
    let bench = Bench::new();
    for (line, said) in [
        (
            "specific --start 2025-02-05 --end 2025-02-03 --tickers AAPL",
            "is after the end",
        ),
        ("specific --start 2025-02-03 --end 2025-02-05", "no tickers"),
        ("specific --start 2025-02-03 --tickers AAPL", "--end"),
        (
            "specific --start 320125 --end 2025-02-05 --tickers AAPL",
            "DDMMYY",
        ),
        (
            "specific --start 2025-02-03 --end 2025-02-05 --tickers AAPL --interval 7",
            "1, 5, 15, 30 or 60",
        ),
        (
            "specific --start 2025-02-03 --end 2025-02-05 --tickers AAPL --exchange NOWHERE",
            "NASDAQ",
        ),
        (
            "specific --start 2025-02-03 --end 2025-02-05 --tickers AAPL SAP.DE",
            "--exchange XETRA",
        ),
        (
            "specific --start 2025-02-03 --end 2025-02-05 --tickers AAPL --on-conflict maybe",
            "fail, ignore, update",
        ),
        (
            "specific --start 2025-02-03 --end 2025-02-05 --tickers AAPL --output-filename out.txt",
            "out.txt",
        ),
        (
            "concurrent --start 2025-02-03 --end 2025-02-05 --tickers AAPL --threads 0",
            "--threads",
        ),
        (
            "concurrent --start 2025-02-03 --end 2025-02-05 --tickers AAPL --rate 0",
            "--rate",
        ),
        (
            "concurrent --start 2025-02-03 --end 2025-02-05 --tickers AAPL --shard 3/2",
            "3/2",
        ),
        (
            "concurrent --start 2025-02-03 --end 2025-02-05 --tickers AAPL --provider-url nonsense",
            "base URL",
        ),
        (
            "specific --start 1901-02-03 --end 1901-02-05 --tickers AAPL",
            "covers",
        ),
    ] {
        let run = bench.run(line).code(2);
        assert!(
            run.stderr.starts_with("error: "),
            "{line}\n{}",
            run.snapshot()
        );
        assert!(run.stderr.contains(said), "{line}\n{}", run.snapshot());
    }
    assert_eq!(bench.requests(), 0);
    assert!(bench.env.files(".").is_empty());
    let run = bench
        .env
        .typed("specific --start 2025-02-03 --end 2025-02-05 --tickers AAPL")
        .code(1);
    assert!(
        run.stderr
            .contains("FMP_API_KEY is not set\nhint: set FMP_API_KEY"),
        "{}",
        run.snapshot()
    );
}

#[test]
fn tickers_are_read_from_every_source() {
    let bench = Bench::new();
    let range = "--rate 60000 --start 2025-02-03 --end 2025-02-03 --interval 60 --dry-run";
    let names = |run: Run| -> Vec<String> {
        let run = run.ok();
        (run.stderr.lines().filter(|line| line.starts_with('[')))
            .map(|line| line[1..line.find(']').unwrap()].to_owned())
            .collect()
    };
    assert_eq!(
        names(bench.run(&format!("specific {range} --tickers aapl, msft AAPL"))),
        ["AAPL", "MSFT"]
    );
    bench.env.write("list.txt", "AAPL\nNVDA\n\n");
    assert_eq!(
        names(bench.run(&format!("specific {range} --tickers-file list.txt"))),
        ["AAPL", "NVDA"]
    );
    let piped = bench
        .program(&format!("specific {range} --tickers-file -"))
        .stdin("[\"AMD\"]")
        .run();
    assert_eq!(names(piped), ["AMD"]);
    // Three machines divide the tickers.
    let universe: Vec<String> = (0..30).map(|n| format!("U{n:02}")).collect();
    let line = format!("specific {range} --tickers {}", universe.join(" "));
    let mut all: Vec<String> = (1..=3)
        .flat_map(|i| names(bench.run(&format!("{line} --shard {i}/3"))))
        .collect();
    all.sort();
    assert_eq!(all, universe);
    bench
        .run(&format!("specific {range} --tickers-file none.txt"))
        .code(2);
}

#[test]
fn a_plan_sends_no_request_and_needs_no_key() {
    let bench = Bench::new();
    let line = "specific --start 2025-02-03 --end 2025-02-12 --tickers AAPL MSFT --rate 60";
    let plan = bench.env.typed(&format!("{line} --plan")).ok();
    insta::assert_snapshot!(plan.out(), @r"
    [AAPL] 3 windows, 2025-02-03..2025-02-12
    [MSFT] 3 windows, 2025-02-03..2025-02-12
    Plan: tickers=2 windows=6 requests=6 least=0:00:06
    ");
    assert!(bench.env.files(".").is_empty());
    bench
        .run("specific --rate 60000 --start 2025-02-03 --end 2025-02-07 --tickers AAPL")
        .ok();
    let plan = bench.env.typed(&format!("{line} --plan --resume")).ok();
    assert!(
        plan.out()
            .starts_with("[AAPL] 2 windows, 2025-02-07..2025-02-12, 1 to compare the price basis\n[MSFT] 3 windows, "),
        "{}",
        plan.snapshot()
    );
    let detailed = bench
        .env
        .typed(&format!("{line} --plan --resume --log-level debug"))
        .ok();
    for window in [
        "[AAPL] 2025-02-07 (to compare the price basis)",
        "[AAPL] 2025-02-10..2025-02-12",
        "[MSFT] 2025-02-06..2025-02-07",
    ] {
        assert!(detailed.stderr.contains(window), "{}", detailed.snapshot());
    }
    assert_eq!(bench.requests(), 2);
}

/// The simulator has no limit, so the demo needs none.
#[test]
fn the_demo_has_no_rate_unless_one_is_set() {
    let env = TestEnv::new();
    let line =
        "concurrent --provider demo --start 2025-02-03 --end 2025-02-12 --tickers AAPL --plan";
    for (rate, least) in [("", "0:00:00"), (" --rate 60", "0:00:03")] {
        let plan = env.typed(&format!("{line}{rate}")).ok();
        let least = format!(" least={least}");
        assert!(plan.out().contains(&least), "{}", plan.snapshot());
    }
}

#[test]
fn an_output_file_is_not_replaced_if_all_tickers_fail() {
    let bench = Bench::new();
    let line = "specific --start 2025-02-03 --end 2025-02-07 --tickers PREMIUMA PREMIUMB --output-filename all.csv";
    bench.run(line).code(3);
    assert!(!bench.env.files(".").contains(&"all.csv".to_owned()));
    bench.env.write("all.csv", "older");
    bench.run(line).code(3);
    assert_eq!(bench.env.read("all.csv"), "older");
}

#[test]
fn a_dry_run_writes_the_output_file_and_nothing_else() {
    let bench = Bench::new();
    let line = "concurrent --rate 60000 --start 2025-02-03 --end 2025-02-07 --tickers MSFT AAPL --dry-run --output-filename all.csv";
    bench.run(line).ok();
    assert_eq!(bench.env.files("."), ["all.csv"]);
    let text = bench.env.read("all.csv");
    let rows = |ticker| {
        bench
            .truth(ticker, Interval::M1, "2025-02-03", "2025-02-07")
            .len()
    };
    assert_eq!(text.lines().count(), rows("AAPL") + rows("MSFT") + 1);
    let keys: Vec<&str> = text.lines().skip(1).collect();
    assert!(keys.is_sorted_by_key(|line| {
        line.split(',')
            .take(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    }));
    // Bars that are stored already are in the file too, and a failed run leaves the file as it is.
    let staged = line.replace("--dry-run ", "");
    bench.run(&staged).ok();
    bench
        .run(&staged.replace("--output", "--on-conflict ignore --output"))
        .ok();
    assert_eq!(bench.env.read("all.csv"), text);
    bench.change(Change::Faults(vec!["401".into()]));
    bench.run(&staged).code(1);
    assert_eq!(bench.env.read("all.csv"), text);
}

#[test]
fn debug_shows_requests_batches_and_causes_but_never_the_key() {
    let bench = Bench::faulty(&["500=1", "reset=1"]);
    let run = bench
        .run("specific --start 2025-02-03 --end 2025-02-05 --tickers AAPL --log-level debug")
        .ok();
    let request = run
        .stderr
        .lines()
        .find(|line| line.contains("status=200"))
        .unwrap();
    assert!(
        request.starts_with("debug: GET http://127.0.0.1:"),
        "{request}"
    );
    for part in [
        "/historical-chart/1min?symbol=AAPL&from=2025-02-03&to=2025-02-05",
        " bytes=",
        " ms=",
        "[{\"date\":",
    ] {
        assert!(request.contains(part), "{part} in {request}");
    }
    assert!(run.stderr.contains("rows prepared"), "{}", run.stderr);
    assert!(run.stderr.contains("status=500"));
    for (fault, code) in [("401", 1), ("strange-object", 3), ("402-symbol", 3)] {
        bench.change(Change::Faults(vec![fault.into()]));
        bench.run("specific --start 2025-02-03 --end 2025-02-05 --tickers MSFT --log-level DEBUG --log-format json").code(code);
    }
}

#[test]
fn the_demo_has_its_own_store_and_refuses_other_bars() {
    let env = TestEnv::new();
    let line = "concurrent --provider demo --rate 60000 --start 2025-02-03 --end 2025-02-05 --tickers AAPL MSFT";
    let run = env.typed(line).ok();
    assert!(
        run.stderr.contains("Summary: tickers=2 inserted="),
        "{}",
        run.snapshot()
    );
    assert!(env.path("data/demo/staging.duckdb").exists() && !env.path("data/staging").exists());
    assert!(staged(&env.path("data/demo"), "AAPL", Interval::M1).len() > 3 * 380);
    // Real bars do not go into it.
    let bench = Bench::new();
    let line = format!(
        "specific --store {} --start 2025-02-06 --end 2025-02-06 --tickers AAPL",
        env.path("data/demo").display()
    );
    let run = bench.run(&line).code(1);
    assert!(run.stderr.contains("demo"), "{}", run.snapshot());
}

#[test]
fn check_reports_what_works() {
    let bench = Bench::new();
    let run = bench.run("check").ok();
    assert!(
        run.out().contains("store     none") && run.out().contains("provider  ok"),
        "{}",
        run.snapshot()
    );
    assert!(run.out().contains("database  none"), "{}", run.snapshot());
    assert_eq!(bench.requests(), 1);
    assert!(bench.env.files(".").is_empty());
    bench.change(Change::Faults(vec!["401".into()]));
    let run = bench.run("check").code(1);
    assert!(
        run.out().contains("provider  failed  ") && run.out().contains("Invalid API KEY"),
        "{}",
        run.snapshot()
    );
    let run = bench
        .program("check")
        .env("DATABASE_URL", "postgres://me:pa55word@127.0.0.1:1/x")
        .run()
        .code(1);
    assert!(
        run.out().contains("database  failed") && !run.out().contains("pa55word"),
        "{}",
        run.snapshot()
    );
}

/// `check` requests the last session of the user's own calendar.
#[test]
fn check_uses_the_users_calendars() {
    let bench = Bench::new();
    let last_day = |options: &str| {
        let said = bench.run(&format!("check {options}")).ok();
        let line = said.out().lines().find(|line| line.starts_with("provider"));
        let dates =
            line.and_then(|line| line.split_once("..").map(|(_, rest)| rest[..10].to_owned()));
        dates.unwrap_or_else(|| panic!("{}", said.snapshot()))
    };
    let last = last_day("");
    bench.env.write("mine/XNYS.csv", format!("closed,{last}\n"));
    let before = last_day("--calendar-dir mine");
    assert!(before < last, "{before} is not before {last}");
}

#[test]
fn a_run_continues_from_the_last_stored_session() {
    let bench = Bench::new();
    let run = bench
        .run("concurrent --since-last --end 2025-02-07 --tickers AAPL")
        .code(2);
    assert!(
        run.stderr
            .contains("no session of AAPL up to today is stored\nhint: give --start"),
        "{}",
        run.snapshot()
    );
    bench
        .run("specific --rate 60000 --start 2025-02-03 --end 2025-02-05 --tickers AAPL")
        .ok();
    // Under `fail`: the program requests the overlap itself, so identical bars don't conflict.
    let line = "concurrent --rate 60000 --since-last --tickers AAPL --summary-json";
    let run = bench.run(&format!("{line} --end 2025-02-12")).ok();
    same(
        &bench.staged("AAPL", Interval::M1),
        &bench.truth("AAPL", Interval::M1, "2025-02-03", "2025-02-12"),
        "on",
    );
    let json = run.json();
    let last_session = bench
        .truth("AAPL", Interval::M1, "2025-02-05", "2025-02-05")
        .len();
    assert_eq!(json["totals"]["skipped_identical"], last_session);
    assert_eq!(json["start"], "2025-02-05");
    // A new ticker, and days before the first: from --start.
    let line = line.replace("AAPL", "AAPL MSFT");
    let run = bench
        .run(&format!("{line} --start 2025-01-30 --end 2025-02-12"))
        .ok();
    for ticker in ["AAPL", "MSFT"] {
        let truth = bench.truth(ticker, Interval::M1, "2025-01-30", "2025-02-12");
        same(&bench.staged(ticker, Interval::M1), &truth, ticker);
    }
    assert!(
        run.json()["totals"]["requests"].as_u64().unwrap() <= 7,
        "{}",
        run.snapshot()
    );
    // The overlap shows revised history.
    bench.change(Change::Revision(1));
    let run = bench
        .run(&format!(
            "{line} --end 2025-02-12 --overlap 8 --on-conflict update"
        ))
        .ok();
    assert!(
        run.json()["totals"]["updated"].as_u64().unwrap() > 0,
        "{}",
        run.snapshot()
    );
    let truth = bench.truth("MSFT", Interval::M1, "2025-02-03", "2025-02-12");
    let staged = bench.staged("MSFT", Interval::M1);
    same(&staged[staged.len() - truth.len()..], &truth, "revised");
}
