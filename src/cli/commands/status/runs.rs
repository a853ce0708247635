//! The runs of a store.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::show::without_fraction;
use crate::cli::table::{Column, Table, grouped};
use crate::report::clock;
use crate::store::RunRow;

pub(super) fn table(out: &mut impl Write, runs: &[RunRow]) -> io::Result<()> {
    let mut table = Table::new(
        out,
        vec![
            Column::text("started"),
            Column::text("command"),
            Column::text("status"),
            Column::number("elapsed"),
            Column::number("inserted"),
            Column::number("skipped"),
            Column::text("run"),
        ],
    );
    for run in runs {
        let summary = summary(run);
        let total = |key: &str| summary["totals"][key].as_u64();
        let skipped = total("skipped_identical")
            .zip(total("skipped_restated"))
            .map(|(a, b)| a + b);
        table.row(vec![
            without_fraction(run.started_at).to_string(),
            run.command.clone(),
            run.status.clone(),
            elapsed(run).map_or_else(|| "-".to_owned(), clock),
            total("committed").map_or_else(|| "-".to_owned(), grouped),
            skipped.map_or_else(|| "-".to_owned(), grouped),
            run.run.clone(),
        ])?;
    }
    table.finish()
}

fn elapsed(run: &RunRow) -> Option<std::time::Duration> {
    let micros = run.finished_at?.micros() - run.started_at.micros();
    Some(std::time::Duration::from_micros(
        u64::try_from(micros).ok()?,
    ))
}

fn summary(run: &RunRow) -> Value {
    run.summary
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or(Value::Null)
}

pub(super) fn json(out: &mut impl Write, runs: &[RunRow]) -> io::Result<()> {
    let runs: Vec<Value> = runs
        .iter()
        .map(|run| {
            json!({
                "run": run.run,
                "command": run.command,
                "started_at": run.started_at.to_string(),
                "finished_at": run.finished_at.map(|at| at.to_string()),
                "status": run.status,
                "summary": summary(run),
            })
        })
        .collect();
    serde_json::to_writer_pretty(
        &mut *out,
        &json!({"schema": "backfill.runs/1", "runs": runs}),
    )?;
    writeln!(out)
}
