//! What can go wrong in a store.

use std::io;
use std::path::{Path, PathBuf};

use crate::advice::{Advice, Hint};
use crate::model::{Provenance, SeriesKey, Timestamp};

use super::layout::PartitionKey;

/// Why an operation of the store failed. A batch that is refused is not a failure: see
/// [`Refusal`](super::Refusal).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no store in that folder.
    #[error("there is no store in {}", .dir.display())]
    Missing { dir: PathBuf },
    /// The path of the store isn't a folder.
    #[error("{} isn't a folder, so it can't hold a store", .dir.display())]
    NotAFolder { dir: PathBuf },
    /// The path of the store is a symbolic link whose target is missing.
    #[error("{} is a symbolic link, and its target is missing", .dir.display())]
    DanglingLink { dir: PathBuf },
    /// The catalog is a symbolic link. DuckDB would keep its log in another folder.
    #[error("{} is a symbolic link, which the catalog can't be: DuckDB would keep its log in another folder", .path.display())]
    LinkedCatalog { path: PathBuf },
    /// The store is on a medium that can't be written.
    #[error("the store in {} can't be written: {source}", .dir.display())]
    ReadOnly { dir: PathBuf, source: io::Error },
    /// This user may not look into the folder.
    #[error("the store in {} can't be opened: this user may not enter the folder", .dir.display())]
    NoEntry { dir: PathBuf },
    /// DuckDB would open other files than the store's own.
    #[error("{} can't hold a store: DuckDB can't open files at a path with {what}", .dir.display())]
    BadPath { dir: PathBuf, what: &'static str },
    /// The lock file is missing and can't be made, so a writer elsewhere can't be ruled out.
    #[error("the store in {} has no store.lock, and it can't be made: {source}", .dir.display())]
    NoLock { dir: PathBuf, source: io::Error },
    /// The program runs with a DuckDB library other than those it was written for.
    #[error("DuckDB {version} isn't supported: its files may have another format")]
    UnknownDuckDb { version: String },
    /// A reader as of a commit that the store doesn't have.
    #[error("the store has no commit {seq}; {}", match newest {
        0 => "it has none yet".to_owned(),
        newest => format!("the newest is {newest}"),
    })]
    NoCommit { seq: u64, newest: u64 },
    /// A reader as of a commit before the history is complete.
    #[error(
        "the bars after commit {seq} aren't known: what later commits replaced is recorded from commit {from} on"
    )]
    NoHistory {
        seq: u64,
        /// The first commit after which the bars are known.
        from: u64,
    },
    /// A reader as of a time before the first commit.
    #[error("the store had no bars at {at}")]
    NothingAt { at: Timestamp },
    /// A reader as of a time before the first recorded run, of a store that had bars before.
    #[error("the bars at {at} aren't known: the first recorded run began later")]
    UnknownAt { at: Timestamp },
    /// A reader as of a time at which a run was writing.
    #[error(
        "a run was writing at {at}: it made the commits {first} to {last}, and their times aren't recorded"
    )]
    RunAt {
        at: Timestamp,
        first: u64,
        last: u64,
    },
    /// A newer program wrote the store.
    #[error(
        "the store in {} has format {found}, and this program knows formats up to {known}", .dir.display()
    )]
    Newer {
        dir: PathBuf,
        /// The format that the store has.
        found: u32,
        /// The newest format that this program knows.
        known: u32,
    },
    /// Another process writes into the store.
    #[error(
        "another process{} writes into the store in {}",
        .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default(), .dir.display()
    )]
    WriterRuns {
        dir: PathBuf,
        /// The writer's process id, if the lock file has it.
        pid: Option<u32>,
    },
    /// Readers kept the store locked longer than the writer waits.
    #[error("other processes still read the store in {} after {seconds} s", .dir.display())]
    ReadersStay { dir: PathBuf, seconds: u64 },
    /// Real bars offered to a store of demo bars, or the reverse.
    #[error("the store in {} holds {held} bars, and these are {offered} bars", .dir.display())]
    DemoMix {
        dir: PathBuf,
        /// `demo` or `real`.
        held: &'static str,
        /// `demo` or `real`.
        offered: &'static str,
    },
    /// The catalog and the lake do not agree; nothing may be written before they do.
    #[error("the store in {} is damaged: {what}{}", .dir.display(), and_more(*.more))]
    Damaged {
        dir: PathBuf,
        what: Damage,
        more: usize,
    },
    /// A partition can't be read.
    #[error("{} can't be read: {reason}", .path.display())]
    Unreadable { path: PathBuf, reason: String },
    /// A partition differs from what was written.
    #[error("{} differs from what was written: {reason}", .path.display())]
    ReadBack { path: PathBuf, reason: String },
    /// The operating system refused a file operation.
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    /// DuckDB refused or failed.
    #[error("the catalog {}: {source}", .path.display())]
    Catalog {
        path: PathBuf,
        source: duckdb::Error,
    },
    /// DuckDB failed at the end of a transaction: the next opening shows whether it took place.
    #[error(
        "the catalog {}: it is unknown whether the last commit succeeded: {source}", .path.display()
    )]
    InDoubt {
        path: PathBuf,
        source: duckdb::Error,
    },
    /// DuckDB's log is damaged beyond its tail.
    #[error("the catalog's log {} is damaged: {reason}", .path.display())]
    Log { path: PathBuf, reason: String },
    /// An earlier step of this process failed after its commit; the next opening finishes it.
    #[error("an earlier write into the store in {} failed, so this process writes nothing more", .dir.display())]
    Interrupted { dir: PathBuf },
    /// A command that needs the catalog while a writer holds it.
    #[error(
        "this command needs the catalog of {}, and another process{} writes into it",
        .dir.display(), .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    CatalogBusy {
        dir: PathBuf,
        /// The writer's process id, if it is known.
        pid: Option<u32>,
    },
}

