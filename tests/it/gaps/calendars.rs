//! Calendars of the user's own, in the store and in a folder that is named.

use backfill::simulator::Change;

use super::*;

#[test]
fn a_file_in_the_store_or_in_a_named_folder_says_when_there_was_trading() {
    let bench = Bench::new();
    bench.change(Change::Holes {
        symbol: "AAPL".into(),
        dates: dates(&["2025-02-05"]),
        minutes: Vec::new(),
    });
    let line = "specific --rate 60000 --start 2025-02-03 --end 2025-02-07 --tickers AAPL";
    bench.run(line).ok();
    assert_eq!(bench.gaps(""), ["AAPL 2025-02-05 0/390 empty"]);
    let complete = |options: &str| {
        let status = bench.run(&format!("status {options}")).ok();
        status.out().lines().nth(1).unwrap().contains(" 4/4 ")
    };
    assert!(!complete(""));

    // An unscheduled closure, in the store: every command sees it.
    let file = "data/staging/calendars/XNYS.csv";
    bench.env.write(file, "closed,2025-02-05\n");
    assert!(bench.gaps("").is_empty());
    assert!(complete(""));
    let plan = bench
        .run(&format!("{} --plan", line.replace("AAPL", "MSFT")))
        .ok();
    assert!(
        plan.out().starts_with("[MSFT] 2025-02-03..2025-02-04\n"),
        "{}",
        plan.snapshot()
    );
    let before = bench.requests();
    bench.run("gaps --fill --rate 60000").ok();
    assert_eq!(bench.requests(), before);

    // A folder that is named lies over the store's.
    bench
        .env
        .write("mine/nasdaq.csv", "session,2025-02-05,09:30,13:00,,\n");
    assert_eq!(
        bench.gaps("--calendar-dir mine"),
        ["AAPL 2025-02-05 0/210 empty"]
    );
    assert!(!complete("--calendar-dir mine"));
    // A calendar of one's own.
    let own = "tz,Europe/Berlin\nspan,2025-01-01,2025-12-31\nhours,2025-01-01,09:00,10:00,,\nweek,2025-01-01,1111100\n";
    bench.env.write("mine/OURS.csv", own);
    let dump: String = (0..60)
        .map(|minute| format!("2025-02-03 09:{minute:02}:00,1,1,1,1,1\n"))
        .collect();
    bench.env.write(
        "dump/X.csv",
        format!("timestamp,open,high,low,close,volume\n{dump}"),
    );
    bench
        .run("inject-csv --csv-dir dump --exchange ours --interval 1")
        .code(2);
    let options = "--calendar-dir mine --store ours";
    bench
        .run(&format!(
            "inject-csv --csv-dir dump --exchange ours --interval 1 {options}"
        ))
        .ok();
    let listed = bench.gaps(&format!("{options} --end 2025-02-05"));
    assert_eq!(
        listed,
        [
            "X 2025-02-04 0/60 never_asked",
            "X 2025-02-05 0/60 never_asked"
        ]
    );
    // Without the folder the exchange is not known, and nothing is guessed.
    let run = bench.run("gaps --store ours --end 2025-02-05").ok();
    assert!(
        run.stderr.contains("no calendar is known of OURS"),
        "{}",
        run.snapshot()
    );

    bench.env.write(file, "closed,yesterday\n");
    let run = bench.run("gaps").code(2);
    assert!(run.stderr.contains("XNYS.csv"), "{}", run.snapshot());
    bench.run("status --calendar-dir nowhere").code(2);
}
