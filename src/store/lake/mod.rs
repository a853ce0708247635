//! The sealed tier: one Parquet file for each partition.
//!
//! **Any program that reads Parquet can read the lake at any time, without a lock and without this program.**
//! Files get here by rename only (`publish`). This module encodes and reads them.

pub(crate) mod any_file;
pub(crate) mod check;
pub mod encoding;
pub mod footer;
pub(crate) mod foreign;
mod groups;
pub(crate) mod guard;
pub mod hash;
pub(crate) mod read;
mod schema;
mod thrift;
pub(crate) mod untrusted;
pub(crate) mod write;

pub use footer::{Footer, PARTITION_FORMAT};
pub(crate) use groups::rows_encoded;
pub use read::BATCH_ROWS;
