//! Other programs change the table between pushes, and read it during them.

use serde_json::{Value, json};

use super::engines::{ENGINES, Engines};
use super::machine::{Machine, sorted};
use super::readers::assert_each_counts;
use super::seaweed::Table;

/// Rows of a table with those of another ticker.
fn with_row(bars: &Value, row: &Value) -> Value {
    let rows = bars.as_array().unwrap().iter().chain([row]);
    sorted(rows.map(|row| row.as_array().unwrap().clone()))
}

/// A partition with bars of delta-rs, and what the engines count in it.
fn other_rows(ticker: &str) -> (Value, Value) {
    let write = json!({"mode": "append", "rows": [["1m", ticker, 2025, 1_736_000_000, 10]]});
    let count = json!([
        "1m",
        ticker,
        10,
        10,
        1_240_000,
        10,
        1_736_000_000,
        1_736_000_540
    ]);
    (write, count)
}

#[test]
#[ignore = "needs SeaweedFS: make test-cluster"]
fn another_writer_appends_deletes_optimizes_checkpoints_and_vacuums() {
    let table = Table::new();
    let machine = Machine::with(&[("A", 0..200, 10), ("B", 0..100, 20)]);
    machine.push(&table, "").run().ok();
    let (write, other) = other_rows("OTHER");
    let steps = [
        ("write", write),
        ("checkpoint", json!({})),
        ("optimize", json!({})),
        ("vacuum", json!({"hours": 0})),
    ];
    for (number, (action, with)) in steps.into_iter().enumerate() {
        Engines::shared().run(action, &table, &with);
        assert_each_counts(&table, &with_row(&machine.bars(), &other));
        // With something new and with nothing new.
        let minutes = 201 + i64::try_from(number).unwrap();
        machine.store(&[("A", 0..minutes, 10)]);
        for _ in 0..2 {
            machine.push(&table, "").run().ok();
            assert_each_counts(&table, &with_row(&machine.bars(), &other));
        }
    }
    // Its delete of rows of ours rewrites our file, so ours isn't the table's any more.
    let delete = json!({"where": "ticker = 'B' AND year = 2025"});
    Engines::shared().run("delete", &table, &delete);
    machine.push(&table, "").run().ok();
    assert_each_counts(&table, &with_row(&machine.bars(), &other));
}

#[test]
#[ignore = "needs SeaweedFS: make test-cluster"]
fn rows_that_another_writer_appended_to_a_partition_are_merged() {
    let machine = Machine::with(&[("A", 0..200, 10)]);
    // Ten minutes of the store's year, at other prices than the store's; five of them are new.
    let first = super::machine::START + 60 * 195;
    let write = json!({"mode": "append", "rows": [["1m", "A", 2025, first, 10]]});
    for (mode, code) in [("fail", 4), ("ignore", 0), ("update", 0)] {
        let table = Table::new();
        machine.push(&table, "").run().ok();
        Engines::shared().run("write", &table, &write);
        // The table has the minutes in common twice now.
        let before = Engines::shared().count(&table, "delta-rs");
        assert_eq!((&before[0][2], &before[0][3]), (&json!(210), &json!(205)));
        let run = machine
            .push(&table, &format!("--full --on-conflict {mode}"))
            .run();
        let shown = run.snapshot();
        assert_eq!(run.code, Some(code), "{mode}: {shown}");
        let rows = Engines::shared().count(&table, "delta-rs");
        if code == 0 {
            assert_eq!(
                (&rows[0][2], &rows[0][3]),
                (&json!(205), &json!(205)),
                "{mode}: {shown}"
            );
            assert_each_counts(&table, &rows);
        } else {
            assert_eq!(rows, before, "{mode}: {shown}");
        }
    }
}

