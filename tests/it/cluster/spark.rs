//! Apache Spark reads the live files that `push --list` prints: `make test-spark`.
//!
//! It needs Java, and takes half a gigabyte to install and a minute to run, so CI leaves it out.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::machine::{Machine, ODD};
use super::seaweed::Table;

#[test]
#[ignore = "needs Spark: make test-spark"]
fn spark_counts_the_bars_of_the_listed_files() {
    let table = Table::new();
    let machine = Machine::with(&ODD.map(|ticker| (ticker, 0..200, 10)));
    machine.push(&table, "").run().ok();
    // Files that were replaced aren't listed.
    machine.store(&[("AAPL", 150..260, 20)]);
    machine.push(&table, "").run().ok();
    let files = machine.push(&table, "--list").run().ok();

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut spark = Command::new(root.join("vendor/spark/bin/python"))
        .arg(root.join("tests/it/cluster/spark.py"))
        .arg(&table.url)
        .envs(table.variables())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("`make test-spark` installs Spark");
    let mut requests = spark.stdin.take().unwrap();
    requests.write_all(&files.stdout).unwrap();
    drop(requests);
    let output = spark.wait_with_output().unwrap();
    assert!(output.status.success(), "Spark failed: see its log above");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found, machine.bars());
}
