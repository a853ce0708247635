//! What makes a file not a bundle that `create` would have written.

use std::io;

use crate::store::PARTITION_FORMAT;

/// The first defect found. Every defect is fatal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Defect {
    #[error("can't be read: {0}")]
    Read(#[from] io::Error),
    #[error("not a bundle: {0}")]
    NotABundle(&'static str),
    #[error("the member at byte {at} isn't in a bundle's form: {why}")]
    Header { at: u64, why: &'static str },
    /// A path that would be unpacked outside the folder.
    #[error("the path {0:?} leads out of the bundle")]
    OutsidePath(String),
    #[error("{0:?} doesn't belong in a bundle")]
    UnexpectedFile(String),
    #[error("duplicate member {0}")]
    Duplicate(String),
    #[error("the member {0} is after {1}, but members are sorted by path")]
    Order(String, String),
    #[error("the header of {path} declares {bytes} bytes; the limit is {limit}")]
    TooLarge {
        path: String,
        bytes: u64,
        limit: u64,
    },
    #[error("cut off: {0} is incomplete")]
    CutOff(String),
    #[error("no manifest; was the file cut off?")]
    NoManifest,
    #[error("the member {0} is missing or not in its place")]
    MissingMember(String),
    /// The rest of a member's last block isn't zero.
    #[error("extra bytes after the member {0}")]
    Padding(String),
    #[error("the manifest fails its hash")]
    ManifestHash,
    #[error("the manifest is wrong: {0}")]
    Manifest(#[from] BadManifest),
    /// The last blocks aren't zero.
    #[error("the file doesn't end as a bundle does")]
    End,
    #[error("extra bytes after the end")]
    AfterEnd,
    #[error("{0} fails its hash")]
    PartitionHash(String),
    #[error("{path} is damaged: {why}")]
    Invalid { path: String, why: String },
    /// A fact in the manifest isn't true of the partition.
    #[error("{path}: {fact} is {found}, and {listed} in the manifest")]
    Differs {
        path: String,
        fact: String,
        listed: String,
        found: String,
    },
}

/// Why bytes aren't a manifest that this program would write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadManifest {
    #[error("it can't be read: {0}")]
    Unreadable(String),
    #[error("a newer version of this program wrote it, in the format {0:?}")]
    Newer(String),
    #[error("its partitions have format {0}; this program knows formats up to {PARTITION_FORMAT}")]
    NewerStore(u32),
    /// The same facts in other bytes.
    #[error("it isn't in the form in which this program writes it")]
    Form,
    #[error("{0}")]
    Contradiction(String),
}
