//! What a bundle says of itself.
//!
//! The manifest is JSON, a partition a line, in one form only: the same facts give the same bytes, and bytes in any other form
//! are refused. Its hash names the bundle.

use std::fmt::{self, Write as _};

use chrono::{Datelike, NaiveDate};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::calendar::{self, Calendar};
use crate::model::{DateRange, Interval, Provenance, SeriesKey, Ticker, TimeRange};
use crate::store::lake::guard::{PARTITION_BYTES_MAX, PARTITION_ROWS_MAX};
use crate::store::lake::image::{Contents, Image, SOURCES_MAX};
use crate::store::{CommitMark, Layout, PartitionKey, SCHEMA_VERSION};

/// The form of bundles that this program writes and reads.
pub const SCHEMA: &str = "backfill.bundle/1";
/// What every form of ours begins with.
const SCHEMA_NAME: &str = "backfill.bundle/";
/// A manifest's bytes at most: a line a partition, of about 600 bytes.
pub(super) const MANIFEST_BYTES_MAX: u64 = 64 << 20;
/// Tickers that a filter names at most.
const FILTER_TICKERS_MAX: usize = 100_000;
/// Years that a date can have, as where dates are typed.
const YEARS: std::ops::Range<i32> = 1900..2200;

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

/// Which part of a store a bundle holds; what is `None` holds all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Tickers, sorted.
    #[serde(deserialize_with = "few::<_, FILTER_TICKERS_MAX>")]
    pub tickers: Option<Vec<String>>,
    /// Length of the bars.
    pub interval_minutes: Option<u16>,
    /// First day, exchange-local, inclusive.
    pub start: Option<NaiveDate>,
    /// Last day, exchange-local, inclusive.
    pub end: Option<NaiveDate>,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Where it stands, in the bundle as in the lake.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Its hash.
    pub sha256: String,
    /// Length of its bars.
    pub interval_minutes: u16,
    /// Whose bars.
    pub ticker: String,
    /// Of which UTC year.
    pub year: i32,
    /// How many.
    pub rows: u64,
    /// The first bar.
    pub first: String,
    /// The last bar.
    pub last: String,
    /// The first commit that wrote one of its rows.
    pub commit_seq_first: u64,
    /// The last commit that wrote one of its rows.
    pub commit_seq_last: u64,
    /// The commit that its footer names: no later one has changed it.
    pub footer_commit_seq: u64,
    /// That commit's id.
    pub footer_commit_id: Uuid,
    /// The store that wrote the file; another than the bundle's where that was repaired since.
    pub store_id: Uuid,
    /// That store's format.
    pub schema_version: u32,
    /// The footer's hash over the rows' values.
    pub row_hash: String,
    /// Where its bars came from, sorted.
    #[serde(deserialize_with = "a_few::<_, SOURCES_MAX>")]
    pub sources: Vec<String>,
    /// Exchange of the bars.
    pub exchange: String,
    /// Adjusted for splits or not.
    pub basis: String,
    /// Regular or extended hours.
    pub hours: String,
}

/// What the partitions add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Partitions.
    pub partitions: u64,
    /// Their rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The first bar of all.
    pub first: Option<String>,
    /// The last bar of all.
    pub last: Option<String>,
}

/// Texts, no more than `MAX`: a list that was made long to fill memory is not read to its end.
struct Few<const MAX: usize>(Vec<String>);

impl<'de, const MAX: usize> Deserialize<'de> for Few<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts<const MAX: usize>;
        impl<'de, const MAX: usize> Visitor<'de> for Texts<MAX> {
            type Value = Few<MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of {MAX} texts at most")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    if texts.len() == MAX {
                        return Err(serde::de::Error::invalid_length(MAX + 1, &self));
                    }
                    texts.push(text);
                }
                Ok(Few(texts))
            }
        }
        deserializer.deserialize_seq(Texts)
    }
}

fn a_few<'de, D: Deserializer<'de>, const MAX: usize>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    Few::<MAX>::deserialize(deserializer).map(|few| few.0)
}

fn few<'de, D: Deserializer<'de>, const MAX: usize>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    Ok(Option::<Few<MAX>>::deserialize(deserializer)?.map(|few| few.0))
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

