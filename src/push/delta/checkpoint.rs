//! The state of a table as one Parquet file: each action is a row, as in a commit each is a line.
//!
//! Both directions go through the lines of a commit, so there is one form of an action.

use std::io;
use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow_json::{LineDelimitedWriter, ReaderBuilder};
use bytes::Bytes;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::action::{self, Action};
use super::snapshot::Snapshot;
use crate::store::lake::any_file;
use crate::store::lake::untrusted::guarded;

/// The kinds of action that a checkpoint has. Others, such as statistics by column, aren't read.
const KINDS: [&str; 5] = ["txn", "add", "remove", "metaData", "protocol"];
/// Rows that are decoded at once.
const BATCH_ROWS: usize = 4_096;
/// The most bytes of text that all rows may decode to. A file's entry has less than a kilobyte.
const TEXT_BYTES_MAX: usize = 1 << 30;
/// Removed files stay in checkpoints for this long, so that the clean-up of other programs finds them.
const REMOVED_MS_MAX: i64 = 7 * 24 * 3_600_000;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let long = |name: &str| Field::new(name, DataType::Int64, true);
    let int = |name: &str| Field::new(name, DataType::Int32, true);
    let bool = |name: &str| Field::new(name, DataType::Boolean, true);
    let record = |name: &str, fields: Vec<Field>| {
        Field::new(name, DataType::Struct(Fields::from(fields)), true)
    };
    let texts = |name: &str| {
        let pair = Fields::from(vec![
            Field::new("key", DataType::Utf8, false),
            Field::new("value", DataType::Utf8, true),
        ]);
        let pairs = Field::new("key_value", DataType::Struct(pair), false);
        Field::new(name, DataType::Map(Arc::new(pairs), false), true)
    };
    let element = Field::new("element", DataType::Utf8, true);
    let list = Field::new("partitionColumns", DataType::List(Arc::new(element)), true);
    Arc::new(Schema::new(vec![
        record(
            "txn",
            vec![text("appId"), long("version"), long("lastUpdated")],
        ),
        record(
            "add",
            vec![
                text("path"),
                texts("partitionValues"),
                long("size"),
                long("modificationTime"),
                bool("dataChange"),
                text("stats"),
                texts("tags"),
            ],
        ),
        record(
            "remove",
            vec![
                text("path"),
                long("deletionTimestamp"),
                bool("dataChange"),
                bool("extendedFileMetadata"),
                texts("partitionValues"),
                long("size"),
            ],
        ),
        record(
            "metaData",
            vec![
                text("id"),
                text("name"),
                text("description"),
                record("format", vec![text("provider"), texts("options")]),
                text("schemaString"),
                list,
                texts("configuration"),
                long("createdTime"),
            ],
        ),
        record(
            "protocol",
            vec![int("minReaderVersion"), int("minWriterVersion")],
        ),
    ]))
});

/// The actions that make up a state. Files that were removed long ago are left out.
#[must_use]
pub fn actions(snapshot: &Snapshot, now_ms: i64) -> Vec<Action> {
    let mut actions = Vec::with_capacity(snapshot.live.len() + snapshot.removed.len() + 2);
    actions.push(Action {
        protocol: snapshot.protocol.clone(),
        ..Action::default()
    });
    actions.push(Action {
        metadata: snapshot.metadata.clone(),
        ..Action::default()
    });
    actions.extend(snapshot.txns.values().map(|txn| Action {
        txn: Some(txn.clone()),
        ..Action::default()
    }));
    let recent = snapshot
        .removed
        .values()
        .filter(|remove| now_ms - remove.deletion_timestamp.unwrap_or(0) < REMOVED_MS_MAX);
    actions.extend(recent.map(|remove| {
        let mut remove = remove.clone();
        remove.data_change = false;
        remove.into()
    }));
    actions.extend(snapshot.live.values().map(|add| {
        let mut add = action::Add::clone(add);
        add.data_change = false;
        add.into()
    }));
    actions
}

