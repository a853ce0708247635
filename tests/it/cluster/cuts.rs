//! Connections that break at any request, before or after the server has it.

use super::engines::Engines;
use super::machine::Machine;
use super::seaweed::{Server, Table};
use crate::support::{Cut, Protocol, Proxy};

/// Pushes through a proxy that cuts one request after the other, until a run ends before the cut.
fn each_cut(kind: fn(u64) -> Cut, for_good: bool) {
    // More bars in each round, so that each push has a file to replace and one to add.
    let table = Table::new();
    let machine = Machine::with(&[("A", 0..100, 10)]);
    machine.push(&table, "").run().ok();
    let server = Server::shared().port();
    let mut cuts = 0;
    for number in 1.. {
        let minutes = i64::try_from(100 + number).unwrap();
        let new = format!("N{number}");
        machine.store(&[("A", 0..minutes, 10), (&new, 0..5, 20)]);
        let proxy = Proxy::start(server, Protocol::Http, kind(number), for_good);
        let cut = machine.push(&table.through(proxy.port()), "").run();
        let what = format!(
            "{:?}, for good: {for_good}\n{}",
            kind(number),
            cut.snapshot()
        );
        let bars = machine.bars();
        let mut engines = Engines::shared();
        let version = engines.version(&table);
        if cut.code == Some(0) {
            // What it reports is true.
            assert_eq!(engines.count(&table, "delta-rs"), bars, "{what}");
        } else {
            assert_eq!(cut.code, Some(1), "{what}");
            assert!(for_good, "a single lost request must be repaired\n{what}");
        }
        let again = machine.push(&table, "").run().ok();
        assert_eq!(engines.count(&table, "delta-rs"), bars, "{what}");
        if cut.code == Some(0) {
            assert_eq!(
                engines.version(&table),
                version,
                "{what}{}",
                again.snapshot()
            );
        }
        if !proxy.was_cut() {
            break;
        }
        cuts = number;
    }
    assert!(cuts >= 5, "only {cuts} requests were cut");
}

#[test]
#[ignore = "needs SeaweedFS: make test-cluster"]
fn a_request_that_never_arrives_is_repeated() {
    each_cut(Cut::Before, false);
}

#[test]
#[ignore = "needs SeaweedFS: make test-cluster"]
fn a_request_whose_response_is_lost_counts_once() {
    each_cut(Cut::After, false);
}

#[test]
#[ignore = "needs SeaweedFS: make test-cluster"]
fn a_server_lost_at_any_request_is_reported_and_repaired_by_the_next_run() {
    each_cut(Cut::After, true);
}
