//! What keeps a bundle from being made, checked or applied.

use std::io;
use std::path::PathBuf;

use uuid::Uuid;

use super::digest::grouped;
use super::fault::Fault;
use super::manifest::{BadManifest, Base};
use crate::model::Timestamp;
use crate::{calendar, store};

/// Why a bundle was not made, or is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bundle is not as it was written.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The bundle cannot be written.
    #[error("the bundle cannot be written: {0}")]
    Write(#[source] io::Error),
    /// A partition of the store is damaged: it does not go into a bundle.
    #[error("{} is damaged: {why}", .path.display())]
    Partition {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The bundle would be one that `verify` refuses.
    #[error("the bundle would not be sound: {0}")]
    Unsound(#[source] BadManifest),
    /// More partitions than a manifest can list.
    #[error("a bundle of {partitions} partitions would have a manifest that is too long")]
    TooMany {
        /// How many.
        partitions: u64,
    },
    /// The base was made from another store.
    #[error("the base was made from the store {base}, and this is the store {store}")]
    OtherStore {
        /// The store that the base was made from.
        base: Uuid,
        /// This one.
        store: Uuid,
    },
    /// The base reaches up to a commit that this store does not have: it was copied, restored or repaired since.
    #[error("the base reaches up to {commit}, which this store does not know")]
    UnknownCommit {
        /// The commit.
        commit: String,
    },
    /// A delta of another part of the store than its base.
    #[error(
        "{option} says otherwise than the base, and a bundle that goes on from another holds the same part of the store"
    )]
    OtherFilter {
        /// The option that says otherwise.
        option: &'static str,
    },
    /// What the delta goes on from is not in the store.
    #[error("its base was not applied to this store: {}", base_name(.0))]
    BaseMissing(Box<Base>),
    /// A newer bundle of the same store was applied.
    #[error(
        "a newer bundle of the same store, up to commit {commit}, was applied at {applied_at}: under update this one would put older values back"
    )]
    Superseded {
        /// How far the newer bundle reaches, as it claims.
        commit: u64,
        /// When it was applied.
        applied_at: Timestamp,
    },
    /// A filter by dates needs the exchange's calendar.
    #[error(transparent)]
    Calendar(#[from] calendar::Error),
    /// The store could not go on.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The user stopped it.
    #[error("stopped")]
    Interrupted,
}

fn base_name(base: &Base) -> String {
    let reach = base.commit.as_ref().map_or_else(
        || "of an empty store".to_owned(),
        |commit| format!("up to {commit}"),
    );
    format!(
        "the bundle {reach}, whose manifest has the hash {}",
        grouped(&base.manifest_sha256)
    )
}

impl Error {
    /// What the user could do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Fault(Fault::Manifest(BadManifest::Newer(_) | BadManifest::NewerStore(_))) => {
                "update the program"
            }
            Self::Fault(_) => {
                "carry it over again, and compare the manifest's hash with the one that was read out"
            }
            Self::Partition { .. } => {
                "verify checks the whole store, verify --repair saves what can be saved"
            }
            Self::TooMany { .. } => "--tickers or --start and --end divide it into several",
            Self::OtherStore { .. } | Self::UnknownCommit { .. } => {
                "make a bundle of all, without --since"
            }
            Self::OtherFilter { .. } => "leave the option out: the base's holds",
            Self::BaseMissing(_) => "apply the base first; twice does no harm",
            Self::Superseded { .. } => {
                "--on-conflict ignore adds only missing bars; --allow-older takes this bundle's values"
            }
            _ => return None,
        })
    }
}
