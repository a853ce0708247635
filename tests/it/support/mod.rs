//! What the tests stand on: a scratch folder with the program in it, and a throwaway Postgres.

#![allow(dead_code)] // each area of tests uses its own part

mod env;
mod pgbouncer;
mod postgres;

#[allow(unused_imports)]
pub use env::{Program, Run, Running, TestEnv, redact};
#[allow(unused_imports)]
pub use pgbouncer::Pooler;
#[allow(unused_imports)]
pub use postgres::{Cluster, Database, Session};
