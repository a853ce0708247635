//! What a bundle says of itself.
//!
//! The manifest is JSON, a partition a line, in one form only: the same facts give the same bytes, and bytes in any other form
//! are refused. Its hash names the bundle.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::digest::is_sha256;
use super::entry::{Entry, Totals};
use super::filter::{Filter, Span};
use crate::model::Timestamp;
use crate::store::lake::guard::{PARTITION_BYTES_MAX, PARTITION_ROWS_MAX};
use crate::store::{CommitMark, SCHEMA_VERSION};

/// The form of bundles that this program writes and reads.
pub const SCHEMA: &str = "backfill.bundle/1";
/// What every form of ours begins with.
const SCHEMA_NAME: &str = "backfill.bundle/";
/// A manifest's bytes at most: a line a partition, of about 600 bytes.
pub(super) const MANIFEST_BYTES_MAX: u64 = 64 << 20;
/// The highest commit that a store can have: a row's commit is a signed number.
const COMMIT_SEQ_MAX: u64 = i64::MAX as u64;

/// What a bundle says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: String,
    /// The store that it was made from.
    pub store_id: Uuid,
    /// That store's format.
    pub store_schema_version: u32,
    /// The store's last commit: the bundle holds what was staged up to it.
    pub commit: Option<Commit>,
    /// Which part of the store it holds.
    pub filter: Filter,
    /// The bundle that it goes on from, for one that holds only what came after.
    pub base: Option<Base>,
    /// What the filter's dates mean, by exchange; empty without dates.
    pub spans: BTreeMap<String, Span>,
    /// The partitions, in the order of their paths.
    pub partitions: Vec<Entry>,
    /// What they add up to.
    pub totals: Totals,
}

/// A commit of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// Its place in the store's order.
    pub seq: u64,
    /// Its id.
    pub id: Uuid,
    /// When the run began that made it.
    pub at: Option<String>,
}

/// The bundle that a delta goes on from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// Its manifest's hash.
    pub manifest_sha256: String,
    /// How far it reaches.
    pub commit: Option<Commit>,
}

/// Why bytes are no manifest that this program would write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadManifest {
    /// It is no JSON of a manifest's form.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// A newer program wrote it.
    #[error("it has the form {0:?}, and this program knows {SCHEMA:?}")]
    Newer(String),
    /// A newer program wrote the store that it was made from.
    #[error("its store has format {0}, and this program knows formats up to {SCHEMA_VERSION}")]
    NewerStore(u32),
    /// It says the same in other bytes.
    #[error("it is not in the form in which it is written")]
    Form,
    /// It contradicts itself.
    #[error("{0}")]
    Contradiction(String),
}

impl From<CommitMark> for Commit {
    fn from(mark: CommitMark) -> Self {
        Self {
            seq: mark.seq,
            id: mark.id,
            at: mark.at.map(|at| at.to_string()),
        }
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "commit {} {}", self.seq, self.id)?;
        match &self.at {
            Some(at) => write!(f, " of {at}"),
            None => Ok(()),
        }
    }
}