#[test]
#[ignore = "needs SeaweedFS: make test-cluster"]
fn a_table_that_was_emptied_or_replaced_is_filled_again_or_refused() {
    let table = Table::new();
    let machine = Machine::with(&[("A", 0..200, 10), ("B", 0..100, 20)]);
    machine.push(&table, "").run().ok();
    Engines::shared().run("delete", &table, &json!({"where": null}));
    machine.push(&table, "").run().ok();
    assert_each_counts(&table, &machine.bars());

    // Every object is gone: a new table.
    Engines::shared().run("remove", &table, &json!({}));
    machine.push(&table, "").run().ok();
    assert_each_counts(&table, &machine.bars());
    assert_eq!(Engines::shared().version(&table), 0);

    // Another program's table is there instead.
    let (mut write, other) = other_rows("OTHER");
    write["mode"] = json!("overwrite");
    Engines::shared().run("write", &table, &write);
    machine.push(&table, "").run().ok();
    assert_each_counts(&table, &with_row(&machine.bars(), &other));

    // A table of other columns isn't a table of bars.
    let prices = Table::new();
    Engines::shared().run("write_prices", &prices, &json!({}));
    let run = machine.push(&prices, "").run();
    let shown = run.snapshot();
    assert_ne!(run.code, Some(0), "{shown}");
    assert!(shown.contains("hint: "), "{shown}");
    assert_eq!(Engines::shared().version(&prices), 0);
}

#[test]
#[ignore = "needs SeaweedFS: make test-cluster"]
fn our_checkpoints_are_read_by_every_engine() {
    let table = Table::new();
    let machine = Machine::with(&[("A", 0..200, 10), ("BRK/B", 0..50, 20)]);
    for number in 0..12 {
        machine.store(&[("A", 200..201 + number, 10)]);
        machine.push(&table, "").run().ok();
    }
    let objects = Engines::shared().run("objects", &table, &json!({}));
    let names: Vec<&str> = objects
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(
        names
            .iter()
            .any(|name| name.ends_with(".checkpoint.parquet")),
        "{names:?}"
    );
    // Without the commits before it, only the checkpoint shows what the table has.
    Engines::shared().run("forget_commits", &table, &json!({}));
    assert_each_counts(&table, &machine.bars());
    machine.store(&[("A", 300..310, 10)]);
    machine.push(&table, "").run().ok();
    assert_each_counts(&table, &machine.bars());
}

#[test]
#[ignore = "needs SeaweedFS: make test-cluster"]
fn a_vacuum_keeps_what_readers_need() {
    let table = Table::new();
    let machine = Machine::with(&[("A", 0..200, 10), ("B", 0..100, 20)]);
    machine.push(&table, "").run().ok();
    machine.store(&[("A", 100..210, 30)]);
    machine.push(&table, "").run().ok();
    let files = || {
        let objects = Engines::shared().run("objects", &table, &json!({}));
        let names = objects.as_array().unwrap().clone();
        let is_data = |name: &&Value| !name.as_str().unwrap().contains("_delta_log");
        names.iter().filter(is_data).count()
    };
    let with_old = files();
    // The replaced files are minutes old. The time of the program decides, not that of the server.
    machine.push(&table, "--vacuum").run().ok();
    assert_eq!(files(), with_old);
    let later = chrono::Utc::now() + chrono::Duration::hours(169);
    let later = later.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let vacuum = machine.push(&table, "--vacuum").env("BACKFILL_NOW", later);
    vacuum.run().ok();
    assert_eq!(files(), 4);
    assert!(with_old > 4);
    assert_each_counts(&table, &machine.bars());
}

/// Engines that read in a loop see only whole commits, while each of them replaces many files.
#[test]
#[ignore = "needs SeaweedFS: make test-cluster"]
fn readers_never_see_a_part_of_a_commit() {
    const FILES: usize = 20;
    const COMMITS: u32 = 8;
    let table = Table::new();
    let names: Vec<String> = (0..FILES).map(|number| format!("T{number}")).collect();
    let machine = Machine::new();
    let mut states = Vec::new();
    let mut engines = Engines::start(&table);
    for commit in 0..COMMITS {
        let bars: Vec<_> = names
            .iter()
            .map(|name| (name.as_str(), 100..200, 10 + commit))
            .collect();
        machine.store(&bars);
        states.push(machine.bars());
        machine.push(&table, "").run().ok();
        if commit == 0 {
            engines.run("poll", &table, &json!({"engines": ENGINES}));
        }
    }
    let seen = engines.run("polled", &table, &json!({}));
    for engine in ENGINES {
        let reads = seen[engine].as_array().unwrap();
        let mut newest = 0;
        for read in reads {
            let state = states.iter().position(|state| state == read);
            let state =
                state.unwrap_or_else(|| panic!("{engine} saw no state of the table: {read}"));
            assert!(state >= newest, "{engine} saw an older state");
            newest = state;
        }
        assert_eq!(
            newest,
            states.len() - 1,
            "{engine} didn't see the last commit"
        );
    }
}
