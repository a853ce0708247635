//! Columns, tickers, zones, clock changes, intervals, labels and filters.

use super::{bars, dry, lines, minutes};
use crate::support::TestEnv;

fn plain(hour: u32, minute: u32) -> String {
    format!("2025-01-02 {hour:02}:{minute:02}:00,10,12,9,11,100")
}

fn failure(name: &str, text: &str, flags: &str) -> String {
    let env = TestEnv::new();
    let run = dry(&env, &[(name, text.as_bytes())], flags);
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    run.stderr
}

#[test]
fn columns_by_number_and_by_header() {
    let odd = "x,2025-01-02 09:30:00,b,11,12,9,10,100\n";
    let expected = ["SAP,2025-01-02T14:30:00Z,10,12,9,11,100"];
    let numbers = "--interval 1 --columns ts=2,open=7,high=5,low=6,close=4,volume=8";
    assert_eq!(bars("SAP.csv", odd, numbers), expected);
    let german = "Zeit;Erster;Hoch;Tief;Schluss;Stück\n02.01.2025 09:30;10,0;12,0;9,0;11,0;100\n";
    let names =
        "--interval 1 --columns ts=Zeit,open=Erster,high=hoch,low=TIEF,close=Schluss,volume=Stück";
    assert_eq!(bars("SAP.csv", german, names), expected);
    let said = failure("SAP.csv", german, "--interval 1");
    assert!(
        said.contains("no column for timestamp, open") && said.contains("hint: --columns"),
        "{said}"
    );
    // A column that doesn't exist is an error, also if the file needs none of the names.
    let plain_file = plain(9, 30) + "\n";
    let said = failure("SAP.csv", &plain_file, names);
    assert!(said.contains("no column is named \"Zeit\""), "{said}");
}

#[test]
fn decimal_commas() {
    let text = "02.01.2025 09:30;1.010,5;1.012,25;1.009;1.011,125;100\n";
    assert_eq!(
        bars("SAP.csv", text, "--interval 1"),
        ["SAP,2025-01-02T14:30:00Z,1010.5,1012.25,1009,1011.125,100"]
    );
}

#[test]
fn tickers() {
    let text = plain(9, 30) + "\n";
    let ticker = |name: &str, flags: &str| {
        let line = bars(name, &text, &format!("--interval 1 {flags}")).remove(0);
        line.split(',').next().unwrap().to_owned()
    };
    assert_eq!(ticker("brk-b_x.csv", ""), "BRK-B");
    assert_eq!(ticker("007.csv", ""), "007");
    assert_eq!(ticker("aapl.us.csv", "--strip-suffix .US"), "AAPL");
    assert_eq!(ticker("x.csv", "--ticker spy"), "SPY");
    let column = "ticker,timestamp,open,high,low,close\n^gspc,2025-01-02T14:30:00Z,10,12,9,11\nb,2025-01-02T14:30:00Z,10,12,9,11\n";
    assert_eq!(
        bars("x.csv", column, "--interval 1 --tickers ^GSPC"),
        ["^GSPC,2025-01-02T14:30:00Z,10,12,9,11,0"]
    );
}

#[test]
fn zones() {
    let text = plain(9, 30) + "\n";
    let at = |flags: &str| bars("A.csv", &text, &format!("--interval 1 {flags}")).remove(0);
    assert!(at("--exchange XETRA").contains("T08:30:00Z"));
    assert!(at("--timezone Asia/Tokyo").contains("T00:30:00Z"));
    let dukascopy = "Gmt time,Open,High,Low,Close,Volume\n02.01.2025 14:30:00.000,10,12,9,11,100\n";
    let line = bars(
        "A.csv",
        dukascopy,
        "--interval 1 --timezone America/New_York",
    )
    .remove(0);
    assert!(line.contains("T19:30:00Z"), "{line}");
}

