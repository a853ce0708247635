//! What a file doesn't show is guessed. A guess that the bars contradict is refused or warned about,
//! with the option that settles it.

use super::{bars, dry, lines, minutes};
use crate::support::{Run, TestEnv};

fn row(hour: u32, minute: u32) -> String {
    format!("2025-01-02 {hour:02}:{minute:02}:00,10,12,9,11,100")
}

fn run(name: &str, text: &str, flags: &str) -> Run {
    dry(&TestEnv::new(), &[(name, text.as_bytes())], flags)
}

fn refused(name: &str, text: &str, flags: &str) -> String {
    run(name, text, flags).code(3).stderr
}

/// Whole days of minutes from `first` to `last`, `step` apart.
fn days(days: &[&str], first: u32, last: u32, step: usize) -> String {
    let mut text = String::new();
    for day in days {
        for minute in (first..=last).step_by(step) {
            text += &format!(
                "{day} {:02}:{:02}:00,10,12,9,11,100\n",
                minute / 60,
                minute % 60
            );
        }
    }
    text
}

#[test]
fn an_interval_that_the_bars_contradict_is_refused() {
    let fives = minutes(40, 5, row);
    let said = refused("A_H1.csv", &fives, "");
    assert!(
        said.contains(
            "by the file's name these are bars of 60 minutes, but they are 5 minutes apart"
        ) && said.contains("hint: --interval 5"),
        "{said}"
    );
    // The option settles it, unless it is wrong too.
    run("A_H1.csv", &fives, "--interval 5").code(0);
    let said = refused("A.csv", &fives, "--interval 1");
    assert!(
        said.contains("by the option these are bars of 1 minute,"),
        "{said}"
    );
}

#[test]
fn bars_of_other_lengths_are_refused_by_their_length() {
    for (step, length) in [(2, "2-minute"), (3, "3-minute"), (10, "10-minute")] {
        let said = refused("A.csv", &minutes(40, step, row), "");
        assert!(said.contains(&format!("these are {length} bars")), "{said}");
    }
    for (name, length) in [
        ("A_H4.csv", "4-hour"),
        ("A_1d.csv", "daily"),
        ("A-4h-2025.csv", "4-hour"),
    ] {
        let said = refused(name, &minutes(40, 1, row), "");
        assert!(
            said.contains(&format!(
                "its name is that of {length} bars, but they are 1 minute apart"
            )) && said.contains("hint: --interval 1 "),
            "{said}"
        );
    }
    let few = "2025-01-02,10,12,9,11,100\n2025-01-03,10,12,9,11,100\n";
    let few = refused("A_1d.csv", few, "");
    assert!(
        few.contains("its name is that of daily bars; only bars of 1,") && !few.contains("hint:"),
        "{few}"
    );
    // Also if an option says otherwise.
    let daily: String = (1..=31)
        .map(|day| format!("2025-01-{day:02},10,12,9,11,100\n"))
        .collect();
    for flags in ["", "--interval 60"] {
        let said = refused("A.csv", &daily, flags);
        assert!(said.contains("these are daily bars"), "{said}");
    }
}

#[test]
fn minutes_without_trades_do_not_change_the_interval() {
    let thin = minutes(40, 1, row)
        .lines()
        .enumerate()
        .filter(|(at, _)| at % 3 != 1)
        .map(|(_, line)| format!("{line}\n"))
        .collect::<String>();
    run("A_1min.csv", &(thin + &minutes(10, 7, row)), "").code(0);
}

#[test]
fn few_rows_between_the_bars_are_rejects_with_their_line() {
    let env = TestEnv::new();
    let mut text = minutes(40, 5, row);
    text.insert_str(0, "2025-01-02 09:37:00,10,12,9,11,100\n");
    env.write("in/A.csv", &text);
    let run = env.typed("inject-csv --csv-dir in --store s").code(0);
    assert!(
        run.stderr.contains("ins=40 skip=0 rejects=1"),
        "{}",
        run.stderr
    );
    let rejects = env.read(&env.files("s/rejects")[0]);
    assert!(rejects.contains("A.csv,1,off-grid,"), "{rejects}");
    // The open of a session may be between the full hours.
    let hours: String = [570, 600, 660, 720, 780, 840, 900]
        .map(|minute| format!("{}\n", row(minute / 60, minute % 60)))
        .concat();
    assert_eq!(bars("A.csv", &hours, "--interval 60").len(), 7);
}

