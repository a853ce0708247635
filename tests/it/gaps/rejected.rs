//! Rejected rows are missing from their sessions until their bars are stored.

use super::gaps;
use crate::support::TestEnv;

/// A file with each minute of some sessions in New York; `row` may replace a row by its session,
/// minute, and time.
fn file(days: &[&str], row: impl Fn(usize, usize, &str) -> Option<String>) -> Vec<String> {
    let mut rows = Vec::new();
    for (index, day) in days.iter().enumerate() {
        for minute in 0..390 {
            let at = 9 * 60 + 30 + minute;
            let time = format!("{day} {:02}:{:02}:00", at / 60, at % 60);
            let plain = || format!("{time},10,12,9,11,100");
            rows.push(row(index, minute, &time).unwrap_or_else(plain));
        }
    }
    rows
}

fn text(rows: &[String]) -> String {
    format!(
        "timestamp,open,high,low,close,volume\n{}\n",
        rows.join("\n")
    )
}

const WEEK: [&str; 5] = [
    "2025-02-03",
    "2025-02-04",
    "2025-02-05",
    "2025-02-06",
    "2025-02-07",
];

/// Minutes 100 to 109 of the second session with a price that isn't a number.
fn ten_bad_prices(session: usize, minute: usize, time: &str) -> Option<String> {
    (session == 1 && (100..110).contains(&minute)).then(|| format!("{time},10,12,9,oops,100"))
}

/// The same rows without a time.
fn ten_bad_times(session: usize, minute: usize, _: &str) -> Option<String> {
    (session == 1 && (100..110).contains(&minute)).then(|| "?,10,12,9,11,100".to_owned())
}

fn listed(env: &TestEnv, options: &str) -> Vec<String> {
    gaps(
        &env.typed(&format!("gaps --format json {options}"))
            .ok()
            .json(),
    )
}

const INJECT: &str = "inject-csv --exchange NASDAQ --interval 1 --on-conflict ignore -q";

