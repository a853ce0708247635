//! The actions of a commit, one JSON object per line.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Texts by name. A text can be missing.
pub type Texts = BTreeMap<String, Option<String>>;

/// One line of a commit, or one row of a checkpoint. Unknown actions are skipped.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_info: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    #[serde(rename = "metaData", skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub txn: Option<Txn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove: Option<Remove>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub add: Option<Add>,
}

/// What a program must know to read and to write the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Protocol {
    pub min_reader_version: i32,
    pub min_writer_version: i32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub format: Format,
    pub schema_string: String,
    #[serde(default)]
    pub partition_columns: Vec<String>,
    #[serde(default)]
    pub configuration: Texts,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_time: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    pub provider: String,
    #[serde(default)]
    pub options: Texts,
}

/// How far another program's stream has come. It is kept in checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Txn {
    pub app_id: String,
    pub version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_updated: Option<i64>,
}

/// A file of the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Add {
    /// Relative to the table's folder, as a URI.
    pub path: String,
    #[serde(default)]
    pub partition_values: Texts,
    pub size: i64,
    /// In milliseconds since 1970.
    #[serde(default)]
    pub modification_time: i64,
    #[serde(default)]
    pub data_change: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stats: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Texts>,
    /// Rows that count as deleted. A table that has some needs a newer reader.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_vector: Option<Value>,
}

/// A file that isn't part of the table any more. It stays for readers of older versions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Remove {
    pub path: String,
    /// In milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_timestamp: Option<i64>,
    #[serde(default)]
    pub data_change: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extended_file_metadata: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition_values: Option<Texts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
}

impl Remove {
    /// The removal of a file.
    #[must_use]
    pub fn of(add: &Add, now_ms: i64, data_change: bool) -> Self {
        Self {
            path: add.path.clone(),
            deletion_timestamp: Some(now_ms),
            data_change,
            extended_file_metadata: Some(true),
            partition_values: Some(add.partition_values.clone()),
            size: Some(add.size),
        }
    }
}

impl From<Add> for Action {
    fn from(add: Add) -> Self {
        Self {
            add: Some(add),
            ..Self::default()
        }
    }
}

impl From<Remove> for Action {
    fn from(remove: Remove) -> Self {
        Self {
            remove: Some(remove),
            ..Self::default()
        }
    }
}

/// The actions of a commit's text.
pub fn parse(text: &[u8]) -> Result<Vec<Action>, String> {
    let lines = text.split(|byte| *byte == b'\n').enumerate();
    let full = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    full.map(|(index, line)| {
        serde_json::from_slice(line).map_err(|error| format!("line {}: {error}", index + 1))
    })
    .collect()
}

/// The text of a commit.
#[must_use]
pub fn to_text(actions: &[Action]) -> Vec<u8> {
    let mut text = Vec::new();
    for action in actions {
        // Strings, numbers and maps of them alone: this can't fail.
        text.extend(serde_json::to_vec(action).unwrap_or_default());
        text.push(b'\n');
    }
    text
}

/// The id of the transaction that a commit's text names.
#[must_use]
pub fn txn_id(text: &[u8]) -> Option<String> {
    let actions = parse(text).ok()?;
    let info = actions.into_iter().find_map(|action| action.commit_info)?;
    Some(info.get("txnId")?.as_str()?.to_owned())
}
