//! Requests for missing sessions.

use backfill::model::Interval;
use backfill::simulator::Change;

use super::*;

fn holes(bench: &Bench, ticker: &str, list: &[&str]) {
    bench.change(Change::Holes {
        symbol: ticker.into(),
        dates: dates(list),
        minutes: Vec::new(),
    });
}

#[test]
fn a_fill_closes_exactly_what_the_provider_has() {
    let bench = Bench::new();
    // Three consecutive sessions, and two that fit into one window of three dates.
    let cut = [
        "2025-02-04",
        "2025-02-05",
        "2025-02-06",
        "2025-02-18",
        "2025-02-20",
    ];
    holes(&bench, "AAPL", &cut);
    holes(&bench, "MSFT", &["2025-02-11"]);
    bench.change(Change::Holes {
        symbol: "AAPL".into(),
        dates: Vec::new(),
        minutes: minutes("2025-02-25", 0..90),
    });
    bench
        .run("concurrent --rate 60000 --start 2025-01-21 --end 2025-02-28 --tickers AAPL MSFT")
        .ok();
    assert_eq!(bench.gaps("").len(), 7);

    // The provider has AAPL's bars now, except for one day; MSFT's day stays missing.
    bench.change(Change::FillHoles {
        symbol: "AAPL".into(),
    });
    holes(&bench, "AAPL", &["2025-02-20"]);
    let plan = bench.run("gaps --fill --plan").ok();
    insta::assert_snapshot!(plan.out(), @r"
    [AAPL] 3 windows, 2025-02-04..2025-02-25, 3 again
    [MSFT] 1 window, 2025-02-10..2025-02-11, 1 again
    Plan: tickers=2 windows=4 requests=4 least=0:00:01
    ");
    let before = bench.requests();
    let run = bench.run("gaps --fill --rate 60000").ok();
    insta::assert_snapshot!(run.snapshot(), @r"
    exit code: 0
    ----- stdout -----
    interval  ticker  session      bars  missing (UTC)   reason
    1m        AAPL    2025-02-20  0/390  14:30 to 20:59  empty
    1m        MSFT    2025-02-11  0/390  14:30 to 20:59  empty

    2 gaps in 2 of 2 series (2 empty), 54/56 sessions complete
    ----- stderr -----
    [AAPL] Inserted in [TIME]s (ins=1648 skip=299)
    [MSFT] No data in [TIME]s
    Summary: tickers=2 inserted=1648 skipped=299 elapsed=[TIME]
    ");
    assert!(bench.requests() - before <= 4, "{}", run.snapshot());
    let truth = bench.truth("AAPL", Interval::M1, "2025-01-21", "2025-02-28");
    same(&bench.staged("AAPL", Interval::M1), &truth, "AAPL");
    let left = ["AAPL 2025-02-20 0/390 empty", "MSFT 2025-02-11 0/390 empty"];
    assert_eq!(bench.gaps(""), left);

    // Once more without result. From then on they are listed, but not requested.
    bench.run("gaps --fill --rate 60000 --format json").ok();
    let before = bench.requests();
    let run = bench.run("gaps --fill --rate 60000 --summary-json").ok();
    assert_eq!(bench.requests(), before);
    assert_eq!(run.json()["totals"]["requests"], 0);
    assert!(
        run.stderr
            .contains("skipping 2 sessions that two refills returned empty"),
        "{}",
        run.snapshot()
    );
    assert_eq!(bench.gaps(""), left);
    // A fill that requests nothing needs no key.
    bench.env.typed("gaps --fill -q").ok();
    bench.change(Change::FillHoles {
        symbol: "MSFT".into(),
    });
    bench
        .run("gaps --fill --again --rate 60000 --min-completeness 1")
        .code(3);
    assert_eq!(bench.gaps(""), ["AAPL 2025-02-20 0/390 empty"]);
    bench.run("verify").ok();
    let runs = bench.run("status --runs --format json").ok().json();
    assert_eq!(runs["runs"][1]["command"], "gaps");
}

#[test]
fn a_run_can_fill_its_own_gaps() {
    let bench = Bench::new();
    // The first responses are empty although there are bars.
    bench.change(Change::Faults(vec!["empty@AAPL=each:1".into()]));
    let line = "concurrent --rate 60000 --start 2025-02-03 --end 2025-02-12 --tickers AAPL MSFT --summary-json";
    bench.run(&format!("{line} --gap-fill --dry-run")).ok();
    assert!(bench.env.files(".").is_empty());
    bench.change(Change::Reset);
    let run = bench.run(&format!("{line} --gap-fill")).ok();
    for ticker in ["AAPL", "MSFT"] {
        let truth = bench.truth(ticker, Interval::M1, "2025-02-03", "2025-02-12");
        same(&bench.staged(ticker, Interval::M1), &truth, ticker);
    }
    let json = run.json();
    assert_eq!(json["tickers"].as_array().unwrap().len(), 2);
    assert_eq!(json["tickers"][0]["status"], "ok");
    assert_eq!(json["totals"]["requests"], 9, "{}", run.snapshot());
    assert_eq!(json["totals"]["requests"], bench.requests());
    let committed = |of: &serde_json::Value| of["committed"].as_u64().unwrap();
    let sum: u64 = json["tickers"]
        .as_array()
        .unwrap()
        .iter()
        .map(committed)
        .sum();
    assert_eq!(committed(&json["totals"]), sum);
    assert!(bench.gaps("").is_empty());
}

#[test]
fn failed_and_never_requested_sessions_are_filled_too() {
    let bench = Bench::new();
    bench
        .run("specific --rate 60000 --start 2025-02-03 --end 2025-02-05 --tickers AAPL")
        .ok();
    bench
        .run("specific --rate 60000 --start 2025-02-18 --end 2025-02-20 --tickers AAPL")
        .ok();
    bench.change(Change::Faults(vec!["400@MSFT".into()]));
    bench
        .run("specific --rate 60000 --start 2025-02-18 --end 2025-02-20 --tickers MSFT")
        .code(3);
    bench.change(Change::Faults(Vec::new()));
    let listed = bench.gaps("");
    assert_eq!(listed[0], "AAPL 2025-02-06 0/390 never_asked");
    assert_eq!(listed[6], "AAPL 2025-02-14 0/390 never_asked");
    assert_eq!(listed[7], "MSFT 2025-02-18 0/390 failed");
    assert_eq!(listed.len(), 10);
    // Within a daily quota, across runs: they spent four, one of them to compare a stored session.
    let run = bench
        .run("gaps --fill --rate 60000 --daily-quota 6")
        .code(5);
    let hint = "hint: the same command continues where this run stopped, and will send 2 requests; 1 ticker was not started";
    assert!(run.stderr.contains(hint), "{}", run.snapshot());
    bench.run("gaps --fill --rate 60000 -q --threads 4").ok();
    assert!(bench.gaps("").is_empty());
    let truth = bench.truth("MSFT", Interval::M1, "2025-02-18", "2025-02-20");
    same(&bench.staged("MSFT", Interval::M1), &truth, "MSFT");
    let run = bench.run("gaps --rate 5").code(2);
    assert!(
        run.stderr.contains("hint: add --fill"),
        "{}",
        run.snapshot()
    );
}

/// Bars of a CSV file have no coverage: their missing sessions were never requested.
#[test]
fn gaps_of_a_csv_file_are_filled_from_the_provider() {
    let bench = Bench::new();
    let truth = bench.truth("AAPL", Interval::M1, "2025-02-03", "2025-02-07");
    let mut csv = String::from("timestamp,open,high,low,close,volume\n");
    for bar in &truth {
        let at = bar.timestamp.to_string();
        // One day is missing, another is short.
        if at.starts_with("2025-02-05")
            || (at.starts_with("2025-02-06") && *at.as_str() > *"2025-02-06T18")
        {
            continue;
        }
        csv += &format!(
            "{at},{},{},{},{},{}\n",
            bar.open, bar.high, bar.low, bar.close, bar.volume
        );
    }
    bench.env.write("dumps/AAPL.csv", csv);
    bench.run("inject-csv --csv-dir dumps --interval 1").ok();
    let listed = bench.gaps("");
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert_eq!(listed[0], "AAPL 2025-02-05 0/390 never_asked");
    assert!(listed[1].starts_with("AAPL 2025-02-06 ") && listed[1].ends_with(" short"));
    bench.run("gaps --fill --rate 60000").ok();
    same(&bench.staged("AAPL", Interval::M1), &truth, "AAPL");
    assert!(bench.gaps("").is_empty());
}
