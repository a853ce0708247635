//! Reads bytes as each part of a table, for the fuzz target and the tests.

use bytes::Bytes;

use super::delta::snapshot::Snapshot;
use super::delta::{action, checkpoint};
use crate::model::{Interval, SeriesKey, Ticker};
use crate::store::PartitionKey;
use crate::store::lake::foreign;

/// Reads `bytes` as a commit, as a checkpoint, and as a data file of another program. Returns how many files and
/// rows they have.
pub fn read_bytes(bytes: &[u8]) -> (Result<usize, String>, Result<usize, String>) {
    let shared = Bytes::copy_from_slice(bytes);
    let actions = action::parse(bytes).or_else(|_| checkpoint::read(&shared));
    let files = actions.map(|actions| {
        let mut snapshot = Snapshot::default();
        snapshot.apply(actions);
        let _ = snapshot.check();
        let partitions = snapshot
            .live
            .values()
            .filter_map(|add| super::identity::partition(add));
        partitions.count()
    });
    let rows = Ticker::new("X").map_err(|error| error.to_string());
    let rows = rows.and_then(|ticker| {
        let interval = Interval::M1;
        let key = PartitionKey::new(&SeriesKey { interval, ticker }, 2025);
        foreign::rows(&shared, &key, 1).map(|rows| rows.len())
    });
    (files, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push::delta::schema;

    const COMMIT: &str = r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}
{"add":{"path":"a%20b","partitionValues":{"interval":"1m","ticker":"X","year":"2025"},"size":7,"modificationTime":1,"dataChange":true,"stats":"{}","tags":{"t":"1"}}}
{"remove":{"path":"old","deletionTimestamp":50,"dataChange":true}}
"#;

    /// Bytes of a commit and of its checkpoint are changed or cut off: they are read or refused, and nothing else
    /// happens.
    #[test]
    fn changed_bytes_are_read_or_refused() {
        let mut actions = action::parse(COMMIT.as_bytes()).unwrap();
        let metadata = serde_json::json!({"metaData": {
            "id": "x", "format": {"provider": "parquet"}, "schemaString": schema::schema_string(),
            "partitionColumns": schema::PARTITION_COLUMNS,
        }});
        actions.extend(action::parse(metadata.to_string().as_bytes()).unwrap());
        let checkpoint = checkpoint::write(&actions).unwrap();
        assert_eq!(read_bytes(COMMIT.as_bytes()).0, Ok(1));
        assert_eq!(read_bytes(&checkpoint).0, Ok(1));
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let mut refused = 0;
        for original in [COMMIT.as_bytes(), &checkpoint] {
            for at in (0..original.len()).step_by(5) {
                let mut bytes = original.to_vec();
                bytes[at] ^= [1, 0x80, 0xff][at % 3];
                refused += usize::from(read_bytes(&bytes).0.is_err());
                let _ = read_bytes(&original[..at]);
            }
        }
        std::panic::set_hook(hook);
        assert!(refused > 100, "{refused}");
    }
}