impl Filter {
    /// The filter of what was typed; empty lists and missing ends hold all.
    #[must_use]
    pub fn new(
        tickers: &[Ticker],
        interval: Option<Interval>,
        start: Option<NaiveDate>,
        end: Option<NaiveDate>,
    ) -> Self {
        let mut names: Vec<String> = tickers.iter().map(|t| t.as_str().to_owned()).collect();
        names.sort();
        names.dedup();
        Self {
            tickers: (!names.is_empty()).then_some(names),
            interval_minutes: interval.map(Interval::minutes),
            start,
            end,
        }
    }

    /// In one form, by which two filters are compared.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Texts and numbers: this cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether the series is inside.
    #[must_use]
    pub fn has(&self, series: &SeriesKey) -> bool {
        self.interval_minutes
            .is_none_or(|minutes| minutes == series.interval.minutes())
            && self.tickers.as_ref().is_none_or(|tickers| {
                tickers
                    .binary_search_by(|ticker| ticker.as_str().cmp(series.ticker.as_str()))
                    .is_ok()
            })
    }

    /// The instants inside, for bars of an exchange.
    pub fn range(&self, exchange: &str) -> Result<TimeRange, calendar::Error> {
        let mut range = TimeRange::ALL;
        if self.start.is_none() && self.end.is_none() {
            return Ok(range);
        }
        let calendar = Calendar::for_exchange(exchange)?;
        let day = |date| DateRange::new(date, date).map(|day| calendar.instants(day));
        if let Some(Ok(day)) = self.start.map(day) {
            range.start = day.start;
        }
        if let Some(Ok(day)) = self.end.map(day) {
            range.end = day.end;
        }
        Ok(range)
    }

    /// What of `typed` says otherwise than this filter: the option's name.
    #[must_use]
    pub fn contradiction(&self, typed: &Self) -> Option<&'static str> {
        let differs = |typed: bool, same: bool| typed && !same;
        [
            (
                "--tickers",
                differs(typed.tickers.is_some(), typed.tickers == self.tickers),
            ),
            (
                "--interval",
                differs(
                    typed.interval_minutes.is_some(),
                    typed.interval_minutes == self.interval_minutes,
                ),
            ),
            (
                "--start",
                differs(typed.start.is_some(), typed.start == self.start),
            ),
            ("--end", differs(typed.end.is_some(), typed.end == self.end)),
        ]
        .into_iter()
        .find_map(|(name, differs)| differs.then_some(name))
    }

    /// Whether it is as [`new`](Self::new) makes it.
    fn check(&self) -> Result<(), BadManifest> {
        let wrong = |what: &str| Err(BadManifest::Contradiction(format!("its filter's {what}")));
        if let Some(tickers) = &self.tickers {
            let sound = |name: &String| Ticker::new(name).is_ok_and(|known| known.as_str() == name);
            if tickers.is_empty()
                || !tickers.iter().all(sound)
                || !tickers.windows(2).all(|pair| pair[0] < pair[1])
            {
                return wrong("tickers are not sorted, or no tickers");
            }
        }
        if self
            .interval_minutes
            .is_some_and(|m| Interval::from_minutes(m.into()).is_none())
        {
            return wrong("interval is unknown");
        }
        let years = |date: Option<NaiveDate>| date.is_none_or(|date| YEARS.contains(&date.year()));
        if !years(self.start) || !years(self.end) {
            return wrong("dates are of no year that bars have");
        }
        if self
            .start
            .zip(self.end)
            .is_some_and(|(start, end)| start > end)
        {
            return wrong("start lies after its end");
        }
        Ok(())
    }
}

impl Entry {
    /// The entry of a partition whose bytes and contents were read.
    pub(super) fn of(
        key: &PartitionKey,
        image: &Image,
        contents: &Contents,
        sha256: String,
    ) -> Self {
        let footer = &image.footer;
        Self {
            path: member_path(key),
            bytes: image.bytes().len() as u64,
            sha256,
            interval_minutes: key.series.interval.minutes(),
            ticker: key.series.ticker.as_str().to_owned(),
            year: key.year,
            rows: footer.rows,
            first: contents.first.to_string(),
            last: contents.last.to_string(),
            commit_seq_first: contents.commits.0,
            commit_seq_last: contents.commits.1,
            footer_commit_seq: footer.commit_seq,
            footer_commit_id: footer.commit_id,
            store_id: footer.store_id,
            schema_version: footer.schema_version,
            row_hash: footer.row_hash.clone(),
            sources: contents.sources.iter().cloned().collect(),
            exchange: footer.provenance.exchange.clone(),
            basis: footer.provenance.basis.to_string(),
            hours: footer.provenance.hours.to_string(),
        }
    }

