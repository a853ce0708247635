//! The sealed tier: one Parquet file a partition.
//!
//! **The lake is readable by anything that reads Parquet, at any moment, with no lock and no tool of ours.** Files come
//! here by rename only (`publish`); this module encodes and reads them.

pub mod encoding;
pub mod footer;
pub(crate) mod guard;
pub mod hash;
pub(crate) mod read;
mod thrift;
pub(crate) mod untrusted;
pub(crate) mod write;

pub use footer::{Footer, SCHEMA_VERSION};
pub use read::BATCH_ROWS;
