//! The manifest of a bundle.
//!
//! It is JSON in one canonical form, with one partition per line: the same facts always give the
//! same bytes, and any other form is refused. Its hash identifies the bundle.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::defect::BadManifest;
use super::digest::is_sha256;
use super::entry::{Entry, Totals};
use super::filter::{Filter, Span};
use crate::model::Timestamp;
use crate::store::lake::guard::{PARTITION_BYTES_MAX, PARTITION_ROWS_MAX};
use crate::store::{CommitMark, PARTITION_FORMAT};

/// The format that this program writes and reads.
pub const SCHEMA: &str = "backfill.bundle/1";
/// The beginning of `SCHEMA` in every version.
const SCHEMA_NAME: &str = "backfill.bundle/";
/// The most bytes of a manifest. A partition takes about 600.
pub(super) const MANIFEST_BYTES_MAX: u64 = 64 << 20;
/// The highest commit number: rows keep it as a signed integer.
const COMMIT_SEQ_MAX: u64 = i64::MAX as u64;

/// What a bundle contains, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: String,
    /// The source store.
    pub store_id: Uuid,
    pub store_schema_version: u32,
    /// The source store's last commit.
    pub commit: Option<Commit>,
    /// Which part of the store the bundle holds.
    pub filter: Filter,
    /// The bundle given by `--since`; `None` for a full bundle.
    pub base: Option<Base>,
    /// The instants of the filter's dates, by exchange; empty without dates.
    pub spans: BTreeMap<String, Span>,
    /// Sorted by path.
    pub partitions: Vec<Entry>,
    pub totals: Totals,
}

/// A commit of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// The commit number; the first is 1.
    pub seq: u64,
    pub id: Uuid,
    /// When its run began.
    pub at: Option<String>,
}

/// The bundle that a later one builds on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    pub manifest_sha256: String,
    /// The last commit in it.
    pub commit: Option<Commit>,
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
    /// The canonical form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(|part| bytes.extend_from_slice(part));
        bytes
    }

    /// Passes the canonical form to `out` part by part, so that a long manifest isn't in memory twice.
    fn write(&self, mut out: impl FnMut(&[u8])) {
        fn json(value: &impl Serialize) -> String {
            // Strings, numbers and lists of them: this can't fail.
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

    /// Reads a manifest; refuses bytes that [`to_bytes`](Self::to_bytes) wouldn't return.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadManifest> {
        #[derive(Deserialize)]
        struct Head {
            schema: String,
        }
        // The text may quote the input, which may contain escape sequences.
        let unreadable = |error: serde_json::Error| {
            BadManifest::Unreadable(error.to_string().replace(char::is_control, "?"))
        };
        // The version comes first: a newer manifest may have unknown keys.
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

    /// Checks everything that doesn't need the partitions.
    pub(super) fn check(&self) -> Result<(), BadManifest> {
        let wrong = |what: String| Err(BadManifest::Contradiction(what));
        if self.store_schema_version > PARTITION_FORMAT {
            return Err(BadManifest::NewerStore(self.store_schema_version));
        }
        self.filter.check()?;
        if let Some(base) = &self.base
            && !is_sha256(&base.manifest_sha256)
        {
            return wrong("its base's hash is malformed".to_owned());
        }
        let base_commit = self.base.as_ref().and_then(|base| base.commit.as_ref());
        for at in self
            .commit
            .iter()
            .chain(base_commit)
            .filter_map(|c| c.at.as_ref())
        {
            if chrono::DateTime::parse_from_rfc3339(at).is_err() {
                return wrong("a commit's time can't be read".to_owned());
            }
        }
        let last = self.last_seq();
        if last > COMMIT_SEQ_MAX {
            return wrong(format!("commit {last} is out of range"));
        }
        if self.after_seq() > last {
            return wrong("its base reaches further than the bundle".to_owned());
        }
        let mut previous: Option<&str> = None;
        for entry in &self.partitions {
            let Some(key) = entry.key() else {
                return wrong(format!("{:?} isn't a partition's path", entry.path));
            };
            if entry.rows > PARTITION_ROWS_MAX || entry.bytes > PARTITION_BYTES_MAX {
                return wrong(format!("{} is larger than a partition can be", entry.path));
            }
            if previous.is_some_and(|previous| previous >= entry.path.as_str()) {
                return wrong(format!("{} is listed twice or out of order", entry.path));
            }
            previous = Some(&entry.path);
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
                return wrong(format!("{} has bars outside its dates", entry.path));
            }
            if entry.commit_seq_first <= self.after_seq() || entry.commit_seq_last > last {
                return wrong(format!("{} has commits outside its range", entry.path));
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
            return wrong("its totals don't match its partitions".to_owned());
        }
        Ok(())
    }

    /// Checks that each exchange's dates are listed once, as instants in canonical form.
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
        let is_canonical = |text: &String| {
            let read = chrono::DateTime::parse_from_rfc3339(text);
            read.is_ok_and(|at| Timestamp::from(at.to_utc()).to_string() == *text)
        };
        let is_complete = |span: &Span| {
            span.start.is_some() == self.filter.start.is_some()
                && span.end.is_some() == self.filter.end.is_some()
                && span.start.iter().chain(&span.end).all(is_canonical)
        };
        if self.spans.keys().collect::<BTreeSet<_>>() != expected
            || !self.spans.values().all(is_complete)
        {
            return Err(BadManifest::Contradiction(
                "its dates don't match its exchanges".to_owned(),
            ));
        }
        Ok(())
    }

    /// The last commit of the bundle; 0 for that of an empty store.
    pub(super) fn last_seq(&self) -> u64 {
        self.commit.as_ref().map_or(0, |commit| commit.seq)
    }

    /// The last commit of the base; 0 for a full bundle.
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
    fn only_the_canonical_form_is_read() {
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
            // Lists too long for memory, numbers that overflow, invalid dates and times.
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
        // The message goes to a terminal.
        let escape = text.replace("\"base\":null", "\"\\u001b[2J\":null");
        let message = Manifest::from_bytes(escape.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(!message.contains('\u{1b}'), "{message:?}");
        let newer = text.replace("bundle/1", "bundle/2");
        assert_eq!(
            Manifest::from_bytes(newer.as_bytes()),
            Err(BadManifest::Newer("backfill.bundle/2".to_owned()))
        );
    }
}
