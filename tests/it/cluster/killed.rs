//! Pushes that are killed: each bar is in the table once, and the next push completes it.

use super::engines::Engines;
use super::machine::{Machine, union};
use super::readers::assert_each_counts;
use super::seaweed::Table;
use crate::crash_points;

/// Pushes so often that a checkpoint is written.
const PUSHES_TO_CHECKPOINT: i64 = 11;

#[test]
#[ignore = "needs SeaweedFS: make test-cluster"]
fn a_push_killed_at_each_crash_point_is_completed() {
    let points = crash_points::all();
    let points: Vec<&String> = points
        .iter()
        .filter(|point| point.starts_with("push."))
        .collect();
    assert!(points.len() >= 3, "{points:?}");
    for point in points {
        let table = Table::new();
        let machine = Machine::with(&[("A", 0..200, 10), ("B", 0..100, 20)]);
        machine.push(&table, "").run().ok();
        let mut before = machine.bars();
        let mut killed = false;
        for number in 0..PUSHES_TO_CHECKPOINT {
            // Bars of A are replaced, and those of H are hot.
            let price = 30 + u32::try_from(number).unwrap();
            machine.store(&[("A", 100..210 + number, price), ("H", 0..number + 1, 40)]);
            let vacuum = machine.push(&table, line_of(point));
            let run = vacuum.env("BACKFILL_CRASH", point).run();
            killed = run.code.is_none();
            if killed {
                break;
            }
            run.ok();
            before = machine.bars();
        }
        assert!(killed, "{point} is not reached");
        let after = machine.bars();
        let found = Engines::shared().count(&table, "delta-rs");
        assert!(found == before || found == after, "{point}: {found}");
        assert_each_counts(&table, &found);
        machine.push(&table, "").run().ok();
        assert_each_counts(&table, &after);
        let version = Engines::shared().version(&table);
        machine.push(&table, "").run().ok();
        assert_eq!(Engines::shared().version(&table), version, "{point}");
        machine.env.typed("verify").ok();
    }
}

/// The command that reaches a crash point.
fn line_of(point: &str) -> &'static str {
    match point {
        "push.between-deletes" => "--vacuum=0",
        _ => "",
    }
}

/// Two machines whose pushes are killed at any time, until both have pushed everything.
#[test]
#[ignore = "needs SeaweedFS: make test-cluster"]
fn two_machines_killed_again_and_again_fill_one_table() {
    let table = Table::new();
    let common = |price| ("BOTH", 0..300, price);
    let machines = [
        Machine::with(&[("A", 0..400, 10), ("C", 0..200, 11), common(20)]),
        Machine::with(&[("B", 0..300, 12), ("D", 0..100, 13), common(20)]),
    ];
    for round in 0..10_u64 {
        let running: Vec<_> = machines
            .iter()
            .map(|machine| machine.push(&table, "--on-conflict ignore").spawn())
            .collect();
        // Later in each round, so that the kills meet every stage of a push.
        std::thread::sleep(std::time::Duration::from_millis(40 * round));
        for run in running {
            run.signal("KILL");
            drop(run);
        }
        let minutes = 400 + i64::try_from(round).unwrap();
        machines[0].store(&[("A", 0..minutes, 14)]);
    }
    let running: Vec<_> = machines
        .iter()
        .map(|machine| machine.push(&table, "--on-conflict ignore").spawn())
        .collect();
    for run in running {
        run.wait().ok();
    }
    // The bars of BOTH are the same on both machines, and in the table once.
    let mut expected = union(&machines);
    expected
        .as_array_mut()
        .unwrap()
        .dedup_by(|one, other| one == other);
    assert_eq!(expected.as_array().unwrap().len(), 5, "{expected}");
    assert_each_counts(&table, &expected);
    let version = Engines::shared().version(&table);
    for machine in &machines {
        machine.push(&table, "--on-conflict ignore").run().ok();
    }
    assert_eq!(Engines::shared().version(&table), version);
}
