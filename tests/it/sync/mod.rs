//! Sync: the algorithm with a target in memory, and all of it with a real Postgres, in which each
//! test has its own database.

mod ahead;
mod algorithm;
mod columns;
mod conflicts;
mod cuts;
mod fake_target;
mod hidden;
mod hosts;
mod memory;
mod pooler;
mod program;
mod stores;
mod target;
pub mod tls;
mod waits;
mod zones;
