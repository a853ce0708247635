//! Runs the real program: each test has its own scratch folder and environment.

#![allow(clippy::unwrap_used)] // a test that can't continue panics
#![allow(clippy::disallowed_methods)] // and writes its files without the store's functions

mod support;

mod audit;
mod bundle;
mod cli;
#[cfg(feature = "crash-points")]
mod cluster;
mod compare;
mod corpus;
mod crash;
#[cfg(feature = "crash-points")]
mod crash_points;
#[cfg(feature = "crash-points")]
mod crash_readers;
mod documents;
mod faults;
mod fetch;
mod gaps;
mod inject;
mod model;
mod out;
mod page;
mod push;
#[cfg(feature = "crash-points")]
mod readers;
#[cfg(feature = "crash-points")]
mod schedule;
mod seal;
mod secrets;
mod simulate;
#[cfg(feature = "crash-points")]
mod soak;
mod store_folder;
mod sync;
mod tour;
