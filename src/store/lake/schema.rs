//! The columns of a partition's file.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

use crate::store::columns::scan_schema;

use super::footer::FORMAT_WITH_GROUPS;

static WITH_IDS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let plain = scan_schema();
    let fields = plain.fields().iter().zip(1..).map(|(field, id)| {
        let id = (PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string());
        field.as_ref().clone().with_metadata(HashMap::from([id]))
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
});

/// The columns of a new partition. They have ids, 1 to N, by which table formats such as Iceberg
/// find them.
pub(super) fn with_ids() -> SchemaRef {
    WITH_IDS.clone()
}

/// The columns of a partition of this format.
pub(super) fn of_format(format: u32) -> SchemaRef {
    if format >= FORMAT_WITH_GROUPS {
        with_ids()
    } else {
        scan_schema()
    }
}

/// The same columns as a batch of [`scan_schema`], which has no ids.
pub(super) fn without_ids(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_new(scan_schema(), batch.columns().to_vec())
}
