//! Bulk inserts through DuckDB's appender, as Arrow batches.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema};

use crate::store::error::Error;

use super::Catalog;

impl Catalog {
    /// Appends columns to `table` in the open transaction. The columns are in the table's order.
    pub fn append(&self, table: &str, columns: Vec<ArrayRef>) -> Result<(), Error> {
        self.append_all(table, std::iter::once(columns))
    }

    /// Appends batches through one appender. Only one batch is in memory at a time.
    pub fn append_all(
        &self,
        table: &str,
        batches: impl Iterator<Item = Vec<ArrayRef>>,
    ) -> Result<(), Error> {
        let mut appender = None;
        for columns in batches {
            let batch = self.batch(columns)?;
            if batch.num_rows() == 0 {
                continue;
            }
            if appender.is_none() {
                let opened = self.connection.appender(table);
                appender = Some(opened.map_err(|error| self.failed(error))?);
            }
            if let Some(appender) = &mut appender {
                appender
                    .append_record_batch(batch)
                    .map_err(|error| self.failed(error))?;
            }
        }
        match appender {
            Some(mut appender) => appender.flush().map_err(|error| self.failed(error)),
            None => Ok(()),
        }
    }

    fn batch(&self, columns: Vec<ArrayRef>) -> Result<RecordBatch, Error> {
        let fields: Vec<Field> = columns
            .iter()
            .enumerate()
            .map(|(index, column)| Field::new(index.to_string(), column.data_type().clone(), true))
            .collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|error| {
            self.failed(duckdb::Error::ArrowTypeToDuckdbType(
                error.to_string(),
                arrow::datatypes::DataType::Null,
            ))
        })
    }
}