#[test]
fn a_local_time_that_is_skipped_is_a_reject() {
    let text = "2025-03-09 01:59:00,10,12,9,11,100\n2025-03-09 02:30:00,10,12,9,11,100\n2025-03-09 03:00:00,10,12,9,11,100\n";
    let env = TestEnv::new();
    env.write("in/A.csv", text);
    let run = env.typed("inject-csv --csv-dir in --interval 1 --store s");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stderr.contains("ins=2 skip=0 rejects=1"),
        "{}",
        run.stderr
    );
    let rejects = env.files("s/rejects");
    assert_eq!(
        env.read(&rejects[0]),
        "file,line,reason,raw\nA.csv,2,skipped-local-time,\"2025-03-09 02:30:00,10,12,9,11,100\"\n"
    );
}

#[test]
fn a_repeated_hour_is_resolved_if_both_hours_are_there() {
    let row = |time: &str| format!("2025-11-02 {time}:00,10,12,9,11,100\n");
    let times = |text: &str| -> Vec<String> {
        bars("A.csv", text, "--interval 1")
            .iter()
            .map(|line| line[13..18].to_owned())
            .collect()
    };
    let twice: String = ["00:59", "01:00", "01:59", "01:00", "01:59", "02:00"]
        .map(row)
        .concat();
    let expected = ["04:59", "05:00", "05:59", "06:00", "06:59", "07:00"];
    assert_eq!(times(&twice), expected);
    let newest_first: String = ["02:00", "01:59", "01:00", "01:59", "01:00", "00:59"]
        .map(row)
        .concat();
    assert_eq!(times(&newest_first), expected);
    let once: String = ["00:58", "00:59", "01:30", "02:00", "02:01"]
        .map(row)
        .concat();
    assert_eq!(times(&once), ["04:58", "04:59", "07:00", "07:01"]);
}

#[test]
fn intervals_are_detected_from_the_gaps() {
    for (count, step) in [(40, 1), (40, 5), (30, 15)] {
        let env = TestEnv::new();
        env.write("in/A.csv", minutes(count, step, plain));
        let run = env.typed("inject-csv --csv-dir in --store s");
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let again = env.typed(&format!(
            "inject-csv --csv-dir in --store s --on-conflict ignore --interval {step}"
        ));
        assert!(
            again.stderr.contains(&format!("ins=0 skip={count}")),
            "{}",
            again.stderr
        );
    }
    let said = failure("A.csv", &minutes(29, 1, plain), "");
    assert!(said.contains("29 bars are too few to detect it"), "{said}");
    assert!(said.contains("hint: --interval"), "{said}");
    let days: String = (1..=31)
        .map(|day| format!("2025-01-{day:02} 00:00:00,10,12,9,11,100\n"))
        .collect();
    let said = failure("A.csv", &days, "");
    assert!(
        said.contains("these are daily bars; only bars of 1, 5, 15, 30 and 60 minutes"),
        "{said}"
    );
}

#[test]
fn gaps_of_all_tickers_count_together() {
    let header = "ticker,timestamp,open,high,low,close\n";
    let row = |ticker: &str, minute: u32| {
        format!(
            "{ticker},2025-01-02T{:02}:{:02}:00Z,10,12,9,11\n",
            14 + minute / 60,
            minute % 60
        )
    };
    let tens: String = (0..20).map(|at| row("A", at * 10)).collect();
    let fives: String = (0..20).map(|at| row("B", at * 5)).collect();
    let env = TestEnv::new();
    env.write("in/x.csv", format!("{header}{tens}{fives}"));
    let run = env.typed("inject-csv --csv-dir in --store s");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let again = env.typed("inject-csv --csv-dir in --store s --interval 5 --on-conflict ignore");
    assert!(again.stderr.contains("ins=0 skip=40"), "{}", again.stderr);
}

