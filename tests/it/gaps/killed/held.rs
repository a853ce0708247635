//! A store that stands still: the number of open windows is bounded however long a commit takes.

use super::*;
use crate::support::Program;

/// The program, whose store stands still at its `time`th commit.
fn held<'a>(bench: &'a Bench, command: &Command, time: u32) -> Program<'a> {
    let file = bench.env.write("hold", "");
    (bench.program(&command.line))
        .env("BACKFILL_HOLD", format!("commit.before-transaction@{time}"))
        .env("BACKFILL_HOLD_FILE", file)
}

/// However long a commit takes, no further window is asked for than may be open.
#[test]
fn a_store_that_stands_still_holds_the_requests_back() {
    for (command, time) in [
        (Command::concurrent(4), 1),
        (Command::concurrent(1), 3),
        (Command::specific(), 2),
    ] {
        let whole = undisturbed(&command);
        let bench = Bench::new();
        let mut running = held(&bench, &command, time).spawn();
        // Of the commits before the held one nothing is known but that each had a window at least.
        bench.wait_for_requests(command.open_max + u64::from(time) - 1, &mut running);
        let mut seen = 0;
        let mut still = Instant::now();
        // Until nothing has come for a while: too short a while would make this test weaker, never fail.
        while still.elapsed() < Duration::from_millis(400) {
            if bench.requests() != seen {
                seen = bench.requests();
                still = Instant::now();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(running.child().try_wait().unwrap().is_none());
        drop(running.child().kill());
        running.wait();
        let answered = bench.answered();
        let log = bench.simulator.handle().log();
        let open = (log.iter())
            .filter(|entry| asked(entry).iter().any(|day| !answered.contains(day)))
            .count() as u64;
        assert_eq!(open, command.open_max, "{}", command.line);
        assert_eq!(bench.resumed(&command, &whole), command.open_max);
    }
}

/// What holds back lets go.
#[test]
fn a_store_that_goes_on_loses_nothing() {
    let command = Command::concurrent(4);
    let whole = undisturbed(&command);
    let bench = Bench::new();
    let mut running = held(&bench, &command, 2).spawn();
    bench.wait_for_requests(command.open_max + 1, &mut running);
    std::fs::remove_file(bench.env.path("hold")).unwrap();
    assert_eq!(running.wait().code, Some(0));
    assert_eq!(bench.requests(), whole.requests());
    for ticker in TICKERS {
        let truth = bench.truth(ticker, Interval::M1, "2025-01-02", "2025-03-31");
        same(&bench.staged(ticker, Interval::M1), &truth, ticker);
    }
}
