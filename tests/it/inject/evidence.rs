//! The order of dates and the decimal mark of numbers, decided by all rows of a file.

use super::{bars, dry, lines};
use crate::support::TestEnv;

/// Two rows for each of the days of January 2025, with dates made by `date`.
fn days(days: impl IntoIterator<Item = u32>, date: impl Fn(u32) -> String) -> String {
    days.into_iter()
        .flat_map(|day| [30, 31].map(|minute| (day, minute)))
        .map(|(day, minute)| format!("{},09:{minute},10,12,9,11,100\n", date(day)))
        .collect()
}

fn dates_of(bars: &[String]) -> Vec<&str> {
    let mut dates: Vec<&str> = bars.iter().map(|bar| &bar[2..12]).collect();
    dates.dedup();
    dates
}

fn refused(text: &str, flags: &str) -> String {
    let env = TestEnv::new();
    let run = dry(&env, &[("A.csv", text.as_bytes())], flags).code(3);
    assert!(!env.path("out.csv").exists(), "{}", run.stderr);
    run.stderr
}

#[test]
fn a_day_over_twelve_decides_the_order_of_all_dates() {
    let expected = ["2025-01-10", "2025-01-13"];
    for mark in ["/", "-", "."] {
        let day_first = days([10, 13], |day| format!("{day}{mark}01{mark}2025"));
        assert_eq!(
            dates_of(&bars("A.csv", &day_first, "--interval 1")),
            expected
        );
        let month_first = days([10, 13], |day| format!("01{mark}{day}{mark}2025"));
        assert_eq!(
            dates_of(&bars("A.csv", &month_first, "--interval 1")),
            expected
        );
    }
}

#[test]
fn days_that_follow_each_other_decide_the_order() {
    let expected = ["2025-01-06", "2025-01-07", "2025-01-08"];
    for mark in ["/", "-", "."] {
        let day_first = days(6..=8, |day| format!("0{day}{mark}01{mark}2025"));
        let month_first = days(6..=8, |day| format!("01{mark}0{day}{mark}2025"));
        for text in [day_first, month_first] {
            assert_eq!(dates_of(&bars("A.csv", &text, "--interval 1")), expected);
        }
    }
}

#[test]
fn an_undecided_order_is_an_error_with_the_option() {
    for mark in ["/", "-"] {
        let text = days([6, 7], |day| format!("0{day}{mark}01{mark}2025"));
        let said = refused(&text, "--interval 1");
        assert!(
            said.contains(&format!("such as 06{mark}01{mark}2025"))
                && said.contains("hint: --date-order dmy|mdy sets"),
            "{said}"
        );
        let read = |order: &str| {
            let bars = bars(
                "A.csv",
                &text,
                &format!("--interval 1 --date-order {order}"),
            );
            dates_of(&bars).join(" ")
        };
        assert_eq!(read("dmy"), "2025-01-06 2025-01-07");
        assert_eq!(read("mdy"), "2025-06-01 2025-07-01");
        let said = refused(&text, "--interval 1 --date-order ymd");
        assert!(said.contains("bad-timestamp"), "{said}");
    }
    // Dates with dots are usually day first. That is a guess, so there is a warning.
    let env = TestEnv::new();
    let text = days([6, 7], |day| format!("0{day}.01.2025"));
    let run = dry(&env, &[("A.csv", text.as_bytes())], "--interval 1").ok();
    assert!(
        run.stderr
            .contains("warning: [A.csv] dates such as 06.01.2025 are read day first")
            && run.stderr.contains("--date-order mdy"),
        "{}",
        run.stderr
    );
    assert_eq!(dates_of(&lines(&env)), ["2025-01-06", "2025-01-07"]);
}

#[test]
fn a_file_with_dates_in_both_orders_is_refused() {
    let text = days([10, 13, 14], |day| format!("{day}/01/2025"))
        + &days([15], |day| format!("01/{day}/2025"));
    let said = refused(&text, "--interval 1");
    assert!(
        said.contains("line 7 contradicts the lines before it")
            && said.contains("01/15/2025 is month first, the others are day first"),
        "{said}"
    );
    let read = bars("A.csv", &text, "--interval 1 --date-order dmy");
    assert_eq!(dates_of(&read), ["2025-01-10", "2025-01-13", "2025-01-14"]);
}

#[test]
fn rows_after_the_head_decide_for_a_large_file() {
    // Each day is larger than the head. Only the third decides the order.
    let day = |day: u32| -> String {
        (0..1440)
            .map(|at| {
                let filler = "0".repeat(160);
                format!(
                    "0{day}/01/2025 {:02}:{:02},10,12,9,11,100,{filler}\n",
                    at / 60,
                    at % 60
                )
            })
            .collect()
    };
    let text = day(2) + &day(3) + "13/01/2025 00:00,10,12,9,11,100,0\n";
    let read = bars("A.csv", &text, "--interval 1 --timezone UTC");
    assert_eq!(dates_of(&read), ["2025-01-02", "2025-01-03", "2025-01-13"]);
}

fn prices(rows: &[[&str; 5]], mark: char) -> String {
    rows.iter()
        .enumerate()
        .map(|(at, row)| {
            let row = row.join(&mark.to_string());
            format!("2025-01-02 09:{:02}{mark}{row}\n", 30 + at)
        })
        .collect()
}