#[test]
fn labels_of_the_close() {
    let row = |time: &str| format!("2025-01-02 {time}:00,10,12,9,11,100\n");
    let opens = |rows: &[&str], interval: u32| -> Vec<String> {
        let text: String = rows.iter().map(|time| row(time)).collect();
        bars(
            "A.csv",
            &text,
            &format!("--timestamp-label close --interval {interval}"),
        )
        .iter()
        .map(|line| line[13..18].to_owned())
        .collect()
    };
    assert_eq!(
        opens(&["10:30", "15:30", "16:00"], 60),
        ["14:30", "19:30", "20:30"]
    );
    assert_eq!(
        opens(&["10:00", "15:00", "16:00"], 60),
        ["14:00", "19:00", "20:00"]
    );
    assert_eq!(opens(&["09:31", "16:00"], 1), ["14:30", "20:59"]);
}

#[test]
fn dates_are_local_to_the_exchange() {
    let text = "2025-01-01 23:59:00,10,12,9,11,100\n2025-01-02 00:00:00,10,12,9,11,100\n2025-01-02 23:59:00,10,12,9,11,100\n2025-01-03 00:00:00,10,12,9,11,100\n";
    let kept = bars(
        "A.csv",
        text,
        "--interval 1 --start 020125 --end 2025-01-02",
    );
    assert_eq!(
        kept,
        [
            "A,2025-01-02T05:00:00Z,10,12,9,11,100",
            "A,2025-01-03T04:59:00Z,10,12,9,11,100"
        ]
    );
}

#[test]
fn epochs_by_their_magnitude() {
    for epoch in [
        "1735828200",
        "1735828200.0",
        "1735828200000",
        "1735828200000000",
        "1735828200000000000",
    ] {
        assert_eq!(
            bars(
                "A.csv",
                &format!("{epoch},10,12,9,11,100\n"),
                "--interval 1"
            ),
            ["A,2025-01-02T14:30:00Z,10,12,9,11,100"]
        );
    }
}

#[test]
fn layouts_have_an_exchange_and_another_is_refused() {
    let env = TestEnv::new();
    env.write(
        "in/DAT_ASCII_EURUSD_M1_2025.csv",
        "20250102 093000;10;12;9;11;100\n",
    );
    let run = env.typed("inject-csv --csv-dir in --store s");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let run = env.typed("inject-csv --csv-dir in --store s --exchange XETRA --on-conflict ignore");
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    assert!(run.stderr.contains("is stored as FOREX"), "{}", run.stderr);
    assert!(run.stderr.contains("hint: --exchange"), "{}", run.stderr);
}

#[test]
fn an_output_file_without_bars_because_files_failed_is_left_as_it_was() {
    let env = TestEnv::new();
    env.write("bad.csv", "prose, prose\nno bars,\n");
    for flags in ["--dry-run", "--store s"] {
        env.write("old.csv", "as it was\n");
        for output in ["old.csv", "new.csv"] {
            let line = format!("inject-csv bad.csv {flags} --output-filename {output}");
            env.typed(&line).code(3);
        }
        assert_eq!(env.read("old.csv"), "as it was\n");
        assert!(!env.path("new.csv").exists());
    }
    // A file without rows has not failed.
    env.write("empty.csv", "timestamp,open,high,low,close,volume\n");
    env.typed("inject-csv empty.csv --dry-run --output-filename new.csv")
        .ok();
    assert!(env.path("new.csv").exists());
}

#[test]
fn a_dry_run_writes_nothing() {
    let env = TestEnv::new();
    let text = plain(9, 30) + "\n" + &plain(9, 31) + "\nbad\n";
    let run = dry(
        &env,
        &[("A.csv", text.as_bytes())],
        "--interval 1 --store s",
    );
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stderr.contains("Prepared in") && run.stderr.contains("(rows=2 rejects=1)"),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr
            .contains("Summary: files=1 tickers=1 prepared=2 skipped=0 rejects=1"),
        "{}",
        run.stderr
    );
    assert_eq!(lines(&env).len(), 2);
    assert!(!env.path("s").exists() && env.files("").len() == 2);
}
