//! The program is killed at any time, then the same command runs again: no bar is lost or duplicated.

use std::fmt::Write as _;
use std::thread;
use std::time::Instant;

use crate::support::TestEnv;

const FILES: u64 = 6;
const ROWS: u64 = 24_000;

/// One of the files: every minute of some days across New Year, with computed prices.
fn csv_text(file: u64) -> String {
    let mut text = String::from("timestamp,open,high,low,close,volume\n");
    // 2024-12-24T00:00:00Z: 24,000 minutes reach into January.
    let start = chrono::DateTime::from_timestamp(1_734_998_400, 0).unwrap();
    for row in 0..ROWS {
        let at = start + chrono::Duration::minutes(row as i64);
        let price = 100 + (row * 7 + file) % 50;
        writeln!(
            text,
            "{},{price},{}.5,{}.25,{price}.25,{}",
            at.format("%Y-%m-%dT%H:%M:%SZ"),
            price + 1,
            price - 1,
            row % 1000
        )
        .unwrap();
    }
    text
}

/// A pseudo-random sequence, the same on each run.
fn next(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[test]
fn an_inject_can_be_killed_at_any_time() {
    let input = TestEnv::new();
    for file in 0..FILES {
        input.write(&format!("csv/T{file}.csv"), csv_text(file));
    }
    let folder = input.path("csv").display().to_string();
    let inject = [
        "inject-csv",
        "--csv-dir",
        &folder,
        "--on-conflict",
        "ignore",
        "--exchange",
        "CRYPTO",
    ];

    let whole = TestEnv::new();
    let began = Instant::now();
    whole.run(inject).ok();
    let took = began.elapsed();
    let truth = content(&whole);
    assert_eq!(truth.lines().count() as u64, 1 + FILES);

    let mut state = 42;
    let mut kills = 0;
    for _ in 0..24 {
        let env = TestEnv::new();
        let delay = took.mul_f64(next(&mut state) as f64 / f64::from(1_u32 << 31));
        let mut running = env.program(inject).spawn();
        thread::sleep(delay);
        // SIGKILL; it may have ended already.
        let _ = running.child().kill();
        let killed = running.wait();
        kills += u64::from(killed.code != Some(0));
        env.run(inject).ok();
        assert_eq!(content(&env), truth);
        env.run(["verify"]).ok();
        assert_eq!(env.files("data/staging/tmp"), Vec::<String>::new());
    }
    assert!(kills > 0, "no run was killed: the test proves nothing");
}

/// Counts and sums of the store, by ticker.
fn content(env: &TestEnv) -> String {
    env.run([
        "query",
        "SELECT ticker, count(*), count(DISTINCT timestamp), min(timestamp), max(timestamp), sum(open), sum(high), sum(low),
            sum(close), sum(volume) FROM bars GROUP BY ticker ORDER BY ticker",
        "--format",
        "csv",
    ])
    .ok()
    .out()
    .to_owned()
}
