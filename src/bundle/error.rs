//! Why a bundle can't be made, verified or applied.

use std::io;
use std::path::PathBuf;

use uuid::Uuid;

use super::defect::{BadManifest, Defect};
use super::digest::grouped;
use super::manifest::Base;
use crate::advice::{Advice, Hint};
use crate::model::Timestamp;
use crate::{calendar, store};

/// Why a bundle can't be made, verified or applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Defect(#[from] Defect),
    #[error("the bundle can't be written: {0}")]
    Write(#[source] io::Error),
    /// A partition of the store; it doesn't go into a bundle.
    #[error("{} is damaged: {why}", .path.display())]
    Partition { path: PathBuf, why: String },
    /// `verify` would refuse the bundle.
    #[error("the bundle would be invalid: {0}")]
    Invalid(#[source] BadManifest),
    #[error("{partitions} partitions are more than one manifest can list")]
    TooMany { partitions: u64 },
    #[error("the base was made from store {base}, and this is store {store}")]
    OtherStore { base: Uuid, store: Uuid },
    /// The store was copied, restored or repaired since.
    #[error("the base reaches up to {commit}, which this store doesn't have")]
    UnknownCommit { commit: String },
    /// A delta must hold the same part of the store as its base.
    #[error("{part} differ from the base's, and a bundle has the filter of its base")]
    OtherFilter { part: &'static str },
    /// The output file is a bundle that the base needs.
    #[error("the base builds on the bundle in this file, which would be overwritten")]
    ReplacesBase,
    #[error("its base was not applied to this store: {}", base_name(.0))]
    BaseMissing(Box<Base>),
    #[error(
        "a newer bundle of the same store, up to commit {commit}, was applied at {applied_at}: \
         under update this one would put older values back"
    )]
    Superseded { commit: u64, applied_at: Timestamp },
    #[error(transparent)]
    Calendar(#[from] calendar::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("stopped")]
    Interrupted,
}

fn base_name(base: &Base) -> String {
    let reach = base.commit.as_ref().map_or_else(
        || "of an empty store".to_owned(),
        |commit| format!("up to {commit}"),
    );
    format!(
        "the bundle {reach} with the manifest hash {}",
        grouped(&base.manifest_sha256)
    )
}

impl Hint for Error {
    fn hint(&self) -> Option<Advice> {
        Some(match self {
            Self::Defect(Defect::Manifest(BadManifest::Newer(_) | BadManifest::NewerStore(_))) => {
                "update this program".into()
            }
            Self::Defect(_) => Advice::CompareHash,
            Self::Partition { .. } => Advice::RepairStore,
            Self::TooMany { .. } => Advice::SplitBundle,
            Self::OtherStore { .. } | Self::UnknownCommit { .. } => Advice::FullBundle,
            Self::OtherFilter { .. } => Advice::BaseFilter,
            Self::ReplacesBase => "choose another file name".into(),
            Self::BaseMissing(_) => "apply the base first; applying it twice does no harm".into(),
            Self::Superseded { .. } => Advice::ApplyOlder,
            _ => return None,
        })
    }
}
