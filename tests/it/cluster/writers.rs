//! Many machines push to one table at the same time.

use super::engines::{ENGINES, Engines};
use super::machine::{Machine, bars_of, union};
use super::readers::assert_each_counts;
use super::seaweed::Table;
use crate::fetch::Bench;
use crate::support::{Run, Running};

/// Writers at the same time.
const WRITERS: i64 = 8;

/// Runs the same push on all machines at once.
fn push_at_once(machines: &[Machine], table: &Table, more: &str) -> Vec<Run> {
    let running: Vec<_> = machines
        .iter()
        .map(|machine| machine.push(table, more).spawn())
        .collect();
    running.into_iter().map(Running::wait).collect()
}

#[test]
#[ignore = "needs SeaweedFS: make test-cluster"]
fn writers_of_different_tickers_all_commit() {
    let table = Table::new();
    let tickers: Vec<[String; 2]> = (0..WRITERS)
        .map(|writer| ["A", "B"].map(|name| format!("{name}{writer}")))
        .collect();
    let machines: Vec<Machine> = tickers
        .iter()
        .map(|names| Machine::with(&[(&names[0], 0..200, 10), (&names[1], 0..50, 20)]))
        .collect();
    for run in push_at_once(&machines, &table, "") {
        run.ok();
    }
    assert_each_counts(&table, &union(&machines));

    let version = Engines::shared().version(&table);
    for run in push_at_once(&machines, &table, "") {
        run.ok();
    }
    assert_eq!(Engines::shared().version(&table), version);
}

#[test]
#[ignore = "needs SeaweedFS: make test-cluster"]
fn writers_of_one_ticker_are_refused_merged_or_replaced() {
    // Each writer has 60 minutes of one year, half of them in common with the next, at a price of its own.
    let machines: Vec<Machine> = (0..WRITERS)
        .map(|writer| {
            let minutes = 30 * writer + 60..30 * writer + 120;
            Machine::with(&[("T", minutes, 10 + u32::try_from(writer).unwrap())])
        })
        .collect();
    let merged = 30 * WRITERS + 30;
    let bars_and_keys = |table: &Table| {
        let mut engines = Engines::shared();
        let found = ENGINES.map(|engine| {
            let rows = engines.count(table, engine);
            assert_eq!(rows.as_array().unwrap().len(), 1, "{engine}: {rows}");
            (rows[0][2].as_i64().unwrap(), rows[0][3].as_i64().unwrap())
        });
        assert!(found.iter().all(|one| *one == found[0]), "{found:?}");
        found[0]
    };

    let refused = Table::new();
    let runs = push_at_once(&machines, &refused, "--on-conflict fail");
    let mut codes: Vec<_> = runs.iter().map(|run| run.code.unwrap()).collect();
    codes.sort_unstable();
    let one_wins = [vec![0], vec![4; machines.len() - 1]].concat();
    assert_eq!(codes, one_wins, "{runs:#?}");
    assert_eq!(bars_and_keys(&refused), (60, 60));
    let winner = runs.iter().position(|run| run.code == Some(0)).unwrap();
    assert_each_counts(&refused, &machines[winner].bars());

    for mode in ["ignore", "update"] {
        let table = Table::new();
        let more = format!("--on-conflict {mode}");
        for run in push_at_once(&machines, &table, &more) {
            run.ok();
        }
        assert_eq!(bars_and_keys(&table), (merged, merged), "{mode}");
    }
}

/// A schedule starts a push while the one before still runs. Only one can seal at a time, so they wait.
#[test]
#[ignore = "needs SeaweedFS: make test-cluster"]
fn overlapping_pushes_of_one_store_publish_once() {
    let table = Table::new();
    let machine = Machine::with(&[("A", 0..200, 10), ("B", 0..200, 20)]);
    let running: Vec<_> = (0..3)
        .map(|_| machine.push(&table, "--wait 60").spawn())
        .collect();
    for run in running {
        run.wait().ok();
    }
    assert_each_counts(&table, &machine.bars());
    // Two tickers in two years, each once.
    let files = Engines::shared().run("files", &table, &serde_json::json!({}));
    assert_eq!(files.as_array().unwrap().len(), 4, "{files}");
    let version = Engines::shared().version(&table);
    machine.push(&table, "").run().ok();
    assert_eq!(Engines::shared().version(&table), version);
}

/// Four machines download their shares of the tickers and push them, as `cron` would run them.
#[test]
#[ignore = "needs SeaweedFS: make test-cluster"]
fn shards_of_four_machines_are_one_table() {
    let table = Table::new();
    let line = "concurrent --tickers AAPL,MSFT,NVDA,AMZN,GOOGL,META,TSLA,IBM,ORCL,INTC \
                --start 2025-01-06 --end 2025-01-08 --rate 60000";
    // The simulators have one market: a bar is the same from each.
    let machines: Vec<Bench> = (0..4).map(|_| Bench::new()).collect();
    let push = |share: usize, machine: &Bench| {
        let line = format!("{line} --shard {share}/4 --push {}", table.url);
        let run = table.reached_by(machine.program(&line)).spawn();
        (share, run)
    };
    let runs: Vec<_> = (1..=4)
        .zip(&machines)
        .map(|(share, one)| push(share, one))
        .collect();
    for (share, run) in runs {
        let run = run.wait().ok();
        assert!(run.stderr.contains("Pushed"), "{share}: {}", run.snapshot());
    }
    let all = Bench::new();
    all.run(line).ok();
    let expected = bars_of(&all.env);
    assert_eq!(expected.as_array().unwrap().len(), 10, "{expected}");
    assert_each_counts(&table, &expected);
}
