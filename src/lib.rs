//! `backfill` downloads, stores and queries intraday market bars on your own machine.
//!
//! ```text
//! provider ───┐                                                     ┌─> query    SQL over all bars
//!             ├─> bars, rejects ─> store: hot ──seal──> lake ───────┼─> export   Parquet, CSV, Arrow
//! CSV files ──┘                       │   (DuckDB,     (Parquet)    ├─> sync     Postgres
//!                                     │    segments)                ├─> push     Delta table
//!                                     │                             └─> bundle   another store
//!                                     └─> coverage, conflicts, runs
//! ```
//!
//! Each module uses only modules below it: [`cli`] calls the use cases, the use cases call [`store`],
//! [`calendar`], [`provider`] and others, and [`model`] uses none. Only [`cli`] prints, reads the
//! environment and the time of day, and exits. ARCHITECTURE.md describes all of it.

// Tests write files without the store's functions.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod advice;
pub mod audit;
pub mod backfill;
pub mod bundle;
pub mod calendar;
pub mod causes;
pub mod cli;
pub mod compare;
pub mod crash;
pub mod documents;
pub mod export;
pub mod gaps;
pub mod inject;
pub mod model;
pub mod page;
pub mod provider;
pub mod push;
pub mod report;
pub mod secret;
pub mod serve;
pub mod simulator;
pub mod status;
pub mod store;
pub mod sync;
