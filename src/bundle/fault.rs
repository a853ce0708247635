//! What a bundle can have that `create` would not have written.

use std::io;

use super::manifest::BadManifest;

/// The first difference that was found. None of them is told and passed over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The system could not read it.
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It is something else.
    #[error("it is no bundle: {0}")]
    NotABundle(&'static str),
    /// A member's header is not as it is written.
    #[error("the member at byte {at} is not as a bundle has it: {why}")]
    Header {
        /// Where the header stands.
        at: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// A path that leads out of the folder that it is unpacked in.
    #[error("the member {0:?} leads out of the bundle")]
    Outside(String),
    /// A member that is no partition.
    #[error("the member {0:?} does not belong into a bundle")]
    Stranger(String),
    /// A member stands there twice.
    #[error("the member {0} stands there twice")]
    Twice(String),
    /// A member stands behind one that it should stand before.
    #[error("the member {0} stands behind {1}")]
    Order(String, String),
    /// A member says that it is larger than any can be.
    #[error(
        "the member {path} is said to have {bytes} bytes, and no such member has more than {limit}"
    )]
    TooLarge {
        /// The member.
        path: String,
        /// The length that its header says.
        bytes: u64,
        /// The most that is taken.
        limit: u64,
    },
    /// It ends too early.
    #[error("it is cut off: {0} is not all there")]
    Cut(String),
    /// It ends without a manifest.
    #[error("it holds no manifest; was it cut off?")]
    NoManifest,
    /// Another member stands where this one should.
    #[error("the member {0} is missing, or not where it should be")]
    NotMember(String),
    /// What fills the last block of a member is not zero.
    #[error("there is something behind the end of the member {0}")]
    Padding(String),
    /// The manifest's hash is not the one in the last member.
    #[error("the manifest fails its hash")]
    ManifestHash,
    /// The manifest is not one that this program writes.
    #[error("the manifest is wrong: {0}")]
    Manifest(#[from] BadManifest),
    /// The last blocks are not zero.
    #[error("its end is not as a bundle ends")]
    End,
    /// Something follows the end.
    #[error("there is something behind its end")]
    After,
    /// A partition's bytes are others.
    #[error("{0} fails its hash")]
    Bytes(String),
    /// A partition is not sound.
    #[error("{path} is damaged: {why}")]
    Unsound {
        /// The partition.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// A partition is not what the manifest says.
    #[error("{path} is not what the manifest says: {fact} is {found}, and should be {listed}")]
    Differs {
        /// The partition.
        path: String,
        /// Which of its facts.
        fact: String,
        /// What the manifest says.
        listed: String,
        /// What the partition says.
        found: String,
    },
}
