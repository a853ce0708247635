//! `backfill` gets OHLCV bars onto your own disk first and anywhere else second.
//!
//! ```text
//! provider/fmp ─┐                                                       ┌─> export   (Parquet, CSV, Arrow)
//!               ├─> normalise ─> store::commit ─> hot (DuckDB) ─> lake ─┼─> query    (SQL over both tiers)
//! csv dumps ────┘    (Bar | Reject)   │            (Parquet, sealed)    ├─> bundle   (air gap)
//!                                     │                                 └─> sync     (Postgres)
//!                                     └─> coverage, conflicts, runs
//! ```
//!
//! A bar flows one way, and each module knows only those below it: [`cli`] composes the use cases, the use cases
//! compose [`store`], [`calendar`] and their like, and [`model`] knows nothing but itself. Only [`cli`] prints, reads
//! the environment and the clock, and exits. ARCHITECTURE.md walks through the house.

// Tests make their files as they like.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod backfill;
pub mod bundle;
pub mod calendar;
pub mod causes;
pub mod cli;
pub mod crash;
pub mod export;
pub mod gaps;
pub mod inject;
pub mod model;
pub mod provider;
pub mod report;
pub mod secret;
pub mod simulator;
pub mod store;
pub mod sync;
