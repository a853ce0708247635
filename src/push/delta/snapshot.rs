//! The state of a table at one version.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::action::{Action, Add, Metadata, Protocol, Remove, Txn};
use super::{names, schema};

/// The newest protocol that this program can read and write. Newer ones can hide rows (deletion
/// vectors) or rename columns.
const READER_MAX: i32 = 1;
const WRITER_MAX: i32 = 2;

/// The state after a commit.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub version: u64,
    /// The hash of that version's commit; `None` if only its checkpoint is there.
    pub text_hash: Option<u128>,
    pub protocol: Option<Protocol>,
    pub metadata: Option<Metadata>,
    pub txns: BTreeMap<String, Txn>,
    /// The table's files. The key is the object's path; for a file elsewhere, what the log has.
    pub live: HashMap<String, Arc<Add>>,
    /// Files that were removed.
    pub removed: HashMap<String, Remove>,
}

/// Why this program can't read or write a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It needs a newer program.
    Protocol { reader: i32, writer: i32 },
    /// Its rows or columns aren't those of bars.
    Table(String),
}

impl Snapshot {
    /// Applies the actions of a commit or a checkpoint.
    pub fn apply(&mut self, actions: impl IntoIterator<Item = Action>) {
        for action in actions {
            if let Some(protocol) = action.protocol {
                self.protocol = Some(protocol);
            }
            if let Some(metadata) = action.metadata {
                self.metadata = Some(metadata);
            }
            if let Some(txn) = action.txn {
                self.txns.insert(txn.app_id.clone(), txn);
            }
            if let Some(remove) = action.remove {
                let key = key(&remove.path);
                self.live.remove(&key);
                self.removed.insert(key, remove);
            }
            if let Some(add) = action.add {
                let key = key(&add.path);
                self.removed.remove(&key);
                self.live.insert(key, Arc::new(add));
            }
        }
    }

    /// The file with this path, as the log has it.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&Arc<Add>> {
        self.live.get(&key(path))
    }

    /// Checks that this program may write the table.
    pub fn check(&self) -> Result<(), Refused> {
        let lacks = |what: &str| Refused::Table(format!("its log has no {what}"));
        let protocol = self.protocol.as_ref().ok_or_else(|| lacks("protocol"))?;
        if protocol.min_reader_version > READER_MAX || protocol.min_writer_version > WRITER_MAX {
            return Err(Refused::Protocol {
                reader: protocol.min_reader_version,
                writer: protocol.min_writer_version,
            });
        }
        let metadata = self.metadata.as_ref().ok_or_else(|| lacks("metadata"))?;
        if metadata.format.provider != "parquet" {
            let why = "its files aren't Parquet".to_owned();
            return Err(Refused::Table(why));
        }
        let append_only = metadata.configuration.get("delta.appendOnly");
        if append_only.is_some_and(|value| value.as_deref() == Some("true")) {
            let why = "its property delta.appendOnly forbids replacing files".to_owned();
            return Err(Refused::Table(why));
        }
        if self.live.values().any(|add| add.deletion_vector.is_some()) {
            let why = "it has deletion vectors".to_owned();
            return Err(Refused::Table(why));
        }
        schema::check(&metadata.schema_string, &metadata.partition_columns).map_err(Refused::Table)
    }
}

/// The key of a path in [`Snapshot::live`].
fn key(path: &str) -> String {
    names::decode(path).unwrap_or_else(|| path.to_owned())
}
