//! Every engine reads what was pushed.

use serde_json::json;

use super::engines::{ENGINES, Engines};
use super::machine::{Machine, ODD};
use super::seaweed::Table;

/// Asserts that each engine counts these bars in the table.
#[track_caller]
pub fn assert_each_counts(table: &Table, expected: &serde_json::Value) {
    let mut engines = Engines::shared();
    for engine in ENGINES {
        let found = engines.count(table, engine);
        assert_eq!(found, *expected, "{engine}");
    }
}

/// Counts of other rows than expected, and of other keys, would go unseen if these were wrong.
#[test]
#[ignore = "needs SeaweedFS: make test-cluster"]
fn every_engine_counts_rows_and_keys() {
    let table = Table::new();
    let rows = json!([
        ["1m", "A B", 2025, 1_736_000_000, 10],
        ["60m", "NULL", 2025, 60, 3]
    ]);
    let write = json!({"mode": "append", "rows": rows});
    for (times, bars) in [(1, 10), (2, 20)] {
        Engines::shared().run("write", &table, &write);
        let expected = json!([
            [
                "1m",
                "A B",
                bars,
                10,
                1_240_000 * times,
                bars,
                1_736_000_000,
                1_736_000_540
            ],
            [
                "60m",
                "NULL",
                3 * times,
                3,
                330_000 * times,
                3 * times,
                60,
                180
            ],
        ]);
        assert_each_counts(&table, &expected);
    }
}

#[test]
#[ignore = "needs SeaweedFS: make test-cluster"]
fn every_engine_counts_the_bars_of_the_store() {
    let table = Table::new();
    let machine = Machine::with(&ODD.map(|ticker| (ticker, 0..200, 10)));
    machine.push(&table, "").run().ok();
    let bars = machine.bars();
    assert_eq!(bars.as_array().unwrap().len(), ODD.len(), "{bars}");
    assert_each_counts(&table, &bars);

    // Nothing new: no version.
    let version = Engines::shared().version(&table);
    let again = machine.push(&table, "").run().ok();
    assert!(again.stderr.contains("files=0"), "{}", again.snapshot());
    assert_eq!(Engines::shared().version(&table), version);

    // Some bars are new, others have other values.
    machine.store(&[("AAPL", 150..260, 20), ("NEW", 0..10, 30)]);
    machine.push(&table, "").run().ok();
    assert_each_counts(&table, &machine.bars());
}
