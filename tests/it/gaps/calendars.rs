//! The user's own calendars, in the store and in `--calendar-dir`.

use backfill::simulator::Change;

use super::*;

#[test]
fn calendars_in_the_store_or_a_named_folder_are_used() {
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
        status.out().lines().nth(1).unwrap().ends_with(" 4/4")
    };
    assert!(!complete(""));

    // An unscheduled closure, in the store: every command sees it.
    let file = "data/staging/calendars/XNYS.csv";
    bench.env.write(file, "closed,2025-02-05\n");
    assert!(bench.gaps("").is_empty());
    assert!(complete(""));
    let plan = bench
        .run(&format!(
            "{} --plan --log-level debug",
            line.replace("AAPL", "MSFT")
        ))
        .ok();
    assert!(
        plan.stderr.contains("[MSFT] 2025-02-03..2025-02-04\n"),
        "{}",
        plan.snapshot()
    );
    let before = bench.requests();
    bench.run("gaps --fill --rate 60000").ok();
    assert_eq!(bench.requests(), before);

    // A named folder overrides the store's.
    bench
        .env
        .write("mine/nasdaq.csv", "session,2025-02-05,09:30,13:00,,\n");
    assert_eq!(
        bench.gaps("--calendar-dir mine"),
        ["AAPL 2025-02-05 0/210 empty"]
    );
    assert!(!complete("--calendar-dir mine"));
    // The user's own exchange.
    bench.env.write("mine/OURS.csv", OURS);
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
    // Without the folder the exchange is unknown, and nothing is guessed.
    let run = bench.run("gaps --store ours --end 2025-02-05").ok();
    assert!(
        run.stderr.contains("there is no calendar for OURS"),
        "{}",
        run.snapshot()
    );

    bench.env.write(file, "closed,yesterday\n");
    let run = bench.run("gaps").code(2);
    assert!(run.stderr.contains("XNYS.csv"), "{}", run.snapshot());
    bench.run("status --calendar-dir nowhere").code(2);
}

const OURS: &str = "tz,Europe/Berlin\nspan,2025-01-01,2025-12-31\nhours,2025-01-01,09:00,10:00,,\nweek,2025-01-01,1111100\n";

/// The dates of a bundle are those of the user's calendar, here in a time zone that no built-in
/// calendar has.
#[test]
fn the_dates_of_a_bundle_are_those_of_the_users_calendar() {
    let bench = Bench::new();
    // An hour around midnight in Berlin: 22:30 to 23:29 UTC is 23:30 to 00:29 there.
    let dump: String = (0..60)
        .map(|minute| 22 * 60 + 30 + minute)
        .map(|at| format!("2025-02-03T{:02}:{:02}:00Z,1,1,1,1,1\n", at / 60, at % 60))
        .collect();
    bench.env.write(
        "dump/X.csv",
        format!("timestamp,open,high,low,close,volume\n{dump}"),
    );
    for (file, options) in [
        ("mine/OURS.csv", "--store named --calendar-dir mine"),
        ("held/calendars/OURS.csv", "--store held"),
    ] {
        let path = bench.env.write(file, OURS);
        bench
            .run(&format!(
                "inject-csv --csv-dir dump --exchange ours --interval 1 {options}"
            ))
            .ok();
        let create =
            "bundle create b.tar --start 2025-02-04 --end 2025-02-04 --summary-json=s.json";
        bench.run(&format!("{create} {options}")).ok();
        let listed = bench.run("bundle verify b.tar").ok();
        assert!(listed.out().contains("rows=30 "), "{}", listed.snapshot());
        std::fs::remove_file(bench.env.path("b.tar")).unwrap();
        // Without it the exchange is unknown, and nothing is guessed.
        std::fs::remove_file(path).unwrap();
        let run = bench.run(&format!("{create} {options}")).code(1);
        assert!(run.stderr.contains("OURS"), "{}", run.snapshot());
        assert!(!bench.env.path("b.tar").exists());
    }
}

/// `check` requests the last session of the user's calendar.
#[test]
fn check_requests_a_session_of_the_users_calendar() {
    let bench = Bench::new();
    let today = chrono::Utc::now()
        .with_timezone(&chrono_tz::America::New_York)
        .date_naive();
    let built_in = backfill::calendar::Calendar::for_exchange("NASDAQ").unwrap();
    // Not the first or last of the ten days: midnight may pass.
    let open = (2..9)
        .map(|back| today - chrono::Days::new(back))
        .filter(|date| built_in.session_on(*date).unwrap().is_some())
        .nth(1)
        .unwrap();
    let closed: String = (open.iter_days().skip(1).take(12))
        .map(|date| format!("closed,{date}\n"))
        .collect();
    for (file, options) in [
        ("mine/XNYS.csv", "--calendar-dir mine"),
        ("data/staging/calendars/XNYS.csv", ""),
    ] {
        let without = bench.run("check").ok();
        let range = format!("..{open}");
        assert!(!without.out().contains(&range), "{}", without.snapshot());
        let path = bench.env.write(file, &closed);
        let with = bench.run(&format!("check {options}")).ok();
        assert!(with.out().contains(&range), "{}", with.snapshot());
        let asked = bench.simulator.handle().log().pop().unwrap().to;
        assert_eq!(asked, Some(open.to_string()));
        std::fs::remove_file(path).unwrap();
    }
}