#[test]
fn a_rejected_row_makes_its_session_short_until_its_bar_is_stored() {
    let env = TestEnv::new();
    env.write("AAPL.csv", text(&file(&WEEK, ten_bad_prices)));
    env.typed(&format!("{INJECT} AAPL.csv")).ok();
    let run = env.typed("gaps --format json").ok().json();
    assert_eq!(gaps(&run), ["AAPL 2025-02-04 380/390 short"]);
    let gap = &run["gaps"][0];
    assert_eq!(gap["shortage"], "rejected_rows", "{gap}");
    assert_eq!(gap["rejected"], 10, "{gap}");
    assert_eq!(gap["first_missing"], "2025-02-04T16:10:00Z", "{gap}");
    assert_eq!(gap["last_missing"], "2025-02-04T16:19:00Z", "{gap}");
    let status = env.typed("status --format json").ok().json();
    assert_eq!(status["series"][0]["sessions_complete"], 4, "{status}");
    env.typed("gaps --min-completeness 0.9 -q").code(3);
    let table = env.typed("gaps").ok();
    insta::assert_snapshot!(table.snapshot(), @r"
    exit code: 0
    ----- stdout -----
    interval  ticker  session        bars  missing (UTC)   reason
    1m        AAPL    2025-02-04  380/390  16:10 to 16:19  short: 10 rows rejected

    1 gap in 1 of 1 series (1 short), 4/5 sessions complete
    ----- stderr -----
    ");

    // The same file again changes nothing. A file with some of the bars heals those.
    env.typed(&format!("{INJECT} AAPL.csv")).ok();
    assert_eq!(listed(&env, "").len(), 1);
    let seven = |session: usize, minute: usize, time: &str| {
        ten_bad_prices(session, minute, time).filter(|_| minute < 107)
    };
    env.write("AAPL.csv", text(&file(&WEEK, seven)));
    env.typed(&format!("{INJECT} AAPL.csv")).ok();
    let run = env.typed("gaps --format json").ok().json();
    assert_eq!(run["gaps"][0]["rejected"], 7, "{run}");
    // A file with all of them heals the session, also if it comes with the bad one.
    env.write("a/AAPL.csv", text(&file(&WEEK, ten_bad_prices)));
    env.write("b/AAPL.csv", text(&file(&WEEK, |_, _, _| None)));
    env.typed(&format!("{INJECT} a/AAPL.csv b/AAPL.csv")).ok();
    assert!(listed(&env, "").is_empty());
    env.typed("gaps --min-completeness 1 -q").ok();
    env.typed("verify").ok();
}

#[test]
fn rows_without_a_time_are_taken_for_the_bars_that_follow() {
    let env = TestEnv::new();
    env.write("FORTH.csv", text(&file(&WEEK, ten_bad_times)));
    let mut back = file(&WEEK, ten_bad_times);
    back.reverse();
    env.write("BACK.csv", text(&back));
    // Lines that replace no bar don't make a session short.
    let mut more = file(&WEEK, |_, _, _| None);
    more.insert(500, "not a row".to_owned());
    more.insert(600, "timestamp,open,high,low,close,volume".to_owned());
    env.write("MORE.csv", text(&more));
    // The last line has no line end, so it may be incomplete.
    let cut = text(&file(&WEEK, |_, _, _| None));
    env.write("CUT.csv", cut.trim_end());
    env.typed(&format!("{INJECT} FORTH.csv BACK.csv MORE.csv CUT.csv"))
        .ok();
    let run = env.typed("gaps --format json").ok().json();
    assert_eq!(
        gaps(&run),
        [
            "BACK 2025-02-04 380/390 short",
            "CUT 2025-02-07 389/390 short",
            "FORTH 2025-02-04 380/390 short"
        ]
    );
    let rejected: Vec<u64> = (run["gaps"].as_array().unwrap().iter())
        .map(|gap| gap["rejected"].as_u64().unwrap())
        .collect();
    assert_eq!(rejected, [10, 1, 10]);
    env.typed(&format!("{INJECT} CUT.csv --accept-last-line"))
        .ok();
    assert!(listed(&env, "--tickers CUT").is_empty());
}

#[test]
fn labels_dates_and_hours_of_rejected_rows_count() {
    let env = TestEnv::new();
    // Labelled by the close: 11:11 to 11:20 are the bars of 11:10 to 11:19.
    let rows = file(&WEEK, |session, minute, time| {
        (session == 1 && (100..110).contains(&minute)).then(|| format!("{time},10,12,9,oops,100"))
    });
    let closes: Vec<String> = (rows.iter())
        .map(|row| {
            let (time, rest) = row.split_once(',').unwrap();
            let time = chrono::NaiveDateTime::parse_from_str(time, "%Y-%m-%d %H:%M:%S").unwrap();
            format!("{},{rest}", time + chrono::Duration::minutes(1))
        })
        .collect();
    env.write("AAPL.csv", text(&closes));
    env.typed(&format!("{INJECT} AAPL.csv --timestamp-label close"))
        .ok();
    let run = env.typed("gaps --format json").ok().json();
    assert_eq!(gaps(&run), ["AAPL 2025-02-04 380/390 short"]);
    assert_eq!(run["gaps"][0]["first_missing"], "2025-02-04T16:10:00Z");
    // Of dates that aren't injected, and before the open, no row is missing.
    let mut early = file(&WEEK, ten_bad_prices);
    early.push("2025-02-07 08:00:00,10,12,9,oops,100".to_owned());
    env.write("MSFT.csv", text(&early));
    env.typed(&format!("{INJECT} MSFT.csv --start 2025-02-05"))
        .ok();
    assert!(listed(&env, "--tickers MSFT").is_empty());
    // Sessions of which each row was rejected are known too.
    let all = |session: usize, _: usize, time: &str| {
        (session == 4).then(|| format!("{time},10,12,9,oops,100"))
    };
    env.write("SPY.csv", text(&file(&WEEK, all)));
    env.typed(&format!("{INJECT} SPY.csv")).ok();
    assert_eq!(
        listed(&env, "--tickers SPY"),
        ["SPY 2025-02-07 0/390 short"]
    );
    let status = env.typed("status --format json --tickers SPY").ok().json();
    assert_eq!(status["series"][0]["sessions_expected"], 5, "{status}");
    // `drop` forgets them.
    env.typed("drop --yes --tickers SPY --start 2025-02-07")
        .ok();
    assert!(listed(&env, "--tickers SPY").is_empty());
    // A dry run records nothing.
    env.write("QQQ.csv", text(&file(&WEEK, ten_bad_prices)));
    env.typed(&format!("{INJECT} QQQ.csv --dry-run")).ok();
    assert!(listed(&env, "--tickers QQQ").is_empty());
}

#[test]
fn sessions_that_all_begin_late_are_short_and_thin_ones_are_not() {
    let env = TestEnv::new();
    let late = |is_traded: fn(usize) -> bool| {
        let rows = file(&WEEK, |_, minute, _| {
            (minute < 30 || !is_traded(minute)).then(String::new)
        });
        let rows: Vec<String> = rows.into_iter().filter(|row| !row.is_empty()).collect();
        text(&rows)
    };
    env.write("LATE.csv", late(|_| true));
    // Three minutes in ten.
    env.write("THIN.csv", late(|minute| minute * minute * 31 % 97 < 29));
    env.typed(&format!("{INJECT} LATE.csv THIN.csv")).ok();
    let run = env.typed("gaps --format json").ok().json();
    let expected: Vec<String> = (WEEK.iter())
        .map(|day| format!("LATE {day} 360/390 short"))
        .collect();
    assert_eq!(gaps(&run), expected);
    assert_eq!(run["gaps"][0]["shortage"], "late_start");
    env.typed("gaps --tickers LATE --min-completeness 0.01 -q")
        .code(3);
    let status = env.typed("status --format json").ok().json();
    assert_eq!(status["totals"]["sessions_complete"], 5, "{status}");
    // The missing bars heal them.
    env.write("LATE.csv", text(&file(&WEEK, |_, _, _| None)));
    env.typed(&format!("{INJECT} LATE.csv")).ok();
    assert!(listed(&env, "").is_empty());
}
