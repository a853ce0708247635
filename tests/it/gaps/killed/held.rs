//! A blocked store: the number of open windows is bounded even if a commit takes long.

use super::*;
use crate::support::Program;

/// The program, whose store blocks at its `time`th commit.
fn held<'a>(bench: &'a Bench, command: &Command, time: u32) -> Program<'a> {
    let file = bench.env.write("hold", "");
    (bench.program(&command.line))
        .env("BACKFILL_HOLD", format!("commit.before-transaction@{time}"))
        .env("BACKFILL_HOLD_FILE", file)
}

/// During a long commit, no more windows are requested than may be open.
#[test]
fn a_blocked_store_stops_the_requests() {
    for (command, time) in [
        (Command::concurrent(4), 1),
        (Command::concurrent(1), 3),
        (Command::specific(), 2),
    ] {
        let whole = undisturbed(&command);
        let bench = Bench::new();
        let mut running = held(&bench, &command, time).spawn();
        // Of the commits before the blocked one it is only known that each had at least one window.
        bench.wait_for_requests(command.open_max + u64::from(time) - 1, &mut running);
        let mut seen = 0;
        let mut still = Instant::now();
        // Until no request has come for a while. Too short a wait makes this test weaker, but it never
        // fails because of that.
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

/// After the block, the run continues.
#[test]
fn a_store_that_continues_loses_nothing() {
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