impl Manifest {
    /// The one form in which this manifest is written.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(|part| bytes.extend_from_slice(part));
        bytes
    }

    /// Gives that form out part by part: a manifest of many partitions need not stand in memory twice.
    fn write(&self, mut out: impl FnMut(&[u8])) {
        fn json(value: &impl Serialize) -> String {
            // Texts and numbers and lists of them: this cannot fail.
            serde_json::to_string(value).unwrap_or_default()
        }
        let mut before = "{\n";
        for (name, value) in [
            ("schema", json(&self.schema)),
            ("store_id", json(&self.store_id)),
            ("store_schema_version", json(&self.store_schema_version)),
            ("commit", json(&self.commit)),
            ("filter", json(&self.filter)),
            ("base", json(&self.base)),
            ("spans", json(&self.spans)),
        ] {
            out(format!("{before}\"{name}\":{value}").as_bytes());
            before = ",\n";
        }
        out(b",\n\"partitions\":[");
        before = "\n";
        for entry in &self.partitions {
            out(before.as_bytes());
            out(json(entry).as_bytes());
            before = ",\n";
        }
        out(format!("\n],\n\"totals\":{}\n}}\n", json(&self.totals)).as_bytes());
    }

    fn is_written_as(&self, bytes: &[u8]) -> bool {
        let mut left = Some(bytes);
        self.write(|part| left = left.and_then(|left| left.strip_prefix(part)));
        left.is_some_and(<[u8]>::is_empty)
    }

    /// Reads a manifest; bytes that [`to_bytes`](Self::to_bytes) would not give are refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadManifest> {
        #[derive(Deserialize)]
        struct Head {
            schema: String,
        }
        // It may repeat what stands there, and that is not for a terminal.
        let unreadable = |error: serde_json::Error| {
            BadManifest::Unreadable(error.to_string().replace(char::is_control, "?"))
        };
        // First which form it has: a newer one may have keys that this program does not know.
        let head: Head = serde_json::from_slice(bytes).map_err(unreadable)?;
        if head.schema != SCHEMA {
            return Err(if head.schema.starts_with(SCHEMA_NAME) {
                BadManifest::Newer(head.schema)
            } else {
                BadManifest::Unreadable(format!("its schema is {:?}", head.schema))
            });
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(unreadable)?;
        if !manifest.is_written_as(bytes) {
            return Err(BadManifest::Form);
        }
        manifest.check()?;
        Ok(manifest)
    }

    /// What can be checked without the partitions.
    pub(super) fn check(&self) -> Result<(), BadManifest> {
        let wrong = |what: String| Err(BadManifest::Contradiction(what));
        if self.store_schema_version > SCHEMA_VERSION {
            return Err(BadManifest::NewerStore(self.store_schema_version));
        }
        self.filter.check()?;
        if let Some(base) = &self.base
            && !is_sha256(&base.manifest_sha256)
        {
            return wrong("its base is named by no hash".to_owned());
        }
        let base_commit = self.base.as_ref().and_then(|base| base.commit.as_ref());
        for at in self
            .commit
            .iter()
            .chain(base_commit)
            .filter_map(|c| c.at.as_ref())
        {
            if chrono::DateTime::parse_from_rfc3339(at).is_err() {
                return wrong("a commit's time is no time".to_owned());
            }
        }
        let through = self.commit.as_ref().map_or(0, |commit| commit.seq);
        if through > COMMIT_SEQ_MAX {
            return wrong(format!("no store reaches commit {through}"));
        }
        if self.after_seq() > through {
            return wrong("its base reaches further than it does itself".to_owned());
        }
        let mut before: Option<&str> = None;
        for entry in &self.partitions {
            let Some(key) = entry.key() else {
                return wrong(format!("{:?} is no partition's path", entry.path));
            };
            if entry.rows > PARTITION_ROWS_MAX || entry.bytes > PARTITION_BYTES_MAX {
                return wrong(format!("{} is larger than any partition", entry.path));
            }
            if before.is_some_and(|before| before >= entry.path.as_str()) {
                return wrong(format!("{} stands twice or out of order", entry.path));
            }
            before = Some(&entry.path);
            if !self.filter.has(&key.series) {
                return wrong(format!("{} is outside its filter", entry.path));
            }
            if entry.schema_version > self.store_schema_version {
                return wrong(format!("{} has a newer format than its store", entry.path));
            }
            let span = self.spans.get(&entry.exchange);
            if self.filter.has_dates()
                && span.is_none_or(|span| !span.contains(&entry.first, &entry.last))
            {
                return wrong(format!("{} holds bars outside its dates", entry.path));
            }
            if entry.commit_seq_first <= self.after_seq() || entry.commit_seq_last > through {
                return wrong(format!("{} holds commits that it should not", entry.path));
            }
        }
        self.check_spans()?;
        let demo = |entry: &Entry| entry.sources.iter().any(|source| source == "demo");
        if self.partitions.iter().any(demo)
            && !self
                .partitions
                .iter()
                .all(|entry| entry.sources == ["demo"])
        {
            return wrong("it mixes demo bars with real ones".to_owned());
        }
        if self.totals != Totals::of(&self.partitions) {
            return wrong("its totals are not those of its partitions".to_owned());
        }
        Ok(())
    }

    /// Each exchange's dates once, in the form in which instants are written.
    fn check_spans(&self) -> Result<(), BadManifest> {
        let exchanges: BTreeSet<&String> = self
            .partitions
            .iter()
            .map(|entry| &entry.exchange)
            .collect();
        let expected = if self.filter.has_dates() {
            exchanges
        } else {
            BTreeSet::new()
        };
        let sound = |text: &String| {
            let read = chrono::DateTime::parse_from_rfc3339(text);
            read.is_ok_and(|at| Timestamp::from(at.to_utc()).to_string() == *text)
        };
        let whole = |span: &Span| {
            span.start.is_some() == self.filter.start.is_some()
                && span.end.is_some() == self.filter.end.is_some()
                && span.start.iter().chain(&span.end).all(sound)
        };
        if self.spans.keys().collect::<BTreeSet<_>>() != expected || !self.spans.values().all(whole)
        {
            return Err(BadManifest::Contradiction(
                "its dates are not those of its exchanges".to_owned(),
            ));
        }
        Ok(())
    }

    /// Commits up to this one are in the base; 0 for a bundle that holds all.
    #[must_use]
    pub fn after_seq(&self) -> u64 {
        let base = self.base.as_ref().and_then(|base| base.commit.as_ref());
        base.map_or(0, |commit| commit.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            schema: SCHEMA.to_owned(),
            store_id: Uuid::from_u128(7),
            store_schema_version: 1,
            commit: Some(Commit {
                seq: 9,
                id: Uuid::from_u128(9),
                at: None,
            }),
            filter: Filter::default(),
            base: None,
            spans: BTreeMap::new(),
            partitions: Vec::new(),
            totals: Totals::default(),
        }
    }

    #[test]
    fn only_the_written_form_is_read() {
        let bytes = manifest().to_bytes();
        assert_eq!(Manifest::from_bytes(&bytes), Ok(manifest()));
        let text = String::from_utf8(bytes).unwrap();
        for other in [
            text.replace(",\n", ", \n"),
            text.replace("\"seq\":9", "\"seq\":9.0"),
            text.replace("\"seq\":9", "\"seq\":9,\"seq\":9"),
            text.replace("\"base\":null", "\"base\":null,\"more\":1"),
            text.replace("\"seq\":9", "\"seq\":9223372036854775808"),
            text.trim_end().to_owned(),
            text.clone() + "\n",
            format!("{}{}", "[".repeat(100_000), text),
            // Lists that are long to fill memory, numbers that overflow, dates and times that are none.
            text.replace(
                "\"tickers\":null",
                &format!("\"tickers\":[{}\"A\"]", "\"A\",".repeat(100_000)),
            ),
            text.replace("\"rows\":0", "\"rows\":18446744073709551615"),
            text.replace("\"start\":null", "\"start\":\"+262142-12-31\""),
            text.replace("\"at\":null", "\"at\":\"\\u001b[2J\""),
            text.replace(
                "\"base\":null",
                "\"base\":{\"manifest_sha256\":\"A\",\"commit\":null}",
            ),
        ] {
            assert!(
                Manifest::from_bytes(other.as_bytes()).is_err(),
                "{other:.300}"
            );
        }
        // What is told of it is for a terminal.
        let escape = text.replace("\"base\":null", "\"\\u001b[2J\":null");
        let told = Manifest::from_bytes(escape.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(!told.contains('\u{1b}'), "{told:?}");
        let newer = text.replace("bundle/1", "bundle/2");
        assert_eq!(
            Manifest::from_bytes(newer.as_bytes()),
            Err(BadManifest::Newer("backfill.bundle/2".to_owned()))
        );
    }
}