/// One way in which catalog and lake can disagree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// A lake without a catalog.
    #[error("there is a lake but no catalog")]
    NoCatalog,
    /// DuckDB can't open the catalog, or can't read all of it.
    #[error("the catalog can't be read: {0}")]
    CatalogUnreadable(String),
    /// The catalog lists a partition whose file is gone.
    #[error("partition {0} is gone from the lake")]
    PartitionMissing(PartitionKey),
    /// The lake holds a partition that the catalog does not list.
    #[error("partition {0} is in the lake but not in the catalog")]
    PartitionUnknown(PartitionKey),
    /// A symbolic link is in the place of a partition, or of a folder above it.
    #[error("partition {key} can't be read: {} is a symbolic link", .link.display())]
    PartitionLinked { key: PartitionKey, link: PathBuf },
    /// A partition is not the one that the catalog describes.
    #[error("partition {0} is not the one that the catalog describes ({1})")]
    PartitionDiffers(PartitionKey, String),
    /// A partition can't be read, or its content fails its hash.
    #[error("partition {0} is damaged: {1}")]
    PartitionUnreadable(PartitionKey, String),
    /// A file in `lake/` that isn't a partition.
    #[error("{} is in the lake and isn't a partition", .0.display())]
    UnknownFile(PathBuf),
    /// A publish was recorded, and neither its old nor its new file is there.
    #[error(
        "partition {0} was being replaced, and both its new and its old file are missing or damaged"
    )]
    IntentLost(PartitionKey),
    /// The catalog lists a segment whose file is gone.
    #[error("segment {0}, with hot bars of many series, is gone")]
    SegmentMissing(String),
    /// A segment's bytes are not those that were written.
    #[error("segment {0}, with hot bars of many series, fails its checksum")]
    SegmentDamaged(String),
    /// The hot tier holds a key twice, or one that the lake holds too.
    #[error("{0} holds {1} keys more than once")]
    DuplicateKeys(SeriesKey, u64),
    /// The counts that the catalog keeps differ from the bars.
    #[error("the counts of {0} differ from its bars: {1}")]
    CountsDiffer(SeriesKey, String),
}

