//! Drives the real program: each test has a scratch folder and a cleared environment of its own.

#![allow(clippy::unwrap_used)] // a test that cannot go on says so by panicking
#![allow(clippy::disallowed_methods)] // and makes its files as it likes

mod support;

mod bundle;
mod cli;
mod crash;
#[cfg(feature = "crash-points")]
mod crash_points;
mod documents;
mod faults;
mod fetch;
mod gaps;
mod inject;
mod model;
mod out;
mod places;
#[cfg(feature = "crash-points")]
mod readers;
mod secrets;
mod simulate;
#[cfg(feature = "crash-points")]
mod soak;
mod sync;
mod tour;
