//! The base of the tests: a scratch folder in which the program runs, and a temporary Postgres.

#![allow(dead_code)] // each area of tests uses its own part

mod env;
mod offer;
mod pgbouncer;
mod postgres;
mod proxy;

#[allow(unused_imports)]
pub use env::{Program, Run, Running, TestEnv, redact};
#[allow(unused_imports)]
pub use offer::offer;
#[allow(unused_imports)]
pub use pgbouncer::Pooler;
#[allow(unused_imports)]
pub use postgres::{Cluster, Database, KEEPER, Session, free_port};
#[allow(unused_imports)]
pub use proxy::{Cut, Protocol, Proxy};
