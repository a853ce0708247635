//! Sync, against a real Postgres: bars in memory into a database of each test's own.

mod columns;
mod conflicts;
mod cuts;
mod hidden;
mod hosts;
mod memory;
mod pooler;
mod program;
mod proxy;
mod stores;
mod target;
mod tls;
mod waits;
mod zones;