#[test]
fn the_ticker_in_a_name_is_found_among_other_words() {
    let text = minutes(40, 1, row);
    for (name, ticker) in [
        ("EUR_USD_M1.csv", "EURUSD"),
        ("intraday_1min_AAPL.csv", "AAPL"),
        ("AAPL (1).csv", "AAPL"),
        ("AAPL-bid.csv", "AAPL"),
        ("2025-01_AAPL.csv", "AAPL"),
        ("7203.csv", "7203"),
        ("BRK.B.csv", "BRK.B"),
    ] {
        assert!(
            bars(name, &text, "")[0].starts_with(&format!("{ticker},")),
            "{name}"
        );
    }
    let said = refused("data.csv", &text, "");
    assert!(
        said.contains("neither its name nor a column shows the ticker")
            && said.contains("hint: --ticker NAME"),
        "{said}"
    );
    run("data.csv", &text, "--ticker AAPL").code(0);
    let hours = days(&["2025-01-13", "2025-01-14", "2025-01-15"], 0, 1439, 60);
    let read = run("EURUSD60.csv", &hours, "").code(0).stderr;
    assert!(read.contains("60m") && read.contains("EURUSD,"), "{read}");
}

#[test]
fn bars_at_other_times_than_the_sessions_are_warned_about() {
    let week = ["2025-01-13", "2025-01-14", "2025-01-15"];
    let said = run("A.csv", &days(&week, 930, 1319, 1), "").stderr;
    assert!(
        said.contains("with --timezone Europe/Berlin they fit"),
        "{said}"
    );
    for (what, text, flags, is_warned) in [
        ("New York", days(&week, 570, 959, 1), "", false),
        ("with extended hours", days(&week, 240, 1199, 1), "", false),
        ("UTC", days(&week, 870, 1259, 1), "", true),
        (
            "UTC, said",
            days(&week, 870, 1259, 1),
            "--timezone UTC",
            false,
        ),
        ("Berlin", days(&week, 930, 1319, 1), "", true),
        ("Chicago", days(&week, 510, 899, 1), "", true),
        ("Moscow", days(&week, 600, 1119, 1), "", true),
    ] {
        let said = run("A.csv", &text, flags).code(0).stderr;
        let warned = said.contains("warning: [A.csv] its bars of 2025-01-13 are from")
            && said.contains("--timezone ");
        assert_eq!(warned, is_warned, "{what}: {said}");
    }
    let closes = days(&week, 571, 960, 1);
    let said = run("A.csv", &closes, "").code(0).stderr;
    assert!(said.contains("--timestamp-label close"), "{said}");
    for label in ["open", "close"] {
        let said = run("A.csv", &closes, &format!("--timestamp-label {label}"))
            .code(0)
            .stderr;
        assert!(!said.contains("warning"), "{said}");
    }
    let weekend = days(&["2025-01-11", "2025-01-12"], 570, 959, 1);
    let said = run("A.csv", &weekend, "").code(0).stderr;
    assert!(
        said.contains("are on days without a session of NASDAQ"),
        "{said}"
    );
    let london = days(&week, 480, 989, 1);
    let said = run("VOD.L.csv", &london, "").code(0).stderr;
    assert!(said.contains("--exchange LSE"), "{said}");
}

#[test]
fn bars_round_the_clock_are_not_of_a_stock_exchange() {
    let week = [
        "2025-01-09",
        "2025-01-10",
        "2025-01-11",
        "2025-01-12",
        "2025-01-13",
        "2025-01-14",
    ];
    let said = run("X.csv", &days(&week, 0, 1439, 60), "").code(0).stderr;
    assert!(said.contains("60m, UTC, CRYPTO, X,"), "{said}");
    assert!(
        said.contains("local times are read as UTC, the default of CRYPTO"),
        "{said}"
    );
    let said = run("X.csv", &days(&week, 0, 1439, 60), "--timezone UTC")
        .code(0)
        .stderr;
    assert!(
        said.contains("CRYPTO") && !said.contains("warning"),
        "{said}"
    );
    let trading = ["2025-01-09", "2025-01-10", "2025-01-13", "2025-01-14"];
    let said = run("X.csv", &days(&trading, 0, 1439, 60), "")
        .code(0)
        .stderr;
    assert!(
        said.contains(", FOREX, X,") && said.contains("--timezone ZONE"),
        "{said}"
    );
    let said = run("X.csv", &days(&week, 0, 1439, 60), "--exchange NASDAQ")
        .code(0)
        .stderr;
    assert!(said.contains("NASDAQ, X,"), "{said}");
}