#[test]
fn grouped_thousands_are_not_decimal_commas() {
    let rows = [
        ["5,001", "5,002", "5,000", "5,001", "1,234"],
        ["5,001.25", "5,002.50", "5,000.00", "5,001.75", "1,234,567"],
    ];
    let expected = [
        "A,2025-01-02T14:30:00Z,5001,5002,5000,5001,1234",
        "A,2025-01-02T14:31:00Z,5001.25,5002.5,5000,5001.75,1234567",
    ];
    for mark in [';', '\t', '|'] {
        let text = prices(&rows, mark);
        assert_eq!(bars("A.csv", &text, "--interval 1"), expected);
    }
    let quoted = prices(&rows, ';')
        .replace(';', "\",\"")
        .replace('\n', "\"\n");
    let quoted: String = quoted.lines().map(|line| format!("\"{line}\n")).collect();
    assert_eq!(bars("A.csv", &quoted, "--interval 1"), expected);
}

#[test]
fn other_columns_decide_if_the_prices_do_not() {
    let rows = [["5,001", "5,002", "5,000", "5,001", "12.5"]];
    assert_eq!(
        bars("A.csv", &prices(&rows, ';'), "--interval 1"),
        ["A,2025-01-02T14:30:00Z,5001,5002,5000,5001,12.5"]
    );
    let rows = [["5,001", "5,002", "5,000", "5,001", "1.234.567"]];
    assert_eq!(
        bars("A.csv", &prices(&rows, ';'), "--interval 1"),
        ["A,2025-01-02T14:30:00Z,5.001,5.002,5,5.001,1234567"]
    );
}

#[test]
fn an_undecided_decimal_mark_is_an_error_with_the_option() {
    let text = prices(&[["5,001", "5,002", "5,000", "5,001", "100"]], ';');
    let said = refused(&text, "--interval 1");
    assert!(
        said.contains("such as 5,001") && said.contains("hint: --decimal point|comma"),
        "{said}"
    );
    assert_eq!(
        bars("A.csv", &text, "--interval 1 --decimal point"),
        ["A,2025-01-02T14:30:00Z,5001,5002,5000,5001,100"]
    );
    assert_eq!(
        bars("A.csv", &text, "--interval 1 --decimal comma"),
        ["A,2025-01-02T14:30:00Z,5.001,5.002,5,5.001,100"]
    );
}

#[test]
fn a_file_with_both_decimal_marks_is_refused() {
    let point = ["5001.25", "5002.5", "5000.0", "5001.75", "100"];
    let comma = ["5001,25", "5002,5", "5000,0", "5001,75", "100"];
    let said = refused(&prices(&[point, point, comma], ';'), "--interval 1");
    assert!(
        said.contains("line 3 contradicts the lines before it")
            && said.contains("5001,25 has a decimal comma, the others have a decimal point"),
        "{said}"
    );
    let said = refused(&prices(&[comma, comma, point], ';'), "--interval 1");
    assert!(said.contains("5001.25 has a decimal point"), "{said}");
    let read = bars(
        "A.csv",
        &prices(&[point, point, comma], ';'),
        "--interval 1 --decimal point",
    );
    assert_eq!(read.len(), 2);
}

#[test]
fn one_damaged_row_does_not_decide_for_all_others() {
    // With the order of 13 January the other days would be a month apart.
    let month_first = days(6..=8, |day| format!("01/0{day}/2025"));
    let damaged = days([13], |day| format!("{day}/01/2025"));
    for text in [
        damaged.clone() + &month_first,
        month_first.clone() + &damaged,
    ] {
        let said = refused(&text, "--interval 1");
        assert!(said.contains("--date-order"), "{said}");
    }
    let point = [["110.123", "110.125", "110.121", "110.124", "7"]; 20];
    let comma = point.map(|row| row.map(|field| if field == "7" { "7" } else { "110,123" }));
    for (rows, damaged) in [(point, "10,5"), (comma, "10.5")] {
        for at in [0, 19] {
            let mut rows = rows;
            rows[at][4] = damaged;
            let said = refused(&prices(&rows, ';'), "--interval 1");
            assert!(said.contains("--decimal point|comma"), "{said}");
        }
    }
}

#[test]
fn a_bar_in_the_future_is_a_reject() {
    let env = TestEnv::new();
    env.write(
        "in/A.csv",
        "timestamp,open,high,low,close\n\
         2025-02-05T15:30:00Z,10,12,9,11\n\
         2025-02-06T15:30:00Z,10,12,9,11\n\
         2025-02-06T15:31:00Z,10,12,9,11\n",
    );
    let run = env
        .program("inject-csv --csv-dir in --interval 1 --store s".split(' '))
        .env("BACKFILL_NOW", "2025-02-05T15:30:00Z")
        .run()
        .ok();
    assert!(
        run.stderr.contains("ins=2 skip=0 rejects=1"),
        "{}",
        run.stderr
    );
    assert_eq!(
        env.read(&env.files("s/rejects")[0]),
        "file,line,reason,raw\nA.csv,4,in-the-future,\"2025-02-06T15:31:00Z,10,12,9,11\"\n"
    );
}
