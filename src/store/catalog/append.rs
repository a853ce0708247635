//! Bulk inserts through DuckDB's appender, as Arrow batches.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema};

use crate::store::error::Error;

use super::Catalog;

impl Catalog {
    /// Appends columns to `table`, inside the transaction that is open. Columns stand in the table's own order.
    pub fn append(&self, table: &str, columns: Vec<ArrayRef>) -> Result<(), Error> {
        let fields: Vec<Field> = columns
            .iter()
            .enumerate()
            .map(|(place, column)| Field::new(place.to_string(), column.data_type().clone(), true))
            .collect();
        let batch =
            RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(|error| {
                self.failed(duckdb::Error::ArrowTypeToDuckdbType(
                    error.to_string(),
                    arrow::datatypes::DataType::Null,
                ))
            })?;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let mut appender = self
            .connection
            .appender(table)
            .map_err(|error| self.failed(error))?;
        appender
            .append_record_batch(batch)
            .map_err(|error| self.failed(error))?;
        appender.flush().map_err(|error| self.failed(error))
    }
}