#[test]
fn the_volume_is_found_or_its_lack_is_reported() {
    let volume = |header: &str| {
        let env = TestEnv::new();
        let text = format!("time,open,high,low,close,{header}\n2025-01-02 09:30,10,12,9,11,5,7\n");
        let run = dry(&env, &[("A.csv", text.as_bytes())], "--interval 1").code(0);
        let line = lines(&env).remove(0);
        (line.rsplit(',').next().unwrap().to_owned(), run.stderr)
    };
    assert_eq!(volume("Volume BTC,Volume USD").0, "5");
    assert_eq!(volume("Volume USDT,Volume BTC").0, "7");
    assert_eq!(volume("Up,Down").0, "12");
    let (value, said) = volume("x,Volume USD");
    assert!(
        value == "7" && said.contains("may be in the quote currency"),
        "{said}"
    );
    let (value, said) = volume("x,Handelsvolumen");
    assert!(
        value == "0"
            && said.contains("no volume is read")
            && said.contains("\"Handelsvolumen\"")
            && said.contains("--columns volume="),
        "{said}"
    );
}

#[test]
fn lines_above_the_header_are_skipped() {
    let table = format!("time,open,high,low,close,volume\n{}", minutes(40, 1, row));
    for above in [
        "sep=,\n",
        "https://www.example.com\n",
        "A title\n\nUser,me\n",
        "# x\n",
    ] {
        assert_eq!(
            bars("A.csv", &format!("{above}{table}"), "").len(),
            40,
            "{above}"
        );
    }
    let odd = format!("a,b,c,d,e,f\n{table}");
    let said = refused("A.csv", &odd, "");
    assert!(said.contains("--columns"), "{said}");
    assert_eq!(bars("A.csv", &odd, "--skip-lines 1").len(), 40);
    // Line numbers are those of the file.
    let env = TestEnv::new();
    env.write(
        "in/A.csv",
        format!("https://x\n{table}bad,row,of,six,fields,x\n"),
    );
    env.typed("inject-csv --csv-dir in --store s").code(0);
    let rejects = env.read(&env.files("s/rejects")[0]);
    assert!(rejects.contains("A.csv,43,bad-timestamp"), "{rejects}");
}

#[test]
fn the_form_of_times_can_be_given() {
    let text = minutes(40, 1, |hour, minute| {
        format!("02 Jan 25;{hour:02}h{minute:02};10;12;9;11;100")
    });
    let text = format!("day;clock;open;high;low;close;volume\n{text}");
    let flags = "--columns date=1,time=2";
    assert!(refused("A.csv", &text, flags).contains("bad-timestamp"));
    let env = TestEnv::new();
    env.write("in/A.csv", &text);
    let command = [
        "inject-csv",
        "--csv-dir",
        "in",
        "--dry-run",
        "--output-filename",
        "out.csv",
    ];
    let format = [
        "--columns",
        "date=1,time=2",
        "--time-format",
        "%d %b %y %Hh%M",
    ];
    env.run(command.into_iter().chain(format)).code(0);
    assert_eq!(lines(&env)[0], "A,2025-01-02T14:30:00Z,10,12,9,11,100");
    env.run(command.into_iter().chain(["--time-format", "%Q"]))
        .code(2);
}