fn and_more(more: usize) -> String {
    if more == 0 {
        String::new()
    } else {
        format!(" (and {more} more)")
    }
}

/// Why a batch was refused. Nothing of it was written.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Bars whose keys are stored already, under `fail`.
    #[error(
        "{} of {offered} rows are stored already{}, the first {} {first}",
        identical + restated,
        if *.restated > 0 { format!(" ({restated} with other values)") } else { String::new() },
        .series.ticker
    )]
    Conflicts {
        series: SeriesKey,
        offered: u64,
        /// Rows stored already with the same values.
        identical: u64,
        /// Rows stored already with other values.
        restated: u64,
        first: crate::model::Timestamp,
    },
    /// The series was recorded with another exchange, price basis or hours.
    #[error(
        "{series} is stored as {} {} ({} hours), and these bars are {} {} ({} hours)",
        .recorded.exchange, .recorded.basis, .recorded.hours, .offered.exchange, .offered.basis, .offered.hours
    )]
    Mismatch {
        series: SeriesKey,
        /// What the series was recorded as.
        recorded: Provenance,
        offered: Provenance,
    },
}

impl Error {
    /// An [`Error::Io`] about `path`.
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_path_buf(),
            source,
        }
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<Advice> {
        Some(match self {
            Self::Missing { .. } => Advice::NameStore,
            Self::NotAFolder { .. } => Advice::NameStoreFolder,
            Self::NoEntry { .. } => {
                "run this as the user who owns the store, or let this user read the folder and everything in it".into()
            }
            Self::BadPath { .. } => "move the store to a folder with another name".into(),
            Self::NoLock { .. } => {
                "copy the store to a folder where this user may write, or create an empty file store.lock in it".into()
            }
            Self::DanglingLink { .. } => Advice::NameStoreFolder,
            Self::LinkedCatalog { .. } => {
                "move the file itself here; the store's folder may be a symbolic link".into()
            }
            Self::ReadOnly { .. } => {
                "copy the store to a disk that can be written; commands that only read work here".into()
            }
            Self::Damaged {
                what: Damage::PartitionLinked { .. },
                ..
            } => "put the file or folder itself in the place of the link; lake may be a link".into(),
            Self::UnknownDuckDb { .. } => {
                "use the DuckDB library that was installed with the program".into()
            }
            Self::Newer { .. } => "update the program".into(),
            Self::RunAt { first, last, .. } => Advice::NameCommit {
                before: first.checked_sub(1).filter(|before| *before > 0),
                after: *last,
            },
            Self::Damaged { .. } => Advice::RepairStore,
            Self::Unreadable { .. } => Advice::VerifyStore,
            Self::ReadersStay { .. } => {
                "an export, a query or a sync may still be running; try again when it has ended".into()
            }
            Self::WriterRuns { .. } | Self::CatalogBusy { .. } => "try again when it has ended".into(),
            Self::Catalog { source, .. } | Self::InDoubt { source, .. }
                if source.to_string().contains("Out of Memory Error") =>
            {
                "the system or ulimit -v gives the program too little memory".into()
            }
            _ => return None,
        })
    }
}

impl Refusal {
    /// How many rows conflict; `None` if the batch was refused for another reason.
    #[must_use]
    pub fn conflicts(&self) -> Option<u64> {
        match self {
            Self::Conflicts {
                identical,
                restated,
                ..
            } => Some(identical + restated),
            Self::Mismatch { .. } => None,
        }
    }
}

impl Hint for Refusal {
    fn hint(&self) -> Option<Advice> {
        Some(match self {
            Self::Conflicts { .. } => Advice::OnConflict { can_resume: false },
            Self::Mismatch {
                recorded, offered, ..
            } => Advice::OtherProvenance {
                is_exchange: recorded.exchange != offered.exchange,
            },
        })
    }
}

/// Adds the path to an I/O error.
pub(crate) trait IoContext<T> {
    /// The error, with the path it happened at.
    fn at(self, path: &Path) -> Result<T, Error>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn at(self, path: &Path) -> Result<T, Error> {
        self.map_err(|source| Error::io(path, source))
    }
}