/// Encodes actions as a checkpoint.
pub fn write(actions: &[Action]) -> Result<Vec<u8>, String> {
    let level = ZstdLevel::try_new(1).map_or(Compression::SNAPPY, Compression::ZSTD);
    let properties = WriterProperties::builder().set_compression(level).build();
    let plain = |error: &dyn std::error::Error| error.to_string();
    let mut writer = ArrowWriter::try_new(Vec::new(), SCHEMA.clone(), Some(properties))
        .map_err(|error| plain(&error))?;
    for some in actions.chunks(BATCH_ROWS) {
        let text = action::to_text(some);
        let reader = ReaderBuilder::new(SCHEMA.clone())
            .with_batch_size(BATCH_ROWS)
            .build(text.as_slice())
            .map_err(|error| plain(&error))?;
        for batch in reader {
            let batch = batch.map_err(|error| plain(&error))?;
            writer.write(&batch).map_err(|error| plain(&error))?;
        }
    }
    writer.into_inner().map_err(|error| plain(&error))
}

/// The actions of a checkpoint, or of a part of one, by any program.
pub fn read(bytes: &Bytes) -> Result<Vec<Action>, String> {
    guarded(|| {
        let builder = any_file::open(bytes)?;
        let roots: Vec<usize> = builder
            .parquet_schema()
            .root_schema()
            .get_fields()
            .iter()
            .enumerate()
            .filter(|(_, field)| KINDS.contains(&field.name()))
            .map(|(index, _)| index)
            .collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let reader = builder
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|error| error.to_string())?;
        let mut actions = Vec::new();
        let mut left = TEXT_BYTES_MAX;
        for batch in reader {
            let batch = batch.map_err(|error| error.to_string())?;
            let text = lines(&batch, left)?;
            left -= text.len();
            actions.extend(action::parse(&text)?);
        }
        Ok(actions)
    })
}

/// The rows of a batch as lines of a commit.
fn lines(batch: &RecordBatch, bytes_max: usize) -> Result<Vec<u8>, String> {
    let text = Vec::new();
    let mut writer = LineDelimitedWriter::new(Limited { text, bytes_max });
    let written = writer.write(batch).and_then(|()| writer.finish());
    written.map_err(|error| error.to_string())?;
    Ok(writer.into_inner().text)
}

/// Text of limited length: a value that a file has once can be in many rows.
struct Limited {
    text: Vec<u8>,
    bytes_max: usize,
}

impl io::Write for Limited {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        if self.text.len() + part.len() > self.bytes_max {
            return Err(io::Error::other("its rows are too long"));
        }
        self.text.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_survives_the_way_through_a_checkpoint() {
        let lines = concat!(
            r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}"#,
            "\n",
            r#"{"metaData":{"id":"a","format":{"provider":"parquet","options":{}},"schemaString":"{}","partitionColumns":["year"],"configuration":{"k":"v"},"createdTime":5}}"#,
            "\n",
            r#"{"txn":{"appId":"spark","version":4}}"#,
            "\n",
            r#"{"add":{"path":"a%20b","partitionValues":{"year":"2025","x":null},"size":7,"modificationTime":1,"dataChange":true,"stats":"{}","tags":{"t":"1"}}}"#,
            "\n",
            r#"{"remove":{"path":"old","deletionTimestamp":50,"dataChange":true}}"#,
            "\n",
            r#"{"remove":{"path":"ancient","deletionTimestamp":1,"dataChange":true}}"#,
            "\n",
        );
        let mut before = Snapshot::default();
        before.apply(action::parse(lines.as_bytes()).unwrap());
        let bytes = write(&actions(&before, 50 + REMOVED_MS_MAX - 1)).unwrap();
        let mut after = Snapshot::default();
        after.apply(read(&bytes.into()).unwrap());
        assert_eq!(after.protocol, before.protocol);
        assert_eq!(after.metadata, before.metadata);
        assert_eq!(after.txns, before.txns);
        assert_eq!(after.removed.keys().collect::<Vec<_>>(), ["old"]);
        let add = &after.live["a b"];
        assert_eq!(add.path, "a%20b");
        assert_eq!(add.partition_values["year"].as_deref(), Some("2025"));
        assert_eq!(add.tags, before.live["a b"].tags);
        assert!(!add.data_change);
    }

    #[test]
    fn other_bytes_are_refused() {
        for bytes in [&b""[..], b"PAR1PAR1PAR1", &[0; 64]] {
            assert!(read(&Bytes::copy_from_slice(bytes)).is_err());
        }
    }
}
