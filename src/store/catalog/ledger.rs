//! The ledger of conflicts: a table, and files of commits that had many.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array};
use arrow::datatypes::{Int32Type, Int64Type};
use duckdb::params;

use crate::model::columns::COLUMNS;
use crate::store::columns::{
    BAR_COLUMNS, FIRST_VALUE, bars_from_arrays, bars_into_arrays, sql_list,
};
use crate::store::conflicts::{Conflicts, KnownConflicts, Origin, known_entry};
use crate::store::durable::Digest;
use crate::store::error::Error;
use crate::store::layout::Layout;
use crate::store::run::RunId;
use crate::store::{folder, segment};

use super::Catalog;
use super::records::{instants, texts};

impl Catalog {
    /// Adds conflicts of series, by their ids, to the table.
    pub fn insert_conflicts(&self, run: &RunId, series: &[(i32, &Conflicts)]) -> Result<(), Error> {
        let run = run.to_string();
        let (mut all, mut ids) = (Conflicts::default(), Vec::new());
        for (id, conflicts) in series {
            all.append((*conflicts).clone());
            ids.resize(all.len(), *id);
        }
        if all.is_empty() {
            return Ok(());
        }
        let origins = || all.origins.iter();
        let sources = [
            texts(origins().map(|origin| origin.staged.as_str())),
            texts(origins().map(|origin| origin.offered.as_str())),
        ];
        let resolution = |origin: &Origin| {
            if origin.is_update {
                "updated"
            } else {
                "skipped"
            }
        };
        let resolutions = texts(origins().map(resolution));
        let runs = texts(origins().map(|_| run.as_str()));
        let timestamps = all.offered.timestamps().iter();
        let timestamps = instants(timestamps.map(|ts| crate::model::Timestamp::from_micros(*ts)));
        let [staged_source, offered_source] = sources;
        let mut columns: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(ids)), timestamps];
        let commits = all.commits();
        columns.extend(bars_into_arrays(all.staged).split_off(FIRST_VALUE));
        columns.push(staged_source);
        columns.extend(bars_into_arrays(all.offered).split_off(FIRST_VALUE));
        columns.extend([offered_source, resolutions, runs]);
        columns.extend(commits);
        self.append("conflicts", columns)
    }

    /// Lists a file of conflicts.
    pub fn insert_conflict_file(&self, name: &str, digest: &Digest) -> Result<(), Error> {
        self.insert_segment_file(name, digest)
    }

    /// A SELECT of all conflicts with the columns of the table, which is in `schema`. Older conflicts lack
    /// the commits.
    pub fn conflicts_select(&self, schema: &str) -> Result<String, Error> {
        let layout = Layout::new(self.root());
        let no_commits = "NULL::BIGINT AS staged_seq, NULL::BIGINT AS commit_seq";
        let table = match self.history_from()? {
            Some(_) => "*".to_owned(),
            None => format!("*, {no_commits}"),
        };
        let mut selects = vec![format!("SELECT {table} FROM {schema}.conflicts")];
        let offered: Vec<String> = COLUMNS
            .iter()
            .map(|column| match column.optional {
                true => format!("offered_{}", column.name),
                false => format!("coalesce(offered_{0}, staged_{0})", column.name),
            })
            .collect();
        for name in self.segments()?.keys() {
            let Some(run) = segment::run_of_conflicts(name) else {
                continue;
            };
            let commits = match segment::has_commits(name) {
                true => "staged_seq, commit_seq",
                false => no_commits,
            };
            selects.push(format!(
                "SELECT series_id, timestamp, {}, staged_source, {}, offered_source,
                     CASE WHEN is_update THEN 'updated' ELSE 'skipped' END, '{run}', {commits}
                   FROM read_parquet('{}', hive_partitioning = false)",
                sql_list("staged_"),
                offered.join(", "),
                folder::pattern(&layout.segment(name)).replace('\'', "''")
            ));
        }
        Ok(selects.join(" UNION ALL "))
    }

    /// The recorded conflicts with the series and in the range of timestamps of `series`.
    pub fn known_conflicts(&self, series: &[(i32, &Conflicts)]) -> Result<KnownConflicts, Error> {
        let mut known = KnownConflicts::new();
        let ids = || series.iter().map(|(id, _)| *id);
        let timestamps = || {
            series
                .iter()
                .flat_map(|(_, one)| one.offered.timestamps().iter().copied())
        };
        let ends = (
            ids().min(),
            ids().max(),
            timestamps().min(),
            timestamps().max(),
        );
        let (Some(first_id), Some(last_id), Some(first), Some(last)) = ends else {
            return Ok(known);
        };
        let sql = format!(
            "SELECT epoch_us(timestamp), {}, series_id FROM ({})
               WHERE series_id BETWEEN {first_id} AND {last_id} AND timestamp BETWEEN ? AND ?",
            sql_list("offered_"),
            self.conflicts_select("main")?
        );
        let failed = |error| self.failed(error);
        let mut statement = self.connection.prepare(&sql).map_err(failed)?;
        let range = params![super::instant(first), super::instant(last)];
        for batch in statement.query_arrow(range).map_err(failed)? {
            let timestamps = batch
                .column(0)
                .as_primitive::<Int64Type>()
                .values()
                .to_vec();
            let ids = batch
                .column(BAR_COLUMNS)
                .as_primitive::<Int32Type>()
                .values();
            let bars = bars_from_arrays(timestamps, &batch.columns()[FIRST_VALUE..BAR_COLUMNS]);
            let entries = bars.iter().flat_map(crate::model::Bars::iter).zip(ids);
            known.extend(entries.map(|(bar, id)| known_entry(*id, &bar)));
        }
        Ok(known)
    }
}