#[test]
fn values_with_a_currency_a_unit_or_nothing() {
    let text = "time,open,high,low,close,volume\n\
        2025-01-02 09:30,$10,$12.50,$9,$11,1.5K\n\
        2025-01-02 09:31,10,12,9,11,2M\n\
        2025-01-02 09:32,10,12,9,11,\n\
        2025-01-02 09:33,NaN,NaN,NaN,NaN,NaN\n\
        2025-01-02 09:34,10,12,9,11,7\n";
    let env = TestEnv::new();
    let run = dry(&env, &[("A.csv", text.as_bytes())], "--interval 1").code(0);
    assert_eq!(
        lines(&env),
        [
            "A,2025-01-02T14:30:00Z,10,12.5,9,11,1500",
            "A,2025-01-02T14:31:00Z,10,12,9,11,2000000",
            "A,2025-01-02T14:32:00Z,10,12,9,11,0",
            "A,2025-01-02T14:34:00Z,10,12,9,11,7",
        ]
    );
    assert!(
        run.stderr.contains("1 rows have no prices")
            && run.stderr.contains("1 bars have no volume"),
        "{}",
        run.stderr
    );
}

#[test]
fn an_epoch_beats_a_local_time() {
    let text = "unix,date,symbol,open,high,low,close,Volume BTC\n\
        1735828200,2025-01-02 14:30:00,BTC/USD,10,12,9,11,100\n";
    assert_eq!(
        bars("x.csv", text, "--interval 1 --exchange NASDAQ"),
        ["BTC/USD,2025-01-02T14:30:00Z,10,12,9,11,100"]
    );
}

#[test]
fn three_header_lines_of_one_ticker_or_of_many() {
    let text = "Price,Close,High,Low,Open,Volume\nTicker,AAPL,AAPL,AAPL,AAPL,AAPL\nDatetime,,,,,\n\
        2025-01-02 14:30:00+00:00,11,12,9,10,100\n";
    assert_eq!(
        bars("x.csv", text, "--interval 1"),
        ["AAPL,2025-01-02T14:30:00Z,10,12,9,11,100"]
    );
    let rows = "Close,Close,High,High,Low,Low,Open,Open,Volume,Volume\n";
    let tickers = "AAPL,MSFT,AAPL,MSFT,AAPL,MSFT,AAPL,MSFT,AAPL,MSFT\n";
    let bar = "2025-01-02 14:30:00+00:00,11,21,12,22,9,19,10,20,100,200\n";
    let gap = "2025-01-02 14:31:00+00:00,11,,12,,9,,10,,100,\n";
    for header in [
        format!("Price,{rows}Ticker,{tickers}Datetime,,,,,,,,,,\n"),
        format!("Ticker,{tickers}Price,{rows}Datetime,,,,,,,,,,\n"),
        format!(",{rows},{tickers}"),
    ] {
        let wide = format!("{header}{bar}{gap}");
        assert_eq!(
            bars("x.csv", &wide, "--interval 1"),
            [
                "AAPL,2025-01-02T14:30:00Z,10,12,9,11,100",
                "AAPL,2025-01-02T14:31:00Z,10,12,9,11,100",
                "MSFT,2025-01-02T14:30:00Z,20,22,19,21,200",
            ],
            "{header}"
        );
        let msft = bars("x.csv", &wide, "--interval 1 --tickers MSFT");
        assert_eq!(msft, ["MSFT,2025-01-02T14:30:00Z,20,22,19,21,200"]);
        let said = refused("x.csv", &wide, "--interval 1 --ticker X");
        assert!(said.contains("--tickers"), "{said}");
    }
}

#[test]
fn an_index_without_a_name_is_the_time() {
    let text = ",open,high,low,close,volume\n2025-01-02 14:30:00+00:00,10,12,9,11,100\n";
    assert_eq!(
        bars("A.csv", text, "--interval 1"),
        ["A,2025-01-02T14:30:00Z,10,12,9,11,100"]
    );
}

#[test]
fn the_hint_asks_only_for_the_columns_that_are_missing() {
    let text = "note,Zeit,open,high,low,Schluss\nx,2025-01-02 09:30,10,12,9,11\n";
    let said = refused("A.csv", text, "--interval 1");
    assert!(
        said.contains("no column for timestamp, close") && said.contains("--columns ts=2,close=6"),
        "{said}"
    );
    bars("A.csv", text, "--interval 1 --columns ts=2,close=6");
}
