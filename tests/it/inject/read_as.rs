//! What a file is reported to be read as.

use super::{dry, minutes};
use crate::support::TestEnv;

#[test]
fn the_line_the_summary_and_the_reasons() {
    let env = TestEnv::new();
    let text = minutes(40, 5, |hour, minute| {
        format!("2025-01-02 {hour:02}:{minute:02}:00,10,12,9,11,100")
    });
    env.write("in/AAPL.csv", &text);
    let run = env
        .typed("inject-csv --csv-dir in --store s --summary-json=sum.json --log-level debug")
        .ok();
    let line = "[AAPL.csv] read as plain CSV: 5m, America/New_York, NASDAQ, AAPL, \
                volume from column 6, 2025-01-02T14:30:00Z to 2025-01-02T17:45:00Z";
    let (before, after) = run.stderr.split_once(line).expect(&run.stderr);
    assert!(!before.contains("Inserted") && after.contains("[AAPL.csv] Inserted in"));
    assert!(
        run.stderr
            .contains("[AAPL.csv] timezone America/New_York: default of NASDAQ"),
        "{}",
        run.stderr
    );
    let summary: serde_json::Value = serde_json::from_str(&env.read("sum.json")).unwrap();
    let read_as = &summary["files"][0]["read_as"];
    assert_eq!(read_as["interval_minutes"], 5);
    assert_eq!(read_as["timezone"], "America/New_York");
    assert_eq!(read_as["timestamp_label"], "open");
    assert_eq!(read_as["tickers"][0], "AAPL");
    assert_eq!(read_as["columns"]["volume"], "6");
    assert_eq!(read_as["first"], "2025-01-02T14:30:00Z");
    assert_eq!(
        read_as["reasons"]["interval_minutes"],
        "the time between its bars"
    );
}

#[test]
fn the_zone_is_that_of_the_header_or_the_values() {
    for (header, time, zone) in [
        ("Time (EET)", "2025-01-02 16:30:00", "EET"),
        ("timestamp_utc", "2025-01-02 14:30:00", "UTC"),
        ("Datetime (UTC)", "2025-01-02 14:30:00", "UTC"),
        ("Local time GMT+0100", "02.01.2025 15:30:00.000", "UTC+1"),
        ("time", "1735828200", "UTC"),
        ("time", "2025-01-02 14:30:00+00:00", "UTC"),
    ] {
        let env = TestEnv::new();
        let text = format!("{header},open,high,low,close,volume\n{time},10,12,9,11,100\n");
        let flags = "--interval 1 --date-order dmy";
        let run = dry(&env, &[("A.csv", text.as_bytes())], flags).ok();
        assert!(
            run.stderr.contains(&format!(": 1m, {zone}, "))
                && run.stderr.contains("2025-01-02T14:30:00Z to"),
            "{header}: {}",
            run.stderr
        );
    }
}

#[test]
fn a_dry_run_ends_with_an_overview() {
    let fives = |day: &str| {
        minutes(40, 5, |hour, minute| {
            format!("{day} {hour:02}:{minute:02}:00,10,12,9,11,100")
        })
    };
    let daily: String = (2..30)
        .map(|day| format!("2025-01-{day:02},10,12,9,11,100\n"))
        .collect();
    let (first, second) = (fives("2025-01-02"), fives("2025-01-06"));
    let env = TestEnv::new();
    let files = [
        ("A_full_5min.txt", first.as_bytes()),
        ("B_full_5min.txt", second.as_bytes()),
        ("C_full_5min.txt", first.as_bytes()),
        ("D.csv", daily.as_bytes()),
        ("E_H1.csv", first.as_bytes()),
        ("VOD.L.csv", first.as_bytes()),
    ];
    let run = dry(&env, &files, "");
    let (_, overview) = run
        .stderr
        .split_once("4 of 6 files can be stored\n")
        .expect(&run.stderr);
    assert_eq!(
        overview.split_once("Summary").unwrap().0,
        "  files  layout     bars  zone              exchange  tickers     dates\n      \
         3  FirstRate    5m  America/New_York  NASDAQ    A to C (3)  2025-01-02 to 2025-01-06\n      \
         1  plain CSV    5m  America/New_York  NASDAQ    VOD.L       2025-01-02 to 2025-01-02\n\
         to check: 1 file\n  \
         the ticker VOD.L has the suffix of LSE, but is read as NASDAQ; --exchange LSE sets the exchange\n    \
         VOD.L.csv\n\
         can't be stored: 2 files\n  \
         by the file's name these are bars of 60 minutes, but they are 5 minutes apart\n  \
         --interval 5 reads them as bars of 5 minutes\n    \
         E_H1.csv\n  \
         these are daily bars; only bars of 1, 5, 15, 30 and 60 minutes can be stored\n    \
         D.csv\n"
    );
}