    /// The partition that the path names, where path, interval, ticker and year agree.
    #[must_use]
    pub fn key(&self) -> Option<PartitionKey> {
        let key = Layout::parse_partition(std::path::Path::new(&self.path))?;
        (member_path(&key) == self.path
            && key.series.interval.minutes() == self.interval_minutes
            && key.series.ticker.as_str() == self.ticker
            && key.year == self.year)
            .then_some(key)
    }

    /// What its series is recorded as.
    #[must_use]
    pub fn provenance(&self) -> Option<Provenance> {
        Some(Provenance {
            exchange: self.exchange.clone(),
            basis: self.basis.parse().ok()?,
            hours: self.hours.parse().ok()?,
        })
    }

    /// The first fact in which the two differ: its name, what this one says, what the other says.
    pub(super) fn difference(&self, other: &Self) -> Option<(String, String, String)> {
        let (Ok(serde_json::Value::Object(mine)), Ok(serde_json::Value::Object(theirs))) =
            (serde_json::to_value(self), serde_json::to_value(other))
        else {
            return None;
        };
        mine.into_iter().find_map(|(name, value)| {
            let found = theirs.get(&name)?;
            (value != *found).then(|| (name, value.to_string(), found.to_string()))
        })
    }
}

impl Totals {
    /// What `partitions` add up to.
    #[must_use]
    pub fn of(partitions: &[Entry]) -> Self {
        // Written as they are, instants sort as they follow one another.
        Self {
            partitions: partitions.len() as u64,
            rows: partitions.iter().map(|entry| entry.rows).sum(),
            bytes: partitions.iter().map(|entry| entry.bytes).sum(),
            first: partitions.iter().map(|entry| entry.first.clone()).min(),
            last: partitions.iter().map(|entry| entry.last.clone()).max(),
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
            if entry.commit_seq_first <= self.after_seq() || entry.commit_seq_last > through {
                return wrong(format!("{} holds commits that it should not", entry.path));
            }
        }
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

    /// Commits up to this one are in the base; 0 for a bundle that holds all.
    #[must_use]
    pub fn after_seq(&self) -> u64 {
        let base = self.base.as_ref().and_then(|base| base.commit.as_ref());
        base.map_or(0, |commit| commit.seq)
    }
}

/// The path of a partition, with slashes whatever the system.
pub(super) fn member_path(key: &PartitionKey) -> String {
    let path = Layout::partition_relative(key);
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

/// The hash of `bytes` in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// A hash in groups of four, to be read out over the phone.
#[must_use]
pub fn grouped(hash: &str) -> String {
    let mut text = String::with_capacity(hash.len() * 5 / 4);
    for (place, letter) in hash.chars().enumerate() {
        if place > 0 && place % 4 == 0 {
            text.push(' ');
        }
        text.push(letter);
    }
    text
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

    #[test]
    fn a_filter_is_repeated_or_contradicted() {
        let ticker = |name| Ticker::new(name).unwrap();
        let filter = Filter::new(&[ticker("B"), ticker("A"), ticker("B")], None, None, None);
        assert_eq!(filter.tickers, Some(vec!["A".to_owned(), "B".to_owned()]));
        assert_eq!(filter.contradiction(&Filter::default()), None);
        assert_eq!(filter.contradiction(&filter), None);
        let other = Filter::new(&[ticker("A")], None, None, None);
        assert_eq!(filter.contradiction(&other), Some("--tickers"));
        let other = Filter::new(&[], Some(Interval::M5), None, None);
        assert_eq!(filter.contradiction(&other), Some("--interval"));
    }

    #[test]
    fn hashes_are_read_out_in_groups_of_four() {
        assert_eq!(grouped("0123456789abcdef"), "0123 4567 89ab cdef");
        assert_eq!(grouped("01234"), "0123 4");
    }
}
